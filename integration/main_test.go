package integration_test

import (
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain runs the tests, or one role of theirs: tests that kill processes start
// this binary again.
func TestMain(m *testing.M) {
	if settings := os.Getenv(roleVariable); settings != "" {
		if err := playRole(settings); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}
