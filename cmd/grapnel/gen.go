package main

import (
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/wfformat"
)

func newGen(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "gen",
		Short: "Make workflows to try things with",
		Long: `Make workflows to try things with: to draw with grapnel graph, and to run with
grapnel run.`,
		Example: `  grapnel gen wfformat --shape montage --tasks 300 --seed 1 > montage.json`,
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newGenWfFormat(a))
	return cmd
}

func newGenWfFormat(a *app) *cobra.Command {
	var (
		shape string
		tasks int
		seed  uint64
	)
	shapes := strings.Join(wfformat.Shapes(), ", ")
	cmd := &cobra.Command{
		Use:   "wfformat",
		Short: "Write a workflow in WfFormat, for grapnel run",
		Long: `Write a workflow in WfFormat, the JSON format of the WfCommons project, to
standard output. Its tasks take 1 s to 20 s each. The same flags give the same
bytes.

Shapes are ` + shapes + `.`,
		Example: `  grapnel gen wfformat --shape montage --tasks 300 --seed 1 > montage.json`,
		Args:    cobra.NoArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&shape, "shape", "montage", "one of "+shapes)
	fs.IntVar(&tasks, "tasks", 100, "how many tasks")
	fs.Uint64Var(&seed, "seed", 1, "decides edges and times")
	cmd.RunE = func(*cobra.Command, []string) error {
		w, err := wfformat.Generate(shape, tasks, seed)
		if err != nil {
			return err
		}
		return w.Write(a.out)
	}
	return cmd
}
