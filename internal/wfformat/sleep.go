package wfformat

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/workflow"
)

// TaskName is the task that the nodes of [Workflow.Definition] run.
const TaskName = "wfformat.sleep"

// SleepTask is the task named [TaskName], with [Sleep] as implementation.
var SleepTask = workflow.TaskFunc(TaskName, Sleep)

// SleepInput is the input of [Sleep].
type SleepInput struct {
	// Task is the id of the task in the WfFormat file.
	Task string `json:"task"`
	// Millis is how long to sleep, in milliseconds; zero or more.
	Millis float64 `json:"millis"`
}

// SleepOutput is the output of [Sleep].
type SleepOutput struct {
	// Task is that of the input.
	Task string `json:"task"`
}

// maxMillis is the longest sleep, about 292 years: what a time.Duration holds.
const maxMillis = float64(math.MaxInt64/time.Millisecond) - 1

// Sleep stands in for a recorded task: it waits for the time in its input, on
// the monotonic clock. If ctx ends before, it returns the cause at once. The
// error wraps [grapnel.ErrInvalid] if the time is negative or longer than a
// time.Duration can say.
func Sleep(ctx context.Context, in SleepInput) (SleepOutput, error) {
	if in.Millis < 0 || in.Millis > maxMillis || math.IsNaN(in.Millis) {
		return SleepOutput{}, fmt.Errorf("%w: task %s: cannot sleep for %v ms", grapnel.ErrInvalid, quote(in.Task), in.Millis)
	}
	if ctx.Err() != nil {
		return SleepOutput{}, context.Cause(ctx)
	}
	timer := time.NewTimer(time.Duration(in.Millis * float64(time.Millisecond)))
	defer timer.Stop()
	select {
	case <-timer.C:
		return SleepOutput{Task: in.Task}, nil
	case <-ctx.Done():
		return SleepOutput{}, context.Cause(ctx)
	}
}
