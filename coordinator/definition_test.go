package coordinator_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store/faultstore"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Policies that change while a coordinator cannot see it apply to the runs it
// knows once it can, be the new time-out longer or shorter.
func TestPoliciesThatChangedUnseenApplyToRunsUnderWay(t *testing.T) {
	for _, limits := range [][2]time.Duration{{20 * time.Second, time.Minute}, {10 * time.Minute, time.Minute}} {
		t.Run(fmt.Sprint(limits[0]), func(t *testing.T) {
			simulate(t, func(t *testing.T, e *env) {
				fs := e.through()
				e.coordinate(func(c *coordinator.Config) { c.Store = fs })
				limited := func(limit time.Duration) *workflow.Definition {
					return e.define([][]int{{}}, func(d *workflow.Definition) { d.Nodes[0].Policy.ScheduleToClose = limit })
				}
				e.start("r", limited(limits[0]), nil)
				fs.SetRule(func(i faultstore.Info) faultstore.Action {
					if strings.HasPrefix(i.Key, e.keys.Definitions()) {
						return faultstore.Action{Fault: faultstore.Refused}
					}
					return faultstore.Action{}
				})
				fs.CutWatches(fmt.Errorf("%w: injected", grapnel.ErrUnavailable))
				e.wait(time.Second)
				e.must(snapshot.NewDefinitions(e.st, e.keys).Ensure(t.Context(), limited(limits[1])))
				fs.SetRule(nil)
				e.wait(30 * time.Second)
				e.wantStatus("r", grapnel.RunRunning)
				e.wait(35 * time.Second)
				e.wantStatus("r", grapnel.RunFailed)
			})
		})
	}
}
