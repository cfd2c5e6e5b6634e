package etcdstore

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc/stats"
)

// sentKey is the key of the sentMark of a request's context.
type sentKey struct{}

// sentMark records whether any of a request was given to a connection. A write
// that fails before that is known not to have happened, which spares its writer
// an unknown outcome when the store cannot be reached at all.
type sentMark struct{ set atomic.Bool }

func withSentMark(ctx context.Context) (context.Context, *sentMark) {
	m := new(sentMark)
	return context.WithValue(ctx, sentKey{}, m), m
}

// sentWatcher sets the marks. gRPC reports a request's header once it is queued
// on a connection, and sends no message before.
type sentWatcher struct{}

var _ stats.Handler = sentWatcher{}

func (sentWatcher) HandleRPC(ctx context.Context, s stats.RPCStats) {
	if _, ok := s.(*stats.OutHeader); !ok {
		return
	}
	if m, ok := ctx.Value(sentKey{}).(*sentMark); ok {
		m.set.Store(true)
	}
}

func (sentWatcher) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context   { return ctx }
func (sentWatcher) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }
func (sentWatcher) HandleConn(context.Context, stats.ConnStats)                       {}
