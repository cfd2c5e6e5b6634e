package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// screen keeps what was written, and tells when a text has been.
type screen struct {
	mu  sync.Mutex
	buf bytes.Buffer
	has map[string]chan struct{}
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.buf.Write(p)
	for text, ch := range s.has {
		if strings.Contains(s.buf.String(), text) {
			close(ch)
			delete(s.has, text)
		}
	}
	return n, err
}

// wrote returns a channel that is closed once text has been written.
func (s *screen) wrote(text string) <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	ch := make(chan struct{})
	if strings.Contains(s.buf.String(), text) {
		close(ch)
		return ch
	}
	if s.has == nil {
		s.has = map[string]chan struct{}{}
	}
	s.has[text] = ch
	return ch
}

// config is for a terminal of 60 columns that is not one.
func config(in io.Reader, out io.Writer) Config[int] {
	return Config[int]{
		In: in, Out: out,
		Draw: func(n int, _ time.Time, width, height int) []string {
			return []string{fmt.Sprintf("model-%d of %dx%d", n, width, height)}
		},
		options: []tea.ProgramOption{tea.WithWindowSize(60, 20), tea.WithEnvironment([]string{"TERM=xterm"})},
	}
}

func TestTheLatestModelIsDrawnAndTheLastOneStays(t *testing.T) {
	t.Parallel()
	out := &screen{}
	failed := errors.New("failed")
	err := Show(t.Context(), config(nil, out), func(_ context.Context, show func(int)) error {
		show(1)
		<-out.wrote("model-1 of 60x19")
		for n := range 1000 {
			show(n)
		}
		return failed
	})
	if !errors.Is(err, failed) {
		t.Errorf("Show returned %v", err)
	}
	if !strings.Contains(out.buf.String(), "999") {
		t.Errorf("the last model is not on the screen: %q", out.buf.String())
	}
}

func TestAKeyClosesTheView(t *testing.T) {
	t.Parallel()
	for key, quits := range map[string]bool{"q": true, "\x03": true, "xq": true} {
		in, keyboard := io.Pipe()
		out := &screen{}
		err := Show(t.Context(), config(in, out), func(ctx context.Context, show func(int)) error {
			show(1)
			<-out.wrote("model-1")
			if _, err := keyboard.Write([]byte(key)); err != nil {
				return err
			}
			<-ctx.Done()
			return context.Cause(ctx)
		})
		if errors.Is(err, ErrQuit) != quits {
			t.Errorf("after %q Show returned %v", key, err)
		}
		_ = keyboard.Close()
	}
}

func TestTheCallersContextEndsTheWork(t *testing.T) {
	t.Parallel()
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	err := Show(ctx, config(nil, &screen{}), func(ctx context.Context, _ func(int)) error {
		cancel(enough)
		<-ctx.Done()
		return context.Cause(ctx)
	})
	if !errors.Is(err, enough) {
		t.Errorf("Show returned %v", err)
	}
}

func TestAFileIsNoTerminal(t *testing.T) {
	t.Parallel()
	f, err := os.Create(filepath.Join(t.TempDir(), "out"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if Possible(f) || Possible(&bytes.Buffer{}) {
		t.Error("a file or a buffer is taken for a terminal")
	}
}

func TestTheEnvironmentDecidesOnColoursAndCharacters(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		env          map[string]string
		color, ascii bool
	}{
		{nil, true, false},
		{map[string]string{"NO_COLOR": "1", "LANG": "de_DE.UTF-8"}, false, false},
		{map[string]string{"LANG": "C"}, true, true},
		{map[string]string{"LANG": "C", "LC_ALL": "C.utf8"}, true, false},
	} {
		if got := Theme(func(name string) string { return tt.env[name] }); got.Color != tt.color || got.ASCII != tt.ascii {
			t.Errorf("%v gives %+v", tt.env, got)
		}
	}
}

func TestLogsWaitWhileAViewIsShown(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	g := NewGate(&out)
	write := func(text string) {
		t.Helper()
		if n, err := g.Write([]byte(text)); n != len(text) || err != nil {
			t.Fatalf("Write returned %d, %v", n, err)
		}
	}
	write("before\n")
	outer, inner := g.Hold(), g.Hold()
	write("while\n")
	if err := inner(); err != nil || out.String() != "before\n" {
		t.Errorf("written is %q, %v", out.String(), err)
	}
	write(strings.Repeat("x", maxHeld))
	if err := outer(); err != nil {
		t.Error(err)
	}
	write("after\n")
	if want := fmt.Sprintf("before\nwhile\n(%d bytes more were not kept)\nafter\n", maxHeld); out.String() != want {
		t.Errorf("written is %q, want %q", out.String(), want)
	}
}
