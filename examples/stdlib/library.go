package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/grapnel-dev/grapnel/examples/stdlib/report"
	"github.com/grapnel-dev/grapnel/examples/stdlib/survey"
	"github.com/grapnel-dev/grapnel/internal/wfrun"
)

// library is what the report is about and where it goes.
type library struct {
	source   string // absolute, as is out: workers have folders of their own
	out      string
	shown    string // out as the user calls it
	title    string
	packages []string
}

// open finds the source and lists its packages.
func open(ctx context.Context, o options) (*library, error) {
	source := o.source
	if source == "" {
		root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return nil, fmt.Errorf("ask the go command for its source: %w (or name a folder with -source)", err)
		}
		source = filepath.Join(strings.TrimSpace(string(root)), "src")
	}
	lib := &library{shown: o.out}
	var err error
	if lib.source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	if lib.out, err = filepath.Abs(o.out); err != nil {
		return nil, err
	}
	if lib.packages, err = survey.List(lib.source); err != nil {
		return nil, err
	}
	if len(lib.packages) == 0 {
		return nil, invalid("there is no Go package below %s", source)
	}
	lib.title = "The standard library of " + version(lib.source)
	return lib, nil
}

// version reads which Go a folder of source belongs to.
func version(source string) string {
	data, err := os.ReadFile(filepath.Join(source, "..", "VERSION"))
	line, _, _ := strings.Cut(string(data), "\n")
	number, ok := strings.CutPrefix(strings.TrimSpace(line), "go")
	if err != nil || !ok {
		return "Go"
	}
	return "Go " + number
}

// prepare says what is to be run.
func (l *library) prepare(cfg *wfrun.Config) (err error) {
	if cfg.Definition, err = newWorkflow(l.packages).Definition(); err != nil {
		return err
	}
	cfg.Input, err = json.Marshal(Input{Source: l.source, Title: l.title, Out: l.out})
	return err
}

// conclude tells what was killed, what was done again, what the auditor says and
// where the report is. The error says what is not as it should be.
func (l *library) conclude(r *wfrun.Report, out io.Writer) error {
	fmt.Fprintln(out)
	for _, k := range r.KillList {
		fmt.Fprintf(out, "killed    %s by SIGKILL, after %d tasks, with %d claims: %s\n",
			k.Process, k.After, k.Claims, strings.ReplaceAll(strings.Join(k.Held, ", "), ".", "/"))
	}
	if len(r.KillList) == 0 {
		fmt.Fprintln(out, "killed    nobody")
	}
	fmt.Fprintf(out, "requeued  %d of %d executions were lost and done again by another worker\n", r.Requeued, r.Executions)
	if r.Violations != nil {
		fmt.Fprintf(out, "audit     %d revisions of etcd read, %d promises broken\n", r.Audit.LastRevision-r.Audit.FirstRevision+1, *r.Violations)
	}
	errs := []error{r.Err()}
	if r.KillsLeft > 0 {
		errs = append(errs, fmt.Errorf("the run was over before %d more workers could be killed", r.KillsLeft))
	}
	if r.Err() == nil {
		errs = append(errs, l.show(r.Output, out))
	}
	return errors.Join(errs...)
}

// show lists the files of the report, as they are on disk.
func (l *library) show(output []byte, out io.Writer) error {
	var files []report.File
	if err := json.Unmarshal(output, &files); err != nil {
		return fmt.Errorf("output of the run: %w", err)
	}
	for i, f := range files {
		data, err := os.ReadFile(filepath.Join(l.out, f.Name))
		if err != nil {
			return err
		}
		sum := sha256.Sum256(data)
		if got := hex.EncodeToString(sum[:]); got != f.SHA256 {
			return fmt.Errorf("%s has SHA-256 %s, and was written with %s", f.Name, got, f.SHA256)
		}
		label := "report"
		if i > 0 {
			label = ""
		}
		fmt.Fprintf(out, "%-8s  %s  sha256 %s\n", label, filepath.Join(l.shown, f.Name), f.SHA256)
	}
	return report.Clean(l.out)
}
