// Package scaffold writes small projects to begin with: a workflow in Go with a
// worker and a test, or one in YAML.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"github.com/grapnel-dev/grapnel"
)

//go:embed templates
var templates embed.FS

// ending is what the names of templates end with; without it go would take them
// for parts of this module.
const ending = ".tmpl"

// Project says what to write.
type Project struct {
	// Dir is the folder, which is made if it is not there.
	Dir string
	// Module is the Go module's path; empty means the name of the folder.
	Module string
	// Version is the version of Grapnel that a Go project requires. One that
	// cannot be required, such as that of a build from changed sources, is left
	// to "go mod tidy".
	Version string
	// YAML asks for a workflow in YAML instead of one in Go.
	YAML bool
}

// InTheWayError names files that are there already. It is [grapnel.ErrInvalid].
type InTheWayError struct {
	Dir   string
	Files []string
}

func (e *InTheWayError) Error() string {
	are := "is"
	if len(e.Files) > 1 {
		are = "are"
	}
	return fmt.Sprintf("%s %s already in %s; nothing was written, choose another folder", strings.Join(e.Files, ", "), are, e.Dir)
}

// Is reports whether target is [grapnel.ErrInvalid].
func (e *InTheWayError) Is(target error) bool { return target == grapnel.ErrInvalid }

// file is one to be written.
type file struct {
	name string
	data []byte
}

// Write writes the project and returns the names of its files. It overwrites
// nothing: if one of the files is there, the error is an *[InTheWayError] and
// nothing is written. A module path that Go would refuse is
// [grapnel.ErrInvalid].
func (p Project) Write() ([]string, error) {
	files, err := p.files()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(p.Dir, 0o755); err != nil {
		return nil, fmt.Errorf("make the folder: %w", err)
	}
	way := &InTheWayError{Dir: p.Dir}
	for _, f := range files {
		if _, err := os.Lstat(filepath.Join(p.Dir, f.name)); err == nil {
			way.Files = append(way.Files, f.name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	if len(way.Files) > 0 {
		return nil, way
	}
	var names []string
	for _, f := range files {
		if err := create(filepath.Join(p.Dir, f.name), f.data); err != nil {
			return names, err
		}
		names = append(names, f.name)
	}
	return names, nil
}

// create writes a file that must not be there, also if it was not a moment ago.
func create(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}

// files returns what the project consists of.
func (p Project) files() ([]file, error) {
	abs, err := filepath.Abs(p.Dir)
	if err != nil {
		return nil, fmt.Errorf("folder %q: %w", p.Dir, err)
	}
	if p.Module == "" {
		p.Module = word(filepath.Base(abs))
	}
	if err := module.CheckImportPath(p.Module); err != nil {
		return nil, fmt.Errorf("%w: module: %w", grapnel.ErrInvalid, err)
	}
	if !requirable(p.Version) {
		p.Version = ""
	}
	data := struct{ Module, Name, Version string }{p.Module, word(path.Base(p.Module)), p.Version}
	kind := "go"
	if p.YAML {
		kind = "yaml"
	}
	set, err := template.ParseFS(templates, path.Join("templates", kind, "*"+ending))
	if err != nil {
		return nil, err
	}
	var files []file
	for _, t := range set.Templates() {
		var out bytes.Buffer
		if err := t.Execute(&out, data); err != nil {
			return nil, err
		}
		name := strings.TrimSuffix(t.Name(), ending)
		if name == "gitignore" { // which git would obey here
			name = ".gitignore"
		}
		files = append(files, file{name, out.Bytes()})
	}
	slices.SortFunc(files, func(a, b file) int { return strings.Compare(a.name, b.name) })
	return files, nil
}

// requirable reports whether a go.mod can ask for this version.
func requirable(version string) bool {
	return semver.IsValid(version) && semver.Build(version) == ""
}

// word makes a name of what may be any: letters, digits, dots, dashes and
// underscores, with a letter in front.
func word(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '-'
	}, s)
	s = strings.TrimLeft(s, "-_.0123456789")
	s = strings.TrimRight(s, "-_.")
	if s == "" {
		return "flow"
	}
	return s
}
