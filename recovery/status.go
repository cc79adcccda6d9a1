package recovery

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Left is how long a run should still take if nobody is waited for: the longest
// way through the steps that are not done. It is not known where such a step
// was never timed. Heard is what the newest sample of a running step says that it
// still takes; nil where nobody listens.
func (s *State) Left(now time.Time, heard func(step string) time.Duration) (left time.Duration, known bool) {
	ends := map[string]time.Duration{}
	for i := range s.Steps { // steps come after those that they wait for
		st := &s.Steps[i]
		var start time.Duration
		for _, id := range st.After {
			start = max(start, ends[id])
		}
		takes := time.Duration(st.Expected)
		switch st.State {
		case Done, Passed, Skipped:
			continue
		case Running:
			if takes == 0 {
				return 0, false
			}
			takes = max(0, takes-now.Sub(st.Attempt))
			if heard != nil {
				takes = max(takes, heard(st.ID))
			}
		default:
			if takes == 0 && st.Kind != KindTicks && st.Kind != KindApproval {
				return 0, false
			}
		}
		ends[st.ID] = start + takes
		left = max(left, ends[st.ID])
	}
	return left, true
}

// updateEvery is how often those who wait should hear of a run.
const updateEvery = 15 * time.Minute

// Status is one text about a run that can be pasted to whoever asks: what,
// since when, back when, what is lost, when the next one comes. Times are in the
// zone of now. It holds no secret and nothing that was not recorded.
func Status(p *Plan, s *State, alive bool, now time.Time) string {
	return StatusSince(p, s, Since{}, alive, now)
}

// StatusSince is the status of a run that has ended, with what has become of it since.
func StatusSince(p *Plan, run *State, since Since, alive bool, now time.Time) string {
	var b strings.Builder
	s, by := since.of(run), since.Undone
	line := func(word, format string, args ...any) {
		text := fmt.Sprintf("%-7s %s", word, fmt.Sprintf(format, args...))
		b.WriteString(strings.TrimRight(text, " ") + "\n")
	}
	at := func(t time.Time) string { return onDay(t, now) + t.In(now.Location()).Format("15:04:05Z07:00") }
	line("WHAT", "%s of %s, run %s: %s", s.Mode, s.System, s.Run, standing(s, alive, now))
	if o := s.Outage; s.Mode == Recovery && !o.Since.IsZero() {
		if took, unknown := p.TimeToOpen(s); unknown == "" {
			line("SINCE", "was down %s, %s to %s, %s", FormatSpan(time.Duration(took)), at(o.Since), at(s.OpenedAt()), o.How)
		} else {
			line("SINCE", "down since %s, %s, %s ago", at(o.Since), o.How, FormatSpan(now.Sub(o.Since)))
		}
	}
	end := now
	if !s.Ended.IsZero() {
		end = s.Ended
	}
	if !s.Started.IsZero() {
		line("SINCE", "begun %s on %s%s, by %s on %s", at(s.Started), s.Started.In(now.Location()).Format("2 Jan 2006"), longAgo(s, now), s.Operator, s.Host)
	}
	if s.Lease != s.Operator {
		line("BY", "%s commands it since %s", s.Lease, at(s.LeaseSince))
	}
	switch left, known := s.Left(now, nil); {
	case s.Result != "":
		line("ENDED", "%s after %s", at(s.Ended), FormatSpan(s.Ended.Sub(s.Started)))
	case !alive:
		line("BACK", "not before it is taken up again: comeback resume %s", s.Run)
	case known && len(s.Waits()) > 0:
		line("BACK", "about %s after the answer that it waits for", FormatSpan(max(time.Second, left.Round(time.Second))))
	case known:
		line("BACK", "about %s, in %s, as earlier runs took", at(now.Add(left)), FormatSpan(left.Round(time.Second)))
	default:
		line("BACK", "not known: not all of it was ever timed")
	}
	line("MOMENT", "%s", s.Moment)
	s.saysLost(p, now, line)
	for i := range s.Stages {
		st := &s.Stages[i]
		took := ""
		if spent, back := s.StageSpent(i, end); back != nil {
			took = "unknown, " + back.Says()
		} else if !st.Started.IsZero() {
			took = FormatSpan(spent)
		}
		state := string(st.State)
		if !slices.ContainsFunc(s.Steps, func(step StepState) bool { return step.Stage == i }) {
			state = "nothing to do in this run"
		}
		line("", "%d %-32s %-12s %s", i+1, st.Name, state, took)
	}
	for i := range s.Steps {
		if st := &s.Steps[i]; st.State == FailedAt {
			line("FAILED", "%s: %s", st.Says, st.Error)
		}
	}
	if s.CheckCount().All() > 0 {
		line("CHECKS", "%s", s.ChecksStand())
	}
	if s.Result != "" {
		line("RESULT", "%s: %s", s.Result, s.Says)
	}
	if by != nil {
		line("LIVE", "switched back by run %s: as it was before this run", by.Run)
	} else {
		line("LIVE", "%s", s.LiveSays(now.Location()))
	}
	for _, h := range s.HandedOver {
		word := "RUNS"
		if h.Tree != "" {
			word = "KEPT"
		}
		line(word, "%s %s, until it is removed: comeback expire %s", h.Component, h.Where(), s.Run)
		for _, says := range SayInPlace(s.inPlace(h)) {
			line("", "%s", says)
		}
	}
	aside := s
	if by != nil {
		aside = by
	}
	for _, old := range aside.Old {
		if since.Gone[old.Place] == "" {
			line("OLD", "%s, until %s", old.Place, old.Until.In(now.Location()).Format("2 Jan 2006 15:04Z07:00"))
		}
	}
	for _, left := range slices.Concat(aside.Old, run.OldHandedOver()) {
		if became := since.Gone[left.Place]; became != "" {
			line("GONE", "%s of %s: %s", left.Component, left.Place, became)
		}
	}
	if s.Result == "" {
		next := now.Add(updateEvery)
		if left, known := s.Left(now, nil); known && alive && len(s.Waits()) == 0 && left < updateEvery {
			next = now.Add(left)
		}
		line("NEXT", "update at %s, or when this changes", next.Format("15:04Z07:00"))
	}
	return b.String()
}

