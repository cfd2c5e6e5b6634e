package coordinator

import (
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/pb"
	"github.com/grapnel-dev/grapnel/store"
)

// mostInMessage is how many offers and stops a message holds.
const mostInMessage = 500

// sendMessages puts what workers are to be told into their inboxes, one message
// per worker at a time: what comes up meanwhile goes into the next.
func (l *loop) sendMessages() {
	if l.clock.now() < l.workers.retryAt {
		return
	}
	l.workers.retryAt = 0
	for _, w := range l.workers.byID {
		if !w.sending && len(w.offers)+len(w.stops) > 0 {
			l.send(w)
		}
	}
}

// send puts one message, under the worker's own lease: it goes when the worker
// does. An offer that does not arrive expires; a stop is sent again.
func (l *loop) send(w *worker) {
	m := l.member
	offers := w.offers[:min(len(w.offers), mostInMessage)]
	stops := w.stops[:min(len(w.stops), mostInMessage)]
	w.offers, w.stops = w.offers[len(offers):], w.stops[len(stops):]
	value, err := proto.Marshal(&pb.Message{Clock: int64(l.clock.now()), Offers: offers, Stops: stops})
	if err != nil {
		l.log.Error("message not encoded", "worker", w.id, "error", err)
		return
	}
	l.messages++
	key := fmt.Sprintf("%s%016x.%s", l.keys.Inbox(w.id), l.messages, store.Escape(m.id))
	t := store.Txn{
		If:   []store.Guard{store.Exists(w.key)},
		Then: []store.Op{store.Put(key, value, w.lease)},
	}
	w.sending = true
	l.async(func() func() {
		res, err := l.st.Commit(m.Context(), t)
		return func() {
			if l.member != m {
				return
			}
			w.sending = false
			switch {
			case errors.Is(err, store.ErrLeaseNotFound), err == nil && !res.Succeeded:
				l.workerGone(w)
			case errors.Is(err, grapnel.ErrUnknown):
				w.stops = append(w.stops, stops...) // to hear it twice does no harm
			case err != nil:
				l.log.Warn("message not sent", "worker", w.id, "error", err)
				w.stops = append(w.stops, stops...)
				l.workers.retryAt = l.clock.now().Add(retryMessage)
			}
		}
	})
}
