package sloghclog

import (
	"context"
	"log/slog"

	"github.com/hashicorp/go-hclog"
)

// Handler returns a handler that writes to l, which decides which levels are
// written. L must not be nil.
func Handler(l hclog.Logger) slog.Handler { return &handler{l: l} }

// handler is a slog.Handler.
type handler struct {
	l      hclog.Logger
	prefix string // of keys: the groups that are open, each with a dot behind it
}

func toHclog(level slog.Level) hclog.Level {
	switch {
	case level < slog.LevelDebug:
		return hclog.Trace
	case level < slog.LevelInfo:
		return hclog.Debug
	case level < slog.LevelWarn:
		return hclog.Info
	case level < slog.LevelError:
		return hclog.Warn
	}
	return hclog.Error
}

// Enabled reports whether l writes entries of a level.
func (h *handler) Enabled(_ context.Context, level slog.Level) bool {
	switch toHclog(level) {
	case hclog.Trace:
		return h.l.IsTrace()
	case hclog.Debug:
		return h.l.IsDebug()
	case hclog.Info:
		return h.l.IsInfo()
	case hclog.Warn:
		return h.l.IsWarn()
	}
	return h.l.IsError()
}

// Handle writes a record. It returns no error, as l tells of none.
func (h *handler) Handle(_ context.Context, r slog.Record) error {
	var args []any
	r.Attrs(func(a slog.Attr) bool {
		args = flatten(args, h.prefix, a)
		return true
	})
	h.l.Log(toHclog(r.Level), r.Message, args...)
	return nil
}

// WithAttrs returns a handler that adds attributes to each entry.
func (h *handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	var args []any
	for _, a := range attrs {
		args = flatten(args, h.prefix, a)
	}
	if len(args) == 0 {
		return h
	}
	return &handler{l: h.l.With(args...), prefix: h.prefix}
}

// WithGroup returns a handler that puts the group's name before keys.
func (h *handler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	return &handler{l: h.l, prefix: h.prefix + name + "."}
}

// flatten appends an attribute as key and value, or those of a group. What is
// empty is left out.
func flatten(args []any, prefix string, a slog.Attr) []any {
	a.Value = a.Value.Resolve()
	if a.Equal(slog.Attr{}) {
		return args
	}
	if a.Value.Kind() != slog.KindGroup {
		return append(args, prefix+a.Key, a.Value.Any())
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range a.Value.Group() {
		args = flatten(args, prefix, member)
	}
	return args
}
