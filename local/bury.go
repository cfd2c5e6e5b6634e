package local

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"syscall"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
)

// bury ends the sessions of processes that are dead, so that nobody has to wait
// until their leases have run out: those that had the folder before, and workers
// that were connected to them. A process is known to be dead if it is of this
// host and its number is nobody's, or this very process's, which has no session
// yet. Should this be a mistake, as with processes in containers that share a
// host's name, then a session is lost, which is safe at any moment.
func (c *Cluster) bury(ctx context.Context) error {
	host, err := os.Hostname()
	if err != nil {
		return nil //nolint:nilerr // nobody can be recognised: leases run out by themselves
	}
	keys, err := store.NewKeys(c.namespace())
	if err != nil {
		return err
	}
	workers, sessions, err := c.deadSessions(ctx, keys, host)
	if err != nil {
		return err
	}
	claims, err := c.claimLeases(ctx, keys, workers)
	if err != nil {
		return err
	}
	// Leases of single claims go first: they are found by the sessions.
	claims = slices.DeleteFunc(claims, func(id store.LeaseID) bool { return slices.Contains(sessions, id) })
	for _, id := range append(claims, sessions...) {
		if err := c.st.Revoke(ctx, id); err != nil && !errors.Is(err, grapnel.ErrUnknown) {
			return fmt.Errorf("end a dead session: %w", err)
		}
	}
	return nil
}

// deadSessions returns the workers whose processes are dead, and the leases of
// these and of coordinators that are.
func (c *Cluster) deadSessions(ctx context.Context, keys store.Keys, host string) (map[grapnel.WorkerID]bool, []store.LeaseID, error) {
	workers, leases := map[grapnel.WorkerID]bool{}, []store.LeaseID(nil)
	for kv, err := range c.all(ctx, keys.Workers()) {
		if err != nil {
			return nil, nil, err
		}
		if p, err := snapshot.DecodeProfile(kv); err == nil && p.Host == host && dead(p.PID) {
			workers[p.Worker] = true
			leases = append(leases, kv.Lease)
		}
	}
	for kv, err := range c.all(ctx, keys.Coordinators()) {
		if err != nil {
			return nil, nil, err
		}
		var m pb.Coordinator
		if proto.Unmarshal(kv.Value, &m) == nil && m.Host == host && dead(int(m.Pid)) {
			leases = append(leases, kv.Lease)
		}
	}
	return workers, leases, nil
}

// claimLeases returns the leases of the claims of these workers.
func (c *Cluster) claimLeases(ctx context.Context, keys store.Keys, workers map[grapnel.WorkerID]bool) ([]store.LeaseID, error) {
	if len(workers) == 0 {
		return nil, nil
	}
	var leases []store.LeaseID
	for kv, err := range c.all(ctx, keys.Runs()) {
		if err != nil {
			return nil, err
		}
		k, ok := keys.ParseRun(kv.Key)
		var m pb.Claim
		if ok && k.Kind == "claim" && proto.Unmarshal(kv.Value, &m) == nil && workers[grapnel.WorkerID(m.Worker)] {
			leases = append(leases, kv.Lease)
		}
	}
	return leases, nil
}

// all yields all pairs below a prefix, or an error and nothing more.
func (c *Cluster) all(ctx context.Context, prefix string) iter.Seq2[store.KV, error] {
	return func(yield func(store.KV, error) bool) {
		for req := (store.ListRequest{Prefix: prefix}); ; {
			page, err := c.st.List(ctx, req)
			if err != nil {
				yield(store.KV{}, err)
				return
			}
			for _, kv := range page.KVs {
				if !yield(kv, nil) {
					return
				}
				req.After = kv.Key
			}
			if !page.More {
				return
			}
		}
	}
}

// dead reports whether a process of this host is gone for sure.
func dead(pid int) bool {
	if pid <= 0 {
		return false
	}
	if pid == os.Getpid() {
		return true
	}
	p, err := os.FindProcess(pid)
	if err == nil {
		defer func() { _ = p.Release() }()
		err = p.Signal(syscall.Signal(0))
	}
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, syscall.ESRCH)
}
