package tui

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write the golden files of views")

// golden compares lines with testdata/name.
func golden(t *testing.T, name string, lines []string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got := strings.Join(lines, "\n") + "\n"
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatalf("%v; go test ./internal/tui -update writes it", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; it is now\n%s\nIf that is right: go test ./internal/tui -update", name, got)
	}
}

func run() *Run {
	return &Run{
		ID: "thumbnails-0199f3a2", Workflow: "thumbnails", Status: "running", Elapsed: 83 * time.Second,
		Counts: Counts{Completed: 17, Failed: 1, Running: 5, Waiting: 4, Delayed: 2, Pending: 11},
		Running: []Task{
			{Node: "resize.3", Task: "resize", Worker: "media-host-7-0199f3a2b1c4", Attempt: 1, Elapsed: 12300 * time.Millisecond, Note: `{"frames":120}`},
			{Node: "resize.4", Task: "resize", Worker: "media-host-7-0199f3a2b1c4", Attempt: 3, Elapsed: 4200 * time.Millisecond},
			{Node: "a-node-with-a-name-that-is-much-too-long-for-a-narrow-terminal", Task: "transcode-with-many-options", Worker: "w2", Attempt: 1, Elapsed: 3725 * time.Second},
			{Node: "上传文件", Task: "upload", Worker: "w3", Attempt: 12, Elapsed: 90 * time.Minute},
			{Node: "report", Task: "report", Worker: "w3", Attempt: 1, Elapsed: 0},
		},
		Failures: []Failure{
			{Node: "resize.9", Attempt: 3, Worker: "w2", Cause: "exit-code: exit status 3: convert: no decode delegate for this image format `HEIC' @ error/constitute.c/ReadImage/746, and the rest of what it had to say about that, which is a lot", Final: true},
			{Node: "fetch", Attempt: 1, Cause: "error: connection\x1b[31m refused\r\nby peer"},
		},
		Hint: "Ctrl-C stops watching; the run goes on",
	}
}

func top() *Top {
	m := &Top{
		Namespace: "default", Clock: "14:03:07", Runs: 12, Started: 31.4, Finished: 30.96, Failed: 0.2,
		Queues: []Queue{
			{Name: "default", Waiting: 40, Delayed: 2, Running: 6, Workers: 2, Slots: 8, Oldest: 75 * time.Second},
			{Name: "gpu", Waiting: 3, Oldest: 3 * time.Hour},
		},
		Workers: []Worker{
			{ID: "media-host-7-0199f3a2b1c4", Host: "host-7.example.org", Queues: []string{"default", "media"}, Running: 4, Slots: 4},
			{ID: "w2", Host: "host-8", Queues: []string{"default"}, Running: 2, Slots: 4, Draining: true},
		},
		Hint: "q quits",
	}
	for i := range 30 {
		m.Tasks = append(m.Tasks, Task{
			Run: fmt.Sprintf("order-%d", 1000+i), Node: "charge", Task: "charge-card", Worker: "w2", Attempt: 1 + i/10, Elapsed: time.Duration(i) * 1700 * time.Millisecond,
		})
	}
	return m
}

func TestViews(t *testing.T) {
	t.Parallel()
	ended := run()
	ended.Status, ended.Ended, ended.Running, ended.Hint = "completed", true, nil, ""
	ended.Failures, ended.Counts = ended.Failures[1:], Counts{Completed: 39, Skipped: 1}
	for _, width := range []int{60, 80, 200} {
		golden(t, fmt.Sprintf("run-%d.txt", width), run().Lines(Theme{}, width, 24))
		golden(t, fmt.Sprintf("top-%d.txt", width), top().Lines(Theme{}, width, 24))
		golden(t, fmt.Sprintf("ended-%d.txt", width), ended.Lines(Theme{}, width, 24))
	}
	troubled := run()
	troubled.Trouble = "store unavailable: the watch ended"
	golden(t, "run-80-trouble.txt", troubled.Lines(Theme{}, 80, 24))
	troubled.Trouble = "resize waits: none of the workers can run it: each of 12 does not serve queue gpu"
	golden(t, "run-60-trouble.txt", troubled.Lines(Theme{}, 60, 24))
	golden(t, "run-80-low.txt", run().Lines(Theme{}, 80, 9))
	golden(t, "run-80-ascii.txt", run().Lines(Theme{ASCII: true}, 80, 24))
	golden(t, "run-80-color.txt", run().Lines(Theme{Color: true}, 80, 24))
	golden(t, "top-80-color.txt", top().Lines(Theme{Color: true}, 80, 24))
	golden(t, "top-nothing.txt", (&Top{Namespace: "default", Clock: "14:03:07"}).Lines(Theme{}, 80, 24))
}

