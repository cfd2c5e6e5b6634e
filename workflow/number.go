package workflow

import (
	"math/big"
	"strings"
)

// canonicalNumber returns the same text for JSON numbers of the same value,
// exactly and without ever writing out a power of ten: sign, digits without
// zeros at either end, and the exponent of the first digit.
func canonicalNumber(s string) string {
	sign := ""
	if rest, ok := strings.CutPrefix(s, "-"); ok {
		s, sign = rest, "-"
	}
	exponent := new(big.Int)
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		exponent.SetString(strings.TrimPrefix(s[i+1:], "+"), 10)
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	exponent.Add(exponent, big.NewInt(int64(len(whole))))
	digits := whole + fraction
	trimmed := strings.TrimLeft(digits, "0")
	exponent.Sub(exponent, big.NewInt(int64(len(digits)-len(trimmed))))
	if trimmed = strings.TrimRight(trimmed, "0"); trimmed == "" {
		return "0"
	}
	return sign + trimmed + "e" + exponent.String()
}
