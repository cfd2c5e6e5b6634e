package workflow

import (
	"errors"
	"math"
	"slices"
	"time"

	"github.com/grapnel-dev/grapnel"
)

// Validate returns everything that is wrong with the policy, joined, or nil:
// negative durations and numbers, names that cannot be names, and time-outs
// that contradict each other. The error wraps [grapnel.ErrInvalid].
func (p Policy) Validate() error { return errors.Join(p.problems()...) }

// Validate is like [Policy.Validate].
func (p RetryPolicy) Validate() error { return errors.Join(p.problems()...) }

// Validate is like [Policy.Validate].
func (p RunPolicy) Validate() error { return errors.Join(p.problems()...) }

// problems returns what is wrong with the policy, among nils.
func (p Policy) problems() []error {
	errs := append(p.Retry.problems(), p.contradictions()...)
	for _, d := range []struct {
		what string
		d    time.Duration
	}{
		{"schedule-to-start", p.ScheduleToStart}, {"start-to-close", p.StartToClose},
		{"schedule-to-close", p.ScheduleToClose}, {"heartbeat", p.Heartbeat},
	} {
		errs = append(errs, notNegative(d.what, d.d))
	}
	if p.Priority < 0 || p.Priority > 5 {
		errs = append(errs, priorityError(p.Priority))
	}
	if p.MaxLosses < 0 {
		errs = append(errs, invalidf("max losses %d is negative", p.MaxLosses))
	}
	if p.Parallel < 0 {
		errs = append(errs, invalidf("parallel %d is negative", p.Parallel))
	}
	errs = append(errs, validName("queue", p.Queue), validName("version", p.Version))
	for _, tag := range p.Tags {
		errs = append(errs, grapnel.ValidateName("tag", tag))
	}
	return errs
}

// contradictions tells which time-outs could never pass because of others.
func (p Policy) contradictions() []error {
	var errs []error
	if c := p.ScheduleToClose; c > 0 {
		if p.StartToClose > c {
			errs = append(errs, invalidf("start-to-close %v is longer than schedule-to-close %v", p.StartToClose, c))
		}
		if p.ScheduleToStart > c {
			errs = append(errs, invalidf("schedule-to-start %v is longer than schedule-to-close %v", p.ScheduleToStart, c))
		}
		if p.Heartbeat >= c {
			errs = append(errs, invalidf("heartbeat %v is not shorter than schedule-to-close %v", p.Heartbeat, c))
		}
	}
	if p.StartToClose > 0 && p.Heartbeat >= p.StartToClose {
		errs = append(errs, invalidf("heartbeat %v is not shorter than start-to-close %v", p.Heartbeat, p.StartToClose))
	}
	return errs
}

func (p RetryPolicy) problems() []error {
	errs := []error{notNegative("retry backoff", p.Backoff), notNegative("retry max backoff", p.MaxBackoff)}
	if p.MaxBackoff > 0 && p.Backoff > p.MaxBackoff {
		errs = append(errs, invalidf("retry backoff %v is longer than max backoff %v", p.Backoff, p.MaxBackoff))
	}
	if p.Factor < 0 || math.IsNaN(p.Factor) || math.IsInf(p.Factor, 0) {
		errs = append(errs, invalidf("retry factor %v is not a number from 0", p.Factor))
	}
	if !(p.Jitter >= 0 && p.Jitter <= 1) {
		errs = append(errs, invalidf("retry jitter %v is not from 0 to 1", p.Jitter))
	}
	for _, kind := range p.NonRetryable {
		errs = append(errs, grapnel.ValidateName("non-retryable kind", kind))
	}
	return errs
}

func (p RunPolicy) problems() []error {
	errs := []error{notNegative("run time-out", p.Timeout), validName("queue", p.Queue)}
	if p.Priority < 0 || p.Priority > 5 {
		errs = append(errs, priorityError(p.Priority))
	}
	return errs
}

// clone returns a copy that shares no memory with p.
func (p Policy) clone() Policy {
	p.Tags = slices.Clone(p.Tags)
	p.Retry.NonRetryable = slices.Clone(p.Retry.NonRetryable)
	return p
}

func notNegative(what string, d time.Duration) error {
	if d < 0 {
		return invalidf("%s %v is negative", what, d)
	}
	return nil
}

// validName is ValidateName for a name that may be left out.
func validName(what, name string) error {
	if name == "" {
		return nil
	}
	return grapnel.ValidateName(what, name)
}
