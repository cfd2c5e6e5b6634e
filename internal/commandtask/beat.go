package commandtask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"github.com/grapnel-dev/grapnel"
)

// HeartbeatVariable is the environment variable that says how a command reaches
// its worker.
const HeartbeatVariable = "GRAPNEL_HEARTBEAT"

// ErrOver says that the attempt that a heartbeat is for has ended.
var ErrOver = errors.New("the attempt is over")

// beatPatience is for how long an answer is waited for.
const beatPatience = 30 * time.Second

// beat is what a command tells its worker, in one line of JSON.
type beat struct {
	Token    string          `json:"token"`
	Progress json.RawMessage `json:"progress,omitempty"`
}

// answer is what it hears.
type answer struct {
	// Reason is empty if the attempt goes on, or one of the reasons.
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// reasons are why an attempt does not go on, or why a heartbeat does not count.
var reasons = map[string]error{
	"cancelled": grapnel.ErrCancelled,
	"timed-out": grapnel.ErrTimedOut,
	"lost":      grapnel.ErrClaimLost,
	"stopping":  grapnel.ErrStopping,
	"too-large": grapnel.ErrTooLarge,
	"invalid":   grapnel.ErrInvalid,
	"over":      ErrOver,
}

// BeatError is an answer that is not what a command hopes for. It is one of the
// errors that task.Heartbeat returns, or [ErrOver].
type BeatError struct {
	Message string
	is      error
}

func (e *BeatError) Error() string { return e.Message }

// Is reports whether target is the reason.
func (e *BeatError) Is(target error) bool { return target == e.is }

// Beat is task.Heartbeat for a command: it tells the worker at address, the value
// of [HeartbeatVariable], that the attempt is alive, with its progress, which is
// JSON or nil. Errors: [grapnel.ErrInvalid] if the address is empty or none, a
// [BeatError], or [ErrOver] if nobody is there any more.
func Beat(ctx context.Context, address string, progress []byte) error {
	if address == "" {
		return fmt.Errorf("%w: not inside of a command that a Grapnel worker runs: %s is not set", grapnel.ErrInvalid, HeartbeatVariable)
	}
	token, path, ok := strings.Cut(address, "@")
	if !ok || token == "" || path == "" {
		return fmt.Errorf("%w: %s is not as a worker sets it", grapnel.ErrInvalid, HeartbeatVariable)
	}
	if len(progress) > 0 && !json.Valid(progress) {
		return fmt.Errorf("%w: progress is not JSON", grapnel.ErrInvalid)
	}
	if len(progress) > grapnel.MaxPayload {
		return fmt.Errorf("%w: progress has %d bytes, the limit grapnel.MaxPayload is %d", grapnel.ErrTooLarge, len(progress), grapnel.MaxPayload)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, beatPatience, fmt.Errorf("the worker did not answer within %v", beatPatience))
	defer cancel()
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", path)
	if err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		return fmt.Errorf("%w: its worker is gone: %w", ErrOver, err)
	}
	defer func() { _ = conn.Close() }() // all is said
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	var a answer
	err = json.NewEncoder(conn).Encode(beat{Token: token, Progress: progress})
	if err == nil {
		err = json.NewDecoder(io.LimitReader(conn, maxBeat)).Decode(&a)
	}
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("%w: its worker does not answer: %w", ErrOver, err)
	case a.Reason == "":
		return nil
	}
	is, ok := reasons[a.Reason]
	if !ok {
		is = ErrOver
	}
	return &BeatError{Message: a.Message, is: is}
}

// maxBeat is how long a line may be.
const maxBeat = grapnel.MaxPayload + 4<<10
