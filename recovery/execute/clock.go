package execute

import (
	"time"

	"comeback/recovery"
)

// clock holds the clock by which events have their times against one that nobody sets, so
// that a step between two events is seen whichever way it goes.
type clock struct {
	now    func() time.Time
	uptime func() time.Duration
	// ahead is how far the first was ahead of the other when it was last said to have been
	// put back or forward, or at the beginning.
	ahead time.Duration
}

// atOnce is how far apart the two may be read: a host may sleep between.
const atOnce = 100 * time.Millisecond

func newClock(now func() time.Time, uptime func() time.Duration) clock {
	c := clock{now: now, uptime: uptime}
	if d, ok := c.read(); ok {
		c.ahead = d
	} else {
		c.uptime = nil // there is nothing to compare with
	}
	return c
}

// read is how far the clock is ahead of the one that nobody sets; false where that does not
// tell.
func (c *clock) read() (time.Duration, bool) {
	if c.uptime == nil {
		return 0, false
	}
	for range 3 {
		before := c.uptime()
		now := c.now().UnixNano() // a step shows in what it says, not in what Go measures
		if after := c.uptime(); after-before < atOnce {
			return time.Duration(now) - before, true
		}
	}
	return 0, false
}

// stepped is by how much the clock was put forward since it was last asked; zero where it
// was not, less than zero where back.
func (c *clock) stepped() time.Duration {
	d, ok := c.read()
	by := d - c.ahead
	if !ok || by.Abs() <= recovery.StepOfClock {
		return 0
	}
	c.ahead = d
	return by
}

// clockLocked records that the clock was put back or forward.
func (x *Executor) clockLocked() error {
	if by := x.clock.stepped(); by != 0 {
		return x.recordLocked(recovery.ClockStepped{By: recovery.Duration(by)})
	}
	return nil
}
