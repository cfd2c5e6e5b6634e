package worker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/claim"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	// deleteBatch is how many messages are deleted in one commit, at the most.
	deleteBatch = 64
	// deleteWait is for how long a message that was taken waits for others, to be
	// deleted with them.
	deleteWait = 20 * time.Millisecond
)

// followInbox takes messages as they come.
func (s *session) followInbox() {
	var last grapnel.Revision // a listing shows messages again that were taken
	s.follow(view{
		prefix: s.w.keys.Inbox(s.Worker()),
		put: func(kv store.KV) {
			if kv.Mod <= last {
				return
			}
			last = kv.Mod
			s.take(kv)
			select {
			case s.taken <- kv.Key:
			case <-s.Context().Done():
			}
		},
	})
}

// take does what a message says.
func (s *session) take(kv store.KV) {
	m := &pb.Message{}
	if err := proto.Unmarshal(kv.Value, m); err != nil {
		s.log.Error("message not understood", "key", kv.Key, "error", err)
		return
	}
	s.clock.set(workflow.Moment(m.Clock))
	for _, st := range m.Stops {
		s.stopClaim(st)
	}
	for _, o := range m.Offers {
		s.enqueue(offer{
			nodeRef:    nodeRef{runRef{grapnel.RunID(o.Run), grapnel.Instance(o.Instance)}, snapshot.MessageKey(o.Node, o.Key)},
			definition: o.Definition, attempt: int(o.Attempt),
			coverNode: snapshot.MessageKey(o.CoverNode, o.CoverKey), coverFence: grapnel.Fence(o.CoverFence),
		})
	}
}

// stopClaim ends the execution whose claim an owner has deleted.
func (s *session) stopClaim(st *pb.Stop) {
	s.mu.Lock()
	e := s.active[claimRef{grapnel.RunID(st.Run), snapshot.MessageKey(st.Node, st.Key), grapnel.Fence(st.Fence)}]
	s.mu.Unlock()
	if e != nil {
		e.log.Info("told to stop", "kind", st.Kind)
		e.claim.Stop(stopCause(st.Kind, st.Reason))
	}
}

// stopCause is what a task's context ends with if its claim was deleted for a
// failure of this kind, its own or the run's.
func stopCause(kind, reason string) error {
	cause := grapnel.ErrCancelled
	switch kind {
	case workflow.KindCancelled:
	case workflow.KindLost:
		cause = claim.ErrLost
	default:
		if errors.Is(&workflow.Failure{Kind: kind}, grapnel.ErrTimedOut) {
			cause = grapnel.ErrTimedOut
		}
	}
	if reason == "" {
		return cause
	}
	return fmt.Errorf("%w: %s", cause, reason)
}

// deleteMessages deletes the messages that were taken, many at a time: nobody
// waits for it.
func (s *session) deleteMessages() {
	ctx := s.Context()
	for {
		var keys []string
		select {
		case <-ctx.Done():
			return
		case key := <-s.taken:
			keys = append(keys, key)
		}
		over := time.NewTimer(deleteWait)
		for more := true; more && len(keys) < deleteBatch; {
			select {
			case <-ctx.Done():
				more = false
			case <-over.C:
				more = false
			case key := <-s.taken:
				keys = append(keys, key)
			}
		}
		over.Stop()
		if s.deleteKeys(ctx, keys) != nil {
			return
		}
	}
}

// deleteKeys keeps trying until ctx ends; deleting a message twice is harmless,
// for its key is never used again.
func (s *session) deleteKeys(ctx context.Context, keys []string) error {
	var t store.Txn
	for _, key := range keys {
		t.Then = append(t.Then, store.Delete(key))
	}
	for pause := (store.Pause{}); ; {
		_, err := store.Settle(ctx, s.w.cfg.Store, t)
		if err == nil {
			return nil
		}
		if errors.Is(err, grapnel.ErrTooLarge) && len(keys) > 1 {
			// The store takes fewer operations at once than etcd does by default.
			half := len(keys) / 2
			if err := s.deleteKeys(ctx, keys[:half]); err != nil {
				return err
			}
			return s.deleteKeys(ctx, keys[half:])
		}
		if cause := pause.Wait(ctx); cause != nil {
			return cause
		}
		s.log.Warn("messages not deleted; trying again", "error", err)
	}
}
