package commandtask

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/task"
	"github.com/grapnel-dev/grapnel/workflow"
)

// TaskName is the name of the task, which has no version.
const TaskName = "grapnel.command"

// Task is the contract. Definitions that are not made in Go name the types of a
// node's input and output as its Types does.
var Task = workflow.NewTask[Input, Output](TaskName)

// Kinds of failures, besides those of package workflow.
const (
	// KindExit: the command exited with another code than 0, or was ended by a
	// signal that was not ours. Retried as the node's policy says.
	KindExit = "exit"
	// KindNotStarted: there is no such command or folder. Permanent.
	KindNotStarted = "not-started"
	// KindSecret: a secret is not there, or is not given away. Permanent.
	KindSecret = "secret"
)

// Forms in which an output is taken.
const (
	FormText = "text"
	FormJSON = "json"
	FormNone = "none"
)

// Input says what to run.
type Input struct {
	// Argv is the program and its arguments. Either this or Shell is given. A
	// name without a slash is looked up in the command's PATH, a relative path is
	// relative to Dir.
	Argv []string `json:"argv,omitempty"`
	// Shell is run by /bin/sh -eu -c.
	Shell string `json:"shell,omitempty"`
	// Env is added to the command's environment; see the package comment.
	Env map[string]string `json:"env,omitempty"`
	// Secrets are added to the environment, by variable.
	Secrets map[string]secret.Secret `json:"secrets,omitempty"`
	// Dir is where the command starts: absolute, or relative to the attempt's
	// folder, which is empty. Empty means that folder.
	Dir string `json:"dir,omitempty"`
	// Stdin is what the command reads.
	Stdin string `json:"stdin,omitempty"`
	// Stdout is the form in which standard output is taken: [FormText], which is
	// the default, [FormJSON], or [FormNone], which throws it away.
	Stdout string `json:"stdout,omitempty"`
	// Files are read when the command has succeeded, by the name of the output.
	Files map[string]File `json:"files,omitempty"`
}

// File is an output in a file.
type File struct {
	// Path is relative to where the command started. It must lie there or below,
	// symbolic links included, and be a regular file.
	Path string `json:"path"`
	// As is [FormText], which is the default, or [FormJSON].
	As string `json:"as,omitempty"`
}

// Output is what a command came to that exited with 0. Encoded, it has at most
// [grapnel.MaxPayload] bytes.
type Output struct {
	ExitCode int `json:"exit_code"`
	// Stdout is a string for [FormText], absent for [FormNone]. What is not UTF-8
	// is replaced.
	Stdout json.RawMessage `json:"stdout,omitempty"`
	// Files has the values of the input's Files.
	Files map[string]json.RawMessage `json:"files,omitempty"`
}

// Check returns what is wrong with the input as far as that can be told without
// running it, or nil. The error wraps [grapnel.ErrInvalid].
func (in *Input) Check() error {
	wrong := func(format string, args ...any) error {
		return fmt.Errorf("%w: command: "+format, append([]any{grapnel.ErrInvalid}, args...)...)
	}
	switch {
	case len(in.Argv) == 0 && in.Shell == "":
		return wrong("there is neither argv nor shell")
	case len(in.Argv) > 0 && in.Shell != "":
		return wrong("there are both argv and shell")
	case len(in.Argv) > 0 && in.Argv[0] == "":
		return wrong("argv begins with an empty string")
	case in.Stdout != "" && in.Stdout != FormText && in.Stdout != FormJSON && in.Stdout != FormNone:
		return wrong("stdout %q is none of text, json, none", in.Stdout)
	}
	for _, s := range append([]string{in.Shell, in.Dir}, in.Argv...) {
		if strings.ContainsRune(s, 0) {
			return wrong("there is a zero byte in %q", s)
		}
	}
	if err := in.checkEnv(wrong); err != nil {
		return err
	}
	for name, f := range in.Files {
		switch {
		case f.Path == "":
			return wrong("file %s has no path", name)
		case !filepath.IsLocal(f.Path):
			return wrong("file %s: path %q does not stay below the command's folder", name, f.Path)
		case f.As != "" && f.As != FormText && f.As != FormJSON:
			return wrong("file %s: as %q is neither text nor json", name, f.As)
		}
	}
	return nil
}

func (in *Input) checkEnv(wrong func(format string, args ...any) error) error {
	check := func(name string) error {
		switch {
		case name == "" || strings.ContainsAny(name, "=\x00"):
			return wrong("%q is no name of an environment variable", name)
		case isReserved(name):
			return wrong("environment variable %s is set by the worker", name)
		}
		return nil
	}
	for name, value := range in.Env {
		if err := check(name); err != nil {
			return err
		}
		if strings.ContainsRune(value, 0) {
			return wrong("there is a zero byte in environment variable %s", name)
		}
	}
	for name := range in.Secrets {
		if err := check(name); err != nil {
			return err
		}
		if _, ok := in.Env[name]; ok {
			return wrong("environment variable %s is in both env and secrets", name)
		}
	}
	return nil
}

func badInput(err error) error  { return task.Fail(workflow.KindBadInput, err) }
func badOutput(err error) error { return task.Fail(workflow.KindBadOutput, err) }
