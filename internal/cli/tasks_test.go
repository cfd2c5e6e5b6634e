package cli

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/snapshot"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/store/memstore"
	"github.com/grapnel-dev/grapnel/worker"
)

func TestAWorkerAnnouncesTheTasksThatItIsAllowedAndNoOthers(t *testing.T) {
	t.Parallel()
	for want, tasks := range map[string]StandardTasks{
		"":                             {},
		"grapnel.command":              {AllowCommands: true},
		"grapnel.http":                 {AllowHTTP: []string{"example.com"}},
		"grapnel.command grapnel.http": {AllowCommands: true, AllowHTTP: []string{"*"}},
	} {
		t.Run(want, func(t *testing.T) {
			t.Parallel()
			root, err := os.MkdirTemp("", "gcli")
			if err != nil {
				t.Fatal(err)
			}
			defer os.RemoveAll(root)
			tasks.WorkDir, tasks.NoGuard = root, true // this binary has no guard
			open, err := tasks.Open(hclog.NewNullLogger())
			if err != nil {
				t.Fatal(err)
			}
			var names []string
			for name := range profileOf(t, open).Tasks {
				names = append(names, name)
			}
			if len(names) != len(strings.Fields(want)) || strings.Contains(want, "command") != (open.commands != nil) {
				t.Errorf("it announces %v", names)
			}
			for _, name := range names {
				if !strings.Contains(want, name) {
					t.Errorf("it announces %v", names)
				}
			}
			if err := open.Close(); err != nil {
				t.Error(err)
			}
			if left, err := os.ReadDir(root); err != nil || len(left) > 0 {
				t.Errorf("left: %v, %v", left, err)
			}
		})
	}
}

// profileOf returns what a worker with these tasks says of itself.
func profileOf(t *testing.T, tasks *OpenTasks) *snapshot.Profile {
	t.Helper()
	st := memstore.New()
	defer st.Close()
	w, err := worker.New(worker.Config{Store: st})
	if err != nil {
		t.Fatal(err)
	}
	tasks.Handle(w)
	keys, err := store.NewKeys(worker.DefaultNamespace)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	batches := st.Watch(ctx, store.WatchRequest{Prefix: keys.Workers()})
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	var profile *snapshot.Profile
	for b := range batches {
		for _, ev := range b.Events {
			if !ev.Deleted && profile == nil {
				if profile, err = snapshot.DecodeProfile(ev.KV); err != nil {
					t.Error(err)
				}
				cancel()
			}
		}
	}
	// It may have been stopped before it knew that its session is open.
	if err := <-done; err != nil && !errors.Is(err, context.Canceled) || profile == nil {
		t.Fatal(profile, err)
	}
	return profile
}

func TestTasksThatCannotBeServedAreRefused(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tasks := range []StandardTasks{
		{AllowHTTP: []string{"http://a"}},
		{AllowHTTP: []string{"a"}, SecretDirs: []string{file}},
		{AllowCommands: true, NoGuard: true, WorkDir: file},
	} {
		if _, err := tasks.Open(hclog.NewNullLogger()); !errors.Is(err, grapnel.ErrInvalid) {
			t.Errorf("%+v: %v", tasks, err)
		}
	}
}
