package faultstore_test

import (
	"slices"
	"testing"
	"time"

	"github.com/grapnel-dev/grapnel/store/faultstore"
)

func TestEachCallPlansEveryFaultOfEveryCall(t *testing.T) {
	t.Parallel()
	var names []string
	for p := range faultstore.EachCall(2) {
		names = append(names, p.String())
		for n := 1; n <= 3; n++ {
			want := faultstore.None
			if n == p.Call {
				want = p.Fault
			}
			if got := p.Rule()(faultstore.Info{N: n, Kind: faultstore.Commit}).Fault; got != want {
				t.Errorf("%v: call %d gets %v, want %v", p, n, got, want)
			}
		}
		// A watch has the number of the call before it.
		if got := p.Rule()(faultstore.Info{N: p.Call, Kind: faultstore.Watch}).Fault; got != faultstore.None {
			t.Errorf("%v: a watch gets %v", p, got)
		}
	}
	want := []string{"call-1-before", "call-1-after", "call-1-late", "call-2-before", "call-2-after", "call-2-late"}
	if !slices.Equal(names, want) {
		t.Errorf("plans %q, want %q", names, want)
	}
	for range faultstore.EachCall(2) {
		break // must not go on
	}
}

func TestRandomDecidesBySeed(t *testing.T) {
	t.Parallel()
	chances := faultstore.Chances{Refused: 0.1, Before: 0.1, After: 0.1, Late: 0.1, Delay: time.Second}
	decide := func(seed uint64) (all []faultstore.Action) {
		rule := faultstore.Random(seed, chances)
		for range 2000 {
			all = append(all, rule(faultstore.Info{Kind: faultstore.Commit}))
		}
		return all
	}
	same := func(a, b faultstore.Action) bool {
		return a.Fault == b.Fault && a.Delay == b.Delay && a.Calls == b.Calls
	}
	first := decide(1)
	if !slices.EqualFunc(first, decide(1), same) {
		t.Error("one seed decides twice differently")
	}
	if slices.EqualFunc(first, decide(2), same) {
		t.Error("two seeds decide the same")
	}
	count := map[faultstore.Fault]int{}
	for _, a := range first {
		count[a.Fault]++
		if a.Delay < 0 || a.Delay >= chances.Delay {
			t.Errorf("delay %v", a.Delay)
		}
		if late := a.Fault == faultstore.Late; late != (a.Calls > 0) || a.Calls > 50 {
			t.Errorf("%v is made %d calls later", a.Fault, a.Calls)
		}
	}
	// The seed is fixed, so this cannot fail by chance.
	for _, f := range []faultstore.Fault{faultstore.Refused, faultstore.Before, faultstore.After, faultstore.Late} {
		if n := count[f]; n < 150 || n > 250 {
			t.Errorf("%v: %d of 2000, want about 200", f, n)
		}
	}
	if count[faultstore.Hang] != 0 {
		t.Error("a call hangs by chance")
	}
}
