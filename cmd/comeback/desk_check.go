package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/recovery/runner"
	"comeback/tui"
)

// Check looks at everything that a check judges, and stores nothing in a copy.
func (d *desk) Check(ctx context.Context, path string) (recovery.Assessment, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return recovery.Assessment{}, err
	}
	return d.app.assess(ctx, b, false, nil, d.checked)
}

// surveyed remembers what a look into the copies found. What this host cannot keep, the
// next console looks for again.
func (d *desk) surveyed(b *book, cat catalogue.Catalogue) { _ = d.checked(b, cat, nil) }

// checked remembers what a look into the copies found, for this console and for
// those that come later. A whole check has found more than the copies alone tell: a
// look after it that finds nothing worse, whole is nil, keeps that for a day, and adds
// what has come since.
func (d *desk) checked(b *book, cat catalogue.Catalogue, whole *recovery.Assessment) error {
	d.mu.Lock()
	if d.surveys == nil {
		d.surveys = map[string]catalogue.Catalogue{}
	}
	d.surveys[b.path] = cat
	d.mu.Unlock()
	if !d.app.asOf.IsZero() {
		return nil // what was there then says nothing of what is
	}
	home, err := d.app.home()
	if err != nil {
		return err
	}
	now := d.app.now()
	l := judged{Runbook: b.path, SHA256: b.source.SHA256, At: now, Verdict: cat.Judge(plan.Components(b.Runbook), engines(), b.RPO, now)}
	switch last, err := readJudged(home, b.path); {
	case whole != nil:
		l.Whole, l.Verdict.Findings, l.Holding = now, nil, whole.RunbookIn
		for _, f := range whole.Findings {
			l.Verdict.Findings = append(l.Verdict.Findings, f.Says)
		}
	case err == nil && l.Verdict.Saved && last.SHA256 == l.SHA256 && now.Sub(last.Whole) < wholeFor && !recovery.Future(last.Whole, now):
		l.Whole, l.Holding = last.Whole, last.Holding
		l.Verdict.Findings, l.Added = last.with(l.Verdict.Tells)
	}
	for i := range l.Verdict.Findings {
		l.Verdict.Findings[i] = d.app.redact(l.Verdict.Findings[i])
	}
	return writeJudged(home, b.path, l)
}

// wholeFor is how long the findings of a whole check stand.
const wholeFor = 24 * time.Hour

// judged is the newest look into the copies of a runbook, kept in the state
// directory: it is a convenience, and no proof of anything.
type judged struct {
	Runbook string    `json:"runbook"`
	SHA256  string    `json:"sha256"`
	At      time.Time `json:"at"`
	// Whole is when the check was made that the findings of the verdict are from;
	// zero where they are those of the look.
	Whole   time.Time         `json:"whole,omitzero"`
	Verdict catalogue.Verdict `json:"verdict"`
	// Added is how many of its findings, the last ones, are not that check's but those of a
	// look since.
	Added int `json:"added,omitempty"`
	// Holding are the copies in which that check found the runbook as it is.
	Holding []string `json:"holding,omitempty"`
}

// with are the findings of a whole check with those of a look that are none of them, and how
// many these are.
func (l judged) with(tells []catalogue.Telling) (findings []string, added int) {
	whole := l.Verdict.Findings[:max(0, len(l.Verdict.Findings)-l.Added)]
	findings = slices.Clone(whole)
	for _, told := range tells {
		if !slices.ContainsFunc(whole, func(f string) bool { return strings.Contains(f, told.Same) }) {
			findings, added = append(findings, told.Says), added+1
		}
	}
	return findings, added
}

// judgedFile is where the newest look into the copies of a runbook is kept.
func judgedFile(home runner.Home, path string) string {
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(home.Dir, "judged", hex.EncodeToString(sum[:8])+".json")
}

// writeJudged replaces the record of a runbook, whole or not at all.
func writeJudged(home runner.Home, path string, l judged) error {
	b, err := json.Marshal(l)
	if err != nil {
		return fmt.Errorf("keep what was found: %w", err)
	}
	file := judgedFile(home, path)
	if err := home.WriteFile(file, b); err != nil {
		return fmt.Errorf("keep what was found: %w", err)
	}
	return nil
}

// readJudged is the record of a runbook; fs.ErrNotExist where there is none.
func readJudged(home runner.Home, path string) (l judged, err error) {
	b, err := os.ReadFile(judgedFile(home, path))
	if err == nil {
		err = json.Unmarshal(b, &l)
	}
	return l, err
}

// saves is the newest look into the copies of a runbook whose bytes are those
// of now; without one nothing is known.
func saves(home runner.Home, path, sum string) tui.Saves {
	l, err := readJudged(home, path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return tui.Saves{Answer: tui.SavesUnknown, Why: "not looked yet"}
	case err != nil:
		return tui.Saves{Answer: tui.SavesUnknown, Why: "the last look cannot be read: " + err.Error()}
	case l.SHA256 != sum:
		return tui.Saves{Answer: tui.SavesUnknown, Why: "the runbook was changed since the last look", Checked: l.At}
	}
	s := tui.Saves{Checked: l.At, Answer: tui.SavesUnknown, Why: l.Verdict.Why, To: l.Verdict.To, Findings: l.Verdict.Findings, Holding: l.Holding}
	switch {
	case l.Verdict.Saved:
		s.Answer = tui.SavesYes
	case l.Verdict.Lost:
		s.Answer = tui.SavesNo
	}
	return s
}
