package embedetcd

import (
	"github.com/hashicorp/go-hclog"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// zapLogger returns a logger for etcd that passes warnings and errors on.
func zapLogger(to hclog.Logger) *zap.Logger { return zap.New(bridge{to: to}) }

// bridge writes zap's entries to an hclog logger.
type bridge struct{ to hclog.Logger }

var _ zapcore.Core = bridge{}

func (bridge) Enabled(l zapcore.Level) bool { return l >= zapcore.WarnLevel }

func (b bridge) With(fields []zapcore.Field) zapcore.Core {
	return bridge{to: b.to.With(pairs(fields)...)}
}

func (b bridge) Check(e zapcore.Entry, ce *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if b.Enabled(e.Level) {
		return ce.AddCore(e, b)
	}
	return ce
}

func (b bridge) Write(e zapcore.Entry, fields []zapcore.Field) error {
	level := hclog.Info
	if e.Level > zapcore.ErrorLevel {
		level = hclog.Error // it ends the process
	}
	b.to.Log(level, e.Message, pairs(fields)...)
	return nil
}

func (bridge) Sync() error { return nil }

func pairs(fields []zapcore.Field) []any {
	enc := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		f.AddTo(enc)
	}
	out := make([]any, 0, 2*len(enc.Fields))
	for k, v := range enc.Fields {
		out = append(out, k, v)
	}
	return out
}
