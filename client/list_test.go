package client_test

import (
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/store"
	"github.com/grapnel-dev/grapnel/workflow"
)

func deleteKey(key string) store.Txn { return store.Txn{Then: []store.Op{store.Delete(key)}} }

// all lists page by page.
func (w *world) all(f client.Filter, limit int) (ids []string, pages int) {
	w.t.Helper()
	for token := ""; ; {
		page, err := w.c.List(w.t.Context(), f, token, limit)
		if err != nil {
			w.t.Fatal(err)
		}
		if len(page.Runs) > limit {
			w.t.Errorf("a page has %d runs, the limit is %d", len(page.Runs), limit)
		}
		for _, run := range page.Runs {
			ids = append(ids, string(run.ID))
		}
		if pages++; page.Next == "" {
			return ids, pages
		}
		token = page.Next
	}
}

func TestPagesHoldEachRunOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var want []string
	for i := range 60 {
		id := fmt.Sprintf("run/%d", i)
		w.start(grapnel.RunID(id))
		// Whatever else is under a run is no run.
		w.claim(grapnel.RunID(id), 0, "w1")
		w.put(w.keys.Folded(grapnel.RunID(id), "e"), nil)
		want = append(want, id)
	}
	slices.Sort(want)
	for _, limit := range []int{1, 7, 60, 1000} {
		got, _ := w.all(client.Filter{}, limit)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("with limit %d the pages hold %v", limit, got)
		}
	}
	var got []string
	for run, err := range w.c.All(t.Context(), client.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(run.ID))
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("All returned %v", got)
	}
}

func TestAPageEndsWhenEnoughWasReadForIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("r")
	for i := range 25_000 {
		w.put(w.keys.Folded("r", grapnel.OperationID(fmt.Sprint(i))), nil)
	}
	w.put(w.keys.Head("bad"), nil)
	got, pages := w.all(client.Filter{}, 10)
	if slices.Sort(got); !slices.Equal(got, []string{"bad", "r"}) || pages < 2 {
		t.Errorf("%d pages hold %v", pages, got)
	}
}

func TestFilters(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	start := func(flow *workflow.Workflow[int, int], id grapnel.RunID, at time.Time, labels map[string]string) {
		c, err := client.New(client.Config{Store: w.st, Now: func() time.Time { return at }})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := client.Start(t.Context(), c, flow, 1, client.WithID(id), client.WithLabels(labels)); err != nil {
			t.Fatal(err)
		}
	}
	at := time.UnixMilli(1_700_000_000_000)
	start(double(), "a", at, map[string]string{"team": "x", "env": "dev"})
	start(double(), "b", at.Add(time.Hour), map[string]string{"team": "x"})
	start(named("other"), "c", at.Add(2*time.Hour), nil)
	w.fail("b", 0, "no ink")
	for _, tt := range []struct {
		name string
		f    client.Filter
		want string
	}{
		{"none", client.Filter{}, "abc"},
		{"status", client.Filter{Status: []grapnel.RunStatus{grapnel.RunFailed}}, "b"},
		{"statuses", client.Filter{Status: []grapnel.RunStatus{grapnel.RunFailed, grapnel.RunRunning}}, "abc"},
		{"workflow", client.Filter{Workflow: "other"}, "c"},
		{"label", client.Filter{Labels: map[string]string{"team": "x"}}, "ab"},
		{"labels", client.Filter{Labels: map[string]string{"team": "x", "env": "dev"}}, "a"},
		{"label of another value", client.Filter{Labels: map[string]string{"team": ""}}, ""},
		{"started after", client.Filter{StartedAfter: at.Add(time.Hour)}, "bc"},
		{"started before", client.Filter{StartedBefore: at.Add(time.Hour)}, "a"},
		{"together", client.Filter{Workflow: "double", StartedAfter: at, Status: []grapnel.RunStatus{grapnel.RunRunning}}, "a"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, _ := w.all(tt.f, 1)
			if slices.Sort(got); strings.Join(got, "") != tt.want {
				t.Errorf("listed %v, want %q", got, tt.want)
			}
		})
	}
}

func TestBadPageTokensAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("a")
	w.start("b")
	f := client.Filter{Workflow: "double"}
	page, err := w.c.List(t.Context(), f, "", 1)
	if err != nil || page.Next == "" {
		t.Fatalf("List returned %+v, %v", page, err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(page.Next)
	if err != nil {
		t.Fatal(err)
	}
	tokens := map[string]string{
		"no base64": "?",
		"empty":     base64.RawURLEncoding.EncodeToString(nil) + "A",
		"short":     page.Next[:4],
		"cut off":   page.Next[:len(page.Next)-2],
		"padded":    page.Next + "=",
		"long":      strings.Repeat("A", 5<<10),
	}
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 1
		tokens[fmt.Sprintf("byte %d changed", i)] = base64.RawURLEncoding.EncodeToString(bad)
	}
	for name, token := range tokens {
		t.Run(name, func(t *testing.T) {
			_, err := w.c.List(t.Context(), f, token, 1)
			wantIs(t, err, grapnel.ErrInvalid)
		})
	}
	t.Run("of another filter", func(t *testing.T) {
		_, err := w.c.List(t.Context(), client.Filter{}, page.Next, 1)
		wantIs(t, err, grapnel.ErrInvalid)
	})
	for _, limit := range []int{-1, client.MaxLimit + 1} {
		_, err := w.c.List(t.Context(), f, "", limit)
		wantIs(t, err, grapnel.ErrInvalid)
	}
}
