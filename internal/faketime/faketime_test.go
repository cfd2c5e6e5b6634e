package faketime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/grapnel-dev/grapnel/internal/faketime"
)

func TestPassMovesTheClockOfABubble(t *testing.T) {
	t.Parallel()
	outside := time.Now()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		due := time.After(time.Hour)
		faketime.Pass(time.Hour - time.Nanosecond)
		select {
		case <-due:
			t.Error("the timer is early")
		default:
		}
		faketime.Pass(time.Nanosecond)
		synctest.Wait()
		select {
		case <-due:
		default:
			t.Error("the timer is late")
		}
		faketime.Pass(-time.Hour)
		if took := time.Since(began); took != time.Hour {
			t.Errorf("%v passed, want 1h", took)
		}
	})
	if took := time.Since(outside); took >= time.Hour {
		t.Errorf("it took %v of real time", took)
	}
}

func TestPassPanicsOutsideOfABubble(t *testing.T) {
	t.Parallel()
	defer func() {
		if recover() == nil {
			t.Error("there was no panic")
		}
	}()
	faketime.Pass(time.Nanosecond)
}
