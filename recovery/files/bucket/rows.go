package bucket

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"os"
	"slices"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

var _ recovery.RowReader = engine{}

// rowsArgs are what a restore is told and which rows name its files.
type rowsArgs struct {
	args
	On    string `json:"on"`
	Query string `json:"query"`
}

// PlanRows is one step.
func (e engine) PlanRows(c recovery.Component, p recovery.Point, t recovery.Target, check recovery.FilesCheckArgs) recovery.Step {
	var f facts
	_ = json.Unmarshal(p.Backup.Facts, &f) // Plan has read them
	s := recovery.NewStep("by-rows", rowsKind{}.Name(), "take the versions that the rows of "+check.On+" name by their hashes",
		rowsArgs{args{Component: c.Name, Copy: p.Copy, Target: t.ID, Facts: f}, check.On, check.Query})
	s.Writes = []recovery.TargetID{t.ID}
	return s
}

// rowsKind holds the rows that name a hash against what the clock has chosen, and
// where they differ takes the version that has the hash. It is done again as a whole
// after an interruption: what is right is not touched.
type rowsKind struct{ engine }

func (rowsKind) Name() string              { return "bucket.rows" }
func (rowsKind) Restart() recovery.Restart { return recovery.Repeat }

func (k rowsKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var a rowsArgs
	if err := step.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if k.Rows == nil {
		return recovery.Outcome{}, errors.New("take versions by the hashes of rows: nothing here reads rows")
	}
	h, err := env.Target(ctx, a.Target)
	if err != nil {
		return recovery.Outcome{}, err
	}
	p := tree.Place{Component: a.Component, What: "what rows name by their hashes", Dir: h.Dir, Scratch: h.Scratch}
	t, err := tree.Open(p.Tree())
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w: %w", err, recovery.ErrGone)
	}
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer t.Close()
	r := &byRows{Place: p, args: a, env: env, tree: t}
	err = r.run(ctx, k.Rows(ctx, env, a.On, a.Query))
	if r.chosen != nil {
		err = errors.Join(err, r.chosen.Close())
	}
	if err != nil {
		return recovery.Outcome{}, p.Failed(ctx, err)
	}
	return r.outcome(), nil
}

type byRows struct {
	tree.Place
	args rowsArgs
	env  recovery.Env
	tree *tree.Writer

	store storage.Store
	rows  int64 // that name a hash
	taken []string
	// chosen is the file of byHashFile, open once it is written to.
	chosen *os.File
	none   []string // rows whose hash no version has
}

// run goes through the rows and the versions, side by side.
func (r *byRows) run(ctx context.Context, rows iter.Seq2[recovery.NamedFile, error]) (err error) {
	if r.store, err = r.env.Store(ctx, r.args.Copy); err != nil {
		return err
	}
	versions, ok := storage.As[storage.Versioner](r.store)
	if !ok {
		return fmt.Errorf("%s keeps no versions", r.store.URL())
	}
	r.env.Meter().Phase("hold rows against versions", 0, recovery.InItems)
	next, stop := iter.Pull2(byKey(versions.Versions(ctx, r.args.Facts.Prefix)))
	defer stop()
	h, err, here := next()
	for row, errRow := range rows {
		if errRow != nil {
			return errRow
		}
		r.env.Meter().Add(1)
		if row.Null || row.SHA256 == "" {
			continue
		}
		for here && err == nil && r.args.name(h[0].Key) < row.Path {
			h, err, here = next()
		}
		if err != nil {
			return err
		}
		var found history
		if here && r.args.name(h[0].Key) == row.Path {
			found = h
		}
		r.rows++
		if err := r.row(ctx, row, found); err != nil {
			return err
		}
	}
	return nil
}

