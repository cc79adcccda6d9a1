package runner

import (
	"context"
	"iter"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// followEvery is how often a journal is looked at by who cannot ask its runner.
const followEvery = 250 * time.Millisecond

// Follow is a hold on a living run by its journal alone, for front ends that the
// runner does not understand: they can watch and cannot command.
func (p Past) Follow(why error) recovery.Session { return follow{p, why} }

type follow struct {
	past Past
	why  error
}

func (f follow) Plan() *recovery.Plan { return f.past.Plan }

func (f follow) Dir() string { return f.past.Dir }

func (f follow) State(context.Context) (recovery.State, error) { return f.past.State, nil }

func (f follow) Events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		path := filepath.Join(f.past.Dir, journal.Name)
		tail, err := journal.OpenTail(path, f.past.Plan.Runbook.SHA256)
		if err != nil {
			yield(recovery.Event{}, err)
			return
		}
		defer tail.Close()
		tick := time.NewTicker(followEvery)
		defer tick.Stop()
		for ended := false; ; {
			alive := locked(path)
			events, err := tail.Next()
			for _, e := range events {
				ended = e.Type == recovery.RunEnded{}.EventType()
				if e.Seq >= from && !yield(e, nil) {
					return
				}
			}
			if err == nil && !alive && !ended {
				err = recovery.Errorf("take it up again: comeback resume "+f.past.ID, "the runner of run %s is gone", f.past.ID).WithExit(recovery.NotEnded)
			}
			switch {
			case err != nil:
				yield(recovery.Event{}, err)
				return
			case !alive:
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				yield(recovery.Event{}, ctx.Err())
				return
			}
		}
	}
}

func (follow) Samples(context.Context) <-chan recovery.Sample {
	none := make(chan recovery.Sample)
	close(none)
	return none
}

func (f follow) Do(context.Context, recovery.Command) error {
	return recovery.Errorf(recovery.HintOf(f.why), "run %s can only be watched from here: %w", f.past.ID, f.why)
}
