package commands

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/provider"
	"comeback/said"
	"comeback/storage"
)

// listed is one line of list.
type listed struct {
	ID      string            `json:"id"`
	Taken   time.Time         `json:"taken"`
	Ended   time.Time         `json:"ended"`
	Bytes   string            `json:"bytes"`
	Form    string            `json:"form"`
	Problem string            `json:"problem"`
	Details map[string]string `json:"details"`

	Window string    `json:"window"`
	From   time.Time `json:"from"`
	To     time.Time `json:"to"`
}

// maxLine bounds a line of a command's answer, maxList what list may print.
const (
	maxLine = 1 << 20
	maxList = 64 << 20
)

// Survey asks list. A command that fails could not judge the copy; a line that
// cannot be understood is a finding, and the others count.
func (e engine) Survey(ctx context.Context, c recovery.Component, copy recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	s := recovery.Survey{Component: c.Name, Copy: copy.Name, Engine: Name, At: e.Now()}
	if only := c.Settings.Text("copy"); c.With != Name || only != "" && only != copy.Name {
		return s, nil
	}
	asked, err := ofCopy(copy, e.Expand)
	if err != nil {
		return s, err
	}
	command, err := commandOf(c, "list", asked...)
	if err != nil {
		return s, err
	}
	out, err := e.ask(ctx, command)
	if err != nil {
		return s, fmt.Errorf("survey copy %s: list the backups of %s: %w", copy.Name, c.Name, err)
	}
	lines := bufio.NewScanner(bytes.NewReader(out))
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		text := bytes.TrimSpace(lines.Bytes())
		if len(text) == 0 {
			continue
		}
		var l listed
		if err := json.Unmarshal(text, &l); err != nil {
			s.Findings = append(s.Findings, recovery.Finding{Object: fmt.Sprintf("line %d of list", n), Says: "is no JSON object of a backup or a window: " + err.Error(), Do: "correct the command: one JSON object a line"})
			continue
		}
		if err := l.into(&s, c, copy); err != nil {
			s.Findings = append(s.Findings, recovery.Finding{Object: fmt.Sprintf("line %d of list", n), Says: err.Error(), Do: "correct the command"})
		}
	}
	if err := lines.Err(); err != nil {
		return s, fmt.Errorf("survey copy %s: read what list says: %w", copy.Name, err)
	}
	slices.SortStableFunc(s.Backups, func(a, b recovery.Backup) int { return a.Taken.To.Compare(b.Taken.To) })
	return s, nil
}

// into adds a line to the survey.
func (l listed) into(s *recovery.Survey, c recovery.Component, copy recovery.Copy) error {
	f := facts{Kind: c.Kind, Copy: copy, ID: l.ID}
	switch {
	case l.Window != "" && l.ID != "":
		return errors.New("is a backup and a window at once")
	case l.Window != "":
		if l.From.IsZero() || l.To.IsZero() || l.To.Before(l.From) {
			return fmt.Errorf("window %q has no span: `from` and `to` are times with an offset", l.Window)
		}
		f.ID, f.Window, f.To = l.Window, true, l.To.UTC()
		s.Windows = append(s.Windows, recovery.Window{Component: s.Component, Copy: s.Copy, Engine: Name, Backup: l.Window,
			From: recovery.Instant{Time: l.From.UTC()}, To: recovery.Instant{Time: l.To.UTC()}, Final: true})
		s.Backups = append(s.Backups, recovery.Backup{ID: l.Window, Component: s.Component, Copy: s.Copy, Engine: Name, Form: "window, to the second",
			Taken: recovery.Span{From: l.To.UTC(), To: l.To.UTC()}, Details: l.Details, Problem: l.Problem, Facts: provider.Encode(f)})
		return nil
	case l.ID == "":
		return errors.New("names neither a backup (`id`) nor a window (`window`)")
	case l.Taken.IsZero():
		return fmt.Errorf("backup %q does not say when it was taken: `taken` is a time with an offset", l.ID)
	case slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == l.ID }):
		return fmt.Errorf("backup %q is there twice", l.ID)
	}
	b := recovery.Backup{ID: l.ID, Component: s.Component, Copy: s.Copy, Engine: Name, Form: l.Form,
		Taken: recovery.Span{From: l.Taken.UTC(), To: l.Taken.UTC()}, Details: l.Details, Problem: l.Problem, Facts: provider.Encode(f)}
	if l.Ended.After(l.Taken) {
		b.Taken.To = l.Ended.UTC()
	}
	if b.Form == "" {
		b.Form = "backup of a command"
	}
	if l.Bytes != "" {
		n, err := strconv.ParseInt(l.Bytes, 10, 64)
		if err != nil || n < 0 {
			return fmt.Errorf("backup %q has no size: `bytes` is a number in quotes", l.ID)
		}
		b.Objects = []storage.Object{{Key: l.ID, Size: n}}
	}
	s.Backups = append(s.Backups, b)
	return nil
}

// ask runs a command outside of a run and gives what it prints.
func (e engine) ask(ctx context.Context, c command) ([]byte, error) {
	env, err := c.environ(e.Getenv, e.Expand)
	if err != nil {
		return nil, err
	}
	own, enough := context.WithCancel(ctx)
	defer enough()
	out, says := &listing{enough: enough}, &said.Last{Most: mostWords}
	err = c.run(own, env, out, says)
	var ended *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case out.full:
		return nil, recovery.Errorf("let the command list less", "it prints more than %s", recovery.FormatBytes(maxList))
	case errors.As(err, &ended):
		return nil, recovery.Errorf("run it by hand to see more", "%s: %w%s", c.Argv[0], err, ending(says))
	case err != nil:
		return nil, recovery.Errorf("check the program in the runbook", "run %s: %w", c.Argv[0], err)
	}
	return out.text.Bytes(), nil
}

// run runs it outside of a run, with an environment.
func (c command) run(ctx context.Context, env []string, out, says io.Writer) error {
	return isolation.Run(isolation.Command(ctx, recovery.Cmd{Path: c.Argv[0], Args: c.Argv[1:], Env: env, Dir: "/", Stdout: out, Stderr: says, Grace: endsWithin}))
}

// listing is what a command lists, as far as that is kept.
type listing struct {
	text   bytes.Buffer // not embedded: by its ReadFrom it would take everything
	full   bool
	enough func() // ends the command
}

func (l *listing) Write(b []byte) (int, error) {
	if l.text.Len()+len(b) > maxList {
		l.full = true
		l.enough()
		return 0, io.ErrShortWrite
	}
	return l.text.Write(b)
}

// endsWithin is how long a command that is ended may hold its output open.
const endsWithin = 5 * time.Second

// mostWords is how much of what a command says is kept.
const mostWords = 4 << 10

// ending is the last line that a command has said, after ": ".
func ending(says *said.Last) string {
	if line := says.Line(); line != "" {
		return ": " + line
	}
	return ""
}
