package etcdstore

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// elementOverhead is more than etcd's encoding adds to the key and value of a
// guard or an operation, nested.
const elementOverhead = 48

// encoded is a transaction in etcd's terms. It is the message itself: going by the
// client's own types would copy it twice more.
type encoded struct {
	req *pb.TxnRequest
	// width is how many operations etcd counts for it.
	width int
	// bytes is about what it adds to a request.
	bytes int
	// readOnly is set if neither branch writes, puts if one of them puts.
	readOnly, puts bool
}

func encode(t store.Txn) encoded {
	e := encoded{
		req:      &pb.TxnRequest{Compare: make([]*pb.Compare, len(t.If))},
		width:    max(len(t.If), len(t.Then), len(t.Else)),
		readOnly: true,
	}
	for i, g := range t.If {
		e.req.Compare[i] = encodeGuard(g)
		e.bytes += len(g.Key) + elementOverhead
	}
	e.req.Success = e.encodeOps(t.Then)
	e.req.Failure = e.encodeOps(t.Else)
	return e
}

func (e *encoded) encodeOps(ops []store.Op) []*pb.RequestOp {
	out := make([]*pb.RequestOp, len(ops))
	for i, o := range ops {
		out[i] = encodeOp(o)
		e.bytes += len(o.Key) + len(o.Value) + elementOverhead
		e.readOnly = e.readOnly && !o.Writes()
		e.puts = e.puts || o.Kind == store.OpPut
	}
	return out
}

func encodeGuard(g store.Guard) *pb.Compare {
	c := &pb.Compare{Key: []byte(g.Key), Target: pb.Compare_CREATE, Result: pb.Compare_EQUAL}
	rev := int64(g.Rev)
	switch g.Kind {
	case store.GuardAbsent:
		rev = 0
	case store.GuardExists:
		c.Result, rev = pb.Compare_GREATER, 0
	case store.GuardModIs:
		c.Target, c.TargetUnion = pb.Compare_MOD, &pb.Compare_ModRevision{ModRevision: rev}
		return c
	case store.GuardCreateIs:
	case store.GuardCreateIsNot:
		c.Result = pb.Compare_NOT_EQUAL
	case store.GuardPrefixEmpty:
		c.RangeEnd, rev = prefixEnd(g.Key), 0
	default:
		panic(fmt.Sprintf("guard of unknown kind %d passed validation", g.Kind))
	}
	c.TargetUnion = &pb.Compare_CreateRevision{CreateRevision: rev}
	return c
}

func encodeOp(o store.Op) *pb.RequestOp {
	key := []byte(o.Key)
	switch o.Kind {
	case store.OpPut:
		return &pb.RequestOp{Request: &pb.RequestOp_RequestPut{
			RequestPut: &pb.PutRequest{Key: key, Value: o.Value, Lease: int64(o.Lease)},
		}}
	case store.OpDelete, store.OpDeletePrefix:
		r := &pb.DeleteRangeRequest{Key: key}
		if o.Kind == store.OpDeletePrefix {
			r.RangeEnd = prefixEnd(o.Key)
		}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestDeleteRange{RequestDeleteRange: r}}
	case store.OpGet, store.OpGetFirst:
		r := &pb.RangeRequest{Key: key}
		if o.Kind == store.OpGetFirst {
			r.RangeEnd, r.Limit = prefixEnd(o.Key), 1
		}
		return &pb.RequestOp{Request: &pb.RequestOp_RequestRange{RequestRange: r}}
	}
	panic(fmt.Sprintf("operation of unknown kind %d passed validation", o.Kind))
}

func prefixEnd(prefix string) []byte { return []byte(clientv3.GetPrefixRangeEnd(prefix)) }

// decode returns what one transaction did. Its revision is that of the request:
// those of nested answers are empty.
func decode(succeeded bool, answers []*pb.ResponseOp, rev int64) store.Result {
	res := store.Result{Succeeded: succeeded, Revision: grapnel.Revision(rev)}
	if len(answers) == 0 {
		return res
	}
	res.Reads = make([]store.Read, len(answers))
	for i, a := range answers {
		if kvs := a.GetResponseRange().GetKvs(); len(kvs) > 0 {
			res.Reads[i] = store.Read{KV: decodeKV(kvs[0]), Found: true}
		}
	}
	return res
}

func decodeKV(kv *mvccpb.KeyValue) store.KV {
	return store.KV{
		Key:    string(kv.Key),
		Value:  kv.Value,
		Create: grapnel.Revision(kv.CreateRevision),
		Mod:    grapnel.Revision(kv.ModRevision),
		Lease:  store.LeaseID(kv.Lease),
	}
}
