package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/grapnel-dev/grapnel"
	"github.com/grapnel-dev/grapnel/client"
)

// flowReport is what grapnel run -o json prints.
type flowReport struct {
	Run      grapnel.RunID    `json:"run"`
	Workflow string           `json:"workflow"`
	Status   string           `json:"status"`
	Output   json.RawMessage  `json:"output"` // null unless the run completed
	Failures []flowFailure    `json:"failures"`
	Tasks    []flowTaskReport `json:"tasks"`
	// WallSeconds is how long the command took.
	WallSeconds float64 `json:"wall_seconds"`
}

type flowFailure struct {
	// Task is empty for what failed the run as a whole.
	Task    string `json:"task,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type flowTaskReport struct {
	Task  string `json:"task"`
	State string `json:"state"`
	// Attempts counts those that began; Losses those that were lost with their
	// process, and Failures those that failed.
	Attempts int `json:"attempts"`
	Failures int `json:"failed_attempts,omitempty"`
	Losses   int `json:"lost_attempts,omitempty"`
	// Seconds is how long the last attempt took.
	Seconds float64 `json:"seconds"`
}

// report prints how the run ended, and returns an error unless it completed.
func (fl *flow) report(info *client.RunInfo) error {
	var err error
	switch {
	case fl.format == formatJSON:
		err = writeJSON(fl.out, reportFlow(info, time.Since(fl.begun)))
	case info.Status == grapnel.RunCompleted:
		_, err = fmt.Fprintf(fl.out, "%s\n", orNull(info.Output))
	}
	return errors.Join(err, info.Failure())
}

func reportFlow(info *client.RunInfo, took time.Duration) *flowReport {
	r := &flowReport{
		Run: info.ID, Workflow: info.Workflow, Status: info.Status.String(), Output: orNull(info.Output),
		Failures: []flowFailure{}, Tasks: []flowTaskReport{}, WallSeconds: seconds(took),
	}
	for i := range info.Nodes {
		n := &info.Nodes[i]
		if f := n.LastFailure; f != nil && n.State == client.NodeFailed {
			r.Failures = append(r.Failures, flowFailure{n.Name, f.Attempt, f.Kind, f.Message})
		}
		if n.Kind != "task" {
			continue
		}
		t := flowTaskReport{Task: n.Name, State: string(n.State), Failures: n.Failures, Losses: n.Losses}
		if !n.Started.IsZero() {
			t.Attempts = n.Attempt
			t.Seconds = seconds(elapsed(n.Started, n.Finished, n.Started))
		}
		r.Tasks = append(r.Tasks, t)
	}
	if c := info.Cause; c != nil && len(r.Failures) == 0 {
		r.Failures = append(r.Failures, flowFailure{Kind: c.Kind, Message: c.Message})
	}
	return r
}

// seconds is a duration to the millisecond.
func seconds(d time.Duration) float64 { return d.Round(time.Millisecond).Seconds() }

func orNull(data json.RawMessage) json.RawMessage {
	if len(data) == 0 {
		return json.RawMessage("null")
	}
	return data
}
