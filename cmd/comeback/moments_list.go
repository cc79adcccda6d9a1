package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// print lists what was found, the oldest first, and then what did harm, so that
// what matters most is what is read last.
func (h *happening) print() {
	f := &h.found
	fmt.Fprintf(h.out, "%s in %s, %s .. %s\n", h.component.Name, h.survey.Copy, h.zone.time(h.span.From), h.zone.time(h.span.To))
	fmt.Fprintf(h.out, "%s\n", h.zone.explain(h.center))
	if len(f.list) > 0 {
		h.table()
	}
	fmt.Fprintf(h.out, "READ   %s\n", h.summary())
	if slices.ContainsFunc(f.list, func(t recovery.Transaction) bool { return t.AtLeast }) {
		fmt.Fprintf(h.out, "AT LEAST  it may have begun before what was read of the log, and have done more\n")
	}
	if f.left > 0 {
		fmt.Fprintf(h.out, "NOT LISTED  %s farther from %s; raise --limit, or ask with --harm or --table\n", count(f.left, "transaction"), h.zone.time(h.center))
	}
	if h.asked.table != "" && len(f.list) == 0 {
		fmt.Fprintf(h.out, "NOTHING  that was read touched %s; a table that was dropped since may have a number only: list without --table\n", clean(h.asked.table))
	}
	h.harms()
	h.numbers()
}

// table is the list itself.
func (h *happening) table() {
	all := h.found.inOrder()
	width := len("XID")
	for _, t := range all {
		width = max(width, len(strconv.FormatUint(uint64(t.XID), 10)))
	}
	fmt.Fprintf(h.out, "  %-12s  %-*s  %s\n", "TIME", width, "XID", "WHAT THE TRANSACTION DID")
	last := h.center.In(h.zone.at)
	for _, t := range all {
		at := t.Time.In(h.zone.at)
		if !t.Time.IsZero() {
			if says := turns(last, at); says != "" {
				fmt.Fprintf(h.out, "  -- %s --\n", says)
			}
			last = at
		}
		mark, xid, when := " ", "-", at.Format(inTheDay)
		u, usual := h.found.usual(t)
		if len(t.Harms()) > 0 && !usual {
			mark = "!"
		}
		if t.XID != 0 {
			xid = strconv.FormatUint(uint64(t.XID), 10)
		}
		if t.Time.IsZero() {
			when = ""
		}
		fmt.Fprintf(h.out, "%s %-12s  %-*s  %s\n", mark, when, width, xid, h.namer.line(t, u))
	}
}

// turns is what of a time a list does not show with each line and is another than that of the
// line before: the day, and where clocks were changed the offset.
func turns(before, at time.Time) string {
	day := at.Format(time.DateOnly)
	_, then := before.Zone()
	if _, now := at.Zone(); now != then {
		return day + ", times are in " + at.Format("-07:00") + " from here on"
	}
	if day == before.Format(time.DateOnly) {
		return ""
	}
	return day
}

// summary is what was read, in numbers.
func (h *happening) summary() string {
	f := &h.found
	if f.commits+f.rolledBack+f.prepared == 0 {
		return "nothing ended there, as far as the log could be read; " + h.since() + h.until()
	}
	text := count(f.commits, "commit")
	if !f.oldest.IsZero() {
		text += fmt.Sprintf(" from %s to %s", f.oldest.In(h.zone.at).Format(inTheDay), f.newest.In(h.zone.at).Format(inTheDay))
	}
	harms, usual, seen := f.harmful()
	if harms > 0 {
		text += fmt.Sprintf(", %s harmful", thousands(harms))
	} else {
		text += ", none harmful"
	}
	if usual > 0 {
		text += fmt.Sprintf(", %s usual (%s)", thousands(usual), seen)
	}
	if f.rolledBack > 0 {
		text += fmt.Sprintf(", %s rolled back", thousands(f.rolledBack))
	}
	if f.prepared > 0 {
		text += fmt.Sprintf(", %s prepared", thousands(f.prepared))
	}
	return text + "; " + h.until()
}

// archived is where the copy's log ends.
func (h *happening) archived() recovery.Instant {
	return slices.MaxFunc(h.survey.Windows, func(a, b recovery.Window) int {
		return cmp.Or(a.To.Time.Compare(b.To.Time), cmp.Compare(a.To.LSN, b.To.LSN))
	}).To
}

// since says where the windows begin, where that is after what was asked for.
func (h *happening) since() string {
	var first time.Time
	for _, w := range h.survey.Windows {
		if first.IsZero() || w.From.Time.Before(first) {
			first = w.From.Time
		}
	}
	if !first.After(h.span.To) {
		return ""
	}
	return fmt.Sprintf("the first window of %s begins at %s, and ", h.survey.Copy, h.zone.time(first))
}

