//go:build linux || darwin || freebsd || netbsd || openbsd

package commandtask

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
)

// hub hears the heartbeats of commands, on a socket in the worker's folder.
type hub struct {
	log      hclog.Logger
	path     string
	listener net.Listener
	work     sync.WaitGroup

	mu       sync.Mutex
	attempts map[string]listened   // guarded by mu; by token
	conns    map[net.Conn]struct{} // guarded by mu; nil once closed
}

// listened is an attempt whose heartbeats are heard.
type listened struct {
	ctx    context.Context // the attempt's: heartbeats come from outside of its goroutine
	redact *secret.Redactor
}

func openHub(path string, log hclog.Logger) (*hub, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("hear heartbeats: %w", err)
	}
	h := &hub{log: log, path: path, listener: l, attempts: map[string]listened{}, conns: map[net.Conn]struct{}{}}
	h.work.Go(h.accept)
	return h, nil
}

// close stops hearing.
func (h *hub) close() error {
	err := h.listener.Close()
	h.mu.Lock()
	for c := range h.conns {
		_ = c.Close() // its goroutine goes on to the end
	}
	h.conns = nil
	h.mu.Unlock()
	h.work.Wait()
	return err
}

// enter makes a token for an attempt, which is good until leave.
func (h *hub) enter(ctx context.Context, redact *secret.Redactor) string {
	token := rand.Text()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempts[token] = listened{ctx, redact}
	return token
}

func (h *hub) leave(token string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.attempts, token)
}

// address returns what a command finds in [HeartbeatVariable].
func (h *hub) address(token string) string { return token + "@" + h.path }

func (h *hub) accept() {
	for {
		conn, err := h.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			h.log.Warn("heartbeat not heard", "error", err)
			time.Sleep(10 * time.Millisecond) // such as for a file descriptor to be free
			continue
		}
		h.mu.Lock()
		if h.conns == nil {
			h.mu.Unlock()
			_ = conn.Close() // nothing was said
			return
		}
		h.conns[conn] = struct{}{}
		h.work.Go(func() { h.serve(conn) })
		h.mu.Unlock()
	}
}

func (h *hub) serve(conn net.Conn) {
	defer func() {
		h.mu.Lock()
		delete(h.conns, conn)
		h.mu.Unlock()
		_ = conn.Close() // the answer is given
	}()
	if err := conn.SetDeadline(time.Now().Add(beatPatience)); err != nil {
		return
	}
	var b beat
	reply := answer{Reason: "invalid", Message: "the heartbeat is not as it should be"}
	if err := json.NewDecoder(io.LimitReader(conn, maxBeat)).Decode(&b); err == nil {
		reply = h.hear(b)
	}
	if err := json.NewEncoder(conn).Encode(reply); err != nil {
		h.log.Debug("heartbeat not answered", "error", err)
	}
}

// hear passes a heartbeat on to its attempt.
func (h *hub) hear(b beat) answer {
	h.mu.Lock()
	a, ok := h.attempts[b.Token]
	h.mu.Unlock()
	if !ok {
		return answer{Reason: "over", Message: ErrOver.Error()}
	}
	var progress any
	if len(b.Progress) > 0 {
		masked, err := a.redact.JSON(b.Progress)
		if err != nil {
			return answer{Reason: "invalid", Message: err.Error()}
		}
		progress = json.RawMessage(masked)
	}
	err := task.Heartbeat(a.ctx, progress)
	if err == nil {
		return answer{}
	}
	reply := answer{Reason: "over", Message: a.redact.Text(err.Error())}
	for _, r := range []string{"lost", "cancelled", "timed-out", "stopping", "too-large", "invalid"} {
		if errors.Is(err, reasons[r]) {
			reply.Reason = r
			break
		}
	}
	return reply
}
