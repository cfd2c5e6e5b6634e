package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/internal/flowfile"
	"github.com/grapnel-dev/grapnel/internal/render"
	"github.com/grapnel-dev/grapnel/internal/wfformat"
	"github.com/grapnel-dev/grapnel/workflow"
)

// graphFormats are the values of grapnel graph's --format.
var graphFormats = map[string]func(w io.Writer, g render.Graph) error{
	"mermaid": render.Mermaid, "dot": render.DOT, "svg": render.SVG,
}

// graphFiles read the kinds of files that can be drawn, by how their names end.
// A kind that holds a definition is a graphOf of what its reader returns.
var graphFiles = map[string]func(path string) (render.Graph, error){
	".json": func(path string) (render.Graph, error) {
		w, err := wfformat.ReadFile(path)
		if err != nil {
			return render.Graph{}, err
		}
		return graphOfRecorded(w), nil
	},
	".yaml": graphOfFlow,
	".yml":  graphOfFlow,
}

func newGraph(a *app) *cobra.Command {
	var (
		format string
		most   int
	)
	formats := slices.Sorted(maps.Keys(graphFormats))
	files := slices.Sorted(maps.Keys(graphFiles))
	cmd := &cobra.Command{
		Use:   "graph FILE|RUN",
		Short: "Draw a workflow, or a run with the state of each node",
		Long: `Draw the graph of a workflow, or of a run, whose nodes then have the colours of
their states. A name that ends in .yaml or .yml is that of a file with a workflow,
one that ends in .json that of a file in WfFormat, as grapnel gen wfformat writes
it; others are ids of runs.

If there are more nodes than --max-nodes, those that do the same at the same
depth are drawn as one, with their number and states.

Mermaid is what Markdown of many places shows in a block of the language mermaid,
dot is for Graphviz, and an SVG is a picture that stands alone.`,
		Example: `  grapnel graph order-17
  grapnel graph order-17 -f svg > order-17.svg
  grapnel graph flow.yaml
  grapnel graph montage.json -f dot --max-nodes 0 | dot -Tpdf > montage.pdf`,
		Args: cobra.ExactArgs(1),
	}
	cmd.Flags().StringVarP(&format, "format", "f", "mermaid", "how to draw: "+strings.Join(formats, ", "))
	cmd.Flags().IntVar(&most, "max-nodes", render.DefaultMax, "how many nodes to draw at most; 0 draws all")
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		write, ok := graphFormats[format]
		switch {
		case !ok:
			return usagef(cmd, "--format %q is none of %s", format, strings.Join(formats, ", "))
		case most < 0:
			return usagef(cmd, "--max-nodes %d is negative", most)
		}
		if isOtherFile(args[0]) {
			return usagef(cmd, "file %s does not end in %s, and no others can be drawn", args[0], strings.Join(files, " or "))
		}
		g, err := a.graph(cmd.Context(), args[0])
		if err != nil {
			return err
		}
		return write(a.out, render.Collapse(g, most))
	}
	return cmd
}

// isOtherFile reports whether a name is that of a file of a kind that cannot be
// drawn, rather than the id of a run.
func isOtherFile(name string) bool {
	ext := filepath.Ext(name)
	if _, drawn := graphFiles[ext]; drawn || ext == "" {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// graph reads what is to be drawn.
func (a *app) graph(ctx context.Context, name string) (g render.Graph, err error) {
	if read, ok := graphFiles[filepath.Ext(name)]; ok {
		g, err = read(name)
		if problems, ok := errors.AsType[*flowfile.Errors](err); ok {
			_, _ = fmt.Fprintln(a.err, problems.Error())
			return g, refused(name, problems, "nothing was drawn")
		}
		return g, err
	}
	err = a.withClient(ctx, func(c *client.Client) error {
		info, err := c.Get(ctx, grapnel.RunID(name))
		if err != nil {
			return err
		}
		def, err := c.FindDefinition(ctx, info.Definition)
		if err != nil {
			return err
		}
		g = graphOf(def)
		withStates(&g, info)
		return nil
	})
	return g, err
}

// graphOfFlow is the graph of a workflow in YAML.
func graphOfFlow(path string) (render.Graph, error) {
	file, err := flowfile.Load(path)
	if err != nil {
		return render.Graph{}, err
	}
	def, err := file.Definition()
	if err != nil {
		return render.Graph{}, err
	}
	return graphOf(def), nil
}

// graphOf is the graph of a definition.
func graphOf(def *workflow.Definition) render.Graph {
	g := render.Graph{Title: strings.TrimSpace(def.Name + " " + def.Version)}
	for i := range def.Nodes {
		n := &def.Nodes[i]
		detail := n.Task
		switch {
		case n.Kind == workflow.KindInline:
			detail = "inline"
		case n.Kind.Holds():
			detail = n.Kind.String()
		}
		needs := n.Needs
		if holder := n.Scope - 1; holder >= 0 && !slices.ContainsFunc(needs, func(i int) bool { return i >= holder }) {
			// It begins when its holder has decided.
			needs = append(slices.Clone(needs), holder)
		}
		g.Nodes = append(g.Nodes, render.Node{Name: n.Name, Detail: detail, Group: n.Task, Needs: needs})
	}
	groupByName(&g)
	return g
}

// graphOfRecorded is the graph of a workflow in WfFormat.
func graphOfRecorded(w *wfformat.Workflow) render.Graph {
	g := render.Graph{Title: w.Name}
	for _, t := range w.Tasks {
		g.Nodes = append(g.Nodes, render.Node{Name: t.ID, Detail: t.Name, Group: t.Name, Needs: t.Parents})
	}
	groupByName(&g)
	return g
}

// groupByName groups nodes by what their names begin with if all run the same
// task, and leaves the task out, as it tells nothing.
func groupByName(g *render.Graph) {
	for i := range g.Nodes {
		if g.Nodes[i].Group != g.Nodes[0].Group {
			return
		}
	}
	if len(g.Nodes) < 2 {
		return
	}
	for i := range g.Nodes {
		n := &g.Nodes[i]
		stem := strings.TrimRight(strings.TrimSuffix(strings.TrimRight(n.Name, "0123456789"), "ID"), "-_. ")
		n.Group, n.Detail = cmp.Or(stem, n.Name), ""
	}
}

// withStates gives the nodes of the graph of a run's definition their states. A
// node that there is for each item of a map becomes a group of these.
func withStates(g *render.Graph, info *client.RunInfo) {
	g.Title += fmt.Sprintf(" · run %s · %s", info.ID, info.Status)
	states := make([][]*client.NodeInfo, len(g.Nodes))
	for i := range info.Nodes {
		// Names do not tell: those of a map's nodes leave out what is clear.
		if node, _, ok := workflow.ParseKey(info.Nodes[i].Key); ok && node < len(states) {
			states[node] = append(states[node], &info.Nodes[i])
		}
	}
	for i, all := range states {
		n := &g.Nodes[i]
		switch {
		case len(all) == 1:
			n.State = render.State(all[0].State)
			if all[0].Attempt > 1 {
				n.Detail = strings.TrimPrefix(fmt.Sprintf("%s, attempt %d", n.Detail, all[0].Attempt), ", ")
			}
		case len(all) > 1:
			of := map[render.State]int{}
			for _, s := range all {
				of[render.State(s.State)]++
			}
			n.Many(of)
		}
	}
}
