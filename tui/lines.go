package tui

import (
	"context"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// Told line by line, a screen is at most so wide, and of its lists so much is said.
const (
	linesWidth  = 100
	linesHeight = 60
)

// How long the telling waits for more before it speaks, and how often it says
// anew what changes by itself.
const (
	linesQuiet = 200 * time.Millisecond
	linesCalm  = 3 * time.Second
	linesPace  = 10 * time.Second
)

// Lines is Run for people who hear or read line by line: it tells the same
// screens as text, and asks for answers, each in a line. Nothing is decided here
// that the screens do not decide. It ends when a person leaves it, with ctx, and
// with its input; a run goes on without it.
func Lines(ctx context.Context, o Options) (Ending, error) {
	ctx, cancel := context.WithCancel(ctx)
	ctx, calls := withCalls(ctx)
	defer calls.wait(callsEnd)
	defer cancel()
	m := newModel(ctx, o)
	m.byLines, m.titles = true, false
	m.width, m.height = linesWidth, linesHeight+5
	if o.Width > 0 { // a line is not folded by the terminal, which cuts words; rows have their number before them
		m.width = min(linesWidth, max(40, o.Width-2))
	}
	m.canSuspend = func() bool { return false }
	m.everySecond = func() tea.Cmd { return nil }
	reader, err := newLineReader(ctx, o.In)
	if err != nil {
		return Ending{}, err
	}
	defer reader.stop()
	t := &teller{m: m, ctx: ctx, out: o.Out, msgs: make(chan tea.Msg), asker: reader}
	m.exec = t.exec
	t.loop()
	m.hangUp()
	if m.run != nil {
		m.run.feed.stop()
	}
	return m.ending, nil
}

// teller tells the screens of a model, and puts what is answered to them.
type teller struct {
	m     *model
	ctx   context.Context
	out   io.Writer
	msgs  chan tea.Msg
	asker *lineReader
	// busy says that a program has the terminal.
	busy bool
	quit bool
	// hushed says that something was told a moment ago that nobody had asked
	// for.
	hushed bool

	// at is the time for which the screen is told, so that nothing is told
	// only because time passes.
	at time.Time
	// told is the screen that was told last, and its lines.
	told  screen
	lines []string
	// asked is what the line that is being waited for answers.
	asked asking
	// offered is what could be answered when that was told last.
	offered string
	// owed says that something was answered since the screen was told, standing
	// that this asked where a run stands.
	owed, standing bool
	// progressed is when progress was told last.
	progressed time.Time
}

// asking is what a line answers: a screen and, where there is one, a field of
// it. What was typed for another question is not taken.
type asking struct {
	screen screen
	field  *field
}

func (t *teller) loop() {
	t.run(t.m.Init())
	quiet, calm := time.NewTimer(linesQuiet), time.NewTimer(linesCalm)
	defer quiet.Stop()
	defer calm.Stop()
	pace := time.NewTicker(linesPace)
	defer pace.Stop()
	for !t.quit {
		select {
		case msg := <-t.msgs:
			t.take(msg)
			quiet.Reset(linesQuiet)
		case line, ok := <-t.asker.lines:
			if !ok { // nobody is there any more
				t.m.ending.HungUp = true
				return
			}
			t.asker.waits = false
			t.answer(line)
			quiet.Reset(linesQuiet)
		case <-quiet.C:
			if t.tell() {
				calm.Reset(linesCalm)
			}
		case <-calm.C:
			if t.hushed {
				t.hushed = false
				if t.tell() { // it is told in the calm after this, too
					calm.Reset(linesCalm)
				}
			}
		case <-pace.C:
			t.progress()
		case <-t.ctx.Done():
			t.m.ending.HungUp = true
			return
		}
	}
}

// say writes a line.
func (t *teller) say(text string) {
	if _, err := io.WriteString(t.out, strings.TrimRight(text, " ")+"\n"); err != nil { // the reader has gone
		t.m.ending.HungUp, t.quit = true, true
	}
}

// prose writes a text in lines that the terminal does not fold.
func (t *teller) prose(text string) {
	for _, l := range wrap(t.written(text), t.m.width) {
		t.say(l)
	}
}

// run runs a command of the model beside the loop.
func (t *teller) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, cmd := range batch {
				t.run(cmd)
			}
			return
		}
		if msg == nil {
			return
		}
		select {
		case t.msgs <- msg:
		case <-t.ctx.Done():
		}
	}()
}

