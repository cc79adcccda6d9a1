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
	t := statusText{plan: p, run: run, s: since.of(run), since: since, alive: alive, now: now}
	t.line("WHAT", "%s of %s, run %s: %s", t.s.Mode, t.s.System, t.s.Run, standing(t.s, alive, now))
	t.began()
	t.comesBack()
	t.line("MOMENT", "%s", t.s.Moment)
	t.lost()
	t.stages()
	t.judged()
	t.live()
	t.left()
	t.next()
	return t.b.String()
}

// statusText is a status while it is written.
type statusText struct {
	plan *Plan
	// run is the run as it ended, s what is to be said of it since.
	run, s *State
	since  Since
	alive  bool
	now    time.Time
	b      strings.Builder
}

// line adds a line under its word.
func (t *statusText) line(word, format string, args ...any) {
	text := fmt.Sprintf("%-7s %s", word, fmt.Sprintf(format, args...))
	t.b.WriteString(strings.TrimRight(text, " ") + "\n")
}

// at is a time, with its day where that is not today.
func (t *statusText) at(at time.Time) string {
	return onDay(at, t.now) + at.In(t.now.Location()).Format("15:04:05Z07:00")
}

// began says since when the system is down, since when the run goes on, and who commands it.
func (t *statusText) began() {
	s, now := t.s, t.now
	if o := s.Outage; s.Mode == Recovery && !o.Since.IsZero() {
		if took, unknown := t.plan.TimeToOpen(s); unknown == "" {
			t.line("SINCE", "was down %s, %s to %s, %s", FormatSpan(time.Duration(took)), t.at(o.Since), t.at(s.OpenedAt()), o.How)
		} else {
			t.line("SINCE", "down since %s, %s, %s ago", t.at(o.Since), o.How, FormatSpan(now.Sub(o.Since)))
		}
	}
	if !s.Started.IsZero() {
		t.line("SINCE", "begun %s on %s%s, by %s on %s", t.at(s.Started), s.Started.In(now.Location()).Format("2 Jan 2006"), longAgo(s, now), s.Operator, s.Host)
	}
	if s.Lease != s.Operator {
		t.line("BY", "%s commands it since %s", s.Lease, t.at(s.LeaseSince))
	}
}

// comesBack says when the system should be back, or how long the run took.
func (t *statusText) comesBack() {
	s := t.s
	switch left, known := s.Left(t.now, nil); {
	case s.Result != "":
		t.line("ENDED", "%s after %s", t.at(s.Ended), FormatSpan(s.Ended.Sub(s.Started)))
	case !t.alive:
		t.line("BACK", "not before it is taken up again: comeback resume %s", s.Run)
	case known && len(s.Waits()) > 0:
		t.line("BACK", "about %s after the answer that it waits for", FormatSpan(max(time.Second, left.Round(time.Second))))
	case known:
		t.line("BACK", "about %s, in %s, as earlier runs took", t.at(t.now.Add(left)), FormatSpan(left.Round(time.Second)))
	default:
		t.line("BACK", "not known: not all of it was ever timed")
	}
}

// lost says what is lost, or will be: of each component as it was counted, or from where
// on.
func (t *statusText) lost() {
	s, p := t.s, t.plan
	if p.LostNothing(s) {
		t.line("LOST", "nothing: nothing live was replaced")
		return
	}
	for _, l := range s.Losses {
		if p.LostNothingOf(s, l.Component) {
			continue
		}
		for _, says := range l.Says() {
			t.line("LOST", "%s", says)
		}
	}
	for _, point := range s.Moment.Points {
		if p.LostNothingOf(s, point.Component) {
			t.line("LOST", "%s: nothing: nothing live was replaced", point.Component)
			continue
		}
		if slices.ContainsFunc(s.Losses, func(l LossState) bool { return l.Component == point.Component }) {
			continue
		}
		lost := point.Lost.Time.In(t.now.Location()).Format(time.RFC3339)
		switch {
		case point.Lost.Time.IsZero():
		case s.Mode == Rehearsal:
			t.line("LOST", "nothing, it is a rehearsal; for real %s would lose everything from %s on", point.Component, lost)
		default:
			t.line("LOST", "%s: everything from %s on", point.Component, lost)
		}
	}
}

// stages says where each stage stands, and how long it took.
func (t *statusText) stages() {
	s, end := t.s, t.now
	if !s.Ended.IsZero() {
		end = s.Ended
	}
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
		t.line("", "%d %-32s %-12s %s", i+1, st.Name, state, took)
	}
}

// judged says what failed, how the checks stand, and how the run ended.
func (t *statusText) judged() {
	s := t.s
	for i := range s.Steps {
		if st := &s.Steps[i]; st.State == FailedAt {
			t.line("FAILED", "%s: %s", st.Says, st.Error)
		}
	}
	if s.CheckCount().All() > 0 {
		t.line("CHECKS", "%s", s.ChecksStand())
	}
	if s.Result != "" {
		t.line("RESULT", "%s: %s", s.Result, s.Says)
	}
}

// live says what became of live, and what runs or lies beside it.
func (t *statusText) live() {
	if by := t.since.Undone; by != nil {
		t.line("LIVE", "switched back by run %s: as it was before this run", by.Run)
	} else {
		t.line("LIVE", "%s", t.s.LiveSays(t.now.Location()))
	}
	for _, h := range t.s.HandedOver {
		word := "RUNS"
		if h.Tree != "" {
			word = "KEPT"
		}
		t.line(word, "%s %s, until it is removed: comeback expire %s", h.Component, h.Where(), t.s.Run)
		for _, says := range SayInPlace(t.s.inPlace(h)) {
			t.line("", "%s", says)
		}
	}
}

// left says until when the old data stays, and what of it is gone.
func (t *statusText) left() {
	aside := t.s
	if by := t.since.Undone; by != nil {
		aside = by
	}
	for _, old := range aside.Old {
		if t.since.Gone[old.Place] == "" {
			t.line("OLD", "%s, until %s", old.Place, old.Until.In(t.now.Location()).Format("2 Jan 2006 15:04Z07:00"))
		}
	}
	for _, left := range slices.Concat(aside.Old, t.run.OldHandedOver()) {
		if became := t.since.Gone[left.Place]; became != "" {
			t.line("GONE", "%s of %s: %s", left.Component, left.Place, became)
		}
	}
}

// next says when those who wait hear of it again.
func (t *statusText) next() {
	if t.s.Result != "" {
		return
	}
	next := t.now.Add(updateEvery)
	if left, known := t.s.Left(t.now, nil); known && t.alive && len(t.s.Waits()) == 0 && left < updateEvery {
		next = t.now.Add(left)
	}
	t.line("NEXT", "update at %s, or when this changes", next.Format("15:04Z07:00"))
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
