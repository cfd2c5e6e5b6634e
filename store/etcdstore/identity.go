package etcdstore

import (
	"fmt"
	"sync/atomic"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"github.com/grapnel-dev/grapnel"
)

// ClusterChangedError says that the endpoints answer for another cluster, or for
// an older state of the same one, than before: somebody restored a backup or
// replaced the cluster. Leases, revisions and whatever was read before mean
// nothing there, so the store stays unusable; drop everything and open another.
// It is [grapnel.ErrUnavailable].
type ClusterChangedError struct {
	OldCluster, NewCluster   uint64
	OldRevision, NewRevision grapnel.Revision
}

func (e *ClusterChangedError) Error() string {
	if e.OldCluster != e.NewCluster {
		return fmt.Sprintf("%v: the endpoints belong to cluster %x, and belonged to %x before", grapnel.ErrUnavailable, e.NewCluster, e.OldCluster)
	}
	return fmt.Sprintf("%v: the cluster's revision went back from %d to %d", grapnel.ErrUnavailable, e.OldRevision, e.NewRevision)
}

// Is reports whether target is [grapnel.ErrUnavailable].
func (e *ClusterChangedError) Is(target error) bool { return target == grapnel.ErrUnavailable }

// identity is what tells one cluster, and its history, from another.
type identity struct {
	cluster  atomic.Uint64
	revision atomic.Int64 // the highest one that a linearizable request was answered with
}

// known returns the revision that an answer to a linearizable request sent from
// now on cannot be below. It is never zero: etcd begins with one.
func (i *identity) known() int64 { return max(i.revision.Load(), 1) }

// check looks at an answer. The request was sent when known returned before, or
// is not linearizable and before is zero.
func (i *identity) check(h *pb.ResponseHeader, before int64) error {
	if h.GetClusterId() == 0 {
		return nil // some answers have no header
	}
	if !i.cluster.CompareAndSwap(0, h.ClusterId) {
		if was := i.cluster.Load(); was != h.ClusterId {
			return &ClusterChangedError{OldCluster: was, NewCluster: h.ClusterId}
		}
	}
	if before == 0 {
		return nil
	}
	if h.Revision < before {
		return &ClusterChangedError{
			OldCluster: h.ClusterId, NewCluster: h.ClusterId,
			OldRevision: grapnel.Revision(before), NewRevision: grapnel.Revision(h.Revision),
		}
	}
	return nil
}

// saw records the revision of an answer to a linearizable request.
func (i *identity) saw(h *pb.ResponseHeader) {
	for rev := h.GetRevision(); ; {
		old := i.revision.Load()
		if rev <= old || i.revision.CompareAndSwap(old, rev) {
			return
		}
	}
}
