package main

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel/internal/scaffold"
)

func newInit(a *app) *cobra.Command {
	var p scaffold.Project
	cmd := &cobra.Command{
		Use:   "init [FOLDER]",
		Short: "Write a small project to begin with",
		Long: `Write a small project to begin with into a folder, which is the current one
unless another is named: in Go a workflow, a worker and a test, or with --yaml a
workflow in YAML. Nothing that is there is overwritten.`,
		Example: `  grapnel init shop && cd shop && go mod tidy && go test ./...
  grapnel init shop --module example.com/shop
  grapnel init words --yaml && grapnel run words/flow.yaml`,
		Args: cobra.MaximumNArgs(1),
	}
	fs := cmd.Flags()
	fs.StringVar(&p.Module, "module", "", "the Go module's `path`; the default is the folder's name")
	fs.BoolVar(&p.YAML, "yaml", false, "a workflow in YAML, which needs no Go")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if p.YAML && cmd.Flags().Changed("module") {
			return usagef(cmd, "--module is for projects in Go, not for --yaml")
		}
		p.Dir, p.Version = ".", buildVersion().Version
		if len(args) == 1 {
			p.Dir = args[0]
		}
		files, err := p.Write()
		if err != nil {
			return fmt.Errorf("init: %w", err)
		}
		return a.initialized(p, files)
	}
	return cmd
}

// initialized tells what was written, and what to do next.
func (a *app) initialized(p scaffold.Project, files []string) error {
	enter := ""
	if dir := filepath.Clean(p.Dir); dir != "." {
		enter = "cd " + dir + " && "
	}
	next := "go mod tidy && go test ./..."
	if p.YAML {
		next = "grapnel run flow.yaml"
	}
	_, err := fmt.Fprintf(a.out, "Wrote %s.\nNext: %s%s\n", strings.Join(files, ", "), enter, next)
	return err
}
