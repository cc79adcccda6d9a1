package filing

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
	"comeback/storage"
)

// Compare holds the journals of this host, and those that were fetched from copies,
// against the heads that copies keep: which of this host are gone, and which are others.
func Compare(ctx context.Context, home runner.Home, host string, c Copies) (vanished, rewritten []string, err error) {
	type differs struct{ gone, others []string }
	for _, a := range backup.AskEach(ctx, c.Copies, c.Open, func(ctx context.Context, _ string, s storage.Store) (d differs, err error) {
		heads, err := backup.Heads(ctx, s, c.System)
		for _, f := range heads {
			own, errHere := holds(home, f.Run, f.SHA256)
			if errHere == nil && own {
				continue
			}
			fetched := fetchedAs(home, f.Run)
			here := !errors.Is(errHere, fs.ErrNotExist)
			known := slices.ContainsFunc(fetched, func(id string) bool {
				is, err := holds(home.Filed(), id, f.SHA256)
				return err == nil && is
			})
			if known && !here {
				continue
			}
			h, errHead := f.Read(ctx, s)
			if errHead != nil {
				err = errors.Join(err, errHead)
				continue
			}
			// Runs of two hosts may have the same ID. What was fetched excuses no run of
			// this host: whoever has replaced it here has left the true one in the copy.
			switch ours := h.Host == host && h.State == home.Dir; {
			case ours && here:
				d.others = append(d.others, f.Run)
			case known:
			case ours:
				d.gone = append(d.gone, f.Run)
			case h.Host != host && isOf(home, f.Run, h):
				d.others = append(d.others, f.Run)
			case slices.ContainsFunc(fetched, func(id string) bool { return isOf(home.Filed(), id, h) }):
				d.others = append(d.others, f.Run)
			}
		}
		return d, err
	}) {
		vanished, rewritten = append(vanished, a.Says.gone...), append(rewritten, a.Says.others...)
	}
	slices.Sort(vanished)
	slices.Sort(rewritten)
	return slices.Compact(vanished), slices.Compact(rewritten), ctx.Err()
}

// Keeping names the copies of a run's plan that hold the head of its journal, in the order of
// the plan. One that does not answer is left out.
func Keeping(ctx context.Context, dir string, p *recovery.Plan, open catalogue.OpenStore) []string {
	var names []string
	for _, a := range backup.AskEach(ctx, p.Copies, open, func(ctx context.Context, _ string, s storage.Store) (has bool, err error) {
		heads, err := backup.Heads(ctx, s, p.System)
		for _, f := range heads {
			if f.Run != p.Run {
				continue
			}
			is, errHere := journal.Holds(filepath.Join(dir, journal.Name), f.SHA256)
			if errHere != nil {
				return has, errors.Join(err, errHere)
			}
			has = has || is
		}
		return has, err
	}) {
		if a.Says {
			names = append(names, a.Of.Name)
		}
	}
	return names
}

// fetchedAs are the IDs that runs of an ID which were fetched may have here.
func fetchedAs(home runner.Home, run string) []string {
	var ids []string
	dirs, _ := filepath.Glob(home.Filed().RunDir(run) + "*") // the pattern is good
	for _, dir := range dirs {
		ids = append(ids, filepath.Base(dir))
	}
	return ids
}

// isOf reports whether a run that is here says that it is the one of a head.
func isOf(home runner.Home, id string, h backup.Head) bool {
	p, err := home.Load(id)
	return err == nil && p.Problem == nil && p.Plan.Number == h.Number && p.State.Host == h.Host
}

// holds reports whether the journal of a run is the one that had a head once. Until its report
// is signed, a line may still come after the run's end.
func holds(home runner.Home, run, head string) (bool, error) {
	return journal.Holds(filepath.Join(home.RunDir(run), journal.Name), head)
}
