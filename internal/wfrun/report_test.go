package wfrun

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/grapnel-dev/grapnel/internal/audit"
)

func goodReport() *Report {
	r := &Report{Status: "completed", Tasks: 5, Completed: 5}
	r.audited(audit.Report{Complete: true, First: 2, Last: 40, Executions: 6, Losses: 1}, nil)
	return r
}

func TestReportEndsWithTheNumbersThatTell(t *testing.T) {
	t.Parallel()
	data, err := json.Marshal(goodReport())
	if err != nil {
		t.Fatal(err)
	}
	dec := json.NewDecoder(strings.NewReader(string(data)))
	var keys []string
	if _, err := dec.Token(); err != nil {
		t.Fatal(err)
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key.(string))
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	want := []string{"tasks", "completed", "executions", "kills", "requeued", "violations", "violation_list", "wall_seconds"}
	if got := keys[len(keys)-len(want):]; !slices.Equal(got, want) {
		t.Errorf("the report ends with %v, not %v", got, want)
	}
	if !strings.Contains(string(data), `"requeued":1,"violations":0,"violation_list":[]`) {
		t.Errorf("no violations are not 0 and an empty list: %s", data)
	}
}

func TestReportIsCleanOnlyIfEverythingIs(t *testing.T) {
	t.Parallel()
	if err := goodReport().Err(); err != nil {
		t.Fatalf("a good report: %v", err)
	}
	for name, spoil := range map[string]func(r *Report){
		"a task is missing":   func(r *Report) { r.Completed-- },
		"it failed":           func(r *Report) { r.Status = "failed" },
		"it is still running": func(r *Report) { r.Status = "running" },
		"a promise was broken": func(r *Report) {
			r.audited(audit.Report{Complete: true, Violations: []audit.Violation{{Promise: "order"}}}, nil)
		},
		"history is missing": func(r *Report) { *r = *spoiltAudit(audit.Report{}, nil) },
		"the audit failed":   func(r *Report) { *r = *spoiltAudit(audit.Report{Complete: true}, errors.New("compacted")) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := goodReport()
			spoil(r)
			if err := r.Err(); !errors.Is(err, ErrNotClean) {
				t.Errorf("got %v", err)
			}
		})
	}
}

func spoiltAudit(a audit.Report, err error) *Report {
	r := &Report{Status: "completed", Tasks: 5, Completed: 5}
	r.audited(a, err)
	return r
}

func TestViolationsAreUnknownIfTheHistoryIsNotComplete(t *testing.T) {
	t.Parallel()
	for _, r := range []*Report{
		spoiltAudit(audit.Report{Complete: false}, nil),
		spoiltAudit(audit.Report{Complete: true}, errors.New("compacted")),
	} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(string(data), `"violations":null`) {
			t.Errorf("violations are claimed to be known: %s", data)
		}
	}
}
