package etcdstore

import (
	"context"
	"fmt"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
)

// quota tells refusals for lack of space from writes that were applied in spite
// of it.
//
// Etcd checks its quota when it receives a request and again when it applies
// it. The second check comes too late: the request is applied and answered with
// the same error as one that was not, and an alarm is raised. Only once the
// alarm is in force is everything that could take space refused for certain.
// So "no space" is an unknown outcome until this process has seen the alarm,
// which it looks for on the first such answer.
type quota struct{ alarmed atomic.Bool }

// outcome turns a "no space" answer to a write into the error for its writer.
// alarmed is what the quota knew when the write was sent.
func (q *quota) outcome(alarmed bool, err error) error {
	if alarmed {
		return fmt.Errorf("%w: %s", grapnel.ErrOverCapacity, describe(err))
	}
	return writeError(err, true)
}

// look asks whether the alarm is in force. The question goes through raft, so
// whatever is sent after a yes is applied after the alarm. Without an answer
// nothing is assumed.
func (q *quota) look(ctx context.Context, client *clientv3.Client) {
	resp, err := client.AlarmList(ctx)
	if err != nil {
		return
	}
	for _, a := range resp.Alarms {
		if a.Alarm == pb.AlarmType_NOSPACE {
			q.alarmed.Store(true)
		}
	}
}

// spent records that a request with a put in it was accepted, which no alarm
// allows.
func (q *quota) spent() { q.alarmed.Store(false) }
