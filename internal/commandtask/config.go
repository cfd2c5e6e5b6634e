package commandtask

import (
	"fmt"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
)

// DefaultKillGrace is the default of [Config].KillGrace.
const DefaultKillGrace = 5 * time.Second

// Config configures a [Runner].
type Config struct {
	// Root is the folder in which each worker makes a folder of its own, with
	// those of its attempts. It is made if it is not there. Empty means
	// "grapnel-" and the user's number in the system's folder for temporary
	// files, which must then belong to this user alone.
	Root string
	// Guard is the command line that makes a process call [Guard]; the folder is
	// added to it. None means that nobody cleans up after a worker that is
	// killed, until the next one starts.
	Guard []string
	// PassEnv names variables of the worker's environment that each command gets.
	PassEnv []string
	// Secrets says which secrets commands may get; zero is none.
	Secrets secret.Policy
	// KillGrace is how long a command has between SIGTERM and SIGKILL; zero means
	// [DefaultKillGrace], negative none.
	KillGrace time.Duration
	// Logger is named "command"; nil means none.
	Logger hclog.Logger
}

// Check returns what is wrong with the settings, as [Open] does before it makes
// anything. Errors wrap [grapnel.ErrInvalid].
func (c *Config) Check() error {
	if err := c.Secrets.Check(); err != nil {
		return fmt.Errorf("allow commands: %w", err)
	}
	for _, name := range c.PassEnv {
		if name == "" || strings.ContainsAny(name, "=\x00") || isReserved(name) {
			return fmt.Errorf("allow commands: %w: %q is no environment variable to be passed on", grapnel.ErrInvalid, name)
		}
	}
	return nil
}
