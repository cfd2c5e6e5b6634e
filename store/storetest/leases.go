package storetest

import (
	"time"

	"github.com/grapnel-dev/grapnel/store"
)

var leaseCases = []behaviour{
	{"a lease is granted for as long as asked or longer", grantsAtLeast},
	{"revoking deletes all its keys in one revision", revokeDeletesAtOnce},
	{"revoking one without keys makes no revision", revokeWithoutKeys},
	{"revoking one that is gone is no error", revokeTwice},
	{"keeping one alive that is gone fails", keepAliveOfTheDead},
	{"a put on one that is gone fails its commit", putOnTheDead},
	{"a put on one that is gone matters only in the branch taken", putOnTheDeadNotTaken},
	{"a put without a lease detaches", putDetaches},
	{"a put with another lease moves the key to it", putMovesToOtherLease},
	{"a key created again is free of its former lease", deletedKeysAreForgotten},
	{"one that expires deletes all its keys in one revision", expiryDeletesAtOnce},
}

// bound returns puts of keys with a lease.
func (e *env) bound(id store.LeaseID, names ...string) []store.Op {
	ops := make([]store.Op, len(names))
	for i, name := range names {
		ops[i] = store.Put(e.key(name), []byte(name), id)
	}
	return ops
}

func grantsAtLeast(e *env) {
	seen := map[store.LeaseID]bool{0: true}
	for _, ttl := range []time.Duration{time.Millisecond, 1500 * time.Millisecond, time.Hour} {
		l, err := e.s.Grant(e.ctx, ttl)
		if err != nil {
			e.Fatal(err)
		}
		if l.TTL < ttl || seen[l.ID] {
			e.Errorf("asked for %v: %+v; granted before: %v", ttl, l, seen)
		}
		seen[l.ID] = true
		kept, err := e.s.KeepAlive(e.ctx, l.ID)
		if err != nil || kept != l {
			e.Errorf("kept alive: %+v, %v; want %+v", kept, err, l)
		}
	}
}

// endsAtOnce watches the keys of a lease being deleted: all in one revision of
// their own, in order, and no others.
func (e *env) endsAtOnce(id store.LeaseID, end func()) {
	e.Helper()
	e.put("free", "1")
	e.do(e.bound(id, "c", "a")...)
	e.do(e.bound(id, "b")...)
	before := e.revision()
	w := e.watch(store.WatchRequest{Prefix: e.root, From: before + 1, Previous: true})
	end()
	events := w.until(before + 1)
	if len(events) != 3 {
		e.Fatalf("%d events: %+v", len(events), events)
	}
	for i, name := range []string{"a", "b", "c"} {
		ev := events[i]
		if want := (store.KV{Key: e.key(name), Mod: before + 1}); !ev.Deleted || ev.KV.Key != want.Key || ev.KV.Mod != want.Mod {
			e.Errorf("event %d is %+v, want the deletion of %+v", i, ev, want)
		}
		if ev.Previous.Lease != id || string(ev.Previous.Value) != name {
			e.Errorf("before event %d there was %+v", i, ev.Previous)
		}
	}
	e.equal("what is left", e.names(""), []string{"free"})
	if now := e.revision(); now != before+1 {
		e.Errorf("the end of a lease went from revision %d to %d", before, now)
	}
	_, err := e.s.KeepAlive(e.ctx, id)
	e.is("keepalive of what ended", err, store.ErrLeaseNotFound)
	e.refused("a put on what ended", store.Txn{Then: e.bound(id, "a")}, store.ErrLeaseNotFound)
}

func revokeDeletesAtOnce(e *env) {
	id := e.grant()
	e.endsAtOnce(id, func() { e.revoke(id) })
}

func expiryDeletesAtOnce(e *env) {
	l, err := e.s.Grant(e.ctx, e.o.TTL)
	if err != nil {
		e.Fatal(err)
	}
	e.endsAtOnce(l.ID, func() {})
}

func revokeWithoutKeys(e *env) {
	id := e.grant()
	e.do(e.bound(id, "a")...)
	rev := e.do(store.Delete(e.key("a"))).Revision
	e.revoke(id)
	if now := e.revision(); now != rev {
		e.Errorf("went from revision %d to %d", rev, now)
	}
}

func revokeTwice(e *env) {
	id := e.deadLease()
	e.revoke(id)
}

func keepAliveOfTheDead(e *env) {
	_, err := e.s.KeepAlive(e.ctx, e.deadLease())
	e.is("keepalive", err, store.ErrLeaseNotFound)
}

func putOnTheDead(e *env) {
	e.put("x", "old")
	dead := e.deadLease()
	e.refused("a put", store.Txn{Then: []store.Op{
		store.Put(e.key("x"), []byte("new"), 0), store.Put(e.key("a"), nil, dead),
	}}, store.ErrLeaseNotFound)
	e.refused("a put by Else", store.Txn{
		If: []store.Guard{store.Absent(e.key("x"))}, Then: e.puts("b", 1), Else: e.bound(dead, "a"),
	}, store.ErrLeaseNotFound)
	kv, _ := e.get("x")
	e.equal("the key beside it", string(kv.Value), "old")
}

func putOnTheDeadNotTaken(e *env) {
	dead := e.deadLease()
	e.put("x", "")
	if e.commit(store.Txn{If: []store.Guard{store.Absent(e.key("x"))}, Then: e.bound(dead, "a"), Else: e.puts("b", 1)}).Succeeded {
		e.Error("the guard held")
	}
	if !e.commit(store.Txn{If: []store.Guard{store.Exists(e.key("x"))}, Then: e.puts("c", 1), Else: e.bound(dead, "a")}).Succeeded {
		e.Error("the guard did not hold")
	}
}

func putDetaches(e *env) {
	id := e.grant()
	e.do(e.bound(id, "a", "b")...)
	if kv, _ := e.get("a"); kv.Lease != id {
		e.Errorf("a has lease %x, want %x", kv.Lease, id)
	}
	e.put("a", "free")
	if kv, _ := e.get("a"); kv.Lease != 0 {
		e.Errorf("a has lease %x after a put without one", kv.Lease)
	}
	e.revoke(id)
	e.equal("what is left", e.names(""), []string{"a"})
}

func putMovesToOtherLease(e *env) {
	first, second := e.grant(), e.grant()
	e.do(e.bound(first, "a", "b")...)
	e.do(e.bound(second, "a")...)
	e.revoke(first)
	e.equal("after the first lease's end", e.names(""), []string{"a"})
	e.revoke(second)
	e.equal("after the second lease's end", e.names(""), []string{})
}

func deletedKeysAreForgotten(e *env) {
	id := e.grant()
	e.do(e.bound(id, "a", "p/b")...)
	e.do(store.Delete(e.key("a")), store.DeletePrefix(e.key("p/")))
	e.put("a", "")
	rev := e.put("p/b", "")
	e.revoke(id)
	e.equal("what is left", e.names(""), []string{"a", "p/b"})
	if now := e.revision(); now != rev {
		e.Errorf("went from revision %d to %d", rev, now)
	}
}
