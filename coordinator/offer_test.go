package coordinator_test

import (
	"testing"
)

func TestANodeIsOfferedAsSoonAsItsRunStarts(t *testing.T) {
	simulate(t, func(e *env) {
		e.coordinate(nil)
		w := e.join("w", 1, nil)
		e.start("r", e.define([][]int{{}}, nil), nil)
		equal(t, "offers without any time passing", w.offers(), "r/0")
	})
}
