package mutation_test

import (
	"os"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/mutation"
)

func TestOnIsTrueForTheActiveNameAlone(t *testing.T) {
	t.Parallel()
	active := mutation.Name("")
	if tagged {
		active = mutation.Name(os.Getenv(mutation.Variable))
	}
	for _, name := range []mutation.Name{
		mutation.ClaimWithoutAbsent, mutation.CommitWithoutFence, mutation.JoinIgnoresNeed,
	} {
		if got, want := mutation.On(name), name == active; got != want {
			t.Errorf("On(%s) = %v with %q active, want %v", name, got, active, want)
		}
	}
}
