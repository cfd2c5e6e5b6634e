package cli

import (
	"context"
	"errors"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel/coordinator"
	"github.com/grapnel-dev/grapnel/execution"
)

// Coordinator is the settings of a coordinator's process.
type Coordinator struct {
	Name      string
	TTL       time.Duration
	Sweep     time.Duration
	Retention time.Duration
	Sink      string
}

// Register adds the flags of a coordinator.
func (c *Coordinator) Register(fs *pflag.FlagSet) {
	fs.StringVar(&c.Name, "name", "", "what the coordinator's id begins with, for people to recognise")
	fs.DurationVar(&c.TTL, "ttl", coordinator.DefaultTTL, "how long after its last sign of life its shards go to another coordinator")
	fs.DurationVar(&c.Sweep, "sweep", coordinator.DefaultSweep, "how often memory is compared with a listing")
	fs.DurationVar(&c.Retention, "retention", coordinator.DefaultRetention, "how long after its end a run is archived and deleted; negative means never")
	fs.StringVar(&c.Sink, "sink", "", "`file` to append the records of archived runs to, a line of JSON each; by default they are discarded")
	AsSettings(fs, "coordinator")
}

// Run coordinates until ctx ends, and then resigns.
func (c *Coordinator) Run(ctx context.Context, conn *Connection, log hclog.Logger) (err error) {
	cfg := coordinator.Config{
		Namespace: conn.Namespace, Name: c.Name, TTL: c.TTL, Sweep: c.Sweep, Retention: c.Retention, Logger: log,
	}
	if c.Sink != "" {
		sink, err := execution.OpenFile(c.Sink)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, sink.Close()) }()
		cfg.Sink = sink
	}
	st, err := conn.Open(ctx, log)
	if err != nil {
		return unlessStopped(ctx, err)
	}
	defer func() { err = errors.Join(err, st.Close()) }()
	cfg.Store = st
	co, err := coordinator.New(cfg)
	if err != nil {
		return err
	}
	log.Info("coordinator is up", "namespace", conn.Namespace, "endpoints", conn.Endpoints)
	return unlessStopped(ctx, co.Run(ctx))
}
