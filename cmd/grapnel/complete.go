package main

import (
	"context"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/workflow"
)

const (
	// completionTime is how long somebody who presses Tab is kept waiting.
	completionTime = time.Second
	// maxCompletions is how many runs are offered.
	maxCompletions = 100
)

// complete returns what a word that begins like this may become, each perhaps
// with a tab and a description behind it.
type complete func(cmd *cobra.Command, word string) []string

// completeAll adds to all commands what a shell can complete, by what their
// arguments and flags are called.
func (a *app) completeAll(root *cobra.Command) {
	ended := []grapnel.RunStatus{grapnel.RunCompleted, grapnel.RunFailed, grapnel.RunCancelled, grapnel.RunTimedOut}
	underWay := []grapnel.RunStatus{grapnel.RunRunning, grapnel.RunCancelling}
	runs := map[string][]grapnel.RunStatus{ // that a command is of use for; all if it is not here
		"cancel": underWay[:1], "delete": ended, "retry": ended[1:], "wait": underWay, "watch": underWay,
	}
	flags := map[string]complete{
		"output":      words(formatTable, formatJSON),
		"status":      words(append(statusWords(underWay), statusWords(ended)...)...),
		"on-conflict": words("fail", "use", "terminate"),
		"log-level":   words("trace", "debug", "info", "warn", "error", "off"),
		"format":      words("mermaid", "dot", "svg"),
		"worker":      a.workerIDs,
		"workflow":    a.workflowNames,
	}
	for _, cmd := range all(root) {
		first, _, _ := strings.Cut(strings.TrimPrefix(cmd.Use, cmd.Name()+" "), " ")
		files := slices.Contains(strings.Split(first, "|"), "FILE")
		switch {
		case cmd.ValidArgsFunction != nil:
		case slices.Contains(strings.Split(first, "|"), "RUN"):
			cmd.ValidArgsFunction = argument(a.runIDs(runs[cmd.Name()]), files)
		case strings.HasPrefix(first, "WORKFLOW"):
			cmd.ValidArgsFunction = argument(a.workflowNames, files)
		case !files:
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		for name, fn := range flags {
			if f := cmd.LocalFlags().Lookup(name); f == nil || f.Value.Type() == "bool" {
				continue
			}
			err := cmd.RegisterFlagCompletionFunc(name, func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
				return fn(cmd, word), cobra.ShellCompDirectiveNoFileComp
			})
			if err != nil {
				panic(err) // the flag is there, and nobody else completes it
			}
		}
	}
}

// all returns a command and all below it.
func all(cmd *cobra.Command) []*cobra.Command {
	found := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		found = append(found, all(sub)...)
	}
	return found
}

// argument completes the first argument, also with files if it may be one.
func argument(fn complete, files bool) cobra.CompletionFunc {
	directive := cobra.ShellCompDirectiveNoFileComp
	if files {
		directive = cobra.ShellCompDirectiveDefault
	}
	return func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return fn(cmd, word), directive
	}
}

// words completes to one of these.
func words(of ...string) complete {
	return func(_ *cobra.Command, word string) []string { return beginning(of, word) }
}

func beginning(of []string, word string) []string {
	return slices.DeleteFunc(slices.Clone(of), func(s string) bool { return !strings.HasPrefix(s, word) })
}

func statusWords(of []grapnel.RunStatus) []string {
	found := make([]string, len(of))
	for i, s := range of {
		found[i] = s.String()
	}
	return found
}

// ask calls do with a client, for a short time. There is nobody to tell an error
// to: then there are no completions.
func (a *app) ask(cmd *cobra.Command, do func(ctx context.Context, c *client.Client) error) {
	var err error
	if a.log, err = a.conn.Prepare(cmd.Flags(), "grapnel", io.Discard); err != nil {
		return
	}
	a.conn.DialTimeout = min(a.conn.DialTimeout, completionTime)
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	if err := a.withClient(ctx, func(c *client.Client) error { return do(ctx, c) }); err != nil {
		cobra.CompDebugln(err.Error(), false) // which goes to the file of BASH_COMP_DEBUG_FILE, if there is one
	}
}

// runIDs completes ids of runs in one of these statuses, or of all.
func (a *app) runIDs(status []grapnel.RunStatus) complete {
	return func(cmd *cobra.Command, word string) (found []string) {
		a.ask(cmd, func(ctx context.Context, c *client.Client) error {
			for run, err := range c.All(ctx, client.Filter{Status: status}) {
				if err != nil {
					return err
				}
				if run.Err == nil && strings.HasPrefix(string(run.ID), word) {
					found = append(found, plain(string(run.ID))+"\t"+run.Workflow+" "+run.Status.String())
				}
				if len(found) == maxCompletions {
					break
				}
			}
			return nil
		})
		return found
	}
}

func (a *app) workerIDs(cmd *cobra.Command, word string) (found []string) {
	a.ask(cmd, func(ctx context.Context, c *client.Client) error {
		workers, err := c.Workers(ctx)
		for _, w := range workers {
			if strings.HasPrefix(string(w.Worker), word) {
				found = append(found, string(w.Worker)+"\t"+w.Host)
			}
		}
		return err
	})
	return found
}

func (a *app) workflowNames(cmd *cobra.Command, word string) (found []string) {
	a.ask(cmd, func(ctx context.Context, c *client.Client) error {
		defs, err := c.Definitions(ctx)
		for _, name := range names(defs) {
			if strings.HasPrefix(name, word) {
				found = append(found, name)
			}
		}
		return err
	})
	return found
}

// names returns the names of definitions, each once and in order.
func names(defs []*workflow.Definition) []string {
	var found []string
	for _, d := range defs {
		found = append(found, d.Name)
	}
	slices.Sort(found)
	return slices.Compact(found)
}
