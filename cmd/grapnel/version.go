package main

import (
	"runtime/debug"

	"github.com/spf13/cobra"
)

// version is set by release builds; others say what the module system knows.
var version string

func newVersion(a *app) *cobra.Command {
	return a.formatted(&cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Long: `Print the version, the commit it was built from, as far as that is known, and
the version of Go that built it.`,
		Example: `  grapnel version
  grapnel version -o json`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			v := buildVersion()
			return a.print(v, func(t *table) { t.row("grapnel", v.Version, v.Commit, v.Go) })
		},
	})
}

type versionView struct {
	Version string `json:"version"`
	Commit  string `json:"commit,omitempty"`
	Go      string `json:"go"`
}

func buildVersion() versionView {
	v := versionView{Version: version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v
	}
	v.Go = info.GoVersion
	if v.Version == "" {
		v.Version = info.Main.Version
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v.Commit = s.Value
		}
	}
	return v
}
