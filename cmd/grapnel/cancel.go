package main

import (
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

func newCancel(a *app) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use:   "cancel RUN",
		Short: "Ask a run to stop",
		Long: `Ask a run to stop. The command returns once the request is stored, which then
will be honoured; grapnel wait tells when the run has ended. A coordinator has to
be up for that.`,
		Example: `  grapnel cancel order-17
  grapnel cancel order-17 --reason 'wrong address' && grapnel wait order-17`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for people")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return a.withClient(cmd.Context(), func(c *client.Client) error {
			if err := c.Cancel(cmd.Context(), runArg(args), reason); err != nil {
				return err
			}
			return a.done(runArg(args), "will be cancelled")
		})
	}
	return a.formatted(cmd)
}

// done tells what a command did to a run.
func (a *app) done(id grapnel.RunID, what string) error {
	return a.print(struct {
		ID   grapnel.RunID `json:"id"`
		Done string        `json:"done"`
	}{id, what}, func(t *table) { t.row(string(id) + " " + what) })
}
