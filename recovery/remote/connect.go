package remote

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/said"
)

// Options are what Dial needs.
type Options struct {
	SSH  SSH
	Host Host
	// Program is the file of this program.
	Program string
	// Say is told in a line what takes long.
	Say func(line string)
}

// Conn is a connection to this program on a host. One command or one question at
// a time goes through it.
type Conn struct {
	host  Host
	cmd   *exec.Cmd
	in    io.WriteCloser
	out   *bufio.Reader
	to    *frames
	words *said.Last
	ended chan struct{} // closed when ssh has ended
}

// mostNoise is more than a login prints by itself.
const mostNoise = 1 << 20

// partWith is how long ssh may take to end.
const partWith = 10 * time.Second

// Dial connects to a host and starts this program there, which it copies there
// first where it is not yet. It may ask a person, by ssh's own words at the
// terminal. Every failure is one sentence that names the host.
func Dial(ctx context.Context, o Options) (*Conn, error) {
	program, err := os.Open(o.Program)
	if err != nil {
		return nil, fmt.Errorf("read this program: %w", err)
	}
	defer program.Close()
	c, err := spawn(o)
	if err != nil {
		return nil, err
	}
	// Until the program answers there, an interrupt is the end of all this.
	settled := context.AfterFunc(ctx, func() { _ = c.cmd.Process.Kill() })
	err = c.begin(o, program)
	if !settled() {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func spawn(o Options) (*Conn, error) {
	c := &Conn{host: o.Host, cmd: o.SSH.command(o.Host), words: &said.Last{Most: mostWords}, ended: make(chan struct{})}
	c.cmd.Stderr = c.words
	// What ssh leaves behind may hold on to its errors; it is not waited for.
	c.cmd.WaitDelay = time.Second
	in, err := c.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	out, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	c.cmd.Stdout = w
	err = c.cmd.Start()
	w.Close()
	if err != nil {
		out.Close()
		return nil, fmt.Errorf("start ssh: %w", err)
	}
	c.in, c.to, c.out = in, &frames{w: in}, bufio.NewReaderSize(out, atOnce)
	go func() {
		defer close(c.ended)
		_ = c.cmd.Wait() // its words tell why
	}()
	return c, nil
}

// begin makes the host's shell this program.
func (c *Conn) begin(o Options, program io.ReadSeeker) error {
	system, err := thisSystem()
	if err != nil {
		return err
	}
	sum := sha256.New() // while ssh is on its way
	size, err := io.Copy(sum, program)
	if err != nil {
		return fmt.Errorf("read this program: %w", err)
	}
	if _, err := io.WriteString(c.in, scriptFor(hex.EncodeToString(sum.Sum(nil)), size, system)); err != nil {
		return c.unreached()
	}
	failed := func(hint, format string, args ...any) error {
		return recovery.Errorf(hint, format, args...).WithExit(recovery.Usage)
	}
	there := ""
	for {
		word, rest, err := c.next()
		switch {
		case err != nil && there == "":
			return c.unreached()
		case err != nil && there != system:
			return failed("run it there with a comeback that was built for it",
				"%s is %s, and this comeback was built for %s", c.host.Name(), there, system)
		case err != nil:
			return c.cut(" while comeback was started there")
		}
		switch word {
		case saysSystem:
			there = rest
		case saysSend:
			if o.Say != nil {
				o.Say(fmt.Sprintf("copying comeback to %s, %s, once for this version", c.host.Name(), recovery.FormatBytes(size)))
			}
			if _, err := program.Seek(0, io.SeekStart); err != nil {
				return fmt.Errorf("read this program: %w", err)
			}
			// That nobody takes it any more is told by what the host says next.
			_, _ = io.Copy(c.in, program)
		case saysNo:
			return recovery.Errorf("make room there, or see that your home directory on it can be written to and run from",
				"comeback cannot be put on %s: %s", c.host.Name(), rest)
		case saysBegun:
			return nil
		}
	}
}

// next is the next line that the script says.
func (c *Conn) next() (word, rest string, err error) {
	for noise := 0; noise < mostNoise; {
		line, err := c.out.ReadSlice('\n')
		noise += len(line)
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return "", "", err
		}
		if text, ok := strings.CutPrefix(string(line), prefix); ok {
			word, rest, _ = strings.Cut(strings.TrimSpace(text), " ")
			return word, rest, nil
		}
	}
	return "", "", errors.New("it says too much")
}

// unreached is why the host has said nothing.
func (c *Conn) unreached() error {
	c.part()
	return explain(c.host, c.words.String())
}

// ErrLost says that a connection went away.
var ErrLost = errors.New("the connection is gone")

// cut is the error of a connection that went away.
func (c *Conn) cut(when string) error {
	c.part()
	why := c.words.Line()
	if why != "" {
		why = ": " + why
	}
	e := recovery.Errorf("try again", "the connection to %s was lost%s%s", c.host.Name(), when, why).WithExit(recovery.Failed)
	e.Err = ErrLost
	return e
}

// part waits until ssh has ended, for a while.
func (c *Conn) part() {
	_ = c.in.Close()
	late := time.AfterFunc(partWith, func() { _ = c.cmd.Process.Kill() })
	defer late.Stop()
	<-c.ended
}

// Close ends the connection; what still runs on the host is hung up.
func (c *Conn) Close() { c.part() }
