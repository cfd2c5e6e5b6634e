package etcdstore

import (
	"context"
	"errors"
	"math"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/store"
)

// Commit applies t; see [store.Store]. Concurrent commits share requests. The
// time that a commit may take without an answer is the request time-out, once
// in the queue and once under way; ctx can shorten it.
func (s *Store) Commit(ctx context.Context, t store.Txn) (store.Result, error) {
	if err := t.Validate(); err != nil {
		return store.Result{}, err
	}
	if err := s.usable(ctx); err != nil {
		return store.Result{}, err
	}
	e := encode(t)
	if e.readOnly {
		return s.commitReads(ctx, e)
	}
	return s.batch.commit(ctx, e, footprintOf(t))
}

// commitReads makes a request of a transaction that writes nothing. It never
// shares one: inside of a nested transaction it would cost a write to the
// server's log.
func (s *Store) commitReads(ctx context.Context, e encoded) (store.Result, error) {
	var res store.Result
	err := s.read(ctx, func(ctx context.Context) (*pb.ResponseHeader, error) {
		resp, err := s.transact(ctx, e.req)
		if err != nil {
			return nil, err
		}
		res = decode(resp.Succeeded, resp.Responses, resp.Header.GetRevision())
		return resp.Header, nil
	})
	if err != nil {
		return store.Result{}, err
	}
	return res, nil
}

// send makes one request of the pieces and sends it until there is an answer or
// an unknown outcome, or the request time-out has passed. It is not bound to any
// of the pieces' contexts.
func (s *Store) send(pieces []*piece) ([]store.Result, error) {
	ctx, cancel := context.WithTimeout(clientv3.WithRequireLeader(s.ctx), s.cfg.RequestTimeout)
	defer cancel()
	for pause := (store.Pause{}); ; {
		alarmed, known := s.quota.alarmed(ctx, s.client), s.identity.known()
		attempt, mark := withSentMark(ctx)
		resp, err := s.request(attempt, pieces)
		if err == nil {
			return s.accept(pieces, resp, known)
		}
		f := diagnose(err)
		if f.is(grapnel.ErrOverCapacity) {
			if !alarmed {
				s.quota.look(ctx, s.client)
			}
			return nil, overCapacity(alarmed, err)
		}
		sent := mark.set.Load()
		if (f.refused || !sent) && f.passing && pause.Wait(ctx) == nil {
			continue
		}
		if s.ctx.Err() != nil && !sent {
			return nil, context.Cause(s.ctx)
		}
		return nil, writeError(err, sent)
	}
}

// request sends one transaction flat, or several nested.
func (s *Store) request(ctx context.Context, pieces []*piece) (*pb.TxnResponse, error) {
	if len(pieces) == 1 {
		return s.transact(ctx, pieces[0].req)
	}
	r := &pb.TxnRequest{Success: make([]*pb.RequestOp, len(pieces))}
	for i, p := range pieces {
		r.Success[i] = &pb.RequestOp{Request: &pb.RequestOp_RequestTxn{RequestTxn: p.req}}
	}
	return s.transact(ctx, r)
}

func (s *Store) transact(ctx context.Context, r *pb.TxnRequest) (*pb.TxnResponse, error) {
	resp, err := s.kv.Txn(ctx, r, callOptions...)
	return resp, clientv3.ContextError(ctx, err)
}

// callOptions are those that the client itself calls with.
var callOptions = []grpc.CallOption{
	grpc.WaitForReady(true), grpc.MaxCallSendMsgSize(2 << 20), grpc.MaxCallRecvMsgSize(math.MaxInt32),
}

// accept takes an answer apart.
func (s *Store) accept(pieces []*piece, resp *pb.TxnResponse, known int64) ([]store.Result, error) {
	if err := s.identify(resp.Header, known); err != nil {
		// It was applied, to a cluster that is not ours.
		return nil, errors.Join(grapnel.ErrUnknown, err)
	}
	rev := resp.Header.GetRevision()
	results := make([]store.Result, len(pieces))
	puts := false
	for i, p := range pieces {
		puts = puts || p.puts
		if len(pieces) == 1 {
			results[i] = decode(resp.Succeeded, resp.Responses, rev)
			continue
		}
		nested := resp.Responses[i].GetResponseTxn()
		results[i] = decode(nested.GetSucceeded(), nested.GetResponses(), rev)
	}
	if puts {
		s.quota.spent()
	}
	return results, nil
}
