package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/commandtask"
	"github.com/grapnel-dev/grapnel/internal/httptask"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/worker"
)

// guardCommand is the hidden command that a binary which runs commands has.
const guardCommand = "command-guard"

// StandardTasks is the settings of the tasks that need no Go of the user:
// commands and HTTP requests. The zero value is none of them.
type StandardTasks struct {
	AllowCommands bool
	// AllowHTTP are rules as in [httptask.ParseRules]; none means no requests.
	AllowHTTP []string
	// WorkDir is the root of the attempts' folders; see [commandtask.Config].
	WorkDir string
	// PassEnv names variables of the worker's environment that commands get.
	PassEnv []string
	// KillGrace is as in [commandtask.Config].
	KillGrace time.Duration
	// SecretEnv and SecretDirs are what tasks may have as secrets; see
	// [secret.Policy].
	SecretEnv  []string
	SecretDirs []string
	// NoGuard is for binaries that have not got [NewGuard].
	NoGuard bool
}

// Register adds the flags of these tasks.
func (t *StandardTasks) Register(fs *pflag.FlagSet) {
	fs.BoolVar(&t.AllowCommands, "allow-commands", false, "run commands, as this user and with all that it may do: whoever may start runs can then do that")
	fs.StringSliceVar(&t.AllowHTTP, "allow-http", nil, "where HTTP requests may go: `host`s, *.domains, * for all public ones, addresses or CIDRs, each with :port or not, separated by commas")
	fs.StringVar(&t.WorkDir, "work-dir", "", "`folder` in which each attempt of a command gets a folder of its own (default: grapnel-UID in the folder for temporary files)")
	fs.StringSliceVar(&t.PassEnv, "pass-env", nil, "`names` of this process's environment variables that commands get besides PATH, HOME, LANG and TZ, separated by commas")
	fs.DurationVar(&t.KillGrace, "kill-grace", commandtask.DefaultKillGrace, "how long a command that has to stop has between SIGTERM and SIGKILL; negative kills it at once")
	fs.StringSliceVar(&t.SecretEnv, "secret-env", nil, "`names` of environment variables that tasks may ask for as secrets, separated by commas; * for all")
	fs.StringSliceVar(&t.SecretDirs, "secret-dir", nil, "`folders` whose files tasks may ask for as secrets, separated by commas")
	AsSettings(fs, "worker")
}

// Any reports whether there are any of the tasks.
func (t *StandardTasks) Any() bool { return t.AllowCommands || len(t.AllowHTTP) > 0 }

// Validate returns what is wrong with the settings, commands allowed or not. It
// is an error of Open as well, if they are.
func (t *StandardTasks) Validate() error {
	if _, err := httptask.ParseRules(t.AllowHTTP); err != nil {
		return fmt.Errorf("--allow-http: %w", err)
	}
	cfg := t.commandConfig(nil)
	return cfg.Check()
}

func (t *StandardTasks) commandConfig(log hclog.Logger) commandtask.Config {
	return commandtask.Config{
		Root: t.WorkDir, PassEnv: t.PassEnv, KillGrace: t.KillGrace, Logger: log,
		Secrets: secret.Policy{Env: t.SecretEnv, Dirs: t.SecretDirs},
	}
}

// OpenTasks are standard tasks that are ready to be executed.
type OpenTasks struct {
	commands *commandtask.Runner // nil if they are not allowed
	http     *httptask.Caller    // nil if they are not allowed
}

// Open checks the settings and makes what the tasks need. The caller closes it
// once the worker has stopped. Errors wrap [grapnel.ErrInvalid] for settings
// that cannot be used.
func (t *StandardTasks) Open(log hclog.Logger) (*OpenTasks, error) {
	cfg := t.commandConfig(log)
	open := &OpenTasks{}
	rules, err := httptask.ParseRules(t.AllowHTTP)
	if err != nil {
		return nil, fmt.Errorf("--allow-http: %w", err)
	}
	if !rules.Empty() {
		open.http, err = httptask.New(httptask.Config{Rules: rules, Secrets: cfg.Secrets, Logger: log})
		if err != nil {
			return nil, err
		}
	}
	if !t.AllowCommands {
		return open, nil
	}
	if !t.NoGuard {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("allow commands: %w", err)
		}
		cfg.Guard = []string{self, guardCommand}
	}
	open.commands, err = commandtask.Open(cfg)
	if err != nil {
		return nil, err
	}
	return open, nil
}

// Handle makes a worker execute the tasks. Those that are not allowed it does
// not announce.
func (o *OpenTasks) Handle(w *worker.Worker) {
	if o.commands != nil {
		worker.Handle(w, commandtask.Task, o.commands.Run)
	}
	if o.http != nil {
		worker.Handle(w, httptask.Task, o.http.Do)
	}
}

// Close kills the commands that nobody waits for any more, and removes what the
// tasks needed.
func (o *OpenTasks) Close() error {
	if o.http != nil {
		o.http.Close()
	}
	if o.commands != nil {
		return o.commands.Close()
	}
	return nil
}

// NewGuard makes the hidden command of the guard, which cleans up after a worker
// that is killed. Each binary that runs commands has it.
func NewGuard() *cobra.Command {
	return &cobra.Command{
		Use:    guardCommand + " FOLDER",
		Short:  "Clean up after a worker that is killed",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		// Not what other commands do first: it must not depend on settings.
		PersistentPreRunE: func(*cobra.Command, []string) error { return nil },
		RunE: func(cmd *cobra.Command, args []string) error {
			return commandtask.Guard(cmd.InOrStdin(), args[0])
		},
	}
}

// Heartbeat tells the worker that runs the command this process belongs to that
// it is alive. Errors: see [commandtask.Beat].
func Heartbeat(ctx context.Context, progress []byte) error {
	err := commandtask.Beat(ctx, os.Getenv(commandtask.HeartbeatVariable), progress)
	if errors.Is(err, grapnel.ErrClaimLost) || errors.Is(err, grapnel.ErrStopping) || errors.Is(err, grapnel.ErrCancelled) || errors.Is(err, grapnel.ErrTimedOut) {
		return fmt.Errorf("stop now: %w", err)
	}
	return err
}
