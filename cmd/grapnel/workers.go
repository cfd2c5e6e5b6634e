package main

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/snapshot"
)

// workerView is a worker as it is printed.
type workerView struct {
	ID          grapnel.WorkerID    `json:"id"`
	Host        string              `json:"host"`
	PID         int                 `json:"pid"`
	Started     time.Time           `json:"started,omitzero"`
	Queues      []string            `json:"queues"`
	Tags        []string            `json:"tags,omitempty"`
	Slots       int                 `json:"slots"`
	Tasks       map[string][]string `json:"tasks"`
	Definitions []string            `json:"definitions,omitempty"`
	Draining    bool                `json:"draining,omitempty"`
}

func newWorkers(a *app) *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "workers",
		Short: "List the workers that are alive, and what they can run",
		Long: `List the workers that are alive, and what they can run. A worker that has died is
listed until the lease of its session has run out, which takes the TTL that it
was started with.`,
		Example: `  grapnel workers
  grapnel workers -o json | jq '.[] | select(.draining)'`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withClient(cmd.Context(), func(c *client.Client) error {
				profiles, err := c.Workers(cmd.Context())
				if err != nil {
					return err
				}
				views := make([]workerView, len(profiles))
				for i, p := range profiles {
					views[i] = viewWorker(p)
				}
				return a.print(views, func(t *table) { workersTable(t, views) })
			})
		},
	})
}

func viewWorker(p *snapshot.Profile) workerView {
	return workerView{
		ID: p.Worker, Host: p.Host, PID: p.PID, Started: p.Started.Time(), Queues: p.Queues, Tags: p.Tags,
		Slots: p.Slots, Tasks: p.Tasks, Definitions: p.Definitions, Draining: p.Draining,
	}
}

func workersTable(t *table, views []workerView) {
	t.row("WORKER", "HOST", "PID", "STATE", "QUEUES", "SLOTS", "TAGS", "TASKS")
	for _, v := range views {
		state := "up"
		if v.Draining {
			state = "draining"
		}
		tasks := slices.Sorted(maps.Keys(v.Tasks))
		t.row(v.ID, v.Host, v.PID, state, strings.Join(v.Queues, ","), v.Slots, strings.Join(v.Tags, ","), strings.Join(tasks, ","))
	}
}
