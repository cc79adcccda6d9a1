package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/shop"
)

// keepReport copies a run's directory to DIR/report, with what a reader needs
// to verify it.
func (p *demoPlace) keepReport(run, allowedSigners string) error {
	if err := os.RemoveAll(p.report()); err != nil {
		return fmt.Errorf("remove the earlier report: %w", err)
	}
	err := filepath.WalkDir(run, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(run, path)
		if err != nil {
			return err
		}
		if e.IsDir() {
			return os.Mkdir(filepath.Join(p.report(), name), 0o700)
		}
		return copyFile(filepath.Join(p.report(), name), path)
	})
	for name, text := range map[string]string{"allowed_signers": allowedSigners, "identity": demoIdentity + "\n"} {
		if err == nil {
			err = os.WriteFile(filepath.Join(p.report(), name), []byte(text), 0o600)
		}
	}
	if err != nil {
		return fmt.Errorf("keep the report: %w", err)
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// remove ends what an earlier demo, or this one, has left running and removes
// everything of it but the report. The marker goes last.
func (a *app) remove(ctx context.Context, p *demoPlace) error {
	err := a.endRuns(ctx)
	if p.shop != "" {
		err = errors.Join(err, shop.Remove(ctx, p.shop), os.RemoveAll(p.scratch()))
	}
	if err != nil {
		return err
	}
	if p.shop != "" && p.shop != p.dir {
		err = os.RemoveAll(p.shop)
	}
	for _, path := range []string{p.state(), p.home(), p.runbook(), p.env(), p.identity(), filepath.Join(p.dir, markerName)} {
		err = errors.Join(err, os.RemoveAll(path))
	}
	if _, none := os.Lstat(p.report()); p.made && none != nil {
		err = errors.Join(err, os.Remove(p.dir))
	}
	return err
}

// endRuns stops the runs of a demo, and gives back what those that were killed
// have claimed.
func (a *app) endRuns(ctx context.Context) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	quiet := *a
	quiet.out = io.Discard
	for _, r := range runs {
		if r.Problem == nil && (r.State.Result == "" || r.Alive) {
			err = errors.Join(err, quiet.stopped(ctx, r.ID))
		}
	}
	return err
}

// stopped stops a run that may be ending just now.
func (a *app) stopped(ctx context.Context, id string) error {
	err := a.stop(ctx, id, "the demo has ended")
	var ended *exitError
	if errors.As(err, &ended) {
		return nil
	}
	r, unread := a.load(id)
	if unread != nil || r.State.Result == "" {
		return err
	}
	if !r.Alive {
		return nil
	}
	over, err := afterProcess(r.State.PID) // it writes its report
	if err != nil {
		return err
	}
	select {
	case <-over:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// stopDemo ends a shop that was kept.
func (a *app) stopDemo(ctx context.Context, asked string) error {
	if asked == "" {
		return usage("name it: comeback demo --stop --dir DIR", "which demo is to be ended?")
	}
	dir, err := filepath.Abs(asked)
	if err != nil {
		return fmt.Errorf("find %s: %w", asked, err)
	}
	p := &demoPlace{dir: dir}
	if _, err := os.Stat(filepath.Join(dir, markerName)); err != nil {
		return usage("give the directory that the demo was started with", "there is no demo in %s", dir)
	}
	if err := p.lock(); err != nil {
		return err
	}
	err = errors.Join(a.within(p).remove(ctx, p), p.close())
	if err != nil {
		return fmt.Errorf("end the demo: %w", err)
	}
	if _, err := os.Stat(p.report()); err != nil {
		fmt.Fprintf(a.out, "the shop is gone, and left no report\n")
		return nil
	}
	fmt.Fprintf(a.out, "the shop is gone; its report stays in %s\n", p.report())
	return nil
}
