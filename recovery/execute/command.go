package execute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// Box is what this step's isolated programs and scratch servers are shut into:
// production, the sockets of runners and the places of other runs are hidden, and what the
// run itself has made stays.
func (e *env) Box() isolation.Box {
	box := isolation.Box{Production: e.x.Plan.Production, Hide: e.x.Hidden}
	s := e.x.State()
	for _, c := range s.Held() {
		if c.Kind == recovery.Directory {
			box.Keep = append(box.Keep, c.ID)
		}
	}
	box.Sockets = e.x.socketsOfLive()
	box.Beside = e.x.others(box.Keep)
	return box
}

// Command runs a program in a process group of its own. When ctx ends the group
// is asked to end and, after its grace, killed; when the program has ended,
// whatever is left of its group is killed; when this process dies, so does the
// program. Its lines are recorded as a terminal would show them.
func (e *env) Command(ctx context.Context, c recovery.Cmd) error {
	last := &tailWriter{}
	log := newScreen(func(line string) { last.add(line); e.meter.Log(line) }, e.meter.Note)
	cmd := isolation.Command(ctx, c)
	// Where both go to the log they share a pipe, and their order is kept.
	cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Stdin, log, log
	if c.Stdout != nil {
		cmd.Stdout = c.Stdout
	}
	if c.Stderr != nil {
		cmd.Stderr = io.MultiWriter(c.Stderr, last)
	}
	err := e.run(ctx, cmd, c, false)
	log.flush()
	return e.explain(ctx, c, err, last)
}

// explain makes an error of how a program ended, with its last words.
func (e *env) explain(ctx context.Context, c recovery.Cmd, err error, last *tailWriter) error {
	name := filepath.Base(c.Path)
	switch said := shorten(e.x.Secrets.Redact(last.String())); {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("%s was stopped: %w", name, context.Canceled)
	case errors.Is(err, recovery.ErrNoIsolation):
		return err
	case said != "":
		return fmt.Errorf("%s: %s (%w)", name, said, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// run starts cmd, in a box where it is isolated, and waits for it. Of one that is not,
// a daemon may live on and keep its output open: that is no failure of a program that
// has ended well.
func (e *env) run(ctx context.Context, cmd *exec.Cmd, c recovery.Cmd, terminal bool) error {
	if !c.Isolated {
		return isolation.Run(cmd)
	}
	box := e.Box()
	box.Processes, box.Terminal = true, terminal
	if !c.Applications {
		return isolation.RunGroup(cmd, func() error { return box.Start(cmd) })
	}
	p, err := e.x.passages(ctx, &box)
	if err != nil {
		return err
	}
	err = isolation.RunGroup(cmd, func() error { return p.start(ctx, box, cmd) })
	return errors.Join(err, p.close())
}

// maxSaid bounds, in bytes, what an error repeats of a program's own words.
const maxSaid = 4 << 10

// shorten keeps the end of what a program said.
func shorten(said string) string {
	if len(said) <= maxSaid {
		return said
	}
	return "…" + strings.ToValidUTF8(said[len(said)-maxSaid:], "")
}
