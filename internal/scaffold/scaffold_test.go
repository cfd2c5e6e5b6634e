package scaffold_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/scaffold"
)

// command runs a command in a folder, with these additions to the environment,
// and returns what it printed.
func command(t *testing.T, dir string, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func TestAProjectInGoCompilesAndPassesItsTestsAgainstThisTree(t *testing.T) {
	t.Parallel()
	tree, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "shop")
	p := scaffold.Project{Dir: dir, Module: "example.com/shop", Version: "v0.1.0"}
	names, err := p.Write()
	if err != nil {
		t.Fatal(err)
	}
	want := []string{".gitignore", "README.md", "go.mod", "main.go", "workflow.go", "workflow_test.go"}
	if slices.Sort(names); !slices.Equal(names, want) {
		t.Errorf("wrote %v, want %v", names, want)
	}
	if mod := read(t, filepath.Join(dir, "go.mod")); !strings.Contains(mod, "require github.com/grapnel-dev/grapnel v0.1.0\n") {
		t.Errorf("go.mod is %s", mod)
	}

	// A workspace stands for the version that go.mod asks for.
	work := filepath.Join(t.TempDir(), "go.work")
	env := []string{"GOWORK=" + work, "GOPROXY=off", "GOFLAGS=-mod=readonly"}
	_, after, _ := strings.Cut(read(t, filepath.Join(tree, "go.mod")), "\ngo ")
	version, _, _ := strings.Cut(after, "\n")
	text := "go " + version + "\n\nuse (\n\t" + dir + "\n\t" + tree + "\n)\n\nreplace github.com/grapnel-dev/grapnel v0.1.0 => " + tree + "\n"
	if err := os.WriteFile(work, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, dir, env, "go", "build", "-o", os.DevNull, ".")
	command(t, dir, env, "go", "vet", ".")
	if out := command(t, dir, env, "go", "test", "-v", "-count=1", "."); strings.Count(out, "--- PASS") != 2 {
		t.Errorf("the project's tests said\n%s", out)
	}
	if out := command(t, dir, nil, "gofmt", "-l", "."); out != "" {
		t.Errorf("gofmt would change %s", out)
	}
}

func TestNothingIsOverwritten(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	mine := filepath.Join(dir, "main.go")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("nowhere", filepath.Join(dir, "go.mod")); err != nil {
		t.Fatal(err)
	}
	_, err := scaffold.Project{Dir: dir, Module: "shop"}.Write()
	way, ok := errors.AsType[*scaffold.InTheWayError](err)
	if slices.Sort(wayFiles(way)); !ok || !errors.Is(err, grapnel.ErrInvalid) || !slices.Equal(way.Files, []string{"go.mod", "main.go"}) {
		t.Errorf("Write returned %v", err)
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 2 || read(t, mine) != "mine" {
		t.Errorf("the folder has %v, %v", left, err)
	}
}

func wayFiles(e *scaffold.InTheWayError) []string {
	if e == nil {
		return nil
	}
	return e.Files
}

func TestNamesComeFromTheFolder(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ folder, module, name string }{
		{"shop", "shop", "shop"},
		{"My Shop!", "My-Shop", "My-Shop"},
		{"42", "flow", "flow"},
		{".shop", "shop", "shop"},
	} {
		dir := filepath.Join(t.TempDir(), tt.folder)
		if _, err := (scaffold.Project{Dir: dir, Version: "(devel)"}).Write(); err != nil {
			t.Fatal(err)
		}
		mod := read(t, filepath.Join(dir, "go.mod"))
		if !strings.HasPrefix(mod, "module "+tt.module+"\n") || strings.Contains(mod, "require") {
			t.Errorf("in %q go.mod is %s", tt.folder, mod)
		}
		if ignore := read(t, filepath.Join(dir, ".gitignore")); !strings.HasPrefix(ignore, "/"+tt.name+"\n") {
			t.Errorf("in %q .gitignore is %s", tt.folder, ignore)
		}
	}
}

func TestAModuleThatGoWouldRefuseIsRefused(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "p")
	for _, module := range []string{"a b", "/a", "a//b", "example.com/…"} {
		if _, err := (scaffold.Project{Dir: dir, Module: module}).Write(); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("module %q: Write returned %v", module, err)
		}
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("the folder was made all the same")
	}
}

func TestAReadmeIsShort(t *testing.T) {
	t.Parallel()
	for _, yaml := range []bool{false, true} {
		dir := t.TempDir()
		if _, err := (scaffold.Project{Dir: dir, Module: "example.com/shop", YAML: yaml}).Write(); err != nil {
			t.Fatal(err)
		}
		readme := read(t, filepath.Join(dir, "README.md"))
		if lines := strings.Count(readme, "\n"); lines > 12 || !strings.HasPrefix(readme, "# shop\n") || bytes.Contains([]byte(readme), []byte("{{")) {
			t.Errorf("README.md has %d lines:\n%s", lines, readme)
		}
	}
}

func read(t *testing.T, name string) string {
	t.Helper()
	data, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
