// Package survey looks at the source of one Go package: how much there is, its
// longest functions, what it exports without documentation, what it imports.
//
// It reads files and nothing else, for all platforms at once, so that the same
// source gives the same result on every machine.
package survey

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// What a [Package] has room for: it is the output of a task, of which several
// hundred are put together later.
const (
	MaxLongest = 5
	MaxNames   = 40
)

// Package is what was found in a package.
type Package struct {
	Path string `json:"path"`
	// Synopsis is the first sentence of its documentation.
	Synopsis string `json:"synopsis,omitempty"`
	Files    int    `json:"files"`
	Lines    int    `json:"lines"`
	// Functions counts functions and methods.
	Functions int `json:"functions"`
	// Longest are at most [MaxLongest] functions, the longest first.
	Longest []Function `json:"longest"`
	// Exported counts exported names, and Undocumented those without a comment
	// in any file. Names are the first [MaxNames] of these, sorted.
	Exported     int      `json:"exported"`
	Undocumented int      `json:"undocumented"`
	Names        []string `json:"undocumented_names"`
	// Imports are sorted.
	Imports []string `json:"imports"`
}

// Function is a function or method.
type Function struct {
	Name  string `json:"name"` // Type.Method for methods
	File  string `json:"file"` // inside the package
	Line  int    `json:"line"`
	Lines int    `json:"lines"`
}

// List returns the import paths of the packages below a folder of source, sorted.
// It leaves out commands, copies of other modules' packages, and test data.
func List(source string) ([]string, error) {
	var paths []string
	err := fs.WalkDir(os.DirFS(source), ".", func(dir string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case !entry.IsDir() || dir == ".":
			return nil
		case leftOut(dir, entry.Name()):
			return fs.SkipDir
		}
		files, err := parseFolder(source, dir, parser.PackageClauseOnly)
		if err == nil && len(files.all) > 0 {
			paths = append(paths, dir)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("list packages below %s: %w", source, err)
	}
	slices.Sort(paths)
	return paths, nil
}

func leftOut(dir, name string) bool {
	return dir == "cmd" || name == "vendor" || name == "testdata" || strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".")
}

// Of surveys the package with this import path. The error says that a file could
// not be read or, wrapping [ErrSource], that it is not Go.
func Of(source, importPath string) (Package, error) {
	p := Package{Path: importPath, Longest: []Function{}, Names: []string{}, Imports: []string{}}
	files, err := parseFolder(source, importPath, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return p, fmt.Errorf("survey package %s: %w", importPath, err)
	}
	names := exports{}
	for _, f := range files.all {
		p.Files++
		p.Lines += files.set.File(f.Package).LineCount()
		if s := synopsis(f); p.Synopsis == "" {
			p.Synopsis = s
		}
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err == nil && imported != "C" {
				p.Imports = append(p.Imports, imported)
			}
		}
		for _, decl := range f.Decls {
			names.add(decl)
			if fn, ok := decl.(*ast.FuncDecl); ok {
				p.Longest = append(p.Longest, files.function(fn))
			}
		}
	}
	slices.Sort(p.Imports)
	p.Imports = slices.Compact(p.Imports)
	p.Functions = len(p.Longest)
	slices.SortFunc(p.Longest, func(a, b Function) int {
		return cmp.Or(cmp.Compare(b.Lines, a.Lines), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line))
	})
	p.Longest = slices.Clone(p.Longest[:min(len(p.Longest), MaxLongest)])
	undocumented := names.undocumented()
	p.Exported, p.Undocumented = len(names), len(undocumented)
	p.Names = append(p.Names, undocumented[:min(len(undocumented), MaxNames)]...)
	return p, nil
}

// ErrSource is that a file does not parse.
var ErrSource = errors.New("source that is not Go")

// folder is the parsed files of a package.
type folder struct {
	set *token.FileSet
	all []*ast.File // by name
}

// parseFolder parses the files of a package, without tests and without programs
// that lie beside it to generate code.
func parseFolder(source, importPath string, mode parser.Mode) (folder, error) {
	f := folder{set: token.NewFileSet()}
	dir := filepath.Join(source, filepath.FromSlash(importPath))
	entries, err := os.ReadDir(dir) // sorted
	if err != nil {
		return f, err
	}
	for _, entry := range entries {
		name := entry.Name()
		if entry.IsDir() || path.Ext(name) != ".go" || strings.HasSuffix(name, "_test.go") || name[0] == '_' || name[0] == '.' {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return f, err
		}
		file, err := parser.ParseFile(f.set, name, text, mode)
		if err != nil {
			return f, fmt.Errorf("%w: %w", ErrSource, err)
		}
		if file.Name.Name != "main" && file.Name.Name != "documentation" {
			f.all = append(f.all, file)
		}
	}
	return f, nil
}

func (f folder) function(decl *ast.FuncDecl) Function {
	from, to := f.set.Position(decl.Pos()), f.set.Position(decl.End())
	return Function{Name: funcName(decl), File: from.Filename, Line: from.Line, Lines: to.Line - from.Line + 1}
}

func synopsis(f *ast.File) string {
	if f.Doc == nil {
		return ""
	}
	return new(doc.Package).Synopsis(f.Doc.Text())
}
