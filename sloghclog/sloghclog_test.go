package sloghclog_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"strings"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/grapnel-dev/grapnel/sloghclog"
)

// nested turns dots in keys back into groups.
func nested(flat map[string]any) map[string]any {
	out := map[string]any{}
	for key, value := range flat {
		at, parts := out, strings.Split(key, ".")
		for _, group := range parts[:len(parts)-1] {
			next, ok := at[group].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[group] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = value
	}
	return out
}

// decode returns an entry that was written as JSON.
func decode(t *testing.T, out *bytes.Buffer) map[string]any {
	t.Helper()
	var entry map[string]any
	if err := json.Unmarshal(out.Bytes(), &entry); err != nil {
		t.Fatalf("%v: %s", err, out.Bytes())
	}
	return entry
}

func TestTheHandlerIsOneByTheRulesOfSlog(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		if strings.HasSuffix(t.Name(), "/zero-time") {
			t.Skip("hclog dates its entries itself")
		}
		out.Reset()
		return sloghclog.Handler(hclog.New(&hclog.LoggerOptions{Output: &out, JSONFormat: true, Level: hclog.Trace}))
	}, func(t *testing.T) map[string]any {
		entry := decode(t, &out)
		for from, to := range map[string]string{"@timestamp": slog.TimeKey, "@level": slog.LevelKey, "@message": slog.MessageKey} {
			entry[to] = entry[from]
			delete(entry, from)
		}
		return nested(entry)
	})
}

func TestThereAndBackIsStillAHandler(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	slogtest.Run(t, func(t *testing.T) slog.Handler {
		if strings.HasSuffix(t.Name(), "/zero-time") {
			t.Skip("a logger of hclog has no time to pass on")
		}
		out.Reset()
		return sloghclog.Handler(sloghclog.New(slog.New(slog.NewJSONHandler(&out, nil))))
	}, func(t *testing.T) map[string]any { return nested(decode(t, &out)) })
}

// logger returns a logger that writes JSON, and what reads its last entry.
func logger(t *testing.T, level slog.Level) (hclog.Logger, func() map[string]any) {
	t.Helper()
	var out bytes.Buffer
	l := sloghclog.New(slog.New(slog.NewJSONHandler(&out, &slog.HandlerOptions{Level: level, AddSource: true})))
	return l, func() map[string]any {
		t.Helper()
		defer out.Reset()
		if out.Len() == 0 {
			return nil
		}
		entry := decode(t, &out)
		delete(entry, slog.TimeKey)
		return entry
	}
}

func TestEntriesKeepLevelNameArgumentsAndSource(t *testing.T) {
	t.Parallel()
	l, last := logger(t, sloghclog.LevelTrace)
	l = l.Named("grapnel").Named("worker").With("run", "r", "node", 1).With("node", 2)
	l.Warn("commit is slow", "took", time.Second, "error", errors.New("no ink"), "odd")
	entry := last()
	source, ok := entry["source"].(map[string]any)
	if file, _ := source["file"].(string); !ok || !strings.HasSuffix(file, "sloghclog_test.go") {
		t.Errorf("the source is %v", entry["source"])
	}
	delete(entry, "source")
	want := map[string]any{
		"level": "WARN", "msg": "commit is slow", "logger": "grapnel.worker", "run": "r", "node": 2.0,
		"took": 1e9, "error": "no ink", hclog.MissingKey: "odd",
	}
	if !maps.Equal(entry, want) {
		t.Errorf("the entry is %v, want %v", entry, want)
	}
	if l.Name() != "grapnel.worker" || l.ResetNamed("x").Name() != "x" || len(l.ImpliedArgs()) != 4 {
		t.Errorf("the logger is %q with %v", l.Name(), l.ImpliedArgs())
	}
}

func TestLevelsAreThoseOfTheHandlerUnlessRaised(t *testing.T) {
	t.Parallel()
	l, last := logger(t, slog.LevelInfo)
	child := l.Named("child")
	child.Debug("below")
	if last() != nil || l.IsDebug() || l.IsTrace() || !l.IsInfo() || l.GetLevel() != hclog.Info {
		t.Errorf("at info the level is %v", l.GetLevel())
	}
	l.SetLevel(hclog.Error)
	child.Warn("below")
	if last() != nil || child.IsWarn() || !child.IsError() || child.GetLevel() != hclog.Error {
		t.Errorf("after SetLevel the level is %v", child.GetLevel())
	}
	l.SetLevel(hclog.Off)
	child.Error("below")
	if last() != nil || child.GetLevel() != hclog.Off {
		t.Error("an entry was written although the logger is off")
	}
	l.SetLevel(hclog.Trace)
	l.Log(hclog.NoLevel, "plain")
	if entry := last(); entry["level"] != "INFO" {
		t.Errorf("without a level the entry is %v", entry)
	}
	l, last = logger(t, sloghclog.LevelTrace)
	for want, write := range map[string]func(string, ...any){"DEBUG-4": l.Trace, "DEBUG": l.Debug, "INFO": l.Info, "WARN": l.Warn, "ERROR": l.Error} {
		write("m")
		if got := last()["level"]; got != want {
			t.Errorf("the level is %v, want %s", got, want)
		}
	}
}

func TestHclogsFormatsAreHonoured(t *testing.T) {
	t.Parallel()
	l, last := logger(t, slog.LevelInfo)
	l.Info("m", "hex", hclog.Hex(255), "octal", hclog.Octal(8), "binary", hclog.Binary(5), "quote", hclog.Quote("a b"), "fmt", hclog.Fmt("%d of %d", 1, 2), 7, "seven")
	entry := last()
	for key, want := range map[string]any{"hex": "0xff", "octal": "010", "binary": "0b101", "quote": `"a b"`, "fmt": "1 of 2", "7": "seven"} {
		if entry[key] != want {
			t.Errorf("%s is %v, want %v", key, entry[key], want)
		}
	}
}

func TestLinesOfTheStandardLoggerBecomeEntries(t *testing.T) {
	t.Parallel()
	l, last := logger(t, slog.LevelInfo)
	l.Named("http").StandardLogger(&hclog.StandardLoggerOptions{InferLevels: true}).Print("[ERROR] no route")
	if entry := last(); entry["level"] != "ERROR" || entry["msg"] != "no route" || entry["logger"] != "http" {
		t.Errorf("the entry is %v", entry)
	}
	l.StandardLogger(nil).Print("hello")
	if entry := last(); entry["level"] != "INFO" || entry["msg"] != "hello" {
		t.Errorf("the entry is %v", entry)
	}
}

func ExampleNew() {
	l := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{} // the example should print the same each time
			}
			return a
		},
	}))
	// As in worker.Config{Logger: sloghclog.New(l)}.
	sloghclog.New(l).Named("worker").Info("node completed", "run", "order-17", "node", "charge")
	// Output: level=INFO msg="node completed" logger=worker run=order-17 node=charge
}

func ExampleHandler() {
	l := hclog.New(&hclog.LoggerOptions{Name: "shop", Output: os.Stdout, DisableTime: true})
	slog.New(sloghclog.Handler(l)).WithGroup("order").Warn("no stock", "sku", "a-1")
	// Output: [WARN]  shop: no stock: order.sku=a-1
}
