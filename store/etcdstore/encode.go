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

// encoded is a transaction in etcd's terms.
type encoded struct {
	compares  []clientv3.Cmp
	then, els []clientv3.Op
	// width is how many operations etcd counts for it.
	width int
	// bytes is about what it adds to a request.
	bytes int
	// readOnly is set if neither branch writes, puts if one of them puts.
	readOnly, puts bool
}

func encode(t store.Txn) encoded {
	e := encoded{
		compares: make([]clientv3.Cmp, len(t.If)),
		width:    max(len(t.If), len(t.Then), len(t.Else)),
		readOnly: true,
	}
	for i, g := range t.If {
		e.compares[i] = encodeGuard(g)
		e.bytes += len(g.Key) + elementOverhead
	}
	e.then = e.encodeOps(t.Then)
	e.els = e.encodeOps(t.Else)
	return e
}

func (e *encoded) encodeOps(ops []store.Op) []clientv3.Op {
	out := make([]clientv3.Op, len(ops))
	for i, o := range ops {
		out[i] = encodeOp(o)
		e.bytes += len(o.Key) + len(o.Value) + elementOverhead
		e.readOnly = e.readOnly && !o.Writes()
		e.puts = e.puts || o.Kind == store.OpPut
	}
	return out
}

func encodeGuard(g store.Guard) clientv3.Cmp {
	switch g.Kind {
	case store.GuardAbsent:
		return clientv3.Compare(clientv3.CreateRevision(g.Key), "=", 0)
	case store.GuardExists:
		return clientv3.Compare(clientv3.CreateRevision(g.Key), ">", 0)
	case store.GuardModIs:
		return clientv3.Compare(clientv3.ModRevision(g.Key), "=", int64(g.Rev))
	case store.GuardCreateIs:
		return clientv3.Compare(clientv3.CreateRevision(g.Key), "=", int64(g.Rev))
	case store.GuardCreateIsNot:
		return clientv3.Compare(clientv3.CreateRevision(g.Key), "!=", int64(g.Rev))
	case store.GuardPrefixEmpty:
		return clientv3.Compare(clientv3.CreateRevision(g.Key), "=", 0).WithPrefix()
	}
	panic(fmt.Sprintf("guard of unknown kind %d passed validation", g.Kind))
}

func encodeOp(o store.Op) clientv3.Op {
	switch o.Kind {
	case store.OpPut:
		return clientv3.OpPut(o.Key, string(o.Value), clientv3.WithLease(clientv3.LeaseID(o.Lease)))
	case store.OpDelete:
		return clientv3.OpDelete(o.Key)
	case store.OpDeletePrefix:
		return clientv3.OpDelete(o.Key, clientv3.WithPrefix())
	case store.OpGet:
		return clientv3.OpGet(o.Key)
	case store.OpGetFirst:
		return clientv3.OpGet(o.Key, clientv3.WithPrefix(), clientv3.WithLimit(1))
	}
	panic(fmt.Sprintf("operation of unknown kind %d passed validation", o.Kind))
}

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
