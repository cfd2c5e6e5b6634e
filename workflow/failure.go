package workflow

import (
	"bytes"
	"errors"
	"fmt"
	"runtime/debug"
	"strings"
	"unicode/utf8"

	"github.com/grapnel-dev/grapnel"
)

// MaxFailureText is how many bytes of a failure's message, and how many of its
// stack, [FailureOf] and [PanicFailure] keep. Failures are part of a run's
// state; of one in which hundreds of nodes fail at such length less is stored.
const MaxFailureText = 4 << 10

// Error returns where the failure happened, its kind and its message, such as
// "node 3 (attempt 2): error: card refused". See [State.Describe] for one
// with the node's name.
func (f *Failure) Error() string {
	switch {
	case f == nil:
		return "nil *workflow.Failure"
	case f.Node < 0:
		return f.text()
	}
	return fmt.Sprintf("node %d (attempt %d): %s", f.Node, f.Attempt, f.text())
}

// Describe is Error with names instead of the node's index, such as "task
// charge (attempt 2): error: card refused". Of nodes in the bodies of maps only
// [State.Describe] knows the names.
func (f *Failure) Describe(d *Definition) string {
	n, err := d.Node(f.Node)
	if err != nil {
		return f.Error()
	}
	return f.describe(n, n.Name)
}

func (f *Failure) describe(n *Node, name string) string {
	what := ""
	switch n.Kind {
	case KindTask:
		what = "task " + n.Task
	case KindInline:
		what = "inline function " + n.Task
	case KindExpr:
		what = n.Task + " expression"
	case KindSwitch, KindMap:
		what = n.Kind.String()
	}
	if name != n.Task {
		what = fmt.Sprintf("node %s, %s", name, what)
	}
	return fmt.Sprintf("%s (attempt %d): %s", what, f.Attempt, f.text())
}

func (f *Failure) text() string {
	if f.Message == "" {
		return f.Kind
	}
	return f.Kind + ": " + f.Message
}

// Is lets [errors.Is] find out the sort of failure: [grapnel.ErrTimedOut] for
// every kind of time-out, [grapnel.ErrTooLarge] for an output over the limit,
// [grapnel.ErrInvalid] for input or output that does not decode or encode.
func (f *Failure) Is(target error) bool {
	switch f.Kind {
	case KindScheduleToStart, KindStartToClose, KindScheduleToClose, KindHeartbeat, KindRunTimeout:
		return target == grapnel.ErrTimedOut
	case KindTooLarge:
		return target == grapnel.ErrTooLarge
	case KindBadInput, KindBadOutput:
		return target == grapnel.ErrInvalid
	}
	return false
}

// FailureOf returns what to record of err: a copy of the *Failure that it wraps,
// with the message around it, or else a failure of [KindError] at no node. It
// returns nil for nil.
func FailureOf(err error) *Failure {
	if err == nil {
		return nil
	}
	f := Failure{Kind: KindError, Message: err.Error(), Node: -1}
	if inner, ok := errors.AsType[*Failure](err); ok && inner != nil {
		f = *inner
		f.Message = strings.Replace(err.Error(), inner.Error(), inner.Message, 1)
	}
	f.Message = shorten(f.Message)
	f.Stack = shorten(f.Stack)
	return &f
}

// PanicFailure returns the failure, of [KindPanic] and at no node, for what
// recover returned. Called by the deferred function that recovered, it keeps
// the stack of the panic.
func PanicFailure(recovered any) *Failure {
	return &Failure{
		Kind:    KindPanic,
		Message: shorten(fmt.Sprint(recovered)),
		Stack:   shorten(panicStack()),
		Node:    -1,
	}
}

// panicStack returns the current stack from the function that panicked on.
func panicStack() string {
	stack := debug.Stack()
	// The panic's own frame is "panic({…})" and a line with its place.
	if i := bytes.LastIndex(stack, []byte("\npanic(")); i >= 0 {
		rest := stack[i+1:]
		for range 2 {
			if _, after, ok := bytes.Cut(rest, []byte("\n")); ok {
				rest = after
			}
		}
		stack = rest
	}
	return string(stack)
}

// shorten cuts s to MaxFailureText bytes, between characters.
func shorten(s string) string {
	const mark = " …"
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= MaxFailureText {
		return s
	}
	cut := MaxFailureText - len(mark)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + mark
}

// permanent returns a failure at no node that no retry would mend.
func permanent(kind string, err error) *Failure {
	return &Failure{Kind: kind, Message: shorten(err.Error()), Node: -1, Permanent: true}
}
