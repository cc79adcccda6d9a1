package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
)

// build makes the program that is measured.
func (b *bench) build(ctx context.Context) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.program(), "./cmd/comeback")
	cmd.Dir, cmd.Stderr = b.root, os.Stderr
	return cmd.Run()
}

func (b *bench) program() string { return filepath.Join(b.dir, "comeback") }

// runbook restores the only component and compares what came back with what was
// there.
const runbook = `---
comeback: 1
system: bench
rpo: 1d
rto: 1d
copies:
  nearby: {url: "file://%s"}
components:
  database: {kind: postgres, database: bench}
---

# Bring the bench back

## Restore the database
Owner: nobody. Budget: 1h.

` + "```yaml\nrestore: database\n```" + `

## Check the copy
` + "```sql\n-- check: everything came back\n-- on: database\n-- expect: in {%s}\n%s;\n```\n"

// rehearse restores a copy's dump by a whole rehearsal, in a process of its own, and
// gives the time of its restore and of what makes the result safe: statistics,
// crash safety, everything on disk. The check that everything came back must hold.
func (b *bench) rehearse(ctx context.Context, copy, digest, query string) (took, error) {
	file := filepath.Join(b.dir, "bench.md")
	if err := os.WriteFile(file, fmt.Appendf(nil, runbook, copy, digest, query), 0o600); err != nil {
		return took{}, err
	}
	return b.rehearseFile(ctx, rehearsal{file: file, first: "restore", last: "settle", env: os.Environ()})
}

// rehearsal is what is rehearsed, and what of it is counted.
type rehearsal struct {
	file string
	// first and last are the ends of the names of the steps that are counted, with what
	// lies between them. Without a first one all counts from the process's start on.
	first, last string
	to          string // the moment; the latest if it is missing
	env         []string
	// keep leaves what was restored until the row has ended.
	keep bool
}

// rehearseFile rehearses, and gives how long what is counted took.
func (b *bench) rehearseFile(ctx context.Context, r rehearsal) (took, error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return took{}, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	if r.keep {
		b.stopLater(remove)
	} else {
		defer remove()
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		return took{}, err
	}
	scratch := filepath.Join(dir, "scratch")
	if err := os.Mkdir(scratch, 0o711); err != nil {
		return took{}, err
	}
	cmd := exec.CommandContext(ctx, b.program(), "rehearse", r.file, "--json")
	if r.to != "" {
		cmd.Args = append(cmd.Args, "--to", r.to)
	}
	if r.keep {
		cmd.Args = append(cmd.Args, "--keep")
	}
	cmd.Env = append(r.env, "COMEBACK_STATE="+filepath.Join(dir, "state"), "COMEBACK_SCRATCH="+scratch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return took{}, err
	}
	var t took
	began, c := time.Now(), startClock()
	if err := cmd.Start(); err != nil {
		return took{}, err
	}
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var failure string
	var pid int
	var chain time.Duration
	checked := false
	for lines.Scan() {
		var e recovery.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		payload, _ := e.Payload()
		switch p := payload.(type) {
		case recovery.RunStarted:
			pid = p.PID
		case recovery.StepStarted:
			if r.first != "" && strings.HasSuffix(p.Step, "."+r.first) {
				began, c = e.At, startClock()
			}
		case recovery.StepFinished:
			if text := p.Outcome.Facts["longest chain of statements"]; text != "" {
				seconds, err := strconv.ParseFloat(strings.TrimSuffix(text, " s"), 64)
				if err != nil {
					return t, fmt.Errorf("read how long the longest chain took: %w", err)
				}
				chain = time.Duration(seconds * float64(time.Second))
				fmt.Fprintf(os.Stderr, "  the longest chain of statements took %s\n", text)
			}
			checked = checked || p.Outcome.Check != nil && p.Outcome.Check.Held || strings.HasSuffix(p.Step, ".run") // which has ended well
			if strings.Contains(p.Step, ".") && p.Outcome.Says != "" {
				fmt.Fprintf(os.Stderr, "  %s after %.2f s; %s\n", p.Step, e.At.Sub(began).Seconds(), p.Outcome.Says)
				if w := p.Outcome.Facts["waited for the log"]; w != "" {
					fmt.Fprintf(os.Stderr, "  the server waited for the log: %s\n", w)
				}
			}
			if strings.HasSuffix(p.Step, "."+r.last) {
				t = c.stop()
				t.wall, t.chain = e.At.Sub(began), chain
				if t.peak, err = peakOf(pid); err != nil {
					return t, err
				}
			}
		case recovery.StepFailed:
			failure += p.Step + ": " + p.Error + "; "
		}
	}
	err = errors.Join(lines.Err(), cmd.Wait())
	if r.keep && checked && cmd.ProcessState.ExitCode() == int(recovery.WithExceptions) {
		err = lines.Err() // what is kept is an exception
	}
	if err != nil {
		return t, fmt.Errorf("rehearse: %w: %s%s", err, failure, stderr.String())
	}
	if t.wall == 0 {
		return t, errors.New("the rehearsal restored nothing")
	}
	return t, nil
}

// peakOf is the most memory in bytes that a process has held so far.
func peakOf(pid int) (int64, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(string(status), "VmHWM:")
	var kB int64
	if _, err := fmt.Sscanf(after, "%d kB", &kB); err != nil {
		return 0, fmt.Errorf("read the memory of process %d: %w", pid, err)
	}
	return kB * 1024, nil
}
