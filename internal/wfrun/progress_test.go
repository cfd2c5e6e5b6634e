package wfrun

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

func TestBarFillsWithWhatIsDoneAndNeverTheWholeLine(t *testing.T) {
	t.Parallel()
	const text = "12/24 tasks done, 7 claimed, 1 killed"
	for _, columns := range []int{1, 2, 10, 60, 80, 200} {
		last := -1
		for done := range 25 {
			b := bar(columns, done, 24, text)
			if n := utf8.RuneCountInString(b); n >= columns && columns > 1 {
				t.Errorf("%d columns: %q is %d wide", columns, b, n)
			}
			full := strings.Count(b, "█")
			if full < last {
				t.Errorf("%d columns: the bar shrinks at %d", columns, done)
			}
			last = full
		}
		if b := bar(columns, 24, 24, text); strings.Contains(b, "░") {
			t.Errorf("%d columns: the bar of a run that is done is %q", columns, b)
		}
		if b := bar(columns, 0, 24, text); strings.Contains(b, "█") {
			t.Errorf("%d columns: the bar of a run that has just begun is %q", columns, b)
		}
	}
	if b := bar(80, 12, 24, text); !strings.HasSuffix(b, text) {
		t.Errorf("there is room for the text, and the bar is %q", b)
	}
}

func TestLinesAreWrittenAboveTheBar(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	tell := &teller{began: time.Now(), columns: 80, w: &out}
	tell.draw("BAR")
	tell.draw("BAR") // nothing new to draw
	tell.say("killed %s", "worker-1")
	tell.draw("")
	tell.say("done")
	want := clearLine + "BAR" + clearLine + "   0.0s  killed worker-1\n" + "BAR" + clearLine + "   0.0s  done\n"
	if got := out.String(); got != want {
		t.Errorf("written is %q, not %q", got, want)
	}
}
