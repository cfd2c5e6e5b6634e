package client_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
	"github.com/grapnel-dev/grapnel/workflow"
)

func TestOfManyStartersOfOneIDOneWins(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var wg sync.WaitGroup
	errs := make([]error, 8)
	for i := range errs {
		c := newClient(t, w.st)
		wg.Go(func() {
			_, errs[i] = client.Start(t.Context(), c, double(), i, client.WithID("one"))
		})
	}
	wg.Wait()
	won := 0
	for _, err := range errs {
		var exists *client.ExistsError
		switch {
		case err == nil:
			won++
		case !errors.As(err, &exists) || !errors.Is(err, grapnel.ErrExists):
			t.Errorf("a loser was told: %v", err)
		case exists.Run != "one" || exists.Status != grapnel.RunRunning || exists.Workflow != "double" || exists.Instance == 0:
			t.Errorf("a loser was told of %+v", exists)
		}
	}
	if won != 1 {
		t.Errorf("%d starters won", won)
	}
}

func TestConflictPolicies(t *testing.T) {
	t.Parallel()

	t.Run("use existing returns the run whatever its state", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.start("r")
		if got := w.start("r", client.OnConflict(client.UseExisting)); got.Instance() != first.Instance() {
			t.Errorf("got instance %d, want %d", got.Instance(), first.Instance())
		}
		w.complete("r", 0, "2")
		w.complete("r", 1, "4")
		got := w.start("r", client.OnConflict(client.UseExisting))
		if out, err := got.Wait(t.Context()); err != nil || out != 4 {
			t.Errorf("Wait returned %v, %v", out, err)
		}
	})

	t.Run("use existing refuses a run of another workflow", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		w.start("r")
		_, err := client.Start(t.Context(), w.c, named("other"), 1, client.WithID("r"), client.OnConflict(client.UseExisting))
		wantIs(t, err, grapnel.ErrWrongDefinition)
	})

	t.Run("terminate existing replaces the run whatever its state", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t)
		first := w.start("r")
		second := w.start("r", client.OnConflict(client.TerminateExisting))
		if first.Instance() == second.Instance() {
			t.Error("the run was not replaced")
		}
		_, err := first.Wait(t.Context())
		wantIs(t, err, grapnel.ErrRunGone)
		w.complete("r", 0, "2")
		w.complete("r", 1, "4")
		third := w.start("r", client.OnConflict(client.TerminateExisting))
		if info, err := w.c.Get(t.Context(), "r"); err != nil || info.Instance != third.Instance() || info.Status != grapnel.RunRunning {
			t.Errorf("Get returned %+v, %v", info, err)
		}
	})
}

func TestAnIDCanBeUsedAgainAfterItsRunWasDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	first := w.start("r")
	w.complete("r", 0, "2")
	w.complete("r", 1, "4")
	if err := w.c.Delete(t.Context(), "r"); err != nil {
		t.Fatal(err)
	}
	second := w.start("r")
	if first.Instance() == second.Instance() {
		t.Error("both runs are the same instance")
	}
	_, err := first.Wait(t.Context())
	wantIs(t, err, grapnel.ErrRunGone)
}

func TestStartRefusesWhatCannotBeStarted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	def, err := double().Definition()
	if err != nil {
		t.Fatal(err)
	}
	start := func(o ...client.StartOption) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := client.Start(ctx, w.c, double(), 1, o...)
			return err
		}
	}
	data := func(def *workflow.Definition, input string) func(context.Context) error {
		return func(ctx context.Context) error {
			_, err := w.c.StartDefinition(ctx, def, []byte(input))
			return err
		}
	}
	for _, tt := range []struct {
		name  string
		start func(context.Context) error
		want  error
	}{
		{"id with a control character", start(client.WithID("a\nb")), grapnel.ErrInvalid},
		{"priority", start(client.WithPriority(6)), grapnel.ErrInvalid},
		{"conflict policy", start(client.OnConflict(9)), grapnel.ErrInvalid},
		{"nil option", start(nil), grapnel.ErrInvalid},
		{"label name", start(client.WithLabels(map[string]string{"a b": ""})), grapnel.ErrInvalid},
		{"labels", start(client.WithLabels(map[string]string{"a": strings.Repeat("x", 3<<10)})), grapnel.ErrTooLarge},
		{"input that is not JSON", data(def, "{"), grapnel.ErrInvalid},
		{"large input", data(def, `"`+strings.Repeat("x", grapnel.MaxPayload)+`"`), grapnel.ErrTooLarge},
		{"nil definition", data(nil, "1"), grapnel.ErrInvalid},
		{"definition that is not sealed", data(&workflow.Definition{Name: "x"}, "1"), grapnel.ErrInvalid},
		{"workflow with mistakes", func(ctx context.Context) error {
			_, err := client.Start(ctx, w.c, named("not a name"), 1)
			return err
		}, grapnel.ErrInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			wantIs(t, tt.start(t.Context()), tt.want)
		})
	}
}

func TestADefinitionIsStartedFromData(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.start("first") // stores the definition
	def, err := w.c.FindDefinition(t.Context(), "double")
	if err != nil {
		t.Fatal(err)
	}
	run, err := w.c.StartDefinition(t.Context(), def, []byte("3"))
	if err != nil {
		t.Fatal(err)
	}
	w.complete(run.ID(), 0, "6")
	w.complete(run.ID(), 1, "12")
	if out, err := run.Wait(t.Context()); err != nil || string(out) != "12" {
		t.Errorf("Wait returned %s, %v", out, err)
	}
}

func TestDefinitionsAreFoundByNameAndHash(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one := workflow.New("flow", func(_ *workflow.Graph, in workflow.Value[int]) workflow.Value[int] { return in })
	two := named("flow")
	for _, flow := range []*workflow.Workflow[int, int]{one, two} {
		if _, err := client.Start(t.Context(), w.c, flow, 1); err != nil {
			t.Fatal(err)
		}
	}
	def, _ := two.Definition()
	for _, name := range []string{def.Hash(), def.Hash()[:12]} {
		if got, err := w.c.FindDefinition(t.Context(), name); err != nil || got.Hash() != def.Hash() {
			t.Errorf("FindDefinition(%q) = %v, %v", name, got, err)
		}
	}
	_, err := w.c.FindDefinition(t.Context(), "flow")
	wantIs(t, err, grapnel.ErrInvalid)
	var ambiguous *client.AmbiguousError
	if !errors.As(err, &ambiguous) || len(ambiguous.Found) != 2 || !strings.Contains(err.Error(), def.Hash()) {
		t.Errorf("error is %v; want one that lists both hashes", err)
	}
	_, err = w.c.FindDefinition(t.Context(), "none")
	wantIs(t, err, grapnel.ErrNotFound)
	_, err = w.c.FindDefinition(t.Context(), "")
	wantIs(t, err, grapnel.ErrInvalid)
}
