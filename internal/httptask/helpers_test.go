package httptask

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/grapnel-dev/grapnel/internal/taskctx"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// names is a resolver that knows what it is told, one answer per look-up; the
// last one stays.
type names struct {
	mu    sync.Mutex
	known map[string][][]string
	asked []string
}

func (n *names) LookupNetIP(_ context.Context, _, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.asked = append(n.asked, host)
	answers := n.known[host]
	if len(answers) == 0 {
		return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
	}
	if len(answers) > 1 {
		n.known[host] = answers[1:]
	}
	var addrs []netip.Addr
	for _, a := range answers[0] {
		addrs = append(addrs, netip.MustParseAddr(a))
	}
	return addrs, nil
}

// serve starts a server, on the loopback interface, and returns its port.
func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// caller makes a caller with these rules.
func caller(t *testing.T, cfg Config, rules ...string) *Caller {
	t.Helper()
	var err error
	if cfg.Rules, err = ParseRules(rules); err != nil {
		t.Fatal(err)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func attempt(ctx context.Context) context.Context {
	return taskctx.With(ctx, &taskctx.Attempt{IdempotencyKey: "run/1/2"})
}

func wantFailure(t *testing.T, err error, kind string, permanent bool, texts ...string) {
	t.Helper()
	f, ok := errors.AsType[*workflow.Failure](err)
	if !ok {
		t.Fatalf("%v is no failure", err)
	}
	if f.Kind != kind || f.Permanent != permanent {
		t.Errorf("kind %s, permanent %v, want %s, %v: %s", f.Kind, f.Permanent, kind, permanent, f.Message)
	}
	for _, text := range texts {
		if !strings.Contains(f.Message, text) {
			t.Errorf("%q does not say %q", f.Message, text)
		}
	}
}

func encoded(t *testing.T, out Output) string {
	t.Helper()
	for _, name := range []string{"Date", "Content-Length"} {
		delete(out.Headers, name)
	}
	data, err := workflow.Encode(out)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
