//go:build linux

package commandtask

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/internal/secret"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestTheContractNamesItsTypes(t *testing.T) {
	t.Parallel()
	in, out := Task.Types()
	if err := Task.Err(); err != nil || in != "commandtask.Input" || out != "commandtask.Output" || Task.Name() != "grapnel.command" {
		t.Errorf("task %s takes %s and returns %s, %v", Task.Name(), in, out, err)
	}
}

func TestACommandsOutputsAreTakenInTheFormWanted(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	for name, tt := range map[string]struct{ in, want string }{
		"argv":           {`{"argv": ["printf", "%s|", "a b", "$HOME"]}`, `{"exit_code":0,"stdout":"a b|$HOME|"}`},
		"shell":          {`{"shell": "x=1; echo $((x+1)) <&-; echo oops >&2"}`, `{"exit_code":0,"stdout":"2\n"}`},
		"stdin":          {`{"argv": ["/bin/cat"], "stdin": "<käse>"}`, `{"exit_code":0,"stdout":"<käse>"}`},
		"nobody reads":   {`{"argv": ["true"], "stdin": "` + strings.Repeat("x", 60_000) + `"}`, `{"exit_code":0,"stdout":""}`},
		"JSON":           {`{"shell": "echo '{\"n\": 1.50,'; echo ' \"b\": [ ]}'", "stdout": "json"}`, `{"exit_code":0,"stdout":{"n":1.50,"b":[]}}`},
		"none":           {`{"shell": "head -c 200000 /dev/zero", "stdout": "none"}`, `{"exit_code":0}`},
		"not UTF-8":      {`{"shell": "printf 'a\\377b'"}`, `{"exit_code":0,"stdout":"a` + "\uFFFD" + `b"}`},
		"empty folder":   {`{"shell": "ls -A; cd \"$TMPDIR\"; ls -A"}`, `{"exit_code":0,"stdout":""}`},
		"other folder":   {`{"shell": "pwd; echo $PWD", "dir": "/usr/bin"}`, `{"exit_code":0,"stdout":"/usr/bin\n/usr/bin\n"}`},
		"files":          {`{"shell": "mkdir a; echo hi >a/t; echo '[1, 2]' >j; ln -s a/t l", "files": {"t": {"path": "l"}, "j": {"path": "./j", "as": "json"}}}`, `{"exit_code":0,"stdout":"","files":{"j":[1,2],"t":"hi\n"}}`},
		"as long as can": {`{"shell": "head -c 65500 /dev/zero | tr '\\0' x"}`, `{"exit_code":0,"stdout":"` + strings.Repeat("x", 65500) + `"}`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var in Input
			if err := json.Unmarshal([]byte(tt.in), &in); err != nil {
				t.Fatal(err)
			}
			out, err := r.Run(attemptOf(t.Context(), &beats{}), in)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := workflow.Encode(out); err != nil || string(got) != tt.want {
				t.Errorf("%.300s, %v\nwant %.300s", got, err, tt.want)
			}
		})
	}
}

