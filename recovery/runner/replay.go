package runner

import (
	"context"
	"iter"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// Replay is a hold on a run that has ended: its events, and nothing to ask it.
func (p Past) Replay() recovery.Session { return replay{p} }

type replay struct{ past Past }

func (r replay) Plan() *recovery.Plan { return r.past.Plan }

func (r replay) Dir() string { return r.past.Dir }

func (r replay) State(context.Context) (recovery.State, error) { return r.past.State, nil }

func (r replay) Events(_ context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		events, err := journal.Read(r.past.Dir+"/"+journal.Name, r.past.Plan.Runbook.SHA256)
		for _, e := range events {
			if e.Seq >= from && !yield(e, nil) {
				return
			}
		}
		if err != nil {
			yield(recovery.Event{}, err)
		}
	}
}

func (replay) Samples(context.Context) <-chan recovery.Sample {
	none := make(chan recovery.Sample)
	close(none)
	return none
}

func (r replay) Do(context.Context, recovery.Command) error {
	return recovery.Errorf("read its report: comeback report show "+r.past.ID, "run %s has ended", r.past.ID)
}
