package coordinator

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/lease"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

// errLeaseLost ends a member's context when its lease can no longer be trusted.
var errLeaseLost = errors.New("the coordinator's lease can no longer be trusted")

// resignTimeout is for how long a coordinator that stops tries to say so; if it
// cannot, its lease runs out.
const resignTimeout = 2 * time.Second

// member is one membership: a lease and the key bound to it. A coordinator whose
// lease can no longer be trusted becomes a member anew, under another id.
type member struct {
	id    string
	value []byte // of the membership key and of the keys of its shards
	*lease.Keeper
}

// keepMember sees to it that the coordinator is a member until Run ends.
func (l *loop) keepMember() {
	for pause := (store.Pause{}); l.ctx.Err() == nil; {
		m, err := l.becomeMember()
		if err != nil {
			if l.ctx.Err() == nil {
				l.log.Warn("not a member yet", "error", err)
			}
			_ = pause.Wait(l.ctx)
			continue
		}
		pause = store.Pause{}
		l.do(func() { l.join(m) })
		err = m.Run(l.ctx)
		l.do(func() { l.leave(m) })
		l.log.Info("membership ended", "member", m.id, "reason", err)
		l.resign(m)
	}
}

func (l *loop) becomeMember() (*member, error) {
	k, err := lease.Grant(l.ctx, l.st, l.cfg.TTL, l.cfg.Margin, errLeaseLost, l.log)
	if err != nil {
		return nil, err
	}
	m := &member{id: string(grapnel.NewWorkerID(l.cfg.Name)), Keeper: k}
	host, err := os.Hostname()
	if err != nil {
		l.log.Debug("host has no name", "error", err)
	}
	m.value, err = proto.Marshal(&pb.Coordinator{
		Id: m.id, Host: host, Pid: uint32(os.Getpid()), Started: int64(workflow.MomentOf(l.cfg.Now())),
	})
	if err == nil {
		// The id is fresh, so nobody else writes this key, and to write it twice
		// is to write it once.
		put := store.Txn{Then: []store.Op{store.Put(l.keys.Coordinator(m.id), m.value, m.ID())}}
		_, err = store.Settle(m.Context(), l.st, put)
	}
	if err != nil {
		l.resign(m)
		return nil, fmt.Errorf("become member %s: %w", m.id, err)
	}
	return m, nil
}

// resign revokes a member's lease, which gives its shards away.
func (l *loop) resign(m *member) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(l.ctx), resignTimeout)
	defer cancel()
	if err := m.Revoke(ctx); err != nil {
		l.log.Warn("lease not revoked; it runs out", "member", m.id, "error", err)
	}
}

// join begins a membership.
func (l *loop) join(m *member) {
	l.member = m
	l.clock.raise(workflow.MomentOf(l.cfg.Now()))
	l.log.Info("became a member", "member", m.id)
}

// leave ends a membership: from here on nothing is written in its name.
func (l *loop) leave(m *member) {
	if l.member != m {
		return
	}
	m.GiveUp()
	l.member = nil
	for s := range l.shards {
		l.dropShard(store.Shard(s))
		l.shards[s].acquiring = false
	}
	l.barrier = barrier{}
	l.workers.forgetMessages()
}
