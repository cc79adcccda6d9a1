package scan

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// resourceManagers are those whose records tell what a transaction did. The
// records of indexes, most of a log, are not even formatted by the tools of
// majors that take several --rmgr.
var resourceManagers = []string{"Heap", "Heap2", "Transaction", "Storage", "Standby", "Database", "Tablespace", "XLOG"}

// maxLine bounds a line: a commit with very many subtransactions, or that
// dropped very many tables, has a long one.
const maxLine = 256 << 20

// Unreadable is what pg_waldump says where the log is damaged, or ends.
type Unreadable struct{ Says string }

func (e *Unreadable) Error() string { return e.Says }

// dumper runs pg_waldump over segments in a directory that are named as of one
// timeline.
type dumper struct {
	tools    postgres.Tools
	dir      string
	timeline uint32
}

// each gives the records that begin at or after from and end at or before to,
// in order, to visit, which must not keep them. Where the log cannot be read on,
// the error is an *Unreadable; what was visited before is true.
func (d dumper) each(ctx context.Context, from, to recovery.LSN, visit func(*record) error) error {
	return d.lines(ctx, from, to, resourceManagers, visit)
}

// lines is each for the records of some resource managers. Where pg_waldump takes
// one --rmgr only, the others are left out of what it writes.
func (d dumper) lines(ctx context.Context, from, to recovery.LSN, managers []string, visit func(*record) error) error {
	args := []string{"-p", d.dir, "-t", fmt.Sprint(d.timeline), "-s", from.String(), "-e", to.String()}
	apart := len(managers) > 1 && !d.tools.ManyManagers()
	for _, name := range managers {
		if !apart {
			args = append(args, "--rmgr="+name)
		}
	}
	var r record
	return ReadLines(ctx, d.tools.Program("pg_waldump"), args, func(line []byte) error {
		if apart && !isOf(line, managers) {
			return nil
		}
		ok, err := r.parse(line)
		if err != nil || !ok || r.lsn < from {
			return err
		}
		return visit(&r)
	})
}

// isOf reports whether a line shows a record of one of some resource managers.
func isOf(line []byte, managers []string) bool {
	if len(line) < lengthAt {
		return false
	}
	name := string(bytes.TrimRight(line[len(headOfLine):lengthAt], " "))
	return slices.Contains(managers, name)
}

// readLine reads a line of any length, up to maxLine, without its end. It is
// valid until the next one is read.
func readLine(in *bufio.Reader) ([]byte, error) {
	line, err := in.ReadSlice('\n')
	if err == nil {
		return line[:len(line)-1], nil
	}
	if errors.Is(err, io.EOF) && len(line) > 0 {
		return line, nil
	}
	if !errors.Is(err, bufio.ErrBufferFull) {
		return nil, err
	}
	long := bytes.Clone(line)
	for errors.Is(err, bufio.ErrBufferFull) {
		line, err = in.ReadSlice('\n')
		if len(long)+len(line) > maxLine {
			return nil, fmt.Errorf("a line has more than %d bytes", maxLine)
		}
		long = append(long, line...)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return bytes.TrimSuffix(long, []byte("\n")), nil
}

// ReadLines runs pg_waldump, or a program like it, and gives the lines that it
// writes to visit, which must not keep them. When visit fails or ctx ends, the
// program is ended; it has ended when ReadLines returns. Its complaint is an
// *Unreadable; a line of more than 256 MB is an error.
func ReadLines(ctx context.Context, path string, args []string, visit func(line []byte) error) error {
	return readOutput(ctx, path, args, func(out io.Reader) error {
		in := bufio.NewReaderSize(out, 256<<10)
		for {
			line, err := readLine(in)
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return fmt.Errorf("read what pg_waldump writes: %w", err)
			}
			if err := visit(line); err != nil {
				return err
			}
		}
	})
}

// readOutput runs a program and gives what it writes to read.
func readOutput(ctx context.Context, path string, args []string, read func(io.Reader) error) error {
	runs, end := context.WithCancel(ctx)
	defer end()
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("run %s: %w", path, err)
	}
	defer out.Close()
	// A larger pipe saves changes between the two programs. It is only faster.
	_, _ = unix.FcntlInt(in.Fd(), unix.F_SETPIPE_SZ, 1<<20)
	var complaint bytes.Buffer
	cmd := exec.CommandContext(runs, path, args...)
	cmd.Env = []string{"TZ=UTC", "LC_ALL=C"}
	cmd.Stdout, cmd.Stderr = in, &complaint
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	ended := make(chan error, 1)
	go func() {
		// The signal at this process's death belongs to the thread that
		// started the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		in.Close()
		if err == nil {
			err = cmd.Wait()
		}
		ended <- err
	}()
	readErr := read(out)
	if readErr != nil {
		end()
	}
	err = <-ended
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case readErr != nil:
		return readErr
	case err == nil:
		return nil
	}
	says := strings.TrimSpace(complaint.String())
	for _, prefix := range []string{"pg_waldump: ", "error: ", "fatal: "} {
		says = strings.TrimPrefix(says, prefix)
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || says == "" {
		return fmt.Errorf("run %s: %w", path, err)
	}
	return &Unreadable{says}
}
