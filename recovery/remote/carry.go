package remote

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/term"

	"comeback/recovery"
)

// Ends are this end of a command.
type Ends struct {
	In       io.Reader
	Out, Err io.Writer
	// Terminal is where the person is; nil where nobody is at one. In and Out are
	// not used then.
	Terminal *os.File
	// Signal is the signal that the end of the context means to the command.
	Signal func(cause error) syscall.Signal
}

// Run carries a command out on the host and gives its exit code. The end of ctx is
// told to the command, once, which ends as it would here. A connection that goes
// away is ErrLost. Of an input that is a file, nothing is read any more when Run
// returns: what is typed then is for this program.
func (c *Conn) Run(ctx context.Context, s Start, e Ends) (code int, err error) {
	if e.Terminal != nil {
		columns, rows, err := term.GetSize(int(e.Terminal.Fd()))
		if err != nil {
			return 0, fmt.Errorf("measure this terminal: %w", err)
		}
		s.Terminal = &Size{columns, rows}
	}
	if err := c.to.encode(kindStart, s); err != nil {
		return 0, c.cut(" before anything had begun there")
	}
	t := newTyping(c.to)
	if e.Terminal == nil {
		stop, failed := t.pass(e.In)
		if failed != nil {
			return 0, failed
		}
		defer stop()
	} else {
		restore, failed := t.putThrough(e.Terminal)
		if failed != nil {
			return 0, failed
		}
		e.Out = e.Terminal
		defer func() { err = errors.Join(err, restore(errors.Is(err, ErrLost))) }()
	}
	defer context.AfterFunc(ctx, func() { _ = c.to.write(kindSignal, []byte{byte(e.Signal(context.Cause(ctx)))}) })()
	for {
		k, content, err := readFrame(c.out)
		if err != nil {
			return 0, c.cut("")
		}
		switch k {
		case kindOut: // a reader that goes away does not end anything
			_, _ = e.Out.Write(content)
		case kindErr:
			_, _ = e.Err.Write(content)
		case kindTaken:
			var n int
			if err := json.Unmarshal(content, &n); err != nil {
				return 0, fmt.Errorf("understand %s: %w", c.host.Name(), err)
			}
			t.taken(n)
		case kindEnded:
			var end ending
			if err := json.Unmarshal(content, &end); err != nil {
				return 0, fmt.Errorf("understand %s: %w", c.host.Name(), err)
			}
			return end.Code, end.err()
		}
	}
}

// mostLate is how much of an answer that nobody wants any more is waited for, in
// bytes: what is more costs the connection.
const mostLate = 1 << 20

// Ask asks the program on the host something outside of any command. What it
// answers, at most so many bytes, is written to into. The end of ctx ends the
// connection, and is ErrLost, as is an answer that goes on for long after it was
// too much, or into had failed.
func (c *Conn) Ask(ctx context.Context, about string, body []byte, most int64, into io.Writer) error {
	defer context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })()
	if err := c.to.encode(kindQuestion, question{about, body}); err != nil {
		return c.unanswered(ctx, " when it was asked for "+about)
	}
	var failed error
	for late := 0; late <= mostLate; {
		k, content, err := readFrame(c.out)
		switch {
		case err != nil:
			return c.unanswered(ctx, " while it told of "+about)
		case k == kindBytes && failed != nil:
			late += len(content)
		case k == kindBytes && int64(len(content)) > most:
			failed = recovery.Errorf("look at it there: ssh "+string(c.host), "%s has more to tell of %s than is read", c.host.Name(), about)
		case k == kindBytes:
			most -= int64(len(content))
			_, failed = into.Write(content)
		case k == kindEnd:
			var end ending
			if err := json.Unmarshal(content, &end); err != nil {
				return fmt.Errorf("understand %s: %w", c.host.Name(), err)
			}
			return errors.Join(failed, end.err())
		}
	}
	_ = c.cmd.Process.Kill()
	c.part()
	e := recovery.Errorf(recovery.HintOf(failed), "%w", failed)
	e.Err = errors.Join(ErrLost, failed)
	return e
}

// unanswered is the error of a question whose connection went away, by itself or
// because ctx has ended.
func (c *Conn) unanswered(ctx context.Context, when string) error {
	if ctx.Err() == nil {
		return c.cut(when)
	}
	c.part()
	e := recovery.Errorf("try again", "the connection to %s was given up%s: interrupted", c.host.Name(), when).WithExit(recovery.Interrupted)
	e.Err = ErrLost
	return e
}
