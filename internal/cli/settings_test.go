package cli

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
)

// settingsFile writes a file of settings and returns its path.
func settingsFile(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "settings.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// origins returns where the settings that are not defaults came from, as text.
func origins(s *Settings) string {
	var parts []string
	for _, s := range s.List {
		if s.Origin != FromDefault {
			parts = append(parts, s.Key+"="+s.Value+"("+string(s.Origin)+" "+filepath.Base(s.Place)+")")
		}
	}
	return strings.Join(parts, " ")
}

func TestAFlagGoesBeforeAVariableAndThatBeforeAFileAndThatBeforeTheDefault(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, `
namespace: from-file
endpoints: [a:1, "b:2"]
dial-timeout: 7s
user: from-file
`)
	c, fs := flags(t, "--namespace", "from-flag", "--config", file)
	found, err := loadSettings(fs, []string{
		"GRAPNEL_NAMESPACE=from-variable", "GRAPNEL_DIAL_TIMEOUT=9s", "GRAPNEL_USER=", "GRAPNEL_RUN_ID=x", "NAMESPACE=y",
	}, "")
	if err != nil {
		t.Fatal(err)
	}
	if c.Namespace != "from-flag" || strings.Join(c.Endpoints, " ") != "a:1 b:2" || c.DialTimeout.String() != "9s" || c.User != "from-file" || c.LogLevel != DefaultLogLevel {
		t.Errorf("settings are %+v", c)
	}
	want := "endpoints=a:1,b:2(file settings.yaml:3) namespace=from-flag(flag --namespace) user=from-file(file settings.yaml:5) dial-timeout=9s(variable GRAPNEL_DIAL_TIMEOUT)"
	if got := origins(found); got != want || found.File != file {
		t.Errorf("origins are\n%s\nof %s, want\n%s", got, found.File, want)
	}
}

func TestVariablesTakeListsAsFlagsDo(t *testing.T) {
	t.Parallel()
	c, fs := flags(t)
	if _, err := loadSettings(fs, []string{"GRAPNEL_ENDPOINTS=a:1,b:2"}, ""); err != nil || strings.Join(c.Endpoints, " ") != "a:1 b:2" {
		t.Errorf("endpoints are %q, %v", c.Endpoints, err)
	}
}

func TestARoleHasASectionOfItsOwn(t *testing.T) {
	t.Parallel()
	file := settingsFile(t, "worker:\n  slots: 3\n  queues: [cpu, gpu]\n  tags: big\ncoordinator:\n  ttl: 20s\n")
	fs := pflag.NewFlagSet("worker", pflag.ContinueOnError)
	var w Worker
	(&Connection{}).Register(fs, "info")
	w.Register(fs)
	found, err := loadSettings(fs, []string{"GRAPNEL_CONFIG=" + file, "GRAPNEL_WORKER_SLOTS=5", "GRAPNEL_COORDINATOR_SWEEP=1m"}, "nowhere")
	if err != nil {
		t.Fatal(err)
	}
	if w.Slots != 5 || strings.Join(w.Queues, " ") != "cpu gpu" || strings.Join(w.Tags, " ") != "big" || w.TTL.String() == "20s" {
		t.Errorf("the worker is %+v", w)
	}
	want := "worker.queues=cpu,gpu(file settings.yaml:3) worker.tags=big(file settings.yaml:4) worker.slots=5(variable GRAPNEL_WORKER_SLOTS)" +
		" coordinator.ttl=20s(file settings.yaml:6) coordinator.sweep=1m0s(variable GRAPNEL_COORDINATOR_SWEEP)"
	got := strings.Fields(origins(found))
	for part := range strings.SplitSeq(want, ") ") {
		if !strings.Contains(strings.Join(got, " "), strings.TrimSuffix(part, ")")) {
			t.Errorf("origins are %s, which lacks %s", got, part)
		}
	}
}

