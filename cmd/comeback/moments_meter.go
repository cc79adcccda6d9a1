package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"comeback/recovery"

	"golang.org/x/term"
)

// scanMeter shows on standard error how far a scan has come, where it takes
// longer than a second: on a terminal in one line that is written over, else now
// and then a line.
type scanMeter struct {
	app      *app
	zone     zone
	terminal bool

	mu    sync.Mutex
	due   time.Time
	shown bool
}

const (
	meterAfter    = time.Second
	meterTerminal = 250 * time.Millisecond
	meterPlain    = 10 * time.Second
	meterWidth    = 79
)

func newScanMeter(a *app, z zone) *scanMeter {
	f, ok := a.err.(*os.File)
	return &scanMeter{app: a, zone: z, terminal: ok && term.IsTerminal(int(f.Fd())), due: a.now().Add(meterAfter)}
}

func (m *scanMeter) progress(p recovery.ScanProgress) { m.show(scanText(p, m.zone)) }

func (m *scanMeter) show(text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.app.now()
	if now.Before(m.due) {
		return
	}
	m.due = now.Add(meterPlain)
	if !m.terminal {
		fmt.Fprintln(m.app.err, text)
		return
	}
	m.due, m.shown = now.Add(meterTerminal), true
	if line := []rune(text); len(line) > meterWidth {
		text = string(line[:meterWidth])
	}
	fmt.Fprintf(m.app.err, "\r%-*s", meterWidth, text)
}

// end removes the line.
func (m *scanMeter) end() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.shown {
		fmt.Fprintf(m.app.err, "\r%*s\r", meterWidth, "")
	}
}

// scanText is "read back to 02:10:07, 312 of 980 MB".
func scanText(p recovery.ScanProgress, z zone) string {
	back := ""
	if !p.Back.IsZero() {
		back = " back to " + p.Back.In(z.at).Format(inTheDay[:len("15:04:05")])
	}
	return fmt.Sprintf("read%s, %s of %s", back, recovery.FormatBytes(p.Done), recovery.FormatBytes(p.Total))
}

// tailMeter shows how much of a log was saved, as scanMeter does.
type tailMeter struct{ *scanMeter }

func newTailMeter(a *app) tailMeter { return tailMeter{newScanMeter(a, zone{})} }

func (m tailMeter) progress(done, total int64) {
	m.show(fmt.Sprintf("saved %s of %s", recovery.FormatBytes(done), recovery.FormatBytes(total)))
}
