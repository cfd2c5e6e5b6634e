package main

import (
	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/cli"
)

func newConfig(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show each setting and where its value came from",
		Long: `Show each setting and where its value came from: a flag, an environment
variable, the file of settings, or the default, of which the first that is there
counts. A variable that is empty counts as none. Passwords are not shown.

The variable of a setting is GRAPNEL_ and its name in capitals, with underscores:
GRAPNEL_ENDPOINTS, GRAPNEL_WORKER_SLOTS. The file is the one that --config or
GRAPNEL_CONFIG names, or else grapnel/config.yaml in your folder of settings,
such as ~/.config. No file of the working directory is read unless it is named:

    endpoints: [etcd-1:2379, etcd-2:2379]
    namespace: team-a
    user: anna
    password-file: /etc/grapnel/password
    worker:           # for the command worker
      slots: 8
    coordinator:      # for the command coordinator
      retention: 72h`,
		Example: `  grapnel config
  GRAPNEL_NAMESPACE=team-b grapnel config -o json
  grapnel config --config ./grapnel.yaml`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s := a.conn.Settings()
			view := struct {
				File     string        `json:"file"`
				Settings []cli.Setting `json:"settings"`
			}{s.File, s.List}
			return a.print(view, func(t *table) {
				t.row("file:", s.File)
				t.gap()
				t.row("SETTING", "VALUE", "FROM", "PLACE")
				for _, s := range s.List {
					t.row(s.Key, s.Value, s.Origin, s.Place)
				}
			})
		},
	}
	return a.formatted(cmd)
}
