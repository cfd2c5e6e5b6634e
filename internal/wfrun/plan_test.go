package wfrun

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestPlanSpreadsAllKillsOverTheRunAndLeavesItsLastQuarterAlone(t *testing.T) {
	t.Parallel()
	for _, nodes := range []int{1, 5, 10, 300, 1101} {
		for seed := range uint64(50) {
			strikes := plan(nodes, 3, 2, rand.New(rand.NewPCG(seed, 0)))
			count := map[role]int{}
			last := 0
			for _, s := range strikes {
				count[s.role]++
				if s.after < last {
					t.Errorf("%d nodes, seed %d: a kill after %d nodes comes behind one after %d", nodes, seed, s.after, last)
				}
				last = s.after
			}
			if count[roleWorker] != 3 || count[roleCoordinator] != 2 {
				t.Errorf("%d nodes, seed %d: planned %v", nodes, seed, count)
			}
			if 4*last >= 3*nodes {
				t.Errorf("%d nodes, seed %d: the last kill is after %d nodes", nodes, seed, last)
			}
			if nodes > 100 && last < nodes/2 {
				t.Errorf("%d nodes, seed %d: all kills are within %d nodes", nodes, seed, last)
			}
		}
	}
}

func TestPlanFollowsFromTheSeedAlone(t *testing.T) {
	t.Parallel()
	draw := func(seed uint64) []strike { return plan(300, 4, 2, rand.New(rand.NewPCG(seed, 0))) }
	if a, b := draw(7), draw(7); !slices.Equal(a, b) {
		t.Errorf("seed 7 planned %v, then %v", a, b)
	}
	if a, b := draw(7), draw(8); slices.Equal(a, b) {
		t.Errorf("seeds 7 and 8 both planned %v", a)
	}
}

func TestPlanWithoutKillsIsEmpty(t *testing.T) {
	t.Parallel()
	if got := plan(300, 0, 0, rand.New(rand.NewPCG(1, 0))); len(got) != 0 {
		t.Errorf("planned %v", got)
	}
}
