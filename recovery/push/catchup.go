package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
)

// CatchUp brings what is in the spool to the copies that lack it, and returns how
// many objects it brought. It keeps no push waiting: what is held meanwhile is a lock
// for each copy, so that no two bring it the same. The error names the copies that still
// lack something, also those that Copies does not name: what was acknowledged stays for
// them in the spool, for they may only be called otherwise now, or be missing from this
// runbook alone.
func CatchUp(ctx context.Context, o Options) (int, error) {
	p, err := newPusher(ctx, o)
	if err != nil {
		return 0, fmt.Errorf("catch up: %w", err)
	}
	defer p.close()
	if err := p.spool.clearUnheld(); err != nil {
		return 0, fmt.Errorf("catch up: %w", err)
	}
	err = p.catchUp(ctx, true)
	n := int(p.caught.Load())
	if err != nil {
		return n, fmt.Errorf("catch up: %w", err)
	}
	return n, nil
}

// lacked is a file that copies lack; sound proves it, once however many of them get it.
type lacked struct {
	*entry
	sound func() error
}

// catchUp brings what the spool holds to the copies that lack it, side by side, and to
// each the oldest first. Unless all are asked it leaves alone the copies that did not
// answer a moment ago, and those that somebody else is bringing it to.
func (p *pusher) catchUp(ctx context.Context, all bool) error {
	entries, damaged := p.spool.entries()
	var files []lacked
	rotten := make([]error, len(entries))
	for i, e := range entries {
		if slices.Contains(p.pushing, e.Name) {
			continue
		}
		files = append(files, lacked{e, sync.OnceValue(func() error {
			err := e.sound()
			if err != nil { // what came after it goes all the same
				rotten[i] = fmt.Errorf("%s lack %s: %w", strings.Join(e.Lacking, ", "), e.Name, err)
			}
			return err
		})})
	}
	failed := make([]error, len(p.Copies))
	var wait sync.WaitGroup
	for i, c := range p.Copies {
		lacks := slices.DeleteFunc(slices.Clone(files), func(f lacked) bool { return !slices.Contains(f.Lacking, c.Name) })
		if len(lacks) > 0 && (all || !p.spool.isDown(c.Name, p.Now())) {
			wait.Go(func() { failed[i] = p.bring(ctx, c, lacks, all) })
		}
	}
	strange := p.unnamed(entries)
	wait.Wait()
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return errors.Join(slices.Concat([]error{damaged}, rotten, failed, []error{strange})...)
}

// unnamed gives up what is to be forgotten of the copies that the runbook does not name,
// and tells of the others, which may be named again.
func (p *pusher) unnamed(entries []*entry) error {
	strange := map[string]int{}
	for _, e := range entries {
		for _, name := range e.Lacking {
			switch {
			case slices.ContainsFunc(p.Copies, func(c Copy) bool { return c.Name == name }):
			case slices.Contains(p.Forget, name):
				if err := e.got(name); err != nil {
					return err
				}
			default:
				strange[name]++
			}
		}
	}
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(strange)) {
		errs = append(errs, recovery.Errorf("let the runbook name it again; or give up what it lacks: --catch-up --forget "+name,
			"the spool holds %d files for the copy %s, which the runbook does not name; they stay there", strange[name], name))
	}
	return errors.Join(errs...)
}

// bring brings files to one copy, up to the first that it does not take. It holds the
// copy's lock for as long as anything that it has begun is at work.
func (p *pusher) bring(ctx context.Context, c Copy, files []lacked, all bool) error {
	hold, err := p.spool.holdCopy(ctx, c.Name, all, p.patience(0))
	if err != nil {
		return fmt.Errorf("%s lacks %s: %w", c.Name, files[0].Name, err)
	}
	if hold == nil {
		return nil // somebody else is bringing it
	}
	release := func() { hold.Close() }
	defer func() { release() }()
	for _, f := range files {
		if !f.stillLacks(c.Name) || f.sound() != nil {
			continue
		}
		patience := p.patience(f.size)
		limited, stop := context.WithTimeoutCause(ctx, patience, noAnswer(patience))
		sent := make(chan error, 1)
		go func() { sent <- p.send(limited, c, f.entry) }()
		select {
		case err = <-sent:
		case <-limited.Done():
			select {
			case err = <-sent:
			case <-time.After(p.Wait):
				err = limited.Err()
				release = func() { go func() { <-sent; hold.Close() }() } // it hangs, and nobody begins it again meanwhile
			}
		}
		if err != nil && limited.Err() != nil {
			err = context.Cause(limited)
		}
		stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			p.spool.setDown(c.Name, p.Now())
			return fmt.Errorf("%s lacks %s: %w", c.Name, f.Name, err)
		}
		p.spool.setUp(c.Name)
		if err := f.got(c.Name); err != nil {
			return err
		}
		p.caught.Add(1)
	}
	return nil
}
