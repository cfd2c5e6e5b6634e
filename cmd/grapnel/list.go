package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

func newList(a *app) *cobra.Command {
	var (
		status []string
		f      client.Filter
		limit  int
		page   string
	)
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List runs",
		Long: `List runs, in an order that has no meaning but stays the same. If there are
more than --limit, the last line says how to go on.`,
		Example: `  grapnel list
  grapnel list --status failed,timed-out --workflow order
  grapnel list --label team=a --limit 1000 -o json`,
		Args: cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.StringSliceVar(&status, "status", nil, "only runs that are running, cancelling, completed, failed, cancelled or timed-out; may be repeated")
	fs.StringVar(&f.Workflow, "workflow", "", "only runs of the workflow of this `name`")
	fs.StringToStringVar(&f.Labels, "label", nil, "only runs with this label, `key=value`; may be repeated")
	fs.IntVar(&limit, "limit", client.DefaultLimit, "at most so many runs")
	fs.StringVar(&page, "page", "", "go on with the page of this `token`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		for _, text := range status {
			s, err := grapnel.ParseRunStatus(text)
			if err != nil {
				return usagef(cmd, "--status: %w", err)
			}
			f.Status = append(f.Status, s)
		}
		if limit < 1 || limit > client.MaxLimit {
			return usagef(cmd, "--limit %d is not 1 to %d", limit, client.MaxLimit)
		}
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			p, err := fill(cmd.Context(), c, f, page, limit)
			if err != nil {
				return err
			}
			return a.print(p, func(t *table) { listTable(t, p) })
		})
	}
	return a.formatted(cmd)
}

// fill reads pages until there are limit runs: a single page may have fewer
// although more follow.
func fill(ctx context.Context, c *client.Client, f client.Filter, token string, limit int) (*client.Page, error) {
	all := &client.Page{Runs: []client.RunSummary{}}
	for {
		p, err := c.List(ctx, f, token, limit-len(all.Runs))
		if err != nil {
			return nil, err
		}
		all.Runs, all.Next = append(all.Runs, p.Runs...), p.Next
		if token = p.Next; token == "" || len(all.Runs) >= limit {
			return all, nil
		}
	}
}

func listTable(t *table, p *client.Page) {
	t.row("RUN", "WORKFLOW", "STATUS", "STARTED", "TOOK", "LABELS")
	for i := range p.Runs {
		run := &p.Runs[i]
		if run.Err != nil {
			t.row(run.ID, "", "unreadable: "+run.Problem, "", "", "")
			continue
		}
		t.row(run.ID, run.Workflow, run.Status, when(run.Started), took(run.Started, run.Ended), labelText(run.Labels))
	}
	if p.Next != "" {
		t.gap()
		t.row("There are more. Go on with --page " + p.Next)
	}
}