// take handles a message of the model.
func (t *teller) take(msg tea.Msg) {
	switch msg := msg.(type) {
	case tea.QuitMsg:
		t.quit = true
		return
	case tea.RawMsg:
		if bell, ok := msg.Msg.(string); ok {
			fmt.Fprint(t.out, bell)
		}
		return
	case heardMsg:
		for _, l := range msg.lines {
			if !l.own { // what a program prints would bury the questions; l tells the log
				t.prose(l.text)
			}
		}
	case doneMsg:
		t.busy, t.owed = false, true
		msg.then()
		return
	}
	if v := reflect.ValueOf(msg); v.Kind() == reflect.Slice || v.Kind() == reflect.String { // for a terminal: the clipboard
		return
	}
	_, cmd := t.m.Update(msg)
	t.run(cmd)
}

// written is a text as this terminal can show it.
func (t *teller) written(text string) string {
	text = clean(text)
	if t.m.theme.ascii {
		text = asciiOnly(text)
	}
	return text
}

// doneMsg says that a program has given the terminal back.
type doneMsg struct{ then func() }

// exec gives the terminal to a program until it has ended.
func (t *teller) exec(c tea.ExecCommand, then tea.ExecCallback) tea.Cmd {
	t.busy = true
	t.asker.pause()
	return func() tea.Msg {
		done, ok := calling(t.ctx) // who leaves waits until the terminal is as it was
		if !ok {
			return nil
		}
		c.SetStdin(t.asker.in)
		c.SetStdout(t.out)
		err := c.Run()
		done()
		return doneMsg{func() { t.run(func() tea.Msg { return then(err) }) }}
	}
}

// page is the top screen as it is told.
func (t *teller) page() page {
	if t.owed || t.told != t.m.top().screen || t.at.IsZero() {
		t.at = t.m.now()
	}
	clock := t.m.now
	t.m.now = func() time.Time { return t.at }
	defer func() { t.m.now = clock }()
	p := t.m.top().page(t.m.width, linesHeight)
	p.typing = t.m.top().field() != nil
	return p
}

// bodyLines are a page's lines as text, its rows numbered.
func (t *teller) bodyLines(p page) []string {
	numbers := map[int]int{}
	for i, pick := range p.picks {
		numbers[pick.line] = i + 1
	}
	var lines []string
	for i, l := range p.body {
		text := t.written(strings.TrimRight(l.fit(t.m.width).words(), " "))
		if n, ok := numbers[i]; ok {
			text = strings.TrimPrefix(strings.TrimPrefix(text, "> "), "  ")
			if !strings.HasPrefix(text, fmt.Sprint(n, " ")) {
				text = fmt.Sprint(n, " ", text)
			}
		}
		lines = append(lines, text)
	}
	return lines
}

// tell tells the top screen, if there is something new to tell of it. It reports
// whether it told what nobody had asked for.
func (t *teller) tell() (unasked bool) {
	if t.busy || t.quit {
		return false
	}
	top := t.m.top().screen
	if s, ok := top.(*pagerScreen); ok {
		if !s.reading {
			t.read(s)
		}
		return false
	}
	same, answered := t.told == top, t.owed
	p := t.page()
	lines := t.bodyLines(p)
	if s, ok := top.(*runScreen); ok { // its events are told as they happen
		if !same {
			t.say("")
			t.prose(fmt.Sprintf("Run %s, %s of %s. What it does is told as it happens; an empty line tells where it stands.", s.run.plan.Run, s.run.plan.Mode, s.run.plan.System))
			t.say(t.written(p.live))
		}
		if !answered || s.err == nil && s.prompt != nil || !t.standing {
			lines = nil
			if s.err != nil && answered {
				lines = append(lines, wrap(t.written(t.m.pasted("REFUSED: "+s.err.Error()+". "+recovery.HintOf(s.err))), t.m.width)...)
			}
			if a := s.run; a.over && !a.ended() {
				lines = append(lines, wrap(t.written(a.lost(t.m)), t.m.width)...)
			}
		}
	}
	t.standing = false
	var fresh []string
	known := map[string]bool{"": true}
	for _, l := range t.lines {
		known[l] = same && !answered
	}
	known[""] = same && !answered
	for _, l := range lines {
		if !known[l] && (l != "" || len(fresh) > 0 && fresh[len(fresh)-1] != "") {
			fresh = append(fresh, l)
		}
	}
	if same && !answered {
		switch {
		case len(fresh) == 0:
			t.prompt(p, false)
			return false
		case t.hushed:
			return false // told when it is calm
		}
		t.hushed, unasked = true, true
	}
	if len(fresh) > 0 && !unasked {
		t.say("")
		t.say(t.written(strings.TrimSpace(fmt.Sprintf("%s %s %s", p.system, modes[p.mode].words, p.aside))))
	}
	for _, l := range fresh {
		t.say(l)
	}
	if len(fresh) > 0 && !unasked {
		t.prose(p.live + "; " + p.note)
	}
	if t.m.said != "" {
		t.prose(t.m.said)
	}
	t.told, t.lines = top, lines
	t.prompt(p, !same || answered)
	return unasked
}

