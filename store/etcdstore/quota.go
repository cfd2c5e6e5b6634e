package etcdstore

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

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
// So "no space" is an unknown outcome unless this process saw the alarm before
// it sent the write. It looks for it on the first such answer.
type quota struct {
	// seen is when the alarm was last seen, nil if it is not known to be in
	// force.
	seen atomic.Pointer[time.Time]
}

// alarmFresh is how long after it was seen the alarm is taken to be in force.
// To be wrong, somebody has to disarm it and the database has to fill up again
// within that time.
const alarmFresh = time.Second

// alarmed reports whether the alarm is known to be in force, asking again if
// that is not fresh.
func (q *quota) alarmed(ctx context.Context, client *clientv3.Client) bool {
	seen := q.seen.Load()
	if seen != nil && time.Since(*seen) > alarmFresh {
		q.look(ctx, client)
		seen = q.seen.Load()
	}
	return seen != nil
}

// look asks whether the alarm is in force. The question goes through raft, so
// whatever is sent after a yes is applied after the alarm. Without an answer
// nothing is assumed.
func (q *quota) look(ctx context.Context, client *clientv3.Client) {
	now := time.Now()
	resp, err := client.AlarmList(ctx)
	if err == nil && slices.ContainsFunc(resp.Alarms, func(a *pb.AlarmMember) bool { return a.Alarm == pb.AlarmType_NOSPACE }) {
		q.seen.Store(&now)
		return
	}
	q.seen.Store(nil)
}

// spent records that a request with a put in it was accepted, which no alarm
// allows.
func (q *quota) spent() {
	if q.seen.Load() != nil {
		q.seen.Store(nil)
	}
}

// overCapacity is the error for the writer of a write that was answered with
// "no space", given what alarmed returned before it was sent.
func overCapacity(alarmed bool, err error) error {
	if alarmed {
		return fmt.Errorf("%w: %s", grapnel.ErrOverCapacity, describe(err))
	}
	return writeError(err, true)
}