func TestColoursChangeNothingButColours(t *testing.T) {
	t.Parallel()
	for _, width := range []int{20, 60, 80, 200} {
		colored := strings.Join(run().Lines(Theme{Color: true}, width, 24), "\n")
		if got, want := stripped(colored), strings.Join(run().Lines(Theme{}, width, 24), "\n"); got != want {
			t.Errorf("at %d columns, without colours:\n%s\nwant\n%s", width, got, want)
		}
	}
}

// stripped is s without colours: an escape sequence ends with an m.
func stripped(s string) string {
	var b strings.Builder
	for part := range strings.SplitSeq(s, "\x1b") {
		if strings.HasPrefix(part, "[") {
			_, part, _ = strings.Cut(part, "m")
		}
		b.WriteString(part)
	}
	return b.String()
}

func TestNoLineIsTooWideAndNoViewTooHigh(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOfN(rapid.RuneFrom([]rune("abc -é世界😀\x1b\n\t\x07\u200b\u202e\ufffd")), 0, 60, -1)
		count := rapid.IntRange(0, 500)
		width, height := rapid.IntRange(1, 220).Draw(t, "width"), rapid.IntRange(0, 60).Draw(t, "height")
		theme := Theme{Color: rapid.Bool().Draw(t, "color"), ASCII: rapid.Bool().Draw(t, "ascii")}
		r := &Run{
			ID: text.Draw(t, "id"), Workflow: text.Draw(t, "workflow"), Status: text.Draw(t, "status"), Hint: text.Draw(t, "hint"), Trouble: text.Draw(t, "trouble"),
			Elapsed: time.Duration(count.Draw(t, "elapsed")) * time.Minute,
			Counts: Counts{
				Completed: count.Draw(t, "completed"), Failed: count.Draw(t, "failed"), Running: count.Draw(t, "running"),
				Skipped: count.Draw(t, "skipped"), Waiting: count.Draw(t, "waiting"), Pending: count.Draw(t, "pending"),
			},
		}
		for range rapid.IntRange(0, 30).Draw(t, "tasks") {
			r.Running = append(r.Running, Task{
				Run: text.Draw(t, "run"), Node: text.Draw(t, "node"), Task: text.Draw(t, "task"), Worker: text.Draw(t, "worker"),
				Note: text.Draw(t, "note"), Attempt: count.Draw(t, "attempt"),
			})
		}
		for range rapid.IntRange(0, 9).Draw(t, "failures") {
			r.Failures = append(r.Failures, Failure{Node: text.Draw(t, "node"), Cause: text.Draw(t, "cause"), Final: rapid.Bool().Draw(t, "final")})
		}
		m := &Top{
			Namespace: text.Draw(t, "namespace"), Clock: "14:03:07", Tasks: r.Running, Trouble: text.Draw(t, "trouble"), Hint: text.Draw(t, "hint"),
			Queues:  []Queue{{Name: text.Draw(t, "queue"), Waiting: count.Draw(t, "waiting")}},
			Workers: []Worker{{ID: text.Draw(t, "worker"), Host: text.Draw(t, "host"), Running: count.Draw(t, "running"), Slots: count.Draw(t, "slots")}},
		}
		for name, lines := range map[string][]string{"run": r.Lines(theme, width, height), "top": m.Lines(theme, width, height)} {
			if len(lines) > height {
				t.Fatalf("%s has %d lines at a height of %d", name, len(lines), height)
			}
			for i, line := range lines {
				if got := Width(line); got > width {
					t.Fatalf("%s: line %d takes %d cells of %d: %q", name, i, got, width, line)
				}
				if strings.ContainsAny(stripped(line), "\x1b\n\t\x07\u200b\u202e") {
					t.Fatalf("%s: line %d has control characters: %q", name, i, line)
				}
			}
		}
	})
}

func TestABarShowsWhateverThereIs(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		c    Counts
		want string
	}{
		{Counts{}, ".........."},
		{Counts{Completed: 5, Pending: 5}, "#####....."},
		{Counts{Completed: 1000, Running: 1}, "#########+"},
		{Counts{Completed: 999, Pending: 1}, "#########."},
		{Counts{Completed: 3}, "##########"},
		{Counts{Running: 1, Pending: 1000}, "+........."},
	} {
		if got := (Theme{ASCII: true}).Bar(10, tt.c); got != tt.want {
			t.Errorf("the bar of %+v is %q, want %q", tt.c, got, tt.want)
		}
	}
}

func TestElapsed(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Second: "0.0s", 0: "0.0s", 340 * time.Millisecond: "0.3s", 9900 * time.Millisecond: "9.9s", 9960 * time.Millisecond: "9.9s",
		59 * time.Second: "59s", time.Minute: "1m00s", 3725 * time.Second: "1h02m", 75 * time.Hour: "3d03h",
	} {
		if got := Elapsed(d); got != want {
			t.Errorf("Elapsed(%v) is %q, want %q", d, got, want)
		}
	}
}
