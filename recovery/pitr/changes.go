package pitr

import (
	"context"
	"encoding/json"
	"iter"

	"comeback/recovery"
)

var _ recovery.Changer = (*engine)(nil)

// Changes reads the log of a point, from the start of its base backup to where it
// stops, along its own history.
func (e *engine) Changes(ctx context.Context, o recovery.ScanOptions, p recovery.Point) iter.Seq2[recovery.Transaction, error] {
	return func(yield func(recovery.Transaction, error) bool) {
		var f pointFacts
		if err := json.Unmarshal(p.Facts, &f); err != nil {
			yield(recovery.Transaction{}, recovery.Errorf("choose the moment again with this version of comeback", "read the facts of the point of %s: %w", p.Component, err))
			return
		}
		o.Span = recovery.Span{}
		a := newAround(e, o, func(t recovery.Transaction, err error) bool {
			kept := t.LSN < p.Stop || p.Inclusive && t.LSN == p.Stop
			if err == nil && (!kept || t.How != recovery.Committed && t.How != recovery.CommittedPrepared) {
				return true
			}
			return yield(t, err)
		})
		a.point, a.after, a.until = &f, f.Base.Start, f.Needs
		if err := a.read(ctx); !a.enough && err != nil {
			yield(recovery.Transaction{}, err)
		}
	}
}
