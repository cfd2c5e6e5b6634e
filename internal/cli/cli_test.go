package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

func flags(t *testing.T, args ...string) (*Connection, *pflag.FlagSet) {
	t.Helper()
	c, fs := &Connection{}, pflag.NewFlagSet("test", pflag.ContinueOnError)
	c.Register(fs, DefaultLogLevel)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c, fs
}

func TestThePasswordIsTheFilesFirstLine(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "password")
	if err := os.WriteFile(file, []byte("se cret\r\nmore\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, _ := flags(t, "--user", "u", "--password-file", file)
	cfg, err := c.config(nil)
	if err != nil || cfg.Username != "u" || cfg.Password != "se cret" {
		t.Errorf("user %q has password %q, %v", cfg.Username, cfg.Password, err)
	}
}

func TestAnEndpointThatDoesNotAnswerIsGivenUpAfterTheDialTimeout(t *testing.T) {
	t.Parallel()
	// It takes connections and never says anything.
	silent := listen(t)
	c, _ := flags(t, "--endpoints", silent, "--dial-timeout", "200ms")
	start := time.Now()
	_, err := c.Open(t.Context(), nil)
	if !errors.Is(err, grapnel.ErrUnavailable) || !strings.Contains(err.Error(), silent) {
		t.Errorf("Open returned %v", err)
	}
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("Open took %v", took)
	}
}

func TestExitCodes(t *testing.T) {
	t.Parallel()
	ended := func(s grapnel.RunStatus) error {
		return fmt.Errorf("wait: %w", &client.RunFailedError{Run: "r", Status: s})
	}
	for _, tt := range []struct {
		err  error
		want int
	}{
		{nil, ExitOK},
		{errors.New("whatever"), ExitFailed},
		{ended(grapnel.RunFailed), ExitFailed},
		{ended(grapnel.RunCancelled), ExitCancelled},
		{ended(grapnel.RunTimedOut), ExitTimedOut},
		{&UsageError{Command: "grapnel x", Err: errors.New("no")}, ExitUsage},
		{fmt.Errorf("x: %w", grapnel.ErrInvalid), ExitUsage},
		{fmt.Errorf("x: %w", grapnel.ErrTooLarge), ExitUsage},
		{fmt.Errorf("x: %w", grapnel.ErrCancelled), ExitCancelled},
		{fmt.Errorf("x: %w", grapnel.ErrTimedOut), ExitTimedOut},
		{fmt.Errorf("x: %w", grapnel.ErrClaimLost), ExitFailed},
		{fmt.Errorf("x: %w", grapnel.ErrUnavailable), ExitUnavailable},
		{fmt.Errorf("x: %w", grapnel.ErrUnknown), ExitUnavailable},
		{fmt.Errorf("x: %w", grapnel.ErrNotFound), ExitFailed},
	} {
		if got := ExitCode(tt.err); got != tt.want {
			t.Errorf("ExitCode(%v) = %d, want %d", tt.err, got, tt.want)
		}
	}
}

func TestErrorsAreToldInOneLineWithTheWayOut(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		err  error
		want string
	}{
		{errors.Join(errors.New("one"), errors.New("two")), "x: one; two\n"},
		{errors.New("the end of standard error:\none\r\ntwo"), "x: the end of standard error: one; two\n"},
		{errors.New("it ended:\nout of paper"), "x: it ended: out of paper\n"},
		{&UsageError{Command: "x get", Err: errors.New("no")}, "x: no (see x get --help)\n"},
		{&client.ExistsError{Run: "r", Workflow: "w", Status: grapnel.RunFailed},
			"x: run \"r\" of workflow w already exists and is failed (choose another --id, or --on-conflict use or terminate)\n"},
	} {
		var out bytes.Buffer
		Report(&out, "x", tt.err)
		if out.String() != tt.want {
			t.Errorf("told %q, want %q", out.String(), tt.want)
		}
	}
}

func TestStrictCommandsRefuseStrayArguments(t *testing.T) {
	t.Parallel()
	run := func(args ...string) error {
		var out bytes.Buffer
		cmd := &cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return nil }}
		cmd.AddCommand(&cobra.Command{Use: "sub", RunE: func(*cobra.Command, []string) error { return nil }})
		cmd.SetOut(&out)
		cmd.SetErr(&out)
		cmd.SetArgs(args)
		err := Strict(cmd).ExecuteContext(context.Background())
		if out.Len() > 0 {
			t.Errorf("%v printed %q", args, out.String())
		}
		return err
	}
	for _, args := range [][]string{{"stray"}, {"--stray"}, {"sub", "stray"}, {"sub", "--stray"}} {
		var usage *UsageError
		if err := run(args...); !errors.As(err, &usage) {
			t.Errorf("%v returned %v", args, err)
		}
	}
	if err := errors.Join(run(), run("sub")); err != nil {
		t.Error(err)
	}
}
