package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
)

// windows lists what can be restored: backups, windows, gaps, and what the live
// servers have not archived.
func (a *app) windows(b *book, cat catalogue.Catalogue, servers liveServers, z zone) error {
	fmt.Fprintf(a.out, "%s\n", z.explain(a.now()))
	proof, shrank := a.backupProofs(b), a.shrunken(b, cat)
	for _, c := range plan.Restored(b.Runbook) {
		fmt.Fprintf(a.out, "%s (%s)\n", c.Name, c.Kind)
		w := windowWriter{app: a, book: b, zone: z, live: servers[c.Name], proof: proof, shrank: shrank}
		if w.live != nil {
			w.zone = z.with(w.live.Archiver)
			w.server()
		}
		entries := slices.CompactFunc(cat.Entries(c.Name), func(a, b catalogue.Entry) bool {
			return a.Backup.Copy == b.Backup.Copy && a.Backup.ID == b.Backup.ID
		})
		for _, e := range entries {
			w.backup(cat, e.Backup)
		}
		if len(entries) == 0 {
			fmt.Fprintf(a.out, "  nothing that can be restored\n")
		}
		for _, s := range cat.Surveys {
			if s.Component == c.Name && w.live != nil {
				w.rest(s)
			}
		}
	}
	a.allMoments(b, cat, z)
	err := nothingOf(b, cat)
	a.besides(a.out, cat, err)
	return err
}

// besides says what was found beside the backups, and where nothing could be looked for, but
// for what the error that follows tells.
func (a *app) besides(out io.Writer, cat catalogue.Catalogue, follows error) {
	for _, s := range cat.Surveys {
		for _, f := range s.Findings {
			fmt.Fprintf(out, "finding  %s: %s%s%s\n", s.Copy, suffixed(clean(f.Object), ": "), clean(f.Says), prefixed("; ", clean(f.Do)))
		}
	}
	for _, r := range catalogue.Beside(cat.Refused(), follows) {
		fmt.Fprintf(out, "REFUSED  %s: %s%s\n", refusedIs(r), clean(a.redact(r.Err.Error())), prefixed("; ", clean(a.redact(recovery.HintOf(r.Err)))))
	}
}

// nothingOf is the error that a component has nothing to restore.
func nothingOf(b *book, cat catalogue.Catalogue) error {
	for _, c := range plan.Restored(b.Runbook) {
		if err := cat.Empty(c.Name); err != nil {
			return err
		}
	}
	return nil
}

// windowWriter lists the windows of one component.
type windowWriter struct {
	*app
	book *book
	zone zone
	live *liveServer
	// proof tells of a backup by what it is proven; nil where that is not known.
	proof func(recovery.Backup) recovery.ProofStanding
	// shrank tells of a backup in which much less is than was in those before it.
	shrank func(recovery.Backup) (recovery.Shrinkage, bool)
}

func (w windowWriter) line(label, format string, args ...any) {
	fmt.Fprintf(w.out, "  %-10s %s\n", label, fmt.Sprintf(format, args...))
}

// server says how far the live server is.
func (w windowWriter) server() {
	l := w.live
	if l.err != nil {
		w.line("live", "not asked: %s%s", clean(w.redact(l.err.Error())), prefixed("; ", clean(w.redact(recovery.HintOf(l.err)))))
		return
	}
	version, _, _ := strings.Cut(l.Version, " ") // what packagers add tells nothing here
	role := ""
	if l.InRecovery {
		role = ", a standby"
	}
	w.line("live", "%s, PostgreSQL %s%s, timeline %d, at LSN %s%s", clean(l.Database), clean(version), role, l.Timeline, l.LSN, prefixed(", newest commit ", w.known(l.Commit)))
	switch {
	case l.Mode == "off":
		w.line("", "ARCHIVING IS OFF: unless a pg_receivewal takes it, what is committed now comes into a copy with the next backup only")
	case l.Failing():
		w.line("", "ARCHIVING FAILS: the archive_command failed for %s at %s; its words are in the server's log", clean(l.Failed), w.zone.time(l.FailedAt))
	case l.Archived != "":
		w.line("", "its archiver took %s at %s", clean(l.Archived), w.zone.time(l.ArchivedAt))
	}
}

// known writes a time, or nothing where it is not known.
func (w windowWriter) known(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return w.zone.time(t)
}

// backup lists a backup with its windows.
func (w windowWriter) backup(cat catalogue.Catalogue, b recovery.Backup) {
	w.line(b.Copy, "%s", clean(b.ID))
	w.line("", "%s, %s, of %s", clean(b.Form), recovery.FormatBytes(b.Amount()), w.taken(b.Taken))
	if less, ok := w.shrank(b); ok {
		w.line("", "%s%s", recovery.Shrunk, less.Says())
	}
	if b.Problem != "" {
		w.line("", "CANNOT BE RESTORED: %s", clean(b.Problem))
	}
	if w.proof != nil {
		w.line("", "%s", clean(w.proof(b).Tells(w.zone.at)))
	}
	for _, s := range cat.Surveys {
		for _, window := range s.Windows {
			if s.Component == b.Component && s.Copy == b.Copy && s.Engine == b.Engine && window.Backup == b.ID {
				w.window(s, window)
			}
		}
	}
}