func TestCommandsThatCannotSucceedSayWhy(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	dir := shortDir(t)
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), mode); err != nil {
			t.Fatal(err)
		}
		return path
	}
	plain := write("plain", "", 0o600)
	lost := write("lost", "#!/nowhere/sh\n", 0o700)
	odd := write("odd", "\x00\x01", 0o700)
	for name, tt := range map[string]struct {
		in        Input
		kind      string
		permanent bool
		texts     []string
	}{
		"nothing":           {Input{}, workflow.KindBadInput, true, []string{"neither argv nor shell"}},
		"both":              {Input{Argv: []string{"a"}, Shell: "b"}, workflow.KindBadInput, true, []string{"both argv and shell"}},
		"empty name":        {Input{Argv: []string{""}}, workflow.KindBadInput, true, []string{"empty string"}},
		"zero byte":         {Input{Argv: []string{"echo", "a\x00"}}, workflow.KindBadInput, true, []string{"zero byte"}},
		"zero byte in env":  {Input{Shell: "x", Env: map[string]string{"A": "\x00"}}, workflow.KindBadInput, true, []string{"zero byte in environment variable A"}},
		"bad variable":      {Input{Shell: "x", Env: map[string]string{"A=B": ""}}, workflow.KindBadInput, true, []string{`"A=B"`}},
		"reserved":          {Input{Shell: "x", Env: map[string]string{"GRAPNEL_FENCE": "1"}}, workflow.KindBadInput, true, []string{"GRAPNEL_FENCE is set by the worker"}},
		"twice":             {Input{Shell: "x", Env: map[string]string{"A": ""}, Secrets: map[string]secret.Secret{"A": {Env: "B"}}}, workflow.KindBadInput, true, []string{"both env and secrets"}},
		"bad form":          {Input{Shell: "x", Stdout: "xml"}, workflow.KindBadInput, true, []string{`"xml"`}},
		"file outside":      {Input{Shell: "x", Files: map[string]File{"f": {Path: "../f"}}}, workflow.KindBadInput, true, []string{"file f", "../f"}},
		"absolute file":     {Input{Shell: "x", Files: map[string]File{"f": {Path: "/etc/passwd"}}}, workflow.KindBadInput, true, []string{"/etc/passwd"}},
		"bad form of file":  {Input{Shell: "x", Files: map[string]File{"f": {Path: "f", As: "none"}}}, workflow.KindBadInput, true, []string{`"none"`}},
		"too long":          {Input{Argv: []string{"echo", strings.Repeat("x", 200_000)}}, workflow.KindBadInput, true, []string{"longer than the system allows"}},
		"not there":         {Input{Argv: []string{"no-such-command"}}, KindNotStarted, true, []string{`command "no-such-command" is in no folder of the PATH `}},
		"path not there":    {Input{Argv: []string{"./none"}}, KindNotStarted, true, []string{`"./none"`, "no such file"}},
		"other PATH":        {Input{Argv: []string{"ls"}, Env: map[string]string{"PATH": "/nowhere:."}}, KindNotStarted, true, []string{"PATH /nowhere:."}},
		"not executable":    {Input{Argv: []string{plain}}, KindNotStarted, true, []string{"is not executable"}},
		"in PATH, not exec": {Input{Argv: []string{"plain"}, Env: map[string]string{"PATH": dir}}, KindNotStarted, true, []string{"is not executable"}},
		"a folder":          {Input{Argv: []string{dir}}, KindNotStarted, true, []string{"is a folder"}},
		"no interpreter":    {Input{Argv: []string{lost}}, KindNotStarted, true, []string{"interpreter"}},
		"no program":        {Input{Argv: []string{odd}}, KindNotStarted, true, []string{"exec format error"}},
		"no folder":         {Input{Argv: []string{"true"}, Dir: "sub"}, KindNotStarted, true, []string{"the command's folder", "no such file"}},
		"folder is a file":  {Input{Argv: []string{"true"}, Dir: plain}, KindNotStarted, true, []string{"not a folder"}},
		"exit code":         {Input{Shell: "echo out; echo first >&2; echo ' last one\x1b[31m' >&2; exit 3"}, KindExit, false, []string{"exit code 3; the end of standard error:\nfirst\n last one[31m"}},
		"exit code alone":   {Input{Argv: []string{"false"}}, KindExit, false, []string{"exit code 1"}},
		"stops at mistakes": {Input{Shell: "false; echo no"}, KindExit, false, []string{"exit code 1"}},
		"unset variable":    {Input{Shell: "echo $NOT_SET"}, KindExit, false, []string{"NOT_SET"}},
		"signal":            {Input{Shell: "kill -SEGV $$"}, KindExit, false, []string{"ended by signal SIGSEGV"}},
		"bad JSON":          {Input{Shell: "printf '{\"a\": 1,\\n  ä}'", Stdout: "json"}, workflow.KindBadOutput, true, []string{"standard output is not JSON: line 2, column 3"}},
		"no JSON":           {Input{Shell: "echo", Stdout: "json"}, workflow.KindBadOutput, true, []string{"it is empty"}},
		"too much":          {Input{Shell: "yes"}, workflow.KindTooLarge, true, []string{"standard output has more than 65536 bytes", "write it to a file"}},
		"too much at last":  {Input{Shell: "head -c 65537 /dev/zero"}, workflow.KindTooLarge, true, []string{"65536"}},
		"too much as JSON":  {Input{Shell: "head -c 20000 /dev/zero"}, workflow.KindTooLarge, true, []string{"encoded as JSON"}},
		"no file":           {Input{Shell: "true", Files: map[string]File{"f": {Path: "f"}}}, workflow.KindBadOutput, true, []string{"file f (f)", "no such file"}},
		"link outside":      {Input{Shell: "ln -s /etc/passwd f", Files: map[string]File{"f": {Path: "f"}}}, workflow.KindBadOutput, true, []string{"file f (f)", "escapes"}},
		"folder outside":    {Input{Shell: "ln -s /etc d", Files: map[string]File{"f": {Path: "d/passwd"}}}, workflow.KindBadOutput, true, []string{"escapes"}},
		"pipe":              {Input{Shell: "mkfifo f", Files: map[string]File{"f": {Path: "f"}}}, workflow.KindBadOutput, true, []string{"not a regular file"}},
		"folder as file":    {Input{Shell: "mkdir f", Files: map[string]File{"f": {Path: "f"}}}, workflow.KindBadOutput, true, []string{"not a regular file"}},
		"file too large":    {Input{Shell: "head -c 65537 /dev/zero >f", Files: map[string]File{"f": {Path: "f"}}}, workflow.KindTooLarge, true, []string{"file f (f) has more than 65536 bytes"}},
		"file no JSON":      {Input{Shell: "echo '[1' >f", Files: map[string]File{"f": {Path: "f", As: "json"}}}, workflow.KindBadOutput, true, []string{"file f (f) is not JSON: line "}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := r.Run(attemptOf(t.Context(), &beats{}), tt.in)
			if err == nil {
				t.Fatalf("it returned %+v", out)
			}
			wantFailure(t, err, tt.kind, tt.permanent, tt.texts...)
		})
	}
}

