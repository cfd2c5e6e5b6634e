// Package guard has one test for each way in which a mutation can end.
package guard

import (
	"os"
	"testing"
)

// guarded is what the mutation named Guard takes away.
func guarded() bool { return os.Getenv("GRAPNEL_MUTATION") != "Guard" }

func TestAsserts(t *testing.T) {
	if !guarded() {
		t.Error("the guard is missing")
	}
}

func TestLooksAway(*testing.T) {}

func TestPanics(*testing.T) {
	if !guarded() {
		panic("the guard is missing")
	}
}

func TestExits(*testing.T) {
	if !guarded() {
		os.Exit(1)
	}
}

func TestAlwaysFails(t *testing.T) { t.Error("fails with the guard and without") }
