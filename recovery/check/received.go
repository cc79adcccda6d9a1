package check

import (
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// Says tells what a receiver's directory holds.
func (r Received) Says(at *time.Location) string {
	var parts []string
	if r.Files > 0 {
		parts = append(parts, fmt.Sprintf("%s (%s), the first of %s", recovery.FormatCount(r.Files, "finished segment"), recovery.FormatBytes(r.Bytes), r.Since.In(at).Format("2 Jan 15:04")))
	}
	if r.Partial != "" {
		parts = append(parts, fmt.Sprintf("%s, last written to %s", r.Partial, r.Until.In(at).Format("2 Jan 15:04:05")))
	}
	return strings.Join(parts, ", and ") + " in " + r.Dir
}

// Save is the command that brings it into a copy without its server.
func (r Received) Save(runbook string) string {
	return "comeback wal save " + runbook + " --from " + r.Dir + " " + r.Component
}

// received finds what was received of a log and is on this host alone: for longer than a
// push takes, or while the server does not answer that would bring the rest.
func (j *judge) received() {
	for _, r := range j.Received {
		switch id := "received/" + r.Component; {
		case r.Err != nil:
			j.find(id, recovery.Unknown, "check as a user who may read "+r.Dir, "what was received of the log of %s and not pushed could not be told: %v", r.Component, r.Err)
		case j.Servers[r.Component].Err != nil:
			j.find(id, recovery.NotMet, "if it is gone, before anything else: "+r.Save(j.Path),
				"%s: the server does not answer, and this host has received log of it that is in no copy: %s", r.Component, r.Says(j.At.Location()))
		case r.Files > 0 && j.At.Sub(r.Since) > lateSpool:
			r.Partial = "" // it goes on
			j.find(id, recovery.NotMet, "comeback wal receive "+j.Path+j.ofDatabase(r.Component)+" tells why; so do the words of its service",
				"%s: what this host has received of the log is not in the copies: %s", r.Component, r.Says(j.At.Location()))
		}
	}
}
