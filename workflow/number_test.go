package workflow

import (
	"encoding/json"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersAreEqualHoweverTheyAreWritten(t *testing.T) {
	t.Parallel()
	for _, same := range [][]string{
		{"0", "-0", "0.0", "0e5", "-0.000e-9"}, {"1", "1.0", "1e0", "10e-1", "0.1e1", "0.01E+2", "100e-2"},
		{"-12.5", "-1.25e1", "-125e-1"}, {"1e999999999999999999999", "10e999999999999999999998"},
	} {
		for _, s := range same[1:] {
			if a, b := canonicalNumber(same[0]), canonicalNumber(s); a != b {
				t.Errorf("%s is %s and %s is %s", same[0], a, s, b)
			}
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		number := rapid.StringMatching(`-?(0|[1-9][0-9]{0,3})(\.[0-9]{1,3})?([eE][+-]?[0-9])?`)
		a, b := number.Draw(t, "a"), number.Draw(t, "b")
		if !json.Valid([]byte(a)) {
			t.Fatalf("%s is not JSON", a)
		}
		x, _ := new(big.Rat).SetString(a)
		y, _ := new(big.Rat).SetString(b)
		if same := canonicalNumber(a) == canonicalNumber(b); same != (x.Cmp(y) == 0) {
			t.Fatalf("%s and %s count as the same: %v", a, b, same)
		}
	})
}
