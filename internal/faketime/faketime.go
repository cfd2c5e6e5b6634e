// Package faketime lets the fake time of tests pass. Only tests import it.
package faketime

import "time"

// Pass lets d pass on the clock of the testing/synctest bubble that it is called
// in. It takes no real time: the clock moves on, timer by timer, whenever all
// goroutines of the bubble are durably blocked. When Pass returns, what else was
// due by then may still have to run; [testing/synctest.Wait] waits for it. If d
// is not positive, Pass returns at once.
//
// Pass panics outside of a bubble, where it would have to sleep: tests do not
// wait for real time to pass, but for what is to happen.
func Pass(d time.Duration) {
	if !inBubble() {
		panic("faketime: Pass is called outside of a testing/synctest bubble")
	}
	time.Sleep(d)
}

// inBubble reports whether the clock is that of a bubble. Such clocks begin with
// the year 2000; no real clock shows a year before this code's.
func inBubble() bool { return time.Now().UTC().Year() < 2020 }