// until says where the log in the copy ends.
func (h *happening) until() string {
	end := h.archived()
	if end.Time.IsZero() {
		return fmt.Sprintf("%s is archived until LSN %s", h.survey.Copy, end.LSN)
	}
	text := fmt.Sprintf("%s is archived until %s", h.survey.Copy, h.zone.time(end.Time))
	if h.span.To.After(end.Time) && h.live.err == nil && h.live.sameCluster(h.survey) == nil {
		if n, bytes := h.live.Rest(end.LSN); n > 0 {
			text += fmt.Sprintf("; %s of newer log is on the live server only: push it out with --switch-wal", recovery.FormatBytes(bytes))
		}
	}
	return text
}

// maxTold is how many harms are told with their way back; the others are in the
// list.
const maxTold = 10

// harms tells, for what did harm, how to go to just before it, the oldest
// first: going to before the oldest undoes them all.
func (h *happening) harms() {
	f := &h.found
	if len(f.harms) == 0 {
		return
	}
	told := 0
	for _, harm := range slices.Backward(f.harms) {
		if h.asked.table != "" && !touches(harm.Transaction, h.asked.table) {
			continue
		}
		if _, is := f.usual(harm.Transaction); is {
			continue
		}
		if told++; told > maxTold {
			continue
		}
		h.harm(harm)
	}
	if more := int64(told-maxTold) + f.moreHarms; told > maxTold {
		fmt.Fprintf(h.out, "AND    %s; going to before the first undoes these too. List them with --harm\n", count(more, "more harmful transaction"))
	}
	if told > 0 {
		fmt.Fprintf(h.out, "The log does not tell who did it: look for these times in the server's and the applications' own logs.\n")
	}
}

func (h *happening) harm(t harmed) {
	fmt.Fprintf(h.out, "HARM   xid %d, %s: %s\n", t.XID, h.zone.exact(t.Time), h.namer.harms(t.Transaction))
	if why := h.unreachable(t.Transaction); why != "" {
		fmt.Fprintf(h.out, "       cannot be gone to from here: %s\n", why)
	} else {
		fmt.Fprintf(h.out, "       to just before it: %s\n", h.command(t.Transaction))
	}
	kept := "what came before it; the commit before was not read, ask with a larger --span"
	if t.kept.LSN != 0 {
		kept = fmt.Sprintf("everything to xid %d of %s", t.kept.XID, h.zone.exact(t.kept.Time))
	}
	fmt.Fprintf(h.out, "       KEPT  %s\n", kept)
	lost := "this, and no other commit that was read"
	if t.after > 0 {
		lost = fmt.Sprintf("this and %s after it, up to %s: rows %s", count(t.after, "commit"), h.found.newest.In(h.zone.at).Format(inTheDay), t.lost)
	}
	if drops := func(o recovery.ObjectChange) bool { return o.Dropped }; slices.ContainsFunc(t.Databases, drops) || slices.ContainsFunc(t.Tablespaces, drops) {
		lost += "; and what committed between its first drop and its commit, for files go at once"
	}
	if end := h.archived(); end.Time.After(h.span.To) {
		lost += "; and what came later, which was not read"
	}
	fmt.Fprintf(h.out, "       LOST  %s\n", lost)
}

// command goes to just before a transaction, in a rehearsal.
func (h *happening) command(t recovery.Transaction) string {
	words := []string{"comeback rehearse", shellWord(h.book.path), "--to", t.Before()}
	if len(plan.RestoredDatabases(h.book.Runbook)) > 1 { // each has a log of its own
		words = append(words, "--component", shellWord(h.component.Name))
	}
	if h.asked.copy != "" {
		words = append(words, "--copy", shellWord(h.asked.copy))
	}
	if h.asked.engine != "" {
		words = append(words, "--engine", shellWord(h.asked.engine))
	}
	return strings.Join(words, " ")
}

// unreachable says why no window holds the moment before a transaction; "" where
// one does.
func (h *happening) unreachable(t recovery.Transaction) string {
	for _, w := range h.survey.Windows {
		if t.LSN >= w.From.LSN && t.LSN < w.To.LSN {
			return ""
		}
	}
	return fmt.Sprintf("no window of %s holds it; another copy may", h.survey.Copy)
}

// maxNumbers is how many tables without a name are listed.
const maxNumbers = 5

// numbers says what could not be named, and how to get names.
func (h *happening) numbers() {
	if len(h.namer.unnamed) == 0 {
		return
	}
	var all []string
	for n := range h.namer.unnamed {
		all = append(all, strconv.FormatUint(uint64(n), 10))
	}
	slices.Sort(all)
	list := strings.Join(all[:min(len(all), maxNumbers)], ", ")
	if len(all) > maxNumbers {
		list += ", …"
	}
	why := "the live server does not have them any more"
	if h.unnamed != nil {
		why = clean(h.redact(h.unnamed.Error()))
	}
	fmt.Fprintf(h.out, "NUMBERS  %s without a name (%s): %s\n", count(int64(len(all)), "table"), list, why)
	if h.unnamed != nil {
		fmt.Fprintf(h.out, "       for names, let the live server answer%s\n", prefixed(": ", clean(h.redact(recovery.HintOf(h.unnamed)))))
		return
	}
	fmt.Fprintf(h.out, "       for a name, rehearse to before it with --look, and ask again while the copy is paused: it has the name\n")
}
