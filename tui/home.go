package tui

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// wide is the width from which parts stand side by side.
const wide = 110

// homeScreen lists the systems and the runs.
type homeScreen struct {
	m        *model
	systems  []System
	runs     []KnownRun
	haveList bool // of systems
	haveRuns bool
	// listing says that the list of runs is being read, listed when it last was.
	listing   bool
	listed    time.Time
	err       error
	runsErr   error
	attaching bool
	attachErr error
	// fetched are the runbooks in whose copies runs of other hosts were looked for.
	fetched map[string]bool
	// cursor counts the systems and then the runs; at names what it stands on,
	// so that it stays there when the lists change.
	cursor int
	at     string
}

func newHome(m *model) *homeScreen {
	return &homeScreen{m: m, fetched: map[string]bool{}}
}

func (s *homeScreen) field() *field { return nil }

// open reads both lists, each time that the screen is come back to.
func (s *homeScreen) open() tea.Cmd {
	s.attachErr = nil
	return tea.Batch(
		ask(s.m.ctx, s, s.m.desk.Systems, func(list []System, err error) tea.Cmd {
			s.systems, s.err, s.haveList = list, err, true
			s.keep()
			return s.fetch()
		}),
		s.list())
}

// fetch looks for runs that other hosts have filed, one system after the other and each
// once, while the lists are on the screen; both are read again where one came. That a
// copy does not answer is for the check to tell.
func (s *homeScreen) fetch() tea.Cmd {
	i := slices.IndexFunc(s.systems, func(system System) bool { return len(system.Problems) == 0 && !s.fetched[system.Runbook] })
	if i < 0 {
		return nil
	}
	runbook := s.systems[i].Runbook
	s.fetched[runbook] = true
	return ask(s.m.ctx, s, func(ctx context.Context) (bool, error) {
		return s.m.desk.Fetch(ctx, runbook)
	}, func(news bool, _ error) tea.Cmd {
		if news {
			return s.open()
		}
		return s.fetch()
	})
}

// listPace is how often the list of runs is read again while one of them has not
// ended.
const listPace = 10 * time.Second

// beat reads the list of runs again, calmly, while one of them has not ended:
// another terminal may do something about it.
func (s *homeScreen) beat() tea.Cmd {
	if s.listing || s.m.now().Sub(s.listed) < listPace || !slices.ContainsFunc(s.runs, func(r KnownRun) bool { return r.Alive || r.Died }) {
		return nil
	}
	return s.list()
}

// list reads the list of runs.
func (s *homeScreen) list() tea.Cmd {
	s.listing, s.listed = true, s.m.now()
	return ask(s.m.ctx, s, s.m.desk.Runs, func(list []KnownRun, err error) tea.Cmd {
		list = slices.Clone(list)
		slices.SortStableFunc(list, func(a, b KnownRun) int { return urgency(a) - urgency(b) })
		s.runs, s.runsErr, s.haveRuns, s.listing = list, err, true, false
		s.keep()
		return nil
	})
}

// urgency puts the runs that have not ended before those that have, and
// recoveries first of all.
func urgency(r KnownRun) int {
	switch {
	case !r.Ended.IsZero():
		return 2
	case r.Mode != recovery.Recovery:
		return 1
	}
	return 0
}

// keep puts the cursor back on what it stood on.
func (s *homeScreen) keep() {
	n := len(s.systems) + len(s.runs)
	for s.cursor = 0; s.cursor < n; s.cursor++ {
		if s.name() == s.at {
			return
		}
	}
	s.cursor = 0
}

// name is what the cursor stands on.
func (s *homeScreen) name() string {
	switch system, run := s.chosen(); {
	case system != nil:
		return "system " + system.Runbook
	case run != nil:
		return "run " + run.ID
	}
	return ""
}

// chosen is what the cursor stands on; at most one of the two is set.
func (s *homeScreen) chosen() (*System, *KnownRun) {
	switch i := s.cursor; {
	case i < len(s.systems):
		return &s.systems[i], nil
	case i-len(s.systems) < len(s.runs):
		return nil, &s.runs[i-len(s.systems)]
	}
	return nil, nil
}

func (s *homeScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if cursor, ok := move(k.String(), s.cursor, len(s.systems)+len(s.runs), 10); ok {
		s.cursor = cursor
		s.at = s.name()
		return nil, true
	}
	system, run := s.chosen()
	switch k.String() {
	case keyEnter:
		switch {
		case system != nil:
			return s.m.push(newRunbook(s.m, system.Runbook, "")), true
		case run != nil:
			return s.attach(*run), true
		}
		return nil, true
	case "a":
		if run != nil {
			return s.attach(*run), true
		}
		return nil, true
	case "r":
		if run != nil && !run.Ended.IsZero() {
			return s.m.push(newDocument(s.m, "report of run "+run.ID, run.Dir+"/report.md")), true
		}
		return nil, true
	case "f":
		if run != nil {
			return s.m.push(newFiles(s.m, "run "+run.ID, run.Dir)), true
		}
		return nil, true
	case "k":
		if system != nil && len(system.Problems) == 0 {
			return s.m.push(newCheck(s.m, *system)), true
		}
		return nil, true
	case "g":
		clear(s.fetched)
		return s.open(), true
	}
	return nil, false
}

