package execute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/terminal"
)

// Screen is the terminal of a person: its size in cells and its name for
// programs, "xterm-256color".
type Screen struct {
	Columns, Rows int
	Term          string
}

// Terminal is a person's hold on the program of a step that talks with one: what
// the program shows is read, what the person types is written. Closing it
// leaves the program running; whoever asks for the step's terminal next goes on
// with it. Whoever loses the command of the run loses the seat. It is safe for concurrent use.
type Terminal struct {
	seat   *seat
	by     string // who sits there
	unread []byte
	gone   bool // closed, or another took the seat
}

// Terminal gives the terminal of a step: of one that waits for a terminal, whose
// program is then started, or of one whose program runs already, which whoever
// had it before loses. By is who sits there.
func (x *Executor) Terminal(step, by string, screen Screen) (*Terminal, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	st := x.state.Step(step)
	if st == nil {
		return nil, recovery.Errorf("", "the plan has no step %q", step)
	}
	if _, runs := x.running[step]; runs {
		if s := x.seats.of(step); s != nil {
			// Who made it run is recorded as a decision; that of another is none.
			if s.last() != by {
				if err := x.recordLocked(recovery.Noted{By: recovery.Program, Text: by + fmt.Sprintf(" sits at the terminal of %q now", st.Says)}); err != nil {
					return nil, err
				}
			}
			return s.sit(by, screen), nil
		}
	}
	if st.WaitsFor != recovery.WaitTerminal {
		return nil, recovery.Errorf("", "%s does not wait for a terminal now", st.Says)
	}
	t := x.seats.make(step).sit(by, screen)
	if err := x.recordLocked(recovery.Decided{Step: step, Choice: recovery.ChooseRetry, By: by}); err != nil {
		x.seats.remove(step)
		return nil, err
	}
	return t, nil
}

// errTerminal says that a step can go on only at a person's terminal.
var errTerminal = errors.New("it talks with a person")

// waits makes a wait of an error that is none: a terminal is missing, or
// credentials are.
func (x *Executor) waits(s recovery.Step, err error, o recovery.Outcome) (recovery.Waiting, bool) {
	if w, ok := x.nameMissing(s, err); ok {
		return w, true
	}
	if !errors.Is(err, errTerminal) || x.state.Stop != nil {
		return x.credentials(s, err, o)
	}
	return recovery.Waiting{Step: s.ID, For: recovery.WaitTerminal, Cause: err.Error(),
		Hint: "open it from a terminal: comeback attach " + x.Plan.Run, Artifacts: o.Artifacts}, true
}

// conversation is how a step's program is run at the terminal of whoever sits
// there. Where nobody does the error makes the step wait, or fail where nobody
// can be asked.
func (x *Executor) conversation(e recovery.Env, s recovery.Step, args recovery.ShellArgs) (func(context.Context, recovery.Cmd) error, error) {
	own, ok := e.(*env)
	seat := x.seats.of(s.ID)
	switch {
	case x.alone():
		return nil, recovery.Errorf("run it from a terminal", "%s talks with a person, and nobody is there", args.Name)
	case !ok || seat == nil || !seat.taken():
		return nil, fmt.Errorf("%s cannot go on without a terminal: %w", args.Name, errTerminal)
	}
	return func(ctx context.Context, c recovery.Cmd) error { return own.converse(ctx, c, seat) }, nil
}

// converse runs a program at the terminal of whoever sits there. Its output is
// recorded as the terminal showed it; what is typed is not, but for its echo.
func (e *env) converse(ctx context.Context, c recovery.Cmd, s *seat) error {
	last := &tailWriter{}
	log := newScreen(func(line string) { last.add(line); e.meter.Log(line) }, nil)
	ours, theirs, err := terminal.Open()
	if err != nil {
		return fmt.Errorf("open a terminal: %w", err)
	}
	defer ours.Close()
	cmd := isolation.Command(ctx, c)
	cmd.Env = append(cmd.Env, "TERM="+s.begin(ours))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = theirs, theirs, theirs
	if !c.Isolated { // in a box its init does this
		cmd.SysProcAttr.Setpgid, cmd.SysProcAttr.Setsid, cmd.SysProcAttr.Setctty = false, true, true
	}
	shown := make(chan struct{})
	go func() {
		defer close(shown)
		b := make([]byte, 32<<10)
		for {
			n, err := ours.Read(b)
			s.show(b[:n])
			_, _ = log.Write(b[:n]) // a screen takes everything
			if err != nil {
				return // EIO: nobody has the other end any more
			}
		}
	}()
	err = e.run(ctx, cmd, c, true)
	theirs.Close()
	select {
	case <-shown:
	case <-time.After(lastWords): // a daemon has kept the terminal
		ours.Close()
		<-shown
	}
	log.flush()
	return e.explain(ctx, c, err, last)
}

// lastWords is how long a terminal is read after its program has ended.
const lastWords = time.Second

// Read waits for what the program shows. It ends with io.EOF after the program
// has, and with os.ErrClosed where the seat was left or taken.
func (t *Terminal) Read(b []byte) (int, error) {
	s := t.seat
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(t.unread) == 0 {
		switch {
		case t.gone:
			return 0, os.ErrClosed
		case s.ended:
			return 0, io.EOF
		}
		s.changed.Wait()
	}
	n := copy(b, t.unread)
	t.unread = t.unread[n:]
	return n, nil
}

// Write types, once the program runs.
func (t *Terminal) Write(b []byte) (int, error) {
	s := t.seat
	s.mu.Lock()
	for s.pty == nil && !s.ended && !t.gone {
		s.changed.Wait()
	}
	p, gone := s.pty, t.gone || s.ended
	s.mu.Unlock()
	if gone {
		return 0, os.ErrClosed
	}
	n, err := p.Write(b)
	if err != nil {
		return n, fmt.Errorf("type into the terminal: %w", err)
	}
	return n, nil
}

// Resize tells the program that the terminal has another size.
func (t *Terminal) Resize(columns, rows int) {
	s := t.seat
	s.mu.Lock()
	defer s.mu.Unlock()
	if !t.gone {
		s.screen.Columns, s.screen.Rows = columns, rows
		s.resize()
	}
}

// Close leaves the seat.
func (t *Terminal) Close() error {
	s := t.seat
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sitter == t {
		s.sitter = nil
	}
	t.gone = true
	s.changed.Broadcast()
	return nil
}
