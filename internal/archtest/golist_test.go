package archtest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

const (
	module = "github.com/grapnel-dev/grapnel"
	root   = "../.." // of the module, from here
)

// pkg is what go list says about a package.
type pkg struct {
	ImportPath   string
	Standard     bool
	Module       *struct{ Path string }
	Imports      []string // of the code
	TestImports  []string // of tests inside the package
	XTestImports []string // of tests beside the package
	Deps         []string // of the code, all of them
}

// place is the package's path inside the module, "." for the root, and whether
// it is in the module at all.
func place(importPath string) (string, bool) {
	if importPath == module {
		return ".", true
	}
	return strings.CutPrefix(importPath, module+"/")
}

// list has each package of the module and each that one of them depends on, by
// import path.
var list = sync.OnceValues(func() (map[string]pkg, error) {
	// -e: a package that does not compile is the compiler's to report, and its
	// imports are known all the same.
	if err := touchFolders(root); err != nil {
		return nil, err
	}
	cmd := exec.Command("go", "list", "-e", "-deps",
		"-json=ImportPath,Standard,Module,Imports,TestImports,XTestImports,Deps", "./...")
	cmd.Dir = root
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, errors.Join(err, errors.New(stderr.String()))
	}
	pkgs := map[string]pkg{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		switch err := dec.Decode(&p); {
		case errors.Is(err, io.EOF):
			return pkgs, nil
		case err != nil:
			return nil, err
		}
		pkgs[p.ImportPath] = p
	}
})

// packages returns list's result, and the part of it that is ours by place.
func packages(t *testing.T) (all, ours map[string]pkg) {
	t.Helper()
	all, err := list()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	ours = map[string]pkg{}
	for path, p := range all {
		if at, ok := place(path); ok {
			ours[at] = p
		}
	}
	if _, ok := ours["."]; !ok {
		t.Fatal("go list does not know the root package")
	}
	return all, ours
}

// below reports whether path is prefix or in a folder below it.
func below(path, prefix string) bool {
	return path == prefix || strings.HasPrefix(path, prefix+"/")
}

// touchFolders reads all folders of the module. The go command repeats a test
// whose result it has kept only if something has changed that the test itself
// read; what go list reads does not count.
func touchFolders(top string) error {
	return filepath.WalkDir(top, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == ".git" || path == filepath.Join(top, "bin")) {
			return fs.SkipDir
		}
		return err
	})
}
