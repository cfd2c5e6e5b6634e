package wfformat

import (
	"context"
	"errors"
	"math"
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel"
)

func TestSleepTakesItsTime(t *testing.T) {
	t.Parallel()
	for _, millis := range []float64{0, 0.25, 1500} {
		synctest.Test(t, func(t *testing.T) {
			start := time.Now()
			out, err := Sleep(t.Context(), SleepInput{Task: "a", Millis: millis})
			if err != nil || out.Task != "a" {
				t.Errorf("got %+v, %v", out, err)
			}
			if took := time.Since(start); took != time.Duration(millis*1e6) {
				t.Errorf("took %v, want %v ms", took, millis)
			}
		})
	}
}

func TestSleepEndsWithItsContext(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := errors.New("stop")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, stop)
		defer cancel()
		start := time.Now()
		for _, millis := range []float64{60_000, 0} {
			if _, err := Sleep(ctx, SleepInput{Millis: millis}); !errors.Is(err, stop) {
				t.Errorf("%v ms: got %v, want the cause", millis, err)
			}
			if took := time.Since(start); took != time.Second {
				t.Errorf("%v ms: returned after %v, want 1s", millis, took)
			}
		}
	})
}

func TestSleepRefusesTimesThatAreNone(t *testing.T) {
	t.Parallel()
	for _, millis := range []float64{-1, math.NaN(), math.Inf(1), 2 * maxMillis} {
		if _, err := Sleep(t.Context(), SleepInput{Millis: millis}); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%v ms: got %v, want ErrInvalid", millis, err)
		}
	}
}
