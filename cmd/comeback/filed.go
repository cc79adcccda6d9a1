package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// fileTime is how long a copy may take to be given a report, or to list them.
const fileTime = 30 * time.Second

// inEach asks every copy at once, as it is now, and gives the failures by the copies' names.
func inEach(ctx context.Context, copies []recovery.Copy, open func(context.Context, recovery.Copy) (storage.Store, error), do func(context.Context, string, storage.Store) error) map[string]error {
	ctx, cancel := context.WithTimeout(ctx, fileTime)
	defer cancel()
	var wait sync.WaitGroup
	var mu sync.Mutex
	failed := map[string]error{}
	for _, c := range copies {
		wait.Go(func() {
			store, err := open(ctx, c)
			if err == nil {
				err = do(ctx, c.Name, storage.Current(store))
			}
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				failed[c.Name] = err
			}
		})
	}
	wait.Wait()
	return failed
}

// fileRun puts a run that has been signed into the copies of its plan, and says in a
// line each where it is and where it is not.
func (a *app) fileRun(ctx context.Context, dir string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil {
		return nil, fmt.Errorf("file the report: %w", err)
	}
	p, err := plan.Decode(b)
	if err != nil {
		return nil, err
	}
	failed := inEach(ctx, p.Copies, opener(a.secrets), func(ctx context.Context, _ string, s storage.Store) error {
		if err := backup.FileRun(ctx, s, dir, p.System, p.Number, p.Run); err != nil {
			return err
		}
		return backup.FileReviews(ctx, s, dir, p.System, p.Number, p.Run)
	})
	var in, lines []string
	for _, c := range p.Copies {
		if failed[c.Name] == nil {
			in = append(in, c.Name)
		}
	}
	if len(in) > 0 {
		lines = append(lines, "filed in "+strings.Join(in, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		lines = append(lines, fmt.Sprintf("NOT filed in %s: %v", name, failed[name]))
	}
	return lines, nil
}

// tellFiled files a run and tells where it is; that it could not be filed is told, and
// is no failure of the signature.
func (a *app) tellFiled(ctx context.Context, dir string, say func(line string)) {
	lines, err := a.fileRun(ctx, dir)
	if err != nil {
		lines = append(lines, "NOT filed: "+err.Error())
	}
	for _, line := range lines {
		say(clean(a.redact(line)))
	}
}

// The most that is fetched from a copy in one look: so many runs of those that are not
// here yet, the newest first, of so many bytes together.
const (
	mostFiled      = 50
	mostFiledBytes = 256 << 20
)

// filed is what a look for filed runs came to.
type filed struct {
	// unfiled are signed runs of this host that no copy holds.
	unfiled []string
	// altered are runs that a copy holds otherwise than they were signed, "4f2a in
	// offsite".
	altered []string
	// failed is why some could not be fetched, unread why not by each copy, one that
	// could not be asked at all with them.
	failed error
	unread map[string]error
	// left is how many were left for the next look.
	left int
}

// fetchFiled fetches the runs of a system that copies hold and this host does not.
// What is kept of them is as it was signed; whose signature that is the reader of a
// report judges. A copy that cannot be asked is for the check of copies to tell.
func (a *app) fetchFiled(ctx context.Context, b *book) (filed, error) {
	home, err := a.home()
	if err != nil {
		return filed{}, err
	}
	var mu sync.Mutex
	var f filed
	seen, have, looked := map[string]bool{}, map[string]bool{}, 0
	f.unread = inEach(ctx, plan.Copies(b.Runbook), opener(b.secrets), func(ctx context.Context, name string, s storage.Store) error {
		runs, err := backup.Filed(ctx, s, b.System)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		looked++
		left, bytes := mostFiled, int64(mostFiledBytes)
		var failed error
		for _, r := range slices.Backward(runs) {
			key := r.Run + "-" + r.Sums
			seen[key] = true
			if have[key] {
				continue
			}
			at, id, err := whose(home, b.System, r)
			if at == nil && err == nil {
				if left, bytes = left-1, bytes-r.Size(); left < 0 || bytes < 0 {
					f.left++
					continue
				}
				at, err = fetchRun(ctx, s, home.Filed(), r, id)
			}
			switch {
			case errors.Is(err, errAltered):
				f.altered = append(f.altered, r.Run+" in "+name)
			case err != nil:
				failed = errors.Join(failed, err)
			default:
				have[key] = true
				failed = errors.Join(failed, fetchReviews(ctx, s, r, at.Dir))
			}
		}
		f.failed = errors.Join(f.failed, failed)
		return failed
	})
	if looked == 0 {
		return f, ctx.Err()
	}
	runs, err := home.List()
	if err != nil {
		return f, err
	}
	for _, p := range runs {
		sums, err := backup.Sums(p.Dir)
		if p.Problem == nil && p.Plan.System == b.System && p.Signed && (err != nil || !seen[p.ID+"-"+sums] && !seen[p.ID+"-"]) {
			f.unfiled = append(f.unfiled, p.ID)
		}
	}
	slices.Sort(f.altered)
	return f, ctx.Err()
}

// fetchAllFiled is fetchFiled until none is left.
func (a *app) fetchAllFiled(ctx context.Context, b *book) (filed, error) {
	for before := -1; ; {
		f, err := a.fetchFiled(ctx, b)
		if err != nil || f.left == 0 || f.left == before {
			return f, err
		}
		before = f.left
	}
}

// errAltered says that a run in a copy is not what was signed.
var errAltered = errors.New("it is not as it was signed")

// whose gives the run of a system that a copy holds, where it is here already; where it
// is not, the ID that it gets here: its own, or a longer one where another run has that.
func whose(home runner.Home, system string, r backup.FiledRun) (*runner.Past, string, error) {
	id, longer := r.Run, (r.Run + r.Sums)[:min(len(r.Run+r.Sums), 16)]
	for _, at := range []struct {
		home runner.Home
		id   string
	}{{home, r.Run}, {home.Filed(), r.Run}, {home.Filed(), longer}} {
		dir := at.home.RunDir(at.id)
		if _, err := os.Lstat(dir); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if at.id == id {
			id = longer // if it is another one
		}
		sums, err := backup.Sums(dir)
		if r.Sums != "" && (err != nil || sums != r.Sums) {
			continue // also one that has no report yet
		}
		p, err := at.home.Look(at.id)
		if err = errors.Join(err, p.Problem); err != nil {
			return nil, "", err
		}
		if p.Plan.System == system && p.Plan.Number == r.Number {
			return &p, "", nil
		}
	}
	if _, err := os.Lstat(home.Filed().RunDir(id)); id == longer && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", fmt.Errorf("run %s of %s, number %d, is not fetched: there is another run of that ID here", r.Run, system, r.Number)
	}
	return nil, id, nil
}

// fetchRun fetches a run that is here, under an ID, only when every file of it is as it
// was signed, and it is the run whose name it has.
func fetchRun(ctx context.Context, s storage.Store, home runner.Home, r backup.FiledRun, id string) (*runner.Past, error) {
	err := home.Bring(id, func(dir string) error {
		err := r.Fetch(ctx, s, dir)
		if errors.Is(err, storage.ErrCorrupt) || err == nil && !verified(dir, r) {
			return errAltered
		}
		return err
	})
	if err != nil && !errors.Is(err, fs.ErrExist) { // two that fetch the same run fetch the same
		return nil, err
	}
	p, err := home.Look(id)
	return &p, errors.Join(err, p.Problem)
}

// fetchReviews takes over the reviews of a run that a copy holds and that are reviews
// of it.
func fetchReviews(ctx context.Context, s storage.Store, r backup.FiledRun, dir string) error {
	all, err := r.Reviews(ctx, s)
	for _, review := range all {
		_, errAdopt := report.AdoptReview(dir, review)
		err = errors.Join(err, errAdopt)
	}
	return err
}

func verified(dir string, r backup.FiledRun) bool {
	if _, err := report.Verify(dir, report.VerifyOptions{}); err != nil {
		return false
	}
	if sums, err := backup.Sums(dir); err != nil || r.Sums != "" && sums != r.Sums {
		return false
	}
	text, err := os.ReadFile(filepath.Join(dir, report.PlanFile))
	if err != nil {
		return false
	}
	p, err := plan.Decode(text)
	return err == nil && p.Run == r.Run && p.Number == r.Number
}
