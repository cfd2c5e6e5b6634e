package flowfile

import (
	"slices"

	yaml "go.yaml.in/yaml/v4"

	"github.com/grapnel-dev/grapnel/workflow"
)

var retryKeys = []string{"attempts", "backoff", "factor", "max_backoff", "jitter", "except"}

// Limits of policies.
const (
	maxAttempts = 1_000_000
	maxFactor   = 1_000
)

// policy returns the policy that fields say, where they say nothing that of
// base.
func (r *reader) policy(fields map[string]field, base workflow.Policy) workflow.Policy {
	p := base
	p.Tags = slices.Clone(base.Tags)
	p.Retry.NonRetryable = slices.Clone(base.Retry.NonRetryable)
	if v, ok := fields["queue"]; ok {
		p.Queue = r.name(v.value, "queue")
	}
	if v, ok := fields["tags"]; ok {
		p.Tags = r.tags(v.value)
	}
	if v, ok := fields["priority"]; ok {
		p.Priority, _ = r.integer(v.value, "priority", 1, 5)
	}
	if v, ok := fields["timeout"]; ok {
		p.StartToClose = r.duration(v.value, "timeout")
	}
	if v, ok := fields["heartbeat"]; ok {
		p.Heartbeat = r.duration(v.value, "heartbeat")
	}
	if p.Heartbeat > 0 && p.StartToClose > 0 && p.Heartbeat >= p.StartToClose {
		v, ok := fields["heartbeat"]
		if !ok {
			v, ok = fields["timeout"]
		}
		if ok {
			r.add(at(v.value), "heartbeat %v must be shorter than timeout %v", p.Heartbeat, p.StartToClose)
		}
	}
	if v, ok := fields["retry"]; ok {
		p.Retry = r.retry(v.value)
	}
	return p
}

func (r *reader) tags(n *yaml.Node) []string {
	elems, _ := r.list(n, "tags")
	var tags []string
	for _, elem := range elems {
		tag := r.name(elem, "tag")
		if slices.Contains(tags, tag) {
			r.add(at(elem), "tag %s is there twice; remove one", tag)
		}
		tags = append(tags, tag)
	}
	return tags
}

// retry reads how often a task is tried: a number, or the whole policy.
func (r *reader) retry(n *yaml.Node) workflow.RetryPolicy {
	var p workflow.RetryPolicy
	if n.Kind == yaml.ScalarNode && n.ShortTag() == "!!int" {
		p.Attempts, _ = r.integer(n, "retry", 1, maxAttempts)
		return p
	}
	keys, ok := r.object(n, "retry", retryKeys)
	if !ok {
		return p
	}
	if v, ok := keys["attempts"]; ok {
		p.Attempts, _ = r.integer(v.value, "attempts", 1, maxAttempts)
	} else {
		r.add(at(n), "retry has no attempts; say how many there may be, the first included")
	}
	if v, ok := keys["backoff"]; ok {
		p.Backoff = r.duration(v.value, "backoff")
	}
	if v, ok := keys["factor"]; ok {
		p.Factor = r.float(v.value, "factor", 1, maxFactor)
	}
	if v, ok := keys["max_backoff"]; ok {
		p.MaxBackoff = r.duration(v.value, "max_backoff")
		if p.MaxBackoff > 0 && p.Backoff > p.MaxBackoff {
			r.add(at(v.value), "max_backoff %v must not be shorter than backoff %v", p.MaxBackoff, p.Backoff)
		}
	}
	if v, ok := keys["jitter"]; ok {
		p.Jitter = r.float(v.value, "jitter", 0, 1)
	}
	if v, ok := keys["except"]; ok {
		elems, _ := r.list(v.value, "except")
		for _, elem := range elems {
			p.NonRetryable = append(p.NonRetryable, r.name(elem, "kind of failure"))
		}
	}
	return p
}
