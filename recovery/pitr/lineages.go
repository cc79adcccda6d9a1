package pitr

import (
	"context"
	"fmt"
	"slices"

	"comeback/recovery"
	"comeback/storage"
)

// resolveIn resolves a want where a copy holds backups of several clusters, as after a server
// was built anew or upgraded: the newest first. The one whose newest base backup is the
// newest is followed; positions and transactions are its own. A time from before its first
// base backup is looked for in the one before it, and a backup where it is.
func (e *engine) resolveIn(ctx context.Context, lineages []recovery.Survey, want recovery.Want, store storage.Store) (recovery.Point, error) {
	if want.Kind == recovery.WantBackup {
		i := slices.IndexFunc(lineages, func(s recovery.Survey) bool { _, ok := s.Named(want.Backup); return ok })
		lineages = lineages[max(i, 0):][:1]
	}
	var refused error // by a newer one
	for i, s := range lineages {
		r := &resolver{engine: e, survey: s, want: want, store: store}
		p, err := r.resolve(ctx)
		if turns := inTurns(lineages); turns != "" && err == nil {
			p.Warnings = append(p.Warnings, turns)
		}
		switch {
		case err == nil && i > 0:
			p.Follows = true
			p.Warnings = append(p.Warnings, fmt.Sprintf("the point is of another cluster than the newest base backup: of %s, before %s, whose first base backup was taken %s",
				clusterName(s), clusterName(lineages[i-1]), clock(lineages[i-1].Oldest().Taken.Last())))
			return p, nil
		case err == nil, ctx.Err() != nil:
			return p, err
		}
		refused = olderLineages(lineages, i, refused, err)
		if want.Kind != recovery.WantTime || !s.After(want.Time) {
			break
		}
	}
	return recovery.Point{}, refused
}

// inTurns warns of base backups of two clusters that were taken in turns, as when a server
// is moved, and also where two servers share a place; empty where they were not.
func inTurns(lineages []recovery.Survey) string {
	if len(lineages) < 2 || !recovery.Interleaved(lineages[0], lineages[1]) {
		return ""
	}
	a, b := lineages[0].Newest(), lineages[1].Newest()
	return fmt.Sprintf("base backups of two clusters were taken in turns: the newest, %s, is of %s, and %s of %s, which is reached by a base backup of it, like --to %s; two servers that are both in service need a `prefix` each",
		a.ID, clusterName(lineages[0]), b.ID, clusterName(lineages[1]), b.ID)
}

// olderLineages says of a refusal in one of several clusters which it is of, and what of
// others there is. A newer one has refused because the moment is before its first base
// backup.
func olderLineages(lineages []recovery.Survey, i int, newer, err error) error {
	if len(lineages) < 2 {
		return err
	}
	what := fmt.Sprintf("in %s: %v", clusterName(lineages[i]), err)
	if newer != nil {
		what += fmt.Sprintf("; and the first base backup of %s, %s, was taken later, %s", clusterName(lineages[i-1]), lineages[i-1].Oldest().ID, clock(lineages[i-1].Oldest().Taken.Last()))
	}
	hint := recovery.HintOf(err)
	if i+1 < len(lineages) {
		hint += fmt.Sprintf("; the copy also holds an older cluster, of the system identifier %s: it is reached by a time of before %s, or by a base backup of it, like --to %s",
			lineages[i+1].System(), clock(lineages[i].Oldest().Taken.Last()), lineages[i+1].Newest().ID)
	}
	return &recovery.Error{What: what, Hint: hint, Exit: recovery.ExitOf(err), Err: err}
}

// clusterName is what a cluster is called.
func clusterName(s recovery.Survey) string {
	if s.System() == "" {
		return "a cluster that nothing tells of"
	}
	return "the cluster " + s.System()
}
