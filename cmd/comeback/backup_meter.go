package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"comeback/recovery"
)

// backupMeters show how far a backup has come, on standard error, as scans do.
type backupMeters struct{ *scanMeter }

func newBackupMeters(a *app) *backupMeters { return &backupMeters{scanMeter: newScanMeter(a, zone{})} }

// next is the meter of the next backup; last tells how much is to be expected.
func (m *backupMeters) next(component, sort string, last *recovery.Manifest) recovery.Meter {
	b := &backupMeter{show: m.show, now: m.app.now, what: component + " " + sort, begun: m.app.now()}
	if last != nil {
		b.expected = last.Size()
	}
	return b
}

// backupMeter is a recovery.Meter that tells one line.
type backupMeter struct {
	show     func(string)
	now      func() time.Time
	what     string
	begun    time.Time
	expected int64

	mu    sync.Mutex
	phase string
	since time.Time
	unit  recovery.Unit
	total int64
	done  int64
	note  string
}

var _ recovery.Meter = (*backupMeter)(nil)

func (m *backupMeter) Phase(name string, total int64, unit recovery.Unit) {
	m.change(func() {
		m.phase, m.total, m.unit, m.done, m.note, m.since = name, total, unit, 0, "", m.now()
		if unit == recovery.InBytes && total == 0 {
			m.total = m.expected
		}
	})
}

func (m *backupMeter) Add(n int64)      { m.change(func() { m.done += n }) }
func (m *backupMeter) Set(n int64)      { m.change(func() { m.done = n }) }
func (m *backupMeter) Note(text string) { m.change(func() { m.note = text }) }
func (m *backupMeter) Log(string)       {}
func (m *backupMeter) change(do func()) {
	m.mu.Lock()
	do()
	text := m.text()
	m.mu.Unlock()
	m.show(text)
}
func (m *backupMeter) Checkpoint(context.Context, string) error { return nil }

// text is "database dump: dump shop, 1.2 GB of about 3.4 GB, 35 %, about 2m10 left".
// Sizes and times to come are those of the backup before.
func (m *backupMeter) text() string {
	text := m.what + ": " + m.phase
	if m.unit == recovery.InBytes && m.done > 0 {
		text += ", " + recovery.FormatBytes(m.done)
		if m.total > m.done {
			text += fmt.Sprintf(" of about %s, %d %%", recovery.FormatBytes(m.total), 100*m.done/m.total)
			if took := m.now().Sub(m.since); took > time.Second {
				left := recovery.Scaled(took, float64(m.total-m.done)/float64(m.done))
				text += ", about " + recovery.FormatSpan(left) + " left"
			}
		}
	}
	if m.note != "" {
		text += ", " + m.note
	}
	return text
}