// attach opens a run: its result, or what it does now, or what can be done about
// its death.
func (s *homeScreen) attach(run KnownRun) tea.Cmd {
	if s.attaching {
		return nil
	}
	if run.Died {
		return s.m.push(newDied(s.m, run))
	}
	s.attaching, s.attachErr = true, nil
	return ask(s.m.ctx, s, func(ctx context.Context) (recovery.Session, error) {
		return s.m.desk.Attach(ctx, run)
	}, func(session recovery.Session, err error) tea.Cmd {
		s.attaching, s.attachErr = false, err
		if err != nil {
			return nil
		}
		return s.m.begin(session)
	})
}

func (s *homeScreen) page(w, h int) page {
	p := page{
		system: "all systems", aside: s.busy(), mode: looking, focus: -1,
		note: "reading changes nothing",
		keys: []binding{{"g", "again"}}, leave: qQuit,
	}
	p.live, p.liveLook = s.live()
	switch system, run := s.chosen(); {
	case system != nil:
		p.keys = []binding{{keyEnter, "open"}, {"k", "check"}, {"g", "again"}}
	case run == nil:
	case run.Died:
		p.keys = []binding{{keyEnter, "resume..."}, {"g", "again"}}
	case run.Ended.IsZero():
		p.keys = []binding{{keyEnter, "attach"}, {"g", "again"}}
	default:
		p.keys = []binding{{keyEnter, "open"}, {"r", "report"}, {"f", "files"}, {"g", "again"}}
	}
	p.keys = append(p.keys, binding{"c", "people"}, binding{"s", "status"})
	if s.attaching {
		p.note = "opening the run .."
	}
	unseen := s.m.trouble("NOT SEEN", s.m.overlooked, w)
	if w >= wide {
		lw := (w - 2) * 62 / 100
		lists, focus := s.lists(&p, lw, h-3-len(unseen))
		p.body, p.focus = beside(lists, s.details(w-lw-2), lw, w), focus
	} else {
		details := s.details(w)
		p.body, p.focus = s.lists(&p, w, max(8, h-len(details)-3-len(unseen)))
		p.body, unseen = append(p.body, unseen...), nil
		p.body = append(append(p.body, nil), details...)
	}
	for len(p.body) < h-2-len(unseen) && len(p.body) > 0 {
		p.body = append(p.body, nil)
	}
	p.body = append(p.body, unseen...)
	p.body = append(p.body, say(s.next()).fit(w), say("Reading changes nothing. A live system changes only after you type its name.").fit(w))
	return p
}

// live answers whether a live system is changed: by a recovery that has not ended, or
// by the one that this console looked at last, unless somebody has changed the same
// system since.
func (s *homeScreen) live() (string, look) {
	says := func(run KnownRun) (string, look) {
		return clean("LIVE: " + run.System + " " + run.Live + ", run " + run.ID), plain
	}
	ours := ""
	for _, run := range s.runs { // those that have not ended stand first, then the newest
		if run.Mode == recovery.Recovery && run.Live != "" && run.Ended.IsZero() {
			return says(run)
		}
		if run.Mode == recovery.Recovery && run.ID == s.m.ending.Run {
			ours = run.System
		}
	}
	for _, run := range s.runs {
		if ours != "" && run.System == ours && run.Mode == recovery.Recovery && run.Live != "" &&
			(run.ID == s.m.ending.Run || !strings.HasPrefix(run.Live, "untouched")) {
			return says(run)
		}
	}
	return "LIVE: untouched by this console", plain
}

// next says what to do here: what waits for a person comes before what is new.
func (s *homeScreen) next() string {
	for _, run := range s.runs {
		switch {
		case run.Died:
			return "Run " + run.ID + " died: go to it and press enter, which says what can be done."
		case run.Alive && run.Mode == recovery.Recovery:
			return "Run " + run.ID + " is a recovery that goes on: go to it and press enter to see it."
		}
	}
	if s.haveList && s.err == nil && len(s.systems) == 0 {
		return "Is something broken?  Its runbook may lie in a copy."
	}
	return "Is something broken?  Choose the system and press enter."
}

// busy says which runs have not ended.
func (s *homeScreen) busy() string {
	var last KnownRun
	n, died := 0, 0
	for _, run := range s.runs {
		if run.Ended.IsZero() {
			last, n = run, n+1
		}
		if run.Died {
			died++
		}
	}
	switch {
	case n == 0:
		return "no run"
	case n == 1 && died == 1:
		return "run " + clean(last.ID) + " died"
	case n == 1:
		return "run " + clean(last.ID) + " not ended"
	case died > 0:
		return fmt.Sprintf("%d runs not ended, %d died", n, died)
	}
	return fmt.Sprintf("%d runs not ended", n)
}
