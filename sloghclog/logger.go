package sloghclog

import (
	"context"
	"fmt"
	"io"
	"log"
	"log/slog"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
)

const (
	// LevelTrace is hclog's trace among slog's levels.
	LevelTrace = slog.LevelDebug - 4
	// NameKey is the attribute that has the logger's name, such as "worker".
	NameKey = "logger"
)

// New returns a logger that writes to l. The handler of l decides which levels
// are written; SetLevel can only raise that, for all loggers made of the one that
// is returned. L must not be nil.
func New(l *slog.Logger) hclog.Logger {
	return &logger{base: l.Handler(), handler: l.Handler(), level: &atomic.Int32{}}
}

// logger is an hclog.Logger. Loggers made of it share the level.
type logger struct {
	base    slog.Handler // without name and implied arguments
	handler slog.Handler // with them
	name    string
	implied []any // alternating keys and values
	level   *atomic.Int32
}

// toSlog returns slog's level for one of hclog's; those that name none are info.
func toSlog(level hclog.Level) slog.Level {
	switch level {
	case hclog.Trace:
		return LevelTrace
	case hclog.Debug:
		return slog.LevelDebug
	case hclog.Warn:
		return slog.LevelWarn
	case hclog.Error:
		return slog.LevelError
	}
	return slog.LevelInfo
}

func (l *logger) enabled(level hclog.Level) bool {
	if level == hclog.NoLevel {
		level = hclog.Info
	}
	return level != hclog.Off && level >= hclog.Level(l.level.Load()) && l.handler.Enabled(context.Background(), toSlog(level))
}

// write is called by the exported methods alone, so the place in the source is
// two calls up.
func (l *logger) write(level hclog.Level, msg string, args []any) {
	if !l.enabled(level) {
		return
	}
	var pcs [1]uintptr
	runtime.Callers(3, pcs[:])
	r := slog.NewRecord(time.Now(), toSlog(level), msg, pcs[0])
	r.AddAttrs(attrs(args)...)
	_ = l.handler.Handle(context.Background(), r) // as slog.Logger does: there is nobody to tell
}

// Log writes an entry. Without a level it is one of info.
func (l *logger) Log(level hclog.Level, msg string, args ...any) { l.write(level, msg, args) }

// Trace writes an entry of [LevelTrace].
func (l *logger) Trace(msg string, args ...any) { l.write(hclog.Trace, msg, args) }

// Debug writes an entry.
func (l *logger) Debug(msg string, args ...any) { l.write(hclog.Debug, msg, args) }

// Info writes an entry.
func (l *logger) Info(msg string, args ...any) { l.write(hclog.Info, msg, args) }

// Warn writes an entry.
func (l *logger) Warn(msg string, args ...any) { l.write(hclog.Warn, msg, args) }

// Error writes an entry.
func (l *logger) Error(msg string, args ...any) { l.write(hclog.Error, msg, args) }

// IsTrace and the like report whether entries of a level are written.
func (l *logger) IsTrace() bool { return l.enabled(hclog.Trace) }
func (l *logger) IsDebug() bool { return l.enabled(hclog.Debug) }
func (l *logger) IsInfo() bool  { return l.enabled(hclog.Info) }
func (l *logger) IsWarn() bool  { return l.enabled(hclog.Warn) }
func (l *logger) IsError() bool { return l.enabled(hclog.Error) }

// ImpliedArgs returns what With was given.
func (l *logger) ImpliedArgs() []any { return slices.Clone(l.implied) }

// With returns a logger that adds these to each entry. A key that is implied
// already gets the new value, as hclog's own loggers do it.
func (l *logger) With(args ...any) hclog.Logger {
	implied := slices.Clone(l.implied)
	for i := 0; i < len(args); i += 2 {
		key, value := pair(args, i)
		at := -1
		for k := 0; k < len(implied); k += 2 {
			if implied[k] == key {
				at = k
			}
		}
		if at < 0 {
			implied = append(implied, key, value)
			continue
		}
		implied[at+1] = value
	}
	return l.derive(l.name, implied)
}

// Name returns the name, with dots between its parts.
func (l *logger) Name() string { return l.name }

// Named returns a logger whose name has one more part.
func (l *logger) Named(name string) hclog.Logger {
	if l.name != "" {
		name = l.name + "." + name
	}
	return l.derive(name, l.implied)
}

// ResetNamed returns a logger of this name.
func (l *logger) ResetNamed(name string) hclog.Logger { return l.derive(name, l.implied) }

func (l *logger) derive(name string, implied []any) hclog.Logger {
	d := &logger{base: l.base, handler: l.base, name: name, implied: implied, level: l.level}
	var with []slog.Attr
	if name != "" {
		with = append(with, slog.String(NameKey, name))
	}
	if with = append(with, attrs(implied)...); len(with) > 0 {
		d.handler = l.base.WithAttrs(with)
	}
	return d
}

// SetLevel stops entries below a level, in addition to what the handler stops.
func (l *logger) SetLevel(level hclog.Level) { l.level.Store(int32(level)) }

// GetLevel returns the lowest level that is written.
func (l *logger) GetLevel() hclog.Level {
	for _, level := range []hclog.Level{hclog.Trace, hclog.Debug, hclog.Info, hclog.Warn, hclog.Error} {
		if l.enabled(level) {
			return level
		}
	}
	return hclog.Off
}

// StandardLogger returns a logger of package log that writes here.
func (l *logger) StandardLogger(opts *hclog.StandardLoggerOptions) *log.Logger {
	return log.New(l.StandardWriter(opts), "", 0)
}

// StandardWriter returns a writer whose lines become entries. How the level of a
// line is found is hclog's business: a logger of its own passes them on.
func (l *logger) StandardWriter(opts *hclog.StandardLoggerOptions) io.Writer {
	if opts == nil {
		opts = &hclog.StandardLoggerOptions{}
	}
	lines := hclog.NewInterceptLogger(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Off})
	lines.RegisterSink(sink{l})
	return lines.StandardWriter(opts)
}

// sink passes the entries of another logger on.
type sink struct{ l *logger }

// Accept is for package hclog.
func (s sink) Accept(_ string, level hclog.Level, msg string, args ...any) {
	s.l.write(level, msg, args)
}

// pair returns the key at i and its value. A value without a key, at the end,
// gets hclog's key for that.
func pair(args []any, i int) (key string, value any) {
	if i+1 == len(args) {
		return hclog.MissingKey, args[i]
	}
	if s, ok := args[i].(string); ok {
		return s, args[i+1]
	}
	return fmt.Sprint(args[i]), args[i+1]
}

// attrs makes attributes of alternating keys and values.
func attrs(args []any) []slog.Attr {
	var found []slog.Attr
	for i := 0; i < len(args); i += 2 {
		key, value := pair(args, i)
		found = append(found, slog.Any(key, plain(value)))
	}
	return found
}

// plain turns the values with which hclog asks for a format into texts.
func plain(value any) any {
	switch v := value.(type) {
	case hclog.Format:
		if len(v) == 0 {
			return ""
		}
		format, ok := v[0].(string)
		if !ok {
			return fmt.Sprint(v...)
		}
		return fmt.Sprintf(format, v[1:]...)
	case hclog.Hex:
		return "0x" + strconv.FormatInt(int64(v), 16)
	case hclog.Octal:
		return "0" + strconv.FormatInt(int64(v), 8)
	case hclog.Binary:
		return "0b" + strconv.FormatInt(int64(v), 2)
	case hclog.Quote:
		return strconv.Quote(string(v))
	case hclog.CapturedStacktrace:
		return string(v)
	}
	return value
}
