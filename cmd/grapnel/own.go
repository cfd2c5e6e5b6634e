package main

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel/internal/cli"
	"github.com/grapnel-dev/grapnel/local"
)

// ownWorker is the settings of a worker that runs in the process of dev or run.
type ownWorker struct {
	cli.Worker
	cli.StandardTasks
}

// register adds some of the flags that a worker of its own would have.
func (w *ownWorker) register(fs *pflag.FlagSet, names ...string) {
	all := pflag.NewFlagSet("", pflag.ContinueOnError)
	w.Worker.Register(all)
	w.StandardTasks.Register(all)
	for _, name := range names {
		f := all.Lookup(name)
		f.Annotations = nil // no setting: the section "worker" is for workers of their own
		fs.AddFlag(f)
	}
}

// Validate returns what is wrong with the settings, before anything is started.
func (w *ownWorker) Validate() error {
	return errors.Join(w.Worker.Validate(), w.StandardTasks.Validate())
}

// allowAll allows commands and, unless there are other rules, requests to all
// public hosts, which commands could make as well.
func (w *ownWorker) allowAll() {
	w.AllowCommands = true
	if len(w.AllowHTTP) == 0 {
		w.AllowHTTP = []string{"*"}
	}
}

// run works on a cluster until ctx ends, and then drains.
func (w *ownWorker) run(ctx context.Context, c *local.Cluster, namespace string, log hclog.Logger) error {
	return w.RunStandardOn(ctx, c.Store(), namespace, log, &w.StandardTasks)
}

// addresses are the host:ports of a cluster's etcd.
func addresses(c *local.Cluster) []string {
	var found []string
	for _, url := range c.Endpoints() {
		found = append(found, strings.TrimPrefix(url, "http://"))
	}
	return found
}