func TestTheTasksOfAWorkerAreSettingsToo(t *testing.T) {
	t.Parallel()
	cmd := NewWorkerBinary()
	found, err := loadSettings(cmd.Flags(), []string{"GRAPNEL_WORKER_ALLOW_HTTP=a.example,b.example"}, settingsFile(t, "worker:\n  allow-commands: true\n"))
	if err != nil || origins(found) != "worker.allow-commands=true(file settings.yaml:2) worker.allow-http=a.example,b.example(variable GRAPNEL_WORKER_ALLOW_HTTP)" {
		t.Errorf("settings are %s, %v", origins(found), err)
	}
	if on, err := cmd.Flags().GetBool("allow-commands"); err != nil || !on {
		t.Errorf("commands are allowed: %v, %v", on, err)
	}
}

func TestTheUsersFileNeedNotExistButTheNamedOneMust(t *testing.T) {
	t.Parallel()
	_, fs := flags(t)
	if found, err := loadSettings(fs, nil, filepath.Join(t.TempDir(), "none.yaml")); err != nil || found.File != "" {
		t.Errorf("without a file of the user's: %+v, %v", found, err)
	}
	c, fs := flags(t)
	if _, err := loadSettings(fs, nil, settingsFile(t, "# nothing yet\nnamespace: users")); err != nil || c.Namespace != "users" {
		t.Errorf("with a file of the user's: %+v, %v", c, err)
	}
	_, fs = flags(t, "--config", "nowhere.yaml")
	if _, err := loadSettings(fs, nil, ""); !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), "nowhere.yaml") {
		t.Errorf("with a file that is not there: %v", err)
	}
}

func TestThePasswordIsNotShown(t *testing.T) {
	t.Parallel()
	_, fs := flags(t, "--password", "hunter2")
	found, err := loadSettings(fs, nil, "")
	if err != nil || origins(found) != "password=********(flag --password)" {
		t.Errorf("shown are %s, %v", origins(found), err)
	}
}

func TestAFileIsCheckedAsAWhole(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"# only a comment", ""},
		{"null", ""},
		{"endpoint: a:1", `:1: there is no setting "endpoint"; nearest is "endpoints"`},
		{"\nworker:\n  slot: 1", `:3: there is no setting "slot" in section worker; nearest is "slots"`},
		{"worker.slots: 1", `:1: there is no setting "worker.slots"; there are endpoints, namespace,`},
		{"config: x", `:1: there is no setting "config"; there are`},
		{"namespace: a\nnamespace: b", `:2: namespace is there twice`},
		{"dial-timeout: soon", `:1: dial-timeout: `},
		{"worker:\n  slots: many", `:2: worker.slots: `},
		{"namespace: [a, b]", `:1: namespace: is one value, not a list`},
		{"namespace:", `:1: namespace has no value, but needs a text or a list`},
		{"namespace: {a: b}", `:1: namespace has no value`},
		{"endpoints: [[a]]", `:1: endpoints: a value of the list is no text`},
		{"worker: 3", `:1: worker holds no settings`},
		{"- a", `:1: the file holds no settings`},
		{"a: 1\n---\nb: 2", `more than one YAML document`},
		{"a: [", `settings.yaml: `},
		{"endpont: a\nuser: u\nnamespce: b", "nearest is \"endpoints\"\ninvalid: settings: "},
	} {
		_, fs := flags(t, "--config", settingsFile(t, tt.text))
		_, err := loadSettings(fs, nil, "")
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.text, err)
		case tt.want != "" && (!errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), tt.want)):
			t.Errorf("%q: the error is %v; want %q in it", tt.text, err, tt.want)
		}
	}
}

func TestABadVariableIsNamed(t *testing.T) {
	t.Parallel()
	_, fs := flags(t)
	_, err := loadSettings(fs, []string{"GRAPNEL_DIAL_TIMEOUT=soon"}, "")
	if !errors.Is(err, grapnel.ErrInvalid) || !strings.Contains(err.Error(), "GRAPNEL_DIAL_TIMEOUT") {
		t.Errorf("error is %v", err)
	}
}