// window says what one backup can be taken to, and what its gaps cost.
func (w windowWriter) window(s recovery.Survey, win recovery.Window) {
	if win.Exactness() == recovery.ToSecond {
		w.line("", "window: any second from %s to %s", w.instant(win.From), w.instant(win.To))
		return
	}
	to := "the end of its log, LSN " + win.To.LSN.String()
	if !win.To.Time.IsZero() {
		to = fmt.Sprintf("%s, LSN %s", w.zone.time(win.To.Time), win.To.LSN)
	}
	w.line("", "window: any commit after %s, up to %s, timeline %d", w.instant(win.From), to, win.Timeline)
	for i, g := range win.Gaps {
		if i == maxGapsTold {
			w.line("", "and %s", count(int64(len(win.Gaps)-i), "more gap"))
			break
		}
		w.line("", "GAP at %s%s: %s is %s", g.From, prefixed(" .. ", lsnText(g.To)), clean(g.Object), g.Why)
		if i > 0 {
			continue // the first ends the window already
		}
		if next, ok := firstBehind(s, g); ok {
			w.line("", "  costs every moment from there to the end of %s, of %s", clean(next.ID), w.taken(next.Taken))
		} else {
			w.line("", "  costs every moment after it: put the segment back, or make a new base backup now")
		}
	}
}

// maxGapsTold is how many gaps of a window are told; only the first decides.
const maxGapsTold = 5

func lsnText(l recovery.LSN) string {
	if l == 0 {
		return ""
	}
	return l.String()
}

// firstBehind is the first backup whose window begins behind a gap.
func firstBehind(s recovery.Survey, g recovery.Gap) (recovery.Backup, bool) {
	var first recovery.Backup
	for _, b := range s.Backups {
		if b.Problem == "" && g.To != 0 && b.Stop >= g.To && (first.Stop == 0 || b.Stop < first.Stop) {
			first = b
		}
	}
	return first, first.Stop != 0
}

// rest says until when a copy holds the log, and what the live server has that
// it does not.
func (w windowWriter) rest(s recovery.Survey) {
	if s = s.Lineages()[0]; len(s.Windows) == 0 {
		return
	}
	end := slices.MaxFunc(s.Windows, func(a, b recovery.Window) int { return cmp.Compare(a.To.LSN, b.To.LSN) }).To
	until, archived := "archived until "+w.instant(end), end.LSN
	if last := recovery.LogEnd(engines(), s); last > archived {
		archived = last
		until = fmt.Sprintf("archived without a gap until %s, with gaps to LSN %s", w.instant(end), archived)
	}
	if w.live.err != nil {
		w.line(s.Copy, "%s; how far the live server is, is not known", until)
		return
	}
	if err := w.live.sameCluster(s); err != nil {
		w.line(s.Copy, "%s; %s; %s", until, clean(w.redact(err.Error())), clean(w.redact(recovery.HintOf(err))))
		return
	}
	segments, bytes := w.live.Rest(archived)
	if segments == 0 {
		w.line(s.Copy, "%s; the live server has nothing that is not in the copy", until)
		return
	}
	at := "at LSN " + w.live.LSN.String()
	if !w.live.Commit.IsZero() {
		at = "at " + w.zone.time(w.live.Commit)
	}
	w.line(s.Copy, "%s; the live server is %s: %s (%s) NOT ARCHIVED YET", until, at, count(segments, "segment"), recovery.FormatBytes(bytes))
	w.line("", "push it out with: comeback moments %s --switch-wal", shellWord(w.book.path))
}

// count writes a number of things.
func count(n int64, what string) string {
	if n != 1 {
		what += "s"
	}
	return thousands(n) + " " + what
}

// thousands writes a number in groups of three digits, "48 211".
func thousands(n int64) string {
	text := fmt.Sprint(n)
	var groups []string
	for len(text) > 3 {
		groups = append(groups, text[len(text)-3:])
		text = text[:len(text)-3]
	}
	groups = append(groups, text)
	slices.Reverse(groups)
	return strings.Join(groups, " ")
}

// instant is a position as people say it, by its time where that is known.
func (w windowWriter) instant(i recovery.Instant) string {
	if i.Time.IsZero() {
		return "LSN " + i.LSN.String()
	}
	return w.zone.time(i.Time)
}

func (w windowWriter) taken(s recovery.Span) string {
	switch {
	case s.Known():
		return w.zone.time(s.To)
	case !s.From.IsZero() && !s.To.IsZero():
		return w.zone.time(s.From) + " .. " + w.zone.time(s.To)
	case !s.To.IsZero():
		return "before " + w.zone.time(s.To)
	case !s.From.IsZero():
		return "after " + w.zone.time(s.From)
	}
	return "an unknown time"
}
