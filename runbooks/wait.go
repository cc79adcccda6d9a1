package runbooks

import (
	"fmt"
	"time"
)

// How a wait asks where its block does not say.
const (
	defaultEvery   = 5 * time.Second
	defaultTimeout = 10 * time.Minute
)

// patience reads the keys that every wait has.
func (p *parser) patience(headers []header) Patience {
	w := Patience{Every: defaultEvery, Timeout: defaultTimeout}
	every, timeout := find(headers, "every"), find(headers, "timeout")
	if timeout != nil {
		if d, ok := p.durationText(timeout.ValueAt, "timeout", timeout.Value, time.Second); ok {
			w.Timeout = d
		}
	}
	if every == nil {
		w.Every = min(w.Every, w.Timeout)
		return w
	}
	if d, ok := p.durationText(every.ValueAt, "every", every.Value, time.Second); ok {
		w.Every = d
	}
	if w.Every > w.Timeout {
		p.fail(every.ValueAt, fmt.Sprintf("a wait that asks every %s and ends after %s asks once", formatDuration(w.Every), formatDuration(w.Timeout)),
			"write a shorter `every:` or a longer `timeout:`")
		w.Every = w.Timeout
	}
	return w
}

// String is "every 5s, at most 10m".
func (w Patience) String() string {
	return fmt.Sprintf("every %s, at most %s", formatDuration(w.Every), formatDuration(w.Timeout))
}
