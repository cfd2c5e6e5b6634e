//go:build linux

package commandtask

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
)

func TestHeartbeatsReachTheAttemptThatTheyAreOf(t *testing.T) {
	t.Setenv("GRAPNEL_TEST_TOKEN", "s3cr3t-t0ken")
	dir := shortDir(t)
	r := open(t, Config{Secrets: secret.Policy{Env: []string{"GRAPNEL_TEST_TOKEN"}}})
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	mine, others := &beats{}, &beats{}
	command := Input{
		Shell:   `echo "$GRAPNEL_HEARTBEAT" >"$OUT/new"; mv "$OUT/new" "$OUT/address"; trap 'while ! [ -e "$OUT/end" ]; do sleep 0.01; done; exit 0' TERM; while :; do sleep 0.01; done`,
		Env:     map[string]string{"OUT": dir},
		Secrets: map[string]secret.Secret{"TOKEN": {Env: "GRAPNEL_TEST_TOKEN"}},
	}
	done := begin(attemptOf(ctx, mine), r, command)
	var address string
	await(t, "the address", func() bool {
		data, err := os.ReadFile(filepath.Join(dir, "address"))
		address = strings.TrimSpace(string(data))
		return err == nil
	})
	token := r.hub.enter(attemptOf(t.Context(), others), nil)
	defer r.hub.leave(token)

	for _, progress := range []string{"", `{"n": 1}`, `["s3cr3t-t0ken"]`} {
		if err := Beat(t.Context(), address, []byte(progress)); err != nil {
			t.Errorf("progress %s: %v", progress, err)
		}
	}
	if want := []string{"", `{"n":1}`, `["***"]`}; !slices.Equal(mine.all, want) || len(others.all) > 0 {
		t.Errorf("heard: %q, and the other attempt %q", mine.all, others.all)
	}
	if err := Beat(t.Context(), address, []byte("{")); !errors.Is(err, grapnel.ErrInvalid) {
		t.Errorf("bad progress: %v", err)
	}
	if err := Beat(t.Context(), address, fmt.Appendf(nil, "%q", strings.Repeat("x", grapnel.MaxPayload))); !errors.Is(err, grapnel.ErrTooLarge) {
		t.Errorf("much progress: %v", err)
	}
	// The attempt ends, and its command hears it while it says goodbye.
	cancel(fmt.Errorf("enough: %w", grapnel.ErrCancelled))
	if err := Beat(t.Context(), address, nil); !errors.Is(err, grapnel.ErrCancelled) || !strings.Contains(err.Error(), "enough") {
		t.Errorf("after a cancel: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "end"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	<-done
	if err := Beat(t.Context(), address, nil); !errors.Is(err, ErrOver) {
		t.Errorf("after the end: %v", err)
	}
}

func TestEachReasonToStopIsTold(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	for _, want := range []error{
		grapnel.ErrCancelled, grapnel.ErrTimedOut, grapnel.ErrClaimLost, grapnel.ErrStopping, grapnel.ErrTooLarge, grapnel.ErrInvalid,
	} {
		token := r.hub.enter(attemptOf(t.Context(), &beats{fail: fmt.Errorf("told: %w", want)}), nil)
		if err := Beat(t.Context(), r.hub.address(token), nil); !errors.Is(err, want) || !strings.Contains(err.Error(), "told: ") {
			t.Errorf("%v arrives as %v", want, err)
		}
		r.hub.leave(token)
	}
}

func TestHeartbeatsFromElsewhereAreRefused(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	for address, want := range map[string]error{
		"":                             grapnel.ErrInvalid,
		"nonsense":                     grapnel.ErrInvalid,
		"@" + r.place.socket():         grapnel.ErrInvalid,
		"guessed@" + r.place.socket():  ErrOver,
		"x@" + r.place.dir + "/nobody": ErrOver,
	} {
		if err := Beat(t.Context(), address, nil); !errors.Is(err, want) {
			t.Errorf("address %q: %v, want %v", address, err, want)
		}
	}
	// What is no heartbeat is answered, and does no harm.
	conn, err := net.Dial("unix", r.place.socket())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.1\n\n")); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 100)
	if n, err := conn.Read(b); err != nil || !strings.Contains(string(b[:n]), `"invalid"`) {
		t.Errorf("%q, %v", b[:n], err)
	}
}

func TestAHeartbeatDoesNotWaitForeverForAWorkerThatHangs(t *testing.T) {
	t.Parallel()
	path := filepath.Join(shortDir(t), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("had enough")
	go func() {
		conn, err := l.Accept()
		cancel(cause) // connected, and not answered
		if err == nil {
			<-ctx.Done()
			_ = conn.Close() // nothing was said
		}
	}()
	if err := Beat(ctx, "t@"+path, nil); !errors.Is(err, cause) {
		t.Errorf("%v", err)
	}
}