// saysLost says what is lost, or will be: of each component as it was counted, or from where
// on.
func (s *State) saysLost(p *Plan, now time.Time, line func(word, format string, args ...any)) {
	if p.LostNothing(s) {
		line("LOST", "nothing: nothing live was replaced")
		return
	}
	for _, l := range s.Losses {
		if p.LostNothingOf(s, l.Component) {
			continue
		}
		for _, says := range l.Says() {
			line("LOST", "%s", says)
		}
	}
	for _, point := range s.Moment.Points {
		if p.LostNothingOf(s, point.Component) {
			line("LOST", "%s: nothing: nothing live was replaced", point.Component)
			continue
		}
		if slices.ContainsFunc(s.Losses, func(l LossState) bool { return l.Component == point.Component }) {
			continue
		}
		lost := point.Lost.Time.In(now.Location()).Format(time.RFC3339)
		switch {
		case point.Lost.Time.IsZero():
		case s.Mode == Rehearsal:
			line("LOST", "nothing, it is a rehearsal; for real %s would lose everything from %s on", point.Component, lost)
		default:
			line("LOST", "%s: everything from %s on", point.Component, lost)
		}
	}
}

// onDay is the date of a time, with a blank behind it, where that is not the day of now.
func onDay(t, now time.Time) string {
	t = t.In(now.Location())
	switch {
	case t.Year() != now.Year():
		return t.Format("2 Jan 2006 ")
	case t.YearDay() != now.YearDay():
		return t.Format("2 Jan ")
	}
	return ""
}

// longAgo is how long ago a run that goes on began.
func longAgo(s *State, now time.Time) string {
	if s.Result != "" {
		return ""
	}
	return ", " + FormatSpan(now.Sub(s.Started)) + " ago"
}

// standing says in a few words where a run stands.
func standing(s *State, alive bool, now time.Time) string {
	waits := s.Waits()
	switch {
	case s.Result != "":
		return "ended, " + string(s.Result)
	case !alive:
		return "its runner died"
	case len(waits) > 0:
		return fmt.Sprintf("%s, %s: %s", s.Doing(now.Location()), FormatSpan(now.Sub(waits[0].WaitsSince)), waits[0].Says)
	}
	return s.Doing(now.Location())
}

// Doing says what a run that has not ended does: "WAITS for a decision of ops1
// since 22:14", or which stage runs. Times are in the zone of loc.
func (s *State) Doing(loc *time.Location) string {
	if waits := s.Waits(); len(waits) > 0 {
		return fmt.Sprintf("WAITS for %s of %s since %s", waits[0].WaitsFor.Says(), s.Lease, waits[0].WaitsSince.In(loc).Format("15:04"))
	}
	for i := range s.Stages {
		if s.Stages[i].State == Running {
			return fmt.Sprintf("running, stage %d of %d: %s", i+1, len(s.Stages), s.Stages[i].Name)
		}
	}
	return "running"
}