func TestOnlyTheEndOfStandardErrorIsTold(t *testing.T) {
	t.Parallel()
	r := open(t, Config{})
	_, err := r.Run(attemptOf(t.Context(), &beats{}), Input{Shell: "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); echo \"line $i ü\" >&2; done; exit 9"})
	f := failureOf(t, err)
	if !strings.HasSuffix(f.Message, "line 2999 ü\nline 3000 ü") || !strings.HasPrefix(f.Message, "exit code 9; the end of standard error:\n… line ") {
		t.Errorf("%q", f.Message)
	}
	if len(f.Message) > workflow.MaxFailureText || len(f.Message) < workflow.MaxFailureText/2 {
		t.Errorf("it has %d bytes", len(f.Message))
	}
}

func TestACommandKnowsWhoItIsAndNothingElseOfTheWorker(t *testing.T) {
	t.Setenv("GRAPNEL_TEST_HIDDEN", "hidden")
	t.Setenv("GRAPNEL_TEST_PASSED", "passed")
	t.Setenv("GRAPNEL_PASSWORD", "of etcd")
	t.Setenv("LANG", "de_DE.UTF-8")
	t.Setenv("HOME", "/home-of-tests")
	t.Setenv("TZ", "")
	r := open(t, Config{PassEnv: []string{"GRAPNEL_TEST_PASSED", "GRAPNEL_TEST_NOT_SET"}})
	out, err := r.Run(attemptOf(t.Context(), &beats{}), Input{Argv: []string{"env"}, Env: map[string]string{"A": "1", "HOME": "/other"}})
	if err != nil {
		t.Fatal(err)
	}
	var text string
	if err := json.Unmarshal(out.Stdout, &text); err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for line := range strings.Lines(text) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		got[name] = value
	}
	if !strings.HasPrefix(got["TMPDIR"], r.place.dir) || !strings.HasPrefix(got["PWD"], r.place.dir) || !strings.Contains(got["GRAPNEL_HEARTBEAT"], "@"+r.place.dir) {
		t.Errorf("its folders are %q", got)
	}
	for _, name := range []string{"TMPDIR", "PWD", "GRAPNEL_HEARTBEAT"} {
		delete(got, name)
	}
	want := map[string]string{
		"PATH": os.Getenv("PATH"), "HOME": "/other", "LANG": "de_DE.UTF-8", "TZ": "", "A": "1", "GRAPNEL_TEST_PASSED": "passed",
		"GRAPNEL_RUN_ID": "run 1", "GRAPNEL_WORKFLOW": "media", "GRAPNEL_NODE": "resize", "GRAPNEL_NODE_KEY": "7",
		"GRAPNEL_ATTEMPT": "2", "GRAPNEL_FENCE": "99", "GRAPNEL_IDEMPOTENCY_KEY": "run%201/5/7",
	}
	for name, v := range want {
		if w, ok := got[name]; !ok || w != v {
			t.Errorf("%s is %q, want %q", name, w, v)
		}
		delete(got, name)
	}
	if len(got) > 0 {
		t.Errorf("it also knows %q", got)
	}
}

