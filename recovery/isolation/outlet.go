package isolation

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// outlet takes what a program writes to its standard output, all of it, for however long that
// takes whoever reads it: a copy behind a slow line has some of it to go when the program has
// ended long ago. [exec.Cmd] would close the pipe after its WaitDelay, and what is in it then
// would be lost.
//
// A daemon that the program has left may hold the pipe open. It holds up nobody for longer than
// WaitDelay in which nothing came.
type outlet struct {
	to          io.Writer
	read, write *os.File
	quiet       time.Duration // 0 is without end
	ended       chan struct{} // closed when the program has
	took        chan error
}

// outletOf is that of a program which has not been started; nil where its output goes to a file,
// or beside its errors to the same log.
func outletOf(cmd *exec.Cmd) (*outlet, error) {
	if _, isFile := cmd.Stdout.(*os.File); isFile || cmd.Stdout == nil || cmd.Stderr != nil && same(cmd.Stdout, cmd.Stderr) {
		return nil, nil
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("make a pipe: %w", err)
	}
	o := &outlet{to: cmd.Stdout, read: read, write: write, quiet: cmd.WaitDelay, ended: make(chan struct{}), took: make(chan error, 1)}
	cmd.Stdout = write
	go func() { o.took <- o.take() }()
	return o, nil
}

// same reports whether two writers are one; those that cannot be compared are not.
func same(a, b io.Writer) (one bool) {
	defer func() {
		if recover() != nil {
			one = false
		}
	}()
	return a == b
}

// take copies until nobody can write any more.
func (o *outlet) take() error {
	defer o.read.Close() // whoever goes on writing is told that nobody reads
	b := make([]byte, 32<<10)
	for {
		select {
		case <-o.ended: // since the last look there may have been a long wait for the reader
			o.expect()
		default:
		}
		n, err := o.read.Read(b)
		if n > 0 {
			if _, err := o.to.Write(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF, errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return fmt.Errorf("read what it writes: %w", err)
		}
	}
}

// expect gives what may still come the time that it has.
func (o *outlet) expect() {
	if o.quiet > 0 {
		_ = o.read.SetReadDeadline(time.Now().Add(o.quiet)) // it fails where take has ended
	}
}

// started leaves the pipe to the program.
func (o *outlet) started() {
	if o != nil {
		o.write.Close()
	}
}

// wait returns when all is taken, with how the program has ended, or what kept the output from
// being taken where it has ended well.
func (o *outlet) wait(err error) error {
	if o == nil {
		return err
	}
	close(o.ended)
	o.expect()
	if lost := <-o.took; lost != nil && (err == nil || err == exec.ErrWaitDelay) {
		return lost
	}
	return err
}