// prompt asks for the next line; loud says what can be answered.
func (t *teller) prompt(p page, loud bool) {
	now := asking{t.m.top().screen, t.m.top().field()}
	// What can be answered changes with who commands, too.
	answers := t.answers(p)
	loud = loud || now != t.asked || answers != t.offered
	t.asked, t.owed, t.offered = now, false, answers
	if loud {
		line := ""
		for part := range strings.SplitAfterSeq(t.written(answers), "; ") { // a key and what it does stay in one line
			if line != "" && !fits(line+strings.TrimRight(part, " "), t.m.width) {
				t.say(line)
				line = ""
			}
			line += part
		}
		t.prose(line)
	}
	t.asker.echo(now.field == nil || !now.field.secret)
	t.asker.ask()
}

// answers says what can be answered.
func (t *teller) answers(p page) string {
	if p.typing {
		label := "the text"
		for _, l := range p.body {
			for _, s := range l {
				if s.look == caretMark {
					label = strings.TrimRight(strings.TrimSpace(l[0].text), "> ")
				}
			}
		}
		does := "take it"
		if len(p.keys) > 0 {
			does = p.keys[0].does
		}
		return fmt.Sprintf("TYPE %s, and enter to %s; esc in a line of its own drops it.", orText(label), does)
	}
	var parts []string
	if n := len(p.picks); n > 0 {
		parts = append(parts, fmt.Sprintf("1 to %d", n))
	}
	for _, b := range append(append([]binding{}, p.keys...), binding{"?", "help"}, p.leave) {
		if b.key != "" {
			parts = append(parts, b.key+" "+b.does)
		}
	}
	return "ANSWER: " + strings.Join(parts, "; ")
}

func orText(label string) string {
	if label == "" {
		return "the text"
	}
	return label
}

// readMost is how much of a document is told at once.
const readMost = 2000

// read tells a document, and goes back.
func (t *teller) read(s *pagerScreen) {
	t.say("")
	t.say(t.written(s.title))
	if s.err != nil {
		t.prose(t.m.pasted("REFUSED: " + s.err.Error()))
		if hint := recovery.HintOf(s.err); hint != "" {
			t.prose(t.m.pasted("DO: " + hint))
		}
	} else {
		lines := s.lines(t.m.width)
		if extra := len(lines) - readMost; extra > 0 {
			t.say(fmt.Sprintf("%d lines before these are left out.", extra))
			lines = lines[extra:]
		}
		for _, l := range lines {
			t.say(t.written(l))
		}
	}
	t.say("end of " + t.written(s.title))
	t.asked, t.owed = asking{}, false
	t.run(t.m.back())
	t.run(func() tea.Msg { return toldMsg{} })
}

// toldMsg makes the loop speak again.
type toldMsg struct{}

// progress tells how far the running steps are.
func (t *teller) progress() {
	a := t.m.run
	if a == nil || a.over || t.m.top().field() != nil {
		return
	}
	now := t.m.now()
	for _, st := range a.running() {
		sample, ok := a.samples[st.ID]
		if !ok || sample.Phase == "" || sample.At.Before(st.Attempt) || !sample.At.After(t.progressed) {
			continue
		}
		t.prose(now.Format("15:04:05") + " " + about(a.state, st.ID) + sample.Says())
	}
	t.progressed = now
}
