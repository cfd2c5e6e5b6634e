package main

import (
	"bufio"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// row is a line of the catalogue.
type row struct {
	name  string // of the mutation
	dir   string // of the package, from the module's root, with a leading ./
	tests string // as for go test -run
	line  int
}

// readNames returns the values of all constants of type Name in a Go file.
func readNames(path string) ([]string, error) {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
	if err != nil {
		return nil, fmt.Errorf("read names: %w", err)
	}
	var names []string
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Name" {
			return false
		}
		for _, v := range spec.Values {
			if lit, ok := v.(*ast.BasicLit); ok {
				if name, unquoteErr := strconv.Unquote(lit.Value); unquoteErr == nil {
					names = append(names, name)
				}
			}
		}
		return false
	})
	return names, nil
}

// readCatalog returns the rows of the catalogue in its order.
func readCatalog(path string) ([]row, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read catalogue: %w", err)
	}
	defer file.Close()
	var (
		rows []row
		errs []error
	)
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		fields := strings.Fields(text)
		if len(fields) != 3 {
			errs = append(errs, fmt.Errorf("%s:%d: want name, package and tests, got %d fields", path, n, len(fields)))
			continue
		}
		if _, err := regexp.Compile(fields[2]); err != nil {
			errs = append(errs, fmt.Errorf("%s:%d: %w", path, n, err))
			continue
		}
		dir := "./" + strings.TrimPrefix(fields[1], "./")
		rows = append(rows, row{name: fields[0], dir: dir, tests: fields[2], line: n})
	}
	return rows, errors.Join(append(errs, lines.Err())...)
}

// covered fails unless each name has a row.
func covered(names []string, rows []row) error {
	var errs []error
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			errs = append(errs, fmt.Errorf("%s has no test in %s", name, catalogPath))
		}
	}
	return errors.Join(errs...)
}

// check fails if a row names a mutation or a package that does not exist.
func check(names []string, rows []row) error {
	var errs []error
	for _, r := range rows {
		if !slices.Contains(names, r.name) {
			errs = append(errs, fmt.Errorf("%s:%d: no mutation is named %s", catalogPath, r.line, r.name))
		}
		if info, err := os.Stat(r.dir); err != nil || !info.IsDir() {
			errs = append(errs, fmt.Errorf("%s:%d: no package at %s", catalogPath, r.line, r.dir))
		}
	}
	return errors.Join(errs...)
}

// pick returns the rows of the given mutations; each must have one.
func pick(rows []row, names []string) ([]row, error) {
	for _, name := range names {
		if !slices.ContainsFunc(rows, func(r row) bool { return r.name == name }) {
			return nil, fmt.Errorf("%s has no row in %s", name, catalogPath)
		}
	}
	return slices.DeleteFunc(slices.Clone(rows), func(r row) bool { return !slices.Contains(names, r.name) }), nil
}

// share returns every nth row, starting with the kth. The n shares together
// have each row once.
func share(rows []row, part string) ([]row, error) {
	if part == "" {
		return rows, nil
	}
	ks, ns, _ := strings.Cut(part, "/")
	k, errK := strconv.Atoi(ks)
	n, errN := strconv.Atoi(ns)
	if errK != nil || errN != nil || k < 1 || k > n {
		return nil, fmt.Errorf("share %q is not k/n with k from 1 to n", part)
	}
	var mine []row
	for i := k - 1; i < len(rows); i += n {
		mine = append(mine, rows[i])
	}
	return mine, nil
}
