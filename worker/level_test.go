package worker

import (
	"fmt"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestOutcomesThatARunsEndMakesUselessAreNoReasonToWarn(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		why  error
		want hclog.Level
	}{
		{stopCause(workflow.KindCancelled, "the run has ended as failed"), hclog.Info},
		{stopCause(workflow.KindRunTimeout, "over"), hclog.Info},
		{stopCause(workflow.KindLost, "gone"), hclog.Warn},
		{fmt.Errorf("%w before its outcome was committed", grapnel.ErrClaimLost), hclog.Warn},
		{claim.ErrLost, hclog.Warn},
	} {
		if got := discardLevel(tt.why); got != tt.want {
			t.Errorf("%v is logged at %v, not %v", tt.why, got, tt.want)
		}
	}
}
