package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

// Exit codes of Grapnel's commands.
const (
	ExitOK          = 0
	ExitFailed      = 1 // the run failed, or whatever else went wrong
	ExitUsage       = 2 // flags or arguments cannot be used
	ExitCancelled   = 3 // the run was cancelled
	ExitTimedOut    = 4 // the run timed out
	ExitUnavailable = 5 // etcd could not be reached, or did not say what became of a change
	ExitLeft        = 6 // the run was left before it had ended, as the user wanted
)

// ErrLeft says that the user left a run that goes on, or can go on.
var ErrLeft = errors.New("left unfinished")

// UsageError is a mistake in the command line. It is [grapnel.ErrInvalid].
type UsageError struct {
	Command string
	Err     error
}

func (e *UsageError) Error() string {
	return fmt.Sprintf("%v (see %s --help)", e.Err, e.Command)
}

// Is reports whether target is [grapnel.ErrInvalid].
func (e *UsageError) Is(target error) bool { return target == grapnel.ErrInvalid }

// Unwrap returns Err.
func (e *UsageError) Unwrap() error { return e.Err }

// ExitCode returns the code that a command ends with after err.
func ExitCode(err error) int {
	var run *client.RunFailedError
	switch {
	case err == nil:
		return ExitOK
	case errors.As(err, &run) && run.Status == grapnel.RunCancelled:
		return ExitCancelled
	case errors.As(err, &run) && run.Status == grapnel.RunTimedOut:
		return ExitTimedOut
	case errors.As(err, &run):
		return ExitFailed
	case errors.Is(err, ErrLeft):
		return ExitLeft
	case errors.Is(err, grapnel.ErrCancelled):
		return ExitCancelled
	case errors.Is(err, grapnel.ErrTimedOut):
		return ExitTimedOut
	case errors.Is(err, grapnel.ErrUnavailable), errors.Is(err, grapnel.ErrUnknown):
		return ExitUnavailable
	case errors.Is(err, grapnel.ErrInvalid), errors.Is(err, grapnel.ErrTooLarge):
		return ExitUsage
	}
	return ExitFailed
}

// Report writes err to out in one line, with the way out if there is a usual
// one, and returns the exit code.
func Report(out io.Writer, command string, err error) int {
	if err == nil {
		return ExitOK
	}
	text := strings.Join(strings.FieldsFunc(err.Error(), func(r rune) bool { return r == '\n' || r == '\r' }), "; ")
	text = strings.ReplaceAll(text, ":; ", ": ") // what a colon announces was on the next line
	if hint := hintFor(err); hint != "" {
		text += " (" + hint + ")"
	}
	_, _ = fmt.Fprintf(out, "%s: %s\n", command, text)
	return ExitCode(err)
}

func hintFor(err error) string {
	var run *client.RunFailedError
	var usage *UsageError
	switch {
	case errors.As(err, &run), errors.As(err, &usage):
		return ""
	case errors.Is(err, grapnel.ErrExists):
		return "choose another --id, or --on-conflict use or terminate"
	case errors.Is(err, grapnel.ErrUnknown):
		return "it may take effect yet: look before you repeat it, and repeat a start with the same --id"
	case errors.Is(err, grapnel.ErrUnavailable):
		return "check that etcd is up and that --endpoints is right; grapnel dev starts one"
	}
	return ""
}

// Main runs a command until it is done or a signal asks it to stop, and returns
// the exit code. A second signal ends the process at once.
func Main(command string, run func(ctx context.Context) error) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from now on, signals have their usual effect
	return Report(os.Stderr, command, run(ctx))
}

// unlessStopped returns err, unless it only says that a role, in the middle of
// its first steps, was asked to stop.
func unlessStopped(ctx context.Context, err error) error {
	if ctx.Err() != nil && (errors.Is(err, context.Canceled) || errors.Is(err, context.Cause(ctx))) {
		return nil
	}
	return err
}
