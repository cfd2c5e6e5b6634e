package wfrun

import (
	"errors"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/workflow"
)

// Defaults and limits of [Config].
const (
	DefaultWorkers = 4
	// DefaultTTL is short, for the sake of kills: work that was lost waits for
	// so long.
	DefaultTTL = 3 * time.Second
	// MinTTL is the shortest lease that etcd grants with its usual election
	// timeout, and leaves a margin of as much.
	MinTTL     = 2 * time.Second
	maxWorkers = 256
)

// Config says what [Run] runs and how.
type Config struct {
	// Workflow is what to run, File what it was read from; the report has the
	// last part of its name.
	Workflow *wfformat.Workflow
	File     string
	// TimeScale multiplies the recorded times; zero takes no time at all.
	TimeScale float64
	// Definition is another thing to run, in place of Workflow, and Input what
	// it gets, as JSON; empty means null. Its tasks are those that [Serve]
	// registers.
	Definition *workflow.Definition
	Input      []byte
	// Workers is how many worker processes there are at a time; zero means
	// [DefaultWorkers].
	Workers int
	// Slots is how many nodes a worker executes at a time; zero means the
	// worker's default.
	Slots int
	// KillWorkers is how often a worker that holds a claim is killed,
	// KillCoordinators how often the coordinator that owns the run's shard is.
	KillWorkers      int
	KillCoordinators int
	// Seed decides when and whom.
	Seed uint64
	// TTL is that of the leases of workers and coordinators; zero means
	// [DefaultTTL]. It is at least [MinTTL].
	TTL time.Duration
	// Timeout ends the wait for the run; what happened until then is reported.
	// Zero is no limit.
	Timeout time.Duration

	// Data is where etcd keeps its data, for looking at it afterwards; empty
	// means a folder that is removed in the end.
	Data string
	// Etcd is how to reach an etcd that is running already; nil starts one. Its
	// history is audited from revision 1, so it must not have been compacted.
	// What it says of a namespace and of logging does not count.
	Etcd *cli.Connection
	// Namespace is where the run is; empty means one that is made up. It must
	// not hold a run, because the audit is one of the whole namespace.
	Namespace string

	// Exe is the binary to start, and RoleArgs what its arguments begin with
	// before the name of a role; empty means this binary and "role".
	Exe      string
	RoleArgs []string
	// Progress gets lines for people, a few each second at most; nil means
	// none.
	Progress io.Writer
	// Columns is how wide Progress is, if it is a terminal: then a bar that is
	// drawn anew takes the place of lines that count. Zero means that it is none.
	Columns int
	// Logs is a folder that gets a file with what each process wrote to its
	// standard error; empty keeps only the last lines, for errors.
	Logs string
	// LogLevel is that of the processes, in hclog's words; empty means "warn".
	LogLevel string
}

// fill returns a copy with its defaults, or all that is wrong with it.
func (c Config) fill() (Config, error) {
	if c.Workers == 0 {
		c.Workers = DefaultWorkers
	}
	if c.TTL == 0 {
		c.TTL = DefaultTTL
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	if c.LogLevel == "" {
		c.LogLevel = cli.DefaultLogLevel
	}
	if len(c.RoleArgs) == 0 {
		c.RoleArgs = []string{"role"}
	}
	return c, errors.Join(c.problems()...)
}

func (c *Config) problems() []error {
	var errs []error
	wrong := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("%w: "+format, append([]any{grapnel.ErrInvalid}, args...)...))
	}
	switch {
	case c.Workflow == nil && c.Definition == nil:
		wrong("there is no workflow to run")
	case c.Workflow != nil && c.Definition != nil:
		wrong("there are two workflows to run, a recorded one and a definition: leave out one of both")
	}
	if c.TimeScale < 0 || math.IsNaN(c.TimeScale) || math.IsInf(c.TimeScale, 0) {
		wrong("time scale %v; it is a number of zero or more", c.TimeScale)
	}
	if c.Workers < 1 || c.Workers > maxWorkers {
		wrong("%d workers; 1 to %d can be started", c.Workers, maxWorkers)
	}
	if c.Slots < 0 {
		wrong("%d slots", c.Slots)
	}
	if c.Columns < 0 {
		wrong("%d columns", c.Columns)
	}
	if c.KillWorkers < 0 || c.KillCoordinators < 0 {
		wrong("%d workers and %d coordinators to be killed", c.KillWorkers, c.KillCoordinators)
	}
	if c.TTL < MinTTL {
		wrong("TTL %v is shorter than %v", c.TTL, MinTTL)
	}
	if c.Timeout < 0 {
		wrong("time-out %v is negative", c.Timeout)
	}
	if c.Data != "" && c.Etcd != nil {
		wrong("a data folder is for an etcd that is started, and there is one already: leave out one of both")
	}
	if c.Namespace != "" {
		errs = append(errs, grapnel.ValidateNamespace(c.Namespace))
	}
	return errs
}

// coordinators is how many there are at a time: a killed one needs a standby.
func (c *Config) coordinators() int {
	if c.KillCoordinators > 0 {
		return 2
	}
	return 1
}
