package tui

import (
	"fmt"
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// route is an answer to "what happened?", and what it leads to.
type route struct {
	name, says string
	// mode is what it is for where this console can change live systems.
	mode recovery.Mode
	// outage says that something is down: when that began is asked once.
	outage bool
	// want is the moment that it begins with; usually none.
	want string
	// apart leaves out copies that whoever broke in may have changed.
	apart bool
	// looks says that nothing is restored on this way, rescues that what it
	// leads to is a rescue, mayRescue that one may lose less than going back.
	looks, rescues, mayRescue bool
	// log says that the way looks for a commit in a log.
	log bool
	// moves says that it leads to another host than the one that was live.
	moves bool
	// command is what can be copied, RUNBOOK for the runbook's path; empty where there is none.
	command string
	// tells is what a person should know before going on, most important
	// first; without it the way goes on at once.
	tells []tellOf
}

// tellOf is a paragraph of a route's screen.
type tellOf struct{ name, text string }

// walSave saves what a dead server had not archived.
const walSave = "comeback wal save RUNBOOK --from PG_WAL"

// routes are all answers, in the order of their numbers.
var routes = [...]route{
	{name: "Data was deleted or damaged", says: "find the commit, go to just before it", mode: recovery.Recovery, outage: true, log: true, mayRescue: true},
	{name: "The server or its disk died", says: "go to the latest moment, on another host", mode: recovery.Recovery, outage: true, log: true, want: string(recovery.WantLatest), moves: true, command: walSave, tells: []tellOf{
		{"HOST", "another one: run comeback there, with this runbook. What died must not start again beside what comes back: take it off the network, or pull its plug."},
		{"MOMENT", "the latest that a copy has. What the dead server wrote after that is on its disk only: keep the disk, do not repair it in place. Where its pg_wal can be read, save it first: " + walSave + "."},
	}},
	{name: "Only one table or some rows", says: "rescue them, leave everything else as it is", mode: recovery.Rehearsal, outage: true, looks: true, rescues: true, log: true, tells: []tellOf{
		{"FIND", "enter reads the log: h goes to the newest harm, / finds a table. Enter there plans the rescue of that transaction, or of all that m has marked; y copies the same as a command."},
		{"THEN", "it shows what it would do to each table, and changes nothing before you have looked and typed the name of the database. Stop whatever still deletes before that."},
	}},
	{name: "Someone broke in", says: "clean host, from the other account", mode: recovery.Recovery, outage: true, log: true, apart: true, moves: true, tells: []tellOf{
		{"CLEAN HOST", "run comeback on a host that was not theirs, with keys that were not on the old one. Keep the old host as it is, off the network: it is evidence."},
		{"COPIES", "only those in an account of their own are offered: whoever held this host could write to the others. Choose a moment before they came, not the latest."},
	}},
	{name: "I do not know", says: "look: what changed, what is missing", mode: recovery.Rehearsal, looks: true, log: true},
	{name: "Nothing: this is a rehearsal", says: "the same stages, into scratch", mode: recovery.Rehearsal},
}

// rehearsalRoute is the route of a rehearsal.
const rehearsalRoute = len(routes) - 1

// apart reports whether a copy lies out of the reach of whoever holds this
// host: in an account of its own, as the runbook names it.
func apart(c recovery.Copy) bool { return c.Account != "" && !strings.HasPrefix(c.URL, "file:") }

// leftOut lists the copies that the route does not use.
func (s *runbookScreen) leftOut() (names []string) {
	if !s.route().apart || s.opened == nil {
		return nil
	}
	for _, c := range s.opened.Copies {
		if !apart(c) {
			names = append(names, c.Name)
		}
	}
	return names
}

// route is the one that was chosen last.
func (s *runbookScreen) route() route { return routes[s.cursor] }

// rescueCommand is the command that brings back what transactions of a database did, as
// far as they are known.
func (s *runbookScreen) rescueCommand(component string, xids []recovery.XID) string {
	text := "comeback rescue " + s.path
	if s.databases() > 1 { // each has transactions of its own
		text += " --component " + component
	}
	for _, xid := range xids {
		text += fmt.Sprintf(" --xid %d", xid)
	}
	if len(xids) == 0 {
		text += " --xid N"
	}
	return text + " --preview"
}

// databases is how many postgres components the runbook has.
func (s *runbookScreen) databases() (n int) {
	for _, c := range s.opened.Components {
		if c.Kind == recovery.Postgres {
			n++
		}
	}
	return n
}

// onlyLooks is why a way that only looks plans nothing.
func (s *runbookScreen) onlyLooks() error {
	if s.route().rescues {
		return recovery.Errorf("open a window (not a single backup), then h goes to the newest harm and / finds a table; enter there",
			"a rescue takes back transactions, and none was chosen")
	}
	return recovery.Errorf("esc, and choose what happened: 1 goes back to a moment, 3 rescues rows, 6 rehearses", "this way only looks, nothing is restored on it")
}

// mode is what a run on the chosen route is for.
func (s *runbookScreen) mode() recovery.Mode {
	if s.opened != nil && s.opened.OnlyScratch != "" {
		return recovery.Rehearsal
	}
	return s.route().mode
}

// frameMode is how the screens on the chosen route look.
func (s *runbookScreen) frameMode() mode {
	if s.route().looks {
		return looking
	}
	return modeOf(s.mode())
}

// routeScreen says where a route leads, and asks when the outage began unless
// that was told already.
type routeScreen struct {
	m    *model
	from *runbookScreen
	asker
}

// choose goes along a route: at once, or over what must be said and asked.
func (s *runbookScreen) choose(i int) tea.Cmd {
	s.cursor = i
	if !s.ready() {
		return nil
	}
	r := s.route()
	_, told := s.m.outage(s.path)
	scratchOnly := r.mode == recovery.Recovery && s.opened.OnlyScratch != ""
	if (told || !r.outage) && len(r.tells) == 0 && !scratchOnly {
		return s.m.push(newMoment(s.m, s))
	}
	next := &routeScreen{m: s.m, from: s}
	if r.outage && !told {
		next.asksOutage()
	}
	return s.m.push(next)
}

func (s *routeScreen) asksOutage() {
	s.asks(outagePrompt(s.m, s.from.path, s.goOn))
}

// goOn shows the moments in the place of this screen.
func (s *routeScreen) goOn() tea.Cmd {
	s.m.pop()
	return s.m.push(newMoment(s.m, s.from))
}

func (s *routeScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if s.prompt != nil {
		switch k.String() {
		case keyEscape:
			return s.m.back(), true
		case keyCopy:
			return s.m.copyOut(s), true
		}
		return s.answer(k)
	}
	switch k.String() {
	case keyEnter:
		return s.goOn(), true
	case "o":
		s.asksOutage()
		return nil, true
	}
	return nil, false
}

func (s *routeScreen) page(w, h int) page {
	f := s.from
	r := f.route()
	p := page{
		system: f.opened.Name, aside: f.aside(), mode: f.frameMode(), focus: -1,
		live: "LIVE: untouched", note: "nothing runs before you have seen the plan",
		keys: []binding{{keyEnter, "go on"}, {"o", "outage"}}, leave: escBack,
	}
	p.body = []line{as(strong, r.name).say(": " + r.says), nil}
	if f.opened.OnlyScratch != "" && r.mode == recovery.Recovery {
		p.body = append(p.body, paragraph("SCRATCH", 12, warn, f.opened.OnlyScratch+". What comes back can be looked at and copied from; what is live stays as it is.", w, 4)...)
	}
	for _, t := range r.tells {
		p.body = append(p.body, paragraph(t.name, 12, plain, strings.ReplaceAll(t.text, "RUNBOOK", f.path), w, 6)...)
	}
	if r.moves {
		for _, says := range f.opened.AnotherHost {
			p.body = append(p.body, paragraph("INTO", 12, plain, says, w, 8)...)
		}
	}
	if r.apart {
		p.body = append(p.body, s.copies(w)...)
	}
	if s.prompt != nil {
		p.body = append(append(p.body, nil), outageHelp(s.m, w)...)
	}
	s.show(s.m, &p, w)
	copies := binding{"y", "copy the command"}
	if s.prompt != nil {
		p.leave, copies.key = escBack, keyCopy
	}
	if r.command != "" && !s.m.byLines {
		p.keys = append(p.keys, copies)
	}
	return p
}

// copies says which copies are used where somebody broke in.
func (s *routeScreen) copies(w int) []line {
	out := s.from.leftOut()
	var in []string
	for _, c := range s.from.opened.Copies {
		if apart(c) {
			in = append(in, c.Name)
		}
	}
	switch {
	case len(in) == 0:
		return paragraph("NONE", 12, bad, "no copy of this runbook names an account of its own (account: in the runbook): none is out of the reach of whoever broke in. Route 1 offers all of them: look hard at what you restore from them, it may have been changed.", w, 4)
	case len(out) == 0:
		return paragraph("", 12, plain, "that is all of them: "+strings.Join(in, ", "), w, 2)
	}
	return paragraph("", 12, plain, "used: "+strings.Join(in, ", ")+"; left out: "+strings.Join(out, ", "), w, 2)
}
