// Package live keeps a view on a terminal up to date: it draws a model again
// several times a second, for the size that the terminal has then, and takes
// keys. What is drawn are lines, as package tui makes them.
//
// Bubble Tea does what is hard about that: it writes only what has changed, in
// one piece where the terminal can take it as one, so that nothing flickers; and
// it puts the terminal into raw mode and back, also after a panic.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/term"

	"github.com/grapnel-dev/grapnel/internal/tui"
)

// ErrQuit is the cause with which the context of the work ends when the user
// asks for the end of the view.
var ErrQuit = errors.New("the view was closed")

// frame is how often the view is drawn.
const frame = 150 * time.Millisecond

// Possible reports whether a view can be live: out is a terminal, and one that
// can do more than print.
func Possible(out io.Writer) bool {
	f, ok := out.(*os.File)
	if !ok || !term.IsTerminal(f.Fd()) {
		return false
	}
	kind := os.Getenv("TERM")
	return kind != "" && kind != "dumb"
}

// Theme returns what the environment allows: no colours if NO_COLOR is set and
// not empty, and only ASCII if the locale says so.
func Theme(getenv func(string) string) tui.Theme {
	t := tui.Theme{Color: getenv("NO_COLOR") == ""}
	for _, name := range []string{"LC_ALL", "LC_CTYPE", "LANG"} { // the first that is set decides
		if locale := strings.ToLower(getenv(name)); locale != "" {
			t.ASCII = !strings.Contains(locale, "utf-8") && !strings.Contains(locale, "utf8")
			break
		}
	}
	return t
}

// Config configures [Show].
type Config[M any] struct {
	// In and Out are the terminal. If In is nil, or a file that is none, there
	// are no keys, and Ctrl-C is the signal that it usually is.
	In  io.Reader
	Out io.Writer
	// Full takes the whole terminal, and gives it back as it was; otherwise the
	// view is below what is there already, and its last state stays.
	Full bool
	// Draw makes the lines. It is called only after a model was shown.
	Draw func(m M, now time.Time, width, height int) []string
	// Key is told of each key that was pressed, such as "q", "enter" or
	// "ctrl+c", and returns whether to close the view. Nil closes it at q, Esc
	// and Ctrl-C.
	Key func(key string) (quit bool)

	options []tea.ProgramOption // of tests
}

// Show draws what work shows until work returns, and returns its error. The
// context of work ends with ctx, and with [ErrQuit] as its cause when the user
// closes the view; an error that wraps ErrQuit then is returned as such. Work
// may call show at any rate: only the latest model is drawn.
func Show[M any](ctx context.Context, cfg Config[M], work func(ctx context.Context, show func(M)) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if cfg.Key == nil {
		cfg.Key = func(key string) bool { return key == "q" || key == "esc" || key == "ctrl+c" }
	}
	if f, ok := cfg.In.(*os.File); ok && !term.IsTerminal(f.Fd()) {
		cfg.In = nil
	}
	m := &model[M]{cfg: cfg, quit: func() { cancel(ErrQuit) }}
	options := append([]tea.ProgramOption{
		tea.WithInput(cfg.In), tea.WithOutput(cfg.Out), tea.WithoutSignalHandler(), tea.WithFPS(30),
	}, cfg.options...)
	p := tea.NewProgram(m, options...)

	var workErr error
	var wg sync.WaitGroup
	wg.Go(func() {
		workErr = work(ctx, m.show)
		p.Send(doneMsg{}) // returns at once if the program has ended
	})
	_, err := p.Run()
	cancel(ErrQuit)
	wg.Wait()
	if err == nil {
		return workErr
	}
	err = fmt.Errorf("draw on the terminal: %w", err)
	if errors.Is(workErr, ErrQuit) {
		return err // nobody has closed the view: it never was
	}
	return errors.Join(workErr, err)
}

type (
	frameMsg struct{}
	doneMsg  struct{}
)

// model is Bubble Tea's. All but show is called from one goroutine.
type model[M any] struct {
	cfg           Config[M]
	quit          func()
	width, height int

	mu     sync.Mutex
	latest M    // guarded by mu
	shown  bool // guarded by mu; whether there is a latest
}

func (m *model[M]) show(latest M) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest, m.shown = latest, true
}

// Init starts the clock.
func (m *model[M]) Init() tea.Cmd { return nextFrame() }

func nextFrame() tea.Cmd {
	return tea.Tick(frame, func(time.Time) tea.Msg { return frameMsg{} })
}

// Update takes what has happened.
func (m *model[M]) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case tea.KeyPressMsg:
		switch key := msg.String(); {
		case key == "ctrl+z":
			return m, tea.Suspend
		case m.cfg.Key(key):
			m.quit() // the work returns, and that ends the program
		}
	case frameMsg:
		return m, nextFrame()
	case doneMsg:
		return m, tea.Quit
	}
	return m, nil
}

// View draws.
func (m *model[M]) View() tea.View {
	m.mu.Lock()
	latest, shown := m.latest, m.shown
	m.mu.Unlock()
	var v tea.View
	v.AltScreen = m.cfg.Full
	if !shown || m.width <= 0 || m.height <= 0 {
		return v
	}
	height, end := m.height, ""
	if !m.cfg.Full {
		// The line of the cursor, which the end of the program erases.
		height, end = height-1, "\n"
	}
	v.SetContent(strings.Join(m.cfg.Draw(latest, time.Now(), m.width, height), "\n") + end)
	return v
}
