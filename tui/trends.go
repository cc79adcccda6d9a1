package tui

import (
	"context"
	"fmt"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// trendsScreen shows how a system's rehearsals went over time: what they took
// against the RTO, how much they restored, and each stage in each of them.
type trendsScreen struct {
	m      *model
	system System
	have   bool
	err    error
	trend  *recovery.Trend
}

func newTrends(m *model, system System) *trendsScreen { return &trendsScreen{m: m, system: system} }

func (s *trendsScreen) field() *field { return nil }

func (s *trendsScreen) open() tea.Cmd {
	return ask(s.m.ctx, s, func(ctx context.Context) (*recovery.Trend, error) {
		return s.m.desk.Trends(ctx, s.system.Runbook)
	}, func(t *recovery.Trend, err error) tea.Cmd {
		s.trend, s.err, s.have = t, err, true
		return nil
	})
}

func (s *trendsScreen) key(tea.KeyPressMsg) (tea.Cmd, bool) { return nil, false }

func (s *trendsScreen) page(w, h int) page {
	p := page{system: s.system.Name, aside: "no run", mode: looking, focus: -1, live: "LIVE: untouched", note: "reading changes nothing",
		keys: []binding{{"pgup/pgdn", "scroll"}, {"c", "people"}, {"s", "status"}}, leave: escBack}
	p.body = []line{as(strong, "TRENDS").say("   over the rehearsals of " + clean(s.system.Name)).fit(w), nil}
	switch {
	case s.err != nil:
		p.body = append(p.body, s.m.trouble("REFUSED", s.err, w)...)
	case !s.have:
		p.body = append(p.body, as(faint, "reading the reports .."))
	case s.trend == nil:
		p.body = append(p.body, say("No rehearsal has come to its end yet: how long a recovery takes is a hope."), say("DO      choose the system, then 6: the same stages, into scratch").fit(w))
	default:
		p.body = append(p.body, s.runs(w)...)
		p.body = append(append(p.body, nil), s.stages(w)...)
		p.body = append(append(p.body, nil), as(faint, "A rehearsal's time is not an RTO: nobody was woken, nothing live was switched."))
	}
	return p
}

// runs is one line for each rehearsal, the oldest first.
func (s *trendsScreen) runs(w int) []line {
	t := table{w: w, columns: []column{
		{title: "RUN", width: 6}, {title: "DAY", width: 12, keep: 4}, {title: "RESTORED", width: 9, right: true, keep: 3},
		{title: "TOOK", width: 7, right: true}, {title: "RTO", width: 6, right: true, keep: 2}, {title: "", keep: 1},
	}}
	var most time.Duration
	for _, r := range s.trend.Runs {
		most = max(most, time.Duration(r.Took), time.Duration(r.RTO))
	}
	lines := []line{t.titles()}
	for _, r := range s.trend.Runs {
		took, rto := time.Duration(r.Took), time.Duration(r.RTO)
		room := max(8, w-55)
		says, k := span{bar(int64(took), int64(most), room) + " no RTO", plain}, plain
		switch {
		case rto > 0 && took > rto:
			k = bad
			says = span{bar(int64(took), int64(most), room) + " MISSED", bad}
		case rto > 0:
			says = span{bar(int64(took), int64(most), room) + " " + recovery.Percent(int64(took), int64(rto)), good}
		}
		lines = append(lines, t.row("  ", span{clean(r.Run), strong}, span{r.At.In(s.m.now().Location()).Format("2 Jan 2006"), plain},
			span{recovery.FormatBytes(r.Bytes), plain}, span{elapsed(took), k}, span{budget(rto, "-"), plain}, says))
	}
	return lines
}

// stages is what each stage took in the newest rehearsals that there is room for.
func (s *trendsScreen) stages(w int) []line {
	name := 24
	first := max(0, len(s.trend.Runs)-max(1, (w-name-2)/9))
	head := strings.Repeat(" ", 2) + pad("STAGE", name)
	for _, r := range s.trend.Runs[first:] {
		head += padLeft(clean(r.Run), 9)
	}
	lines := []line{as(strong, head).fit(w)}
	for _, st := range s.trend.Stages {
		l := say("  " + pad(clean(st.Name), name))
		for _, took := range st.Took[first:] {
			text, k := "not done", faint
			if took.Known {
				text, k = elapsed(time.Duration(took.Took)), plain
			}
			l = l.and(k, padLeft(text, 9))
		}
		lines = append(lines, l.fit(w))
	}
	if first > 0 {
		lines = append(lines, as(faint, fmt.Sprintf("  %s before: a wider terminal shows them", count(first, "rehearsal", "rehearsals"))))
	}
	return lines
}
