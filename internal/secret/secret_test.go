package secret

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
)

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestSecretsComeFromWhatIsAllowed(t *testing.T) {
	t.Setenv("GRAPNEL_TEST_TOKEN", "hunter22")
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "token"), "hunter23\r\n")
	if err := os.Symlink(file, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		policy Policy
		secret Secret
		want   string
	}{
		{Policy{Env: []string{"GRAPNEL_TEST_TOKEN"}}, Secret{Env: "GRAPNEL_TEST_TOKEN"}, "hunter22"},
		{Policy{Env: []string{AnyName}}, Secret{Env: "GRAPNEL_TEST_TOKEN"}, "hunter22"},
		{Policy{Dirs: []string{dir}}, Secret{File: file}, "hunter23"},
		{Policy{Dirs: []string{dir}}, Secret{File: filepath.Join(dir, "link")}, "hunter23"},
		{Policy{Dirs: []string{"/"}}, Secret{File: file}, "hunter23"},
	} {
		if err := tt.policy.Check(); err != nil {
			t.Errorf("%+v: %v", tt.policy, err)
		}
		if got, err := tt.policy.Resolve(tt.secret); err != nil || got != tt.want {
			t.Errorf("%+v resolves %v to %q, %v", tt.policy, tt.secret, got, err)
		}
	}
}

func TestSecretsThatAreNotAllowedOrNotThereAreRefusedWithAReason(t *testing.T) {
	t.Setenv("GRAPNEL_TEST_SHORT", "abc")
	t.Setenv("GRAPNEL_TEST_TOKEN", "hunter22")
	dir, elsewhere := t.TempDir(), t.TempDir()
	outside := write(t, filepath.Join(elsewhere, "token"), "hunter23")
	write(t, filepath.Join(dir, "long"), strings.Repeat("x", MaxLength+1))
	write(t, filepath.Join(dir, "zero"), "abc\x00def")
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	some := Policy{Env: []string{"GRAPNEL_TEST_SHORT", "GRAPNEL_TEST_UNSET"}, Dirs: []string{dir}}
	for _, tt := range []struct {
		policy Policy
		secret Secret
		want   string
	}{
		{some, Secret{}, "neither env nor file"},
		{some, Secret{Env: "A", File: "/b"}, "both env and file"},
		{Policy{}, Secret{Env: "GRAPNEL_TEST_TOKEN"}, "--secret-env GRAPNEL_TEST_TOKEN"},
		{some, Secret{Env: "GRAPNEL_TEST_TOKEN"}, "--secret-env GRAPNEL_TEST_TOKEN"},
		{some, Secret{Env: "GRAPNEL_TEST_UNSET"}, "environment variable GRAPNEL_TEST_UNSET is not set"},
		{some, Secret{Env: "GRAPNEL_TEST_SHORT"}, "a value of 3 bytes"},
		{Policy{}, Secret{File: outside}, "--secret-dir " + elsewhere},
		{some, Secret{File: "token"}, "must be absolute"},
		{some, Secret{File: outside}, "outside of the folders"},
		{some, Secret{File: filepath.Join(dir, "link")}, "outside of the folders"},
		{some, Secret{File: dir + "/../" + filepath.Base(elsewhere) + "/token"}, "outside of the folders"},
		{some, Secret{File: filepath.Join(elsewhere, "nothing")}, "outside of the folders"},
		{some, Secret{File: filepath.Join(dir, "nothing")}, "no such file"},
		{some, Secret{File: filepath.Join(dir, "long")}, "more than 65536 bytes"},
		{some, Secret{File: filepath.Join(dir, "zero")}, "zero byte"},
		{Policy{Dirs: []string{filepath.Dir(dir)}}, Secret{File: dir}, "not a regular file"},
	} {
		_, err := tt.policy.Resolve(tt.secret)
		if !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.secret, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "hunter") {
			t.Errorf("%v: the error tells the value: %v", tt.secret, err)
		}
	}
}

func TestAPolicyThatMeansNothingIsRefused(t *testing.T) {
	t.Parallel()
	file := write(t, filepath.Join(t.TempDir(), "f"), "x")
	for _, p := range []Policy{
		{Env: []string{""}}, {Env: []string{"A=B"}}, {Dirs: []string{file}}, {Dirs: []string{file + "/nowhere"}},
	} {
		if err := p.Check(); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%+v: %v", p, err)
		}
	}
}
