package filing

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"comeback/recovery/backup"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/storage"
)

// The most that is fetched from a copy in one look: so many runs of those that are not
// here yet, the newest first, of so many bytes together.
const (
	mostFiled      = 50
	mostFiledBytes = 256 << 20
)

// Fetched is what a look for filed runs came to.
type Fetched struct {
	// Unfiled are signed runs of this host that no copy holds.
	Unfiled []string
	// Altered are runs that a copy holds otherwise than they were signed, "4f2a in
	// offsite".
	Altered []string
	// Failed is why some could not be fetched, Unread why not by each copy, one that
	// could not be asked at all with them.
	Failed error
	Unread map[string]error
	// Left is how many were left for the next look.
	Left int
}

// Fetch fetches the runs of a system that copies hold and this host does not.
// What is kept of them is as it was signed; whose signature that is the reader of a
// report judges. A copy that cannot be asked is for the check of copies to tell.
func Fetch(ctx context.Context, home runner.Home, c Copies) (Fetched, error) {
	g := newGathering(home, c.System)
	unread := backup.InEach(ctx, c.Copies, c.Open, g.copy)
	g.mu.Lock() // one that gives no answer may still be at it
	defer g.mu.Unlock()
	f := g.came
	f.Unread = unread
	if g.looked == 0 {
		return f, ctx.Err()
	}
	for key := range g.left {
		if !g.have[key] {
			f.Left++
		}
	}
	runs, err := home.List()
	if err != nil {
		return f, err
	}
	for _, p := range runs {
		sums, err := backup.Sums(p.Dir)
		if p.Problem == nil && p.Plan.System == c.System && p.Signed && (err != nil || !g.seen[p.ID+"-"+sums] && !g.seen[p.ID+"-"]) {
			f.Unfiled = append(f.Unfiled, p.ID)
		}
	}
	slices.Sort(f.Altered)
	return f, ctx.Err()
}

// FetchAll is Fetch until none is left.
func FetchAll(ctx context.Context, home runner.Home, c Copies) (Fetched, error) {
	for before := -1; ; {
		f, err := Fetch(ctx, home, c)
		if err != nil || f.Left == 0 || f.Left == before {
			return f, err
		}
		before = f.Left
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
// was signed, and it is the run whose name it has. Where that ID is taken, also since a moment
// ago, the error is fs.ErrExist.
func fetchRun(ctx context.Context, s storage.Store, home runner.Home, r backup.FiledRun, id string) (*runner.Past, error) {
	err := home.Bring(id, func(dir string) error {
		err := r.Fetch(ctx, s, dir)
		if errors.Is(err, storage.ErrCorrupt) || err == nil && !verified(dir, r) {
			return errAltered
		}
		return err
	})
	if err != nil {
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
