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
	return b.rehearseFile(ctx, file, "settle", os.Environ()...)
}

// rehearseFile rehearses a runbook and gives the time from the beginning of the
// restore to the end of the last step that is counted.
func (b *bench) rehearseFile(ctx context.Context, file, last string, env ...string) (took, error) {
	dir, err := os.MkdirTemp(b.dir, "run-")
	if err != nil {
		return took{}, err
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o711); err != nil {
		return took{}, err
	}
	scratch := filepath.Join(dir, "scratch")
	if err := os.Mkdir(scratch, 0o711); err != nil {
		return took{}, err
	}
	cmd := exec.CommandContext(ctx, b.program(), "rehearse", file, "--json")
	cmd.Env = append(env, "COMEBACK_STATE="+filepath.Join(dir, "state"), "COMEBACK_SCRATCH="+scratch)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return took{}, err
	}
	if err := cmd.Start(); err != nil {
		return took{}, err
	}
	var t took
	var began time.Time
	var c clock
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 16<<20)
	var failure string
	for lines.Scan() {
		var e recovery.Event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue
		}
		payload, _ := e.Payload()
		switch p := payload.(type) {
		case recovery.StepStarted:
			if strings.HasSuffix(p.Step, "restore") {
				began, c = e.At, startClock()
			}
		case recovery.StepFinished:
			if strings.HasSuffix(p.Step, "restore") {
				fmt.Fprintf(os.Stderr, "  restored in %.2f s; %s\n", e.At.Sub(began).Seconds(), p.Outcome.Says)
			}
			if strings.HasSuffix(p.Step, last) {
				t = c.stop()
				t.wall = e.At.Sub(began)
			}
		case recovery.StepFailed:
			failure += p.Step + ": " + p.Error + "; "
		}
	}
	if err := errors.Join(lines.Err(), cmd.Wait()); err != nil {
		return t, fmt.Errorf("rehearse: %w: %s%s", err, failure, stderr.String())
	}
	if t.wall == 0 {
		return t, errors.New("the rehearsal restored nothing")
	}
	return t, nil
}
