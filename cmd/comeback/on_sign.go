package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/remote"
	"comeback/recovery/runner"
)

// about is what a command on a host is about.
type about struct {
	// from is who has asked for it, mode what its run is for.
	from string
	mode recovery.Mode
	// runbook is the digest of the one that went along, run the run that was named.
	runbook, run string
	// since is the host's time before the command began.
	since time.Time
}

// has reports whether a run that was listed, and is here now, is one that the command
// has begun: for who has asked, meanwhile, in its mode, of its runbook or after the run
// that it names.
func (c about) has(past runner.Past, listed endedRun) bool {
	s := past.State
	return past.Problem == nil && s.Asserted[fromEnv] == c.from && s.Mode == c.mode && !c.since.IsZero() && !s.Started.Before(c.since) && past.ReportSHA256 == listed.ReportSHA256 &&
		(c.runbook != "" && s.RunbookSHA256 == c.runbook || c.run != "" && past.Plan.Parent == c.run)
}

// clockOf is the time on a host.
func clockOf(ctx context.Context, conn *remote.Conn) (t time.Time, err error) {
	var answer bytes.Buffer
	if err = conn.Ask(ctx, askClock, nil, mostTold, &answer); err == nil {
		err = json.Unmarshal(answer.Bytes(), &t)
	}
	return t, err
}

// sign signs a run that was brought: with the key that was named, if the run is one that
// the command was about, or with one that a person says yes to, who is told what the
// journal says as it is here.
func (h *homeward) sign(ctx context.Context, past runner.Past, listed endedRun) error {
	later := fmt.Sprintf("ended, unsigned; sign it with: comeback report sign %s", past.ID)
	unasked := h.key != "" && h.has(past, listed)
	if !h.asks && !unasked {
		fmt.Fprintln(h.out, later)
		return nil
	}
	key, err := h.app.findKey(ctx, h.key)
	if err != nil && h.key == "" {
		fmt.Fprintln(h.out, later)
		return nil
	}
	if err != nil {
		return err
	}
	if !unasked {
		fmt.Fprintf(h.out, "run %s: %s: %s\nSign its report with %s? (yes/no) ", past.ID, past.Plan.Headline(&past.State), clean(past.State.Says), key)
		if !h.app.yes(ctx) {
			fmt.Fprintln(h.out, later)
			return nil
		}
	}
	signed, err := h.app.sign(ctx, past.Dir, key)
	if err != nil {
		return fmt.Errorf("run %s ended, unsigned: %w", past.ID, err)
	}
	fmt.Fprintf(h.out, "signed by %s\n", signed)
	return nil
}

// yes reads the answer to a question; an interrupt is a no.
func (a *app) yes(ctx context.Context) bool {
	line, _ := readLine(ctx, bufio.NewReader(a.in)) // an input that has ended says nothing
	return strings.TrimSpace(line) == "yes"
}