func TestSecretsGetInAndNotOut(t *testing.T) {
	t.Setenv("GRAPNEL_TEST_TOKEN", "s3cr3t-t0ken")
	dir := shortDir(t)
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte("begin of k3y\nend of k3y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r := open(t, Config{Secrets: secret.Policy{Env: []string{"GRAPNEL_TEST_TOKEN"}, Dirs: []string{dir}}})
	secrets := map[string]secret.Secret{"TOKEN": {Env: "GRAPNEL_TEST_TOKEN"}, "KEY": {File: filepath.Join(dir, "key")}}
	heard := &beats{}
	run := func(shell, form string, files map[string]File) string {
		t.Helper()
		out, err := r.Run(attemptOf(t.Context(), heard), Input{Shell: shell, Secrets: secrets, Stdout: form, Files: files})
		if err != nil {
			return err.Error()
		}
		data, err := workflow.Encode(out)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	if got := run(`[ "$TOKEN" = s3cr3t-t0ken ] && echo "$KEY" | wc -l`, "", nil); got != `{"exit_code":0,"stdout":"2\n"}` {
		t.Errorf("the command got something else: %s", got)
	}
	for name, got := range map[string]string{
		"text":   run(`echo "a $TOKEN b $KEY"`, "", nil),
		"JSON":   run(`printf '{"a": "%s"}' "$TOKEN"`, "json", nil),
		"base64": run(`printf "user:$TOKEN" | base64`, "", nil),
		"file":   run(`echo "$TOKEN" >f`, "none", map[string]File{"f": {Path: "f"}}),
		"error":  run(`i=0; while [ $i -lt 900 ]; do i=$((i+1)); printf "%s$TOKEN" "$i" >&2; done; echo "$KEY" >&2; exit 1`, "", nil),
		"bad":    run(`printf '{%s' "$TOKEN"`, "json", nil),
	} {
		if strings.Contains(got, "s3cr3t") || strings.Contains(got, "t0ken") || strings.Contains(got, "k3y") || strings.Contains(got, "czNjcjN0") {
			t.Errorf("%s: a secret got out: %s", name, got)
		}
		if name != "bad" && !strings.Contains(got, secret.Mask) {
			t.Errorf("%s: %s", name, got)
		}
	}
	for name, tt := range map[string]secret.Secret{
		"--secret-env OTHER": {Env: "OTHER"}, "no such file": {File: filepath.Join(dir, "none")},
	} {
		_, err := r.Run(attemptOf(t.Context(), heard), Input{Shell: "true", Secrets: map[string]secret.Secret{"X": tt}})
		wantFailure(t, err, KindSecret, true, "environment variable X", name)
	}
}

func TestPayloadsOfAFullOutputFit(t *testing.T) {
	t.Parallel()
	// The limit of a text leaves no room for its quotation marks.
	r := open(t, Config{})
	_, err := r.Run(attemptOf(t.Context(), &beats{}), Input{Shell: "head -c 65536 /dev/zero | tr '\\0' x"})
	wantFailure(t, err, workflow.KindTooLarge, true, "grapnel.MaxPayload")
	if grapnel.MaxPayload != 65536 {
		t.Error("the numbers in these tests are of another limit")
	}
}
