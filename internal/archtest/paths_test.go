package archtest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// machinePath matches the start of an absolute path in a home or work folder
// of the machine that a file was written on. It is put together from pieces so
// that this file does not match.
var machinePath = regexp.MustCompile(`(^|[\s"'` + "`" + `=:(,\[])/(` + strings.Join([]string{"work", "root", `home/[a-z]\w*`, `Users/[A-Za-z]\w*`}, "|") + `)/\w`)

func TestNoTrackedFileNamesAPathOfOneMachine(t *testing.T) {
	t.Parallel()
	if _, err := os.Stat(filepath.Join(root, ".git")); err != nil {
		t.Skip("not in a checkout, so there are no tracked files")
	}
	cmd := exec.Command("git", "ls-files", "-z")
	cmd.Dir = root
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("git ls-files: %v", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		data, err := os.ReadFile(filepath.Join(root, name))
		if err != nil || bytes.IndexByte(data, 0) >= 0 {
			continue // deleted, a link to a folder, or not text
		}
		for i, line := range strings.Split(string(data), "\n") {
			if machinePath.MatchString(line) {
				t.Errorf("%s:%d: names a path of one machine: %.120s", name, i+1, strings.TrimSpace(line))
			}
		}
	}
}

func TestThePathCheckTellsMachinePathsFromOthers(t *testing.T) {
	t.Parallel()
	for line, want := range map[string]bool{
		"cd /wo" + "rk/main":               true,
		`dir := "/ro` + `ot/go/pkg"`:       true,
		"see file=/ho" + "me/anna/x":       true,
		"keys /grapnel/default/worker/w1/": false,
		"a/work/b and team/root/x":         false,
		"GET /work":                        false,
	} {
		if got := machinePath.MatchString(line); got != want {
			t.Errorf("%q: matches = %v, want %v", line, got, want)
		}
	}
}
