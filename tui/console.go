package tui

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	tea "charm.land/bubbletea/v2"
	"golang.org/x/term"

	"comeback/recovery"
)

// framesPerSecond bounds how often the terminal is written to; it is also how
// long a key may wait for its echo.
const framesPerSecond = 120

// Options are what the console needs.
type Options struct {
	Desk Desk
	// In and Out are the terminal; Usable should have said yes to them.
	In  io.Reader
	Out io.Writer
	// Width and Height are used where Out cannot tell its size.
	Width, Height int
	Environ       []string
	// Now is the clock; its zone is the one that screens show.
	Now func() time.Time
	// Operator is the name that ticks, notes and decisions are made under.
	Operator string
	Start    Start
	// Overlooked says that there are runs which this console cannot list, and what to do
	// about it; nil where there are none.
	Overlooked error
	// Pasted gives the commands of a text what they need to be carried out where the console
	// is, by whoever reads it and pastes them where they are; nil is nothing.
	Pasted func(text string) string
	// Cards are a rehearsal's scenario, to be played one after the other.
	Cards []Card
}

// Start says what the console opens with. The zero Start is the first screen.
type Start struct {
	// Runbook opens this runbook, for a rehearsal.
	Runbook string
	// Want, with Runbook, prepares the run to this moment at once; it is still
	// reviewed before it starts. Asked is when that was said; zero is now.
	Want  string
	Asked time.Time
	// Mode, with Runbook, is what was asked for: a rehearsal answers "what
	// happened?" already.
	Mode recovery.Mode
	// Outage, with Runbook, is when the outage began, where that was told already.
	Outage recovery.OutageNoted
	// Session shows a run that has been started already.
	Session recovery.Session
}

// Ending is what was on the screen when the console was left.
type Ending struct {
	// Run is the id of the run that was shown last, and Dir its directory;
	// empty if there was none.
	Run, Dir string
	// Ended says that this run came to its end, with Exit.
	Ended bool
	Exit  recovery.Exit
	// Detached says that a person left a run that has not ended: it goes on
	// without the console, and they should be told how to come back.
	Detached bool
	// Lost says that nothing more is heard of this run, which has not ended: its
	// runner died, or cannot be reached.
	Lost bool
	// HungUp says that the terminal went away, or that the process was asked
	// to end.
	HungUp bool
}

// Run shows the console until a person leaves it, the terminal goes away, or
// ctx ends. The error is about the terminal, never about a run.
func Run(ctx context.Context, o Options) (Ending, error) {
	ctx, cancel := context.WithCancel(ctx)
	ctx, calls := withCalls(ctx)
	defer calls.wait(callsEnd)
	defer cancel()
	return newModel(ctx, o).show(o)
}

// show is Run for a model that has been made.
func (m *model) show(o Options) (Ending, error) {
	hungUp := make(chan struct{}, 1)
	in := lifeline(o.In, func() {
		select {
		case hungUp <- struct{}{}:
		default:
		}
	})
	p := tea.NewProgram(m,
		tea.WithInput(in),
		tea.WithOutput(outputOf(o.Out, o.Environ)),
		tea.WithEnvironment(o.Environ),
		tea.WithColorProfile(profileOf(o.Environ)),
		tea.WithWindowSize(m.width, m.height),
		tea.WithFPS(framesPerSecond),
		tea.WithoutSignalHandler(),
	)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	go func() {
		select {
		case <-m.ctx.Done():
		case <-hungUp:
		case <-signals:
		}
		m.hangUp()          // the event loop may be busy with a conversation
		p.Send(hungUpMsg{}) // lost if the program has ended by itself
	}()
	_, err := p.Run()
	m.hangUp()
	if m.run != nil {
		m.run.feed.stop()
	}
	switch {
	case err == nil:
	case errors.Is(err, syscall.EIO): // the terminal went while it was read
		m.ending.HungUp, err = true, nil
	default:
		err = fmt.Errorf("show the console: %w", err)
	}
	return m.ending, err
}

func newModel(ctx context.Context, o Options) *model {
	m := &model{
		ctx: ctx, desk: o.Desk, now: o.Now, operator: o.Operator,
		theme: newTheme(o.Environ), titles: titled(o.Environ), width: 80, height: 24,
		cards: o.Cards, overlooked: o.Overlooked, pasted: o.Pasted, outages: map[string]recovery.OutageNoted{}, exec: tea.Exec, canSuspend: canSuspend, everySecond: func() tea.Cmd { return tea.Every(time.Second, func(time.Time) tea.Msg { return secondMsg{} }) },
	}
	if m.pasted == nil {
		m.pasted = func(text string) string { return text }
	}
	m.hung, m.hangUp = context.WithCancel(ctx)
	m.terminal = variable(o.Environ, "TERM")
	if o.Width > 0 && o.Height > 0 {
		m.width, m.height = o.Width, o.Height
	}
	m.stack = []shown{{screen: newHome(m)}}
	switch {
	case o.Start.Session != nil:
		m.attach(o.Start.Session)
		m.stack = append(m.stack, shown{screen: &runScreen{m: m, run: m.run}})
	case o.Start.Runbook != "":
		book := newRunbook(m, o.Start.Runbook, o.Start.Want)
		if !o.Start.Asked.IsZero() {
			book.asked = o.Start.Asked
		}
		if o.Start.Mode == recovery.Rehearsal {
			book.cursor = rehearsalRoute
		}
		if o.Start.Outage.How != "" {
			m.outages[o.Start.Runbook] = o.Start.Outage
		}
		m.stack = append(m.stack, shown{screen: book})
	}
	return m
}

// lifeline is a terminal's input that tells when the terminal is gone: the
// library takes the end of its input for nothing to read.
func lifeline(in io.Reader, dead func()) io.Reader {
	if f, ok := in.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &ttyInput{File: f, keys: keysOf(f), dead: dead}
	}
	return &otherInput{in, dead}
}

type ttyInput struct {
	*os.File
	keys keys
	dead func()
}

func (t *ttyInput) Read(b []byte) (int, error) {
	n, err := t.keys.Read(b)
	if err != nil {
		t.dead()
	}
	return n, err
}

type otherInput struct {
	io.Reader
	dead func()
}

func (r *otherInput) Read(b []byte) (int, error) {
	n, err := r.Reader.Read(b)
	if err != nil {
		r.dead()
	}
	return n, err
}
