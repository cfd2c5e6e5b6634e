package live

import (
	"bytes"
	"fmt"
	"io"
	"sync"
)

// maxHeld is how much a [Gate] holds back, in bytes; what comes later is counted
// and dropped.
const maxHeld = 64 << 10

// Gate is a writer to a terminal on which there may be a view: while it is held,
// what is written waits, so that logs don't tear the view. Use [NewGate].
type Gate struct {
	mu      sync.Mutex
	out     io.Writer // guarded by mu, as is all below
	held    int
	waiting bytes.Buffer
	dropped int
}

// NewGate returns an open gate before out.
func NewGate(out io.Writer) *Gate { return &Gate{out: out} }

// Write writes, or holds back, whole pieces.
func (g *Gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.held == 0:
		return g.out.Write(p)
	case g.waiting.Len()+len(p) > maxHeld:
		g.dropped += len(p)
	default:
		g.waiting.Write(p)
	}
	return len(p), nil
}

// Hold closes the gate and returns what opens it again, which is called once:
// then all that waited is written.
func (g *Gate) Hold() (release func() error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held++
	return func() error {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.held--; g.held > 0 {
			return nil
		}
		if g.dropped > 0 {
			fmt.Fprintf(&g.waiting, "(%d bytes more were not kept)\n", g.dropped)
			g.dropped = 0
		}
		_, err := g.waiting.WriteTo(g.out)
		return err
	}
}
