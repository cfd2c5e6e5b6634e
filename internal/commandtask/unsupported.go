//go:build !(linux || darwin || freebsd || netbsd || openbsd)

package commandtask

import (
	"context"
	"fmt"
	"io"
	"runtime"

	"github.com/grapnel-dev/grapnel"
)

// Runner runs commands, which it cannot on this system.
type Runner struct{}

var errUnsupported = fmt.Errorf("allow commands: %w: commands cannot be run on %s", grapnel.ErrInvalid, runtime.GOOS)

// Open returns an error that wraps [grapnel.ErrInvalid].
func Open(Config) (*Runner, error) { return nil, errUnsupported }

// Close does nothing.
func (r *Runner) Close() error { return nil }

// Run returns an error.
func (r *Runner) Run(context.Context, Input) (Output, error) { return Output{}, errUnsupported }

// Guard returns an error.
func Guard(io.Reader, string) error { return errUnsupported }