// row takes the version that has a row's hash, where the tree's file has not.
func (r *byRows) row(ctx context.Context, row recovery.NamedFile, h history) error {
	has, err := r.has(row)
	if has || err != nil {
		return err
	}
	if !tree.Sound(row.Path) {
		r.none = append(r.none, tree.Show(row.Path))
		return nil
	}
	candidates := slices.Clone(h)
	candidates = slices.DeleteFunc(candidates, func(v storage.Version) bool { return v.Deleted || row.Bytes >= 0 && v.Size != row.Bytes })
	moment := r.args.Facts.Moment
	slices.SortStableFunc(candidates, func(a, b storage.Version) int { // the nearest in time first
		return cmp.Compare(a.Modified.Sub(moment).Abs(), b.Modified.Sub(moment).Abs())
	})
	for _, v := range candidates {
		ok, err := r.hashes(ctx, v.Object, row.SHA256)
		if err != nil {
			return err
		}
		if !ok {
			continue
		}
		if err := r.keep(chosenVersion{Key: v.Key, Version: v.Version}); err != nil {
			return err
		}
		rec := r.args.record(v.Object)
		rec.SHA256 = row.SHA256
		in := storage.NewReader(ctx, r.store, v.Object, storage.ReadOptions{})
		err = r.tree.Put(rec, in)
		if err = errors.Join(err, in.Close()); err != nil {
			return err
		}
		r.taken = append(r.taken, fmt.Sprintf("%s: the version of %s, whose hash its row names", tree.Show(row.Path), v.Modified.UTC().Format(time.RFC3339)))
		return nil
	}
	r.none = append(r.none, tree.Show(row.Path))
	return nil
}

// has reports whether the tree's file is what its row says.
func (r *byRows) has(row recovery.NamedFile) (bool, error) {
	if !tree.Sound(row.Path) {
		return false, nil
	}
	f, err := r.tree.Open(row.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || row.Bytes >= 0 && info.Size() != row.Bytes {
		return false, err
	}
	return hashed(f, row.SHA256)
}

func (r *byRows) hashes(ctx context.Context, v storage.Object, want string) (bool, error) {
	in := storage.NewReader(ctx, r.store, v, storage.ReadOptions{})
	defer in.Close()
	return hashed(in, want)
}

func hashed(in io.Reader, want string) (bool, error) {
	sum := sha256.New()
	if _, err := io.Copy(sum, in); err != nil {
		return false, err
	}
	return hex.EncodeToString(sum.Sum(nil)) == want, nil
}

// keep writes which version was chosen, for a switch in place, durable before the tree
// has it: what an earlier attempt has put right is right now, and is not chosen again.
func (r *byRows) keep(c chosenVersion) error {
	if r.chosen == nil {
		f, err := openChosen(r.Path(byHashFile(r.args.Facts.Moment)))
		if err != nil {
			return err
		}
		r.chosen = f
	}
	return errors.Join(json.NewEncoder(r.chosen).Encode(c), r.chosen.Sync())
}

// openChosen opens the list to append to it, without the line that an interruption has
// cut off: the tree has not got what that one names.
func openChosen(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(f)
	if err == nil {
		whole := int64(bytes.LastIndexByte(b, '\n') + 1)
		err = f.Truncate(whole)
		if err == nil {
			_, err = f.Seek(whole, io.SeekStart)
		}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (r *byRows) outcome() recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{"rows with a hash": strconv.FormatInt(r.rows, 10), "versions by their hash": strconv.Itoa(len(r.taken)),
		"hashes that no version has": strconv.Itoa(len(r.none))}}
	switch {
	case r.rows == 0:
		o.Says = "no row names a hash: the versions are those of the moment by the bucket's clock"
	case len(r.taken) == 0:
		o.Says = fmt.Sprintf("%s held against their hashes: the bucket's clock was right", recovery.FormatCount(r.rows, "file"))
	default:
		o.Says = fmt.Sprintf("%s held against their hashes; %s taken by the hash and not by the clock", recovery.FormatCount(r.rows, "file"), recovery.FormatCount(int64(len(r.taken)), "version"))
	}
	o.Remarks = firstFew(r.taken, "more versions were taken by their hashes")
	if len(r.none) > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("no version in the bucket has the hash that the row names, of %s and %d more", r.none[0], len(r.none)-1))
	}
	return o
}

// firstFew are the first of many sentences, and how many more there are.
func firstFew(all []string, more string) []string {
	const few = 5
	if len(all) <= few {
		return all
	}
	return append(slices.Clone(all[:few]), fmt.Sprintf("%d %s", len(all)-few, more))
}
