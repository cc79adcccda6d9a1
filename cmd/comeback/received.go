package main

import (
	"fmt"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/push"
)

// receivedDir is where what is received lies until it is pushed, beside a spool.
func receivedDir(spool string) string { return spool + "-received" }

// received is what this host has received of the log of a database and not pushed.
func (a *app) received(b *book, c recovery.Component) []check.Received {
	var all []check.Received
	for _, spool := range a.spoolsOf(b, c) {
		r := check.Received{Component: c.Name, Dir: receivedDir(spool)}
		u, err := push.ReadUnpushed(r.Dir)
		r.Err, r.Lacking = err, check.Lacking{Files: u.Files, Bytes: u.Bytes, Since: u.Since}
		r.Partial, r.Until = u.Partial, u.Until
		if r.Err != nil || r.Files > 0 || r.Partial != "" {
			all = append(all, r)
		}
	}
	return all
}

// receivedSays is what to say of the log that lies on this host alone to somebody who
// wants to restore; servers that are well will bring theirs by themselves.
func (a *app) receivedSays(b *book, well func(component string) bool) []string {
	var says []string
	for _, c := range postgresOf(b) {
		for _, r := range a.received(b, c) {
			if r.Err == nil && (r.Files > 0 || !well(c.Name)) {
				says = append(says, fmt.Sprintf("this host has received log of %s that is in no copy: %s; save it first: %s", c.Name, r.Says(a.now().Location()), r.Save(b.path)))
			}
		}
	}
	return says
}
