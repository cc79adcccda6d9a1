package bucket

import (
	"bufio"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"comeback/recovery"
	"comeback/recovery/files/tally"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// The kinds of steps of a switch in place.
const (
	sinceName      = "bucket.since"
	revertName     = "bucket.revert"
	openBucketName = "bucket.open"
)

// exchangedVersions is a claim: a list of changes that have, or may have, been made.
const exchangedVersions = recovery.Exchanged + " of versions"

// byHashFile names, in scratch, the versions that rows have chosen by their hashes; those
// of another moment are others.
func byHashFile(moment time.Time) string {
	return fmt.Sprintf("by-hash-%d", moment.UnixNano())
}

// wantedAt is what the moment wants: of each key the version of the moment, or the
// one that a row has named.
func (a changeArgs) wantedAt(ctx context.Context, env recovery.Env) (wanted, error) {
	h, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return nil, err
	}
	named, err := readChosen(filepath.Join(h.Dir, byHashFile(a.Moment)))
	if err != nil {
		return nil, err
	}
	return func(h history) (change, bool, error) { return change{To: h.chosen(a.Moment, named)}, true, nil }, nil
}

// chosen is the version that a row has named, or else the one of the moment.
func (h history) chosen(at time.Time, named map[string]string) *storage.Object {
	if id, ok := named[h[0].Key]; ok {
		if v := h.version(id); v != nil {
			return v
		}
	}
	return h.at(at)
}

// readChosen reads which versions rows have named; none where none was.
func readChosen(path string) (map[string]string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which versions the rows name: %w", err)
	}
	defer f.Close()
	named := map[string]string{}
	d := json.NewDecoder(bufio.NewReader(f))
	for {
		var c chosenVersion
		if err := d.Decode(&c); err == io.EOF {
			return named, nil
		} else if err != nil {
			return nil, fmt.Errorf("read which versions the rows name: %w", err)
		}
		named[c.Key] = c.Version
	}
}

// chosenVersion is a line of byHashFile.
type chosenVersion struct {
	Key     string `json:"key"`
	Version string `json:"version"`
}

// since lists what has changed since the moment, for people: all of it stays in the
// bucket as versions.
type since struct{}

func (since) Name() string              { return sinceName }
func (since) Restart() recovery.Restart { return recovery.Repeat }

func (since) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	a, r, err := openChange(ctx, env, s)
	if err != nil {
		return o, err
	}
	want, err := a.wantedAt(ctx, env)
	if err != nil {
		return o, err
	}
	list, err := newListOfChanges(env, a.Component+"-since")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, list.out.Close()) }()
	env.Meter().Phase("list what came after the moment", 0, recovery.InItems)
	lost := recovery.FilesLoss{Since: a.Moment.UTC()}
	for c, err := range r.differing(ctx, want, r.right) {
		if err == nil {
			err = list.add(c)
		}
		if err != nil {
			return o, fmt.Errorf("list what came after the moment: %w", err)
		}
		env.Meter().Add(1)
		c.loses(&lost)
	}
	o.Loss = a.loss(lost)
	o.Facts = map[string]string{"overwritten": fmt.Sprint(lost.Changed), "deleted": fmt.Sprint(lost.Removed), "new": fmt.Sprint(lost.Added)}
	if list.n == 0 {
		o.Says = "nothing in " + a.Bucket.Copy.Name + " differs from the moment"
		return o, nil
	}
	o.Says = fmt.Sprintf("since the moment %s overwritten, %d deleted, %d new", recovery.FormatCount(lost.Changed, "object"), lost.Removed, lost.Added)
	o.ToDo = []string{fmt.Sprintf("%s: decide about %s that came after the moment; their versions stay in the bucket, listed in %s",
		a.Component, recovery.FormatCount(lost.Changed+lost.Added, "object"), list.path)}
	return o, nil
}

// loses counts what is lost by a change.
func (c change) loses(l *recovery.FilesLoss) {
	if c.At.After(l.Newest) {
		l.Newest = c.At
	}
	if c.Was != nil {
		l.Bytes += c.Was.Size
	}
	switch {
	case c.Was == nil:
		l.Removed++
	case c.To == nil:
		l.Added++
	default:
		l.Changed++
	}
}

// loss is what was counted.
func (a changeArgs) loss(lost recovery.FilesLoss) *recovery.Loss {
	return &recovery.Loss{Component: a.Component, Copy: a.Bucket.Copy.Name, Final: true, Files: &lost}
}

func openChange(ctx context.Context, env recovery.Env, s recovery.Step) (a changeArgs, r reverter, err error) {
	if err := s.Decode(&a); err != nil {
		return a, r, err
	}
	store, err := env.Store(ctx, a.Bucket.Copy.Name)
	if err != nil {
		return a, r, err
	}
	r, err = newReverter(store, a.Bucket.Prefix)
	return a, r, err
}

// revert makes versions current. What is about to be changed is on disk and claimed
// before it is; an interruption leaves a part, which the next attempt goes on with,
// or which the claim undoes.
type revert struct{}

func (revert) Name() string              { return revertName }
func (revert) Restart() recovery.Restart { return recovery.Continue }

func (revert) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	a, r, err := openChange(ctx, env, s)
	if err != nil {
		return recovery.Outcome{}, err
	}
	h, err := env.Target(ctx, a.Live)
	if err != nil {
		return recovery.Outcome{}, err
	}
	want, stop, err := a.wanted(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	made, err := a.madeBefore(env)
	if err != nil {
		stop()
		return recovery.Outcome{}, err
	}
	list, err := a.plan(ctx, env, r, want, made)
	stop()
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("list what is to be changed in %s: %w", h.Target.Place, err)
	}
	if list.n > 0 {
		var kept *listOfChanges
		if kept, err = newListOfChanges(env, copiesName(a.Component)); err != nil {
			return recovery.Outcome{}, err
		}
		defer func() { err = errors.Join(err, kept.out.Close()) }()
		made.out = kept.out
		if err := env.Claim(ctx, a.claim(list.path, kept.path)); err != nil {
			return recovery.Outcome{}, err
		}
	}
	env.Meter().Phase("make versions current in "+h.Target.Place, list.n, recovery.InItems)
	var copied, hidden atomic.Int64
	lacking, err := a.lacking(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := r.apply(ctx, changes(list.path), func(ctx context.Context, c change) error {
		copy, err := r.make(ctx, c)
		if err != nil {
			return err
		}
		env.Meter().Add(1)
		if c.To == nil {
			hidden.Add(1)
			return nil
		}
		copied.Add(1)
		err = made.note(c, copy)
		if copy.Lacks != "" {
			err = errors.Join(err, lacking.Note(copy.Lacks, tree.Show(c.Key)))
		}
		return err
	}); err != nil {
		return recovery.Outcome{}, recovery.Errorf(recovery.CopyHint(err), "make versions current in %s: %w", h.Target.Place, err)
	}
	if err := a.prove(ctx, env, r, made); err != nil {
		return recovery.Outcome{}, err
	}
	o, err = a.outcome(env, h, copied.Load(), hidden.Load())
	if err != nil {
		return o, err
	}
	lacks, err := lacking.All()
	for _, what := range slices.Sorted(maps.Keys(lacks)) {
		o.Exceptions = append(o.Exceptions, fmt.Sprintf("made current again without their %s: %s, the first %s; look who may read them",
			what, recovery.FormatCount(lacks[what].Names, "object"), lacks[what].First))
	}
	return o, err
}

// lacking counts what copies lack. It is kept in scratch; a switch back has none.
func (a changeArgs) lacking(ctx context.Context, env recovery.Env) (*tally.Tally, error) {
	if a.Scratch == "" {
		return tally.New("", 0), nil
	}
	h, err := env.Target(ctx, a.Scratch)
	return tally.New(filepath.Join(h.Dir, fmt.Sprintf("lacking-%d", a.Moment.UnixNano())), 0), err
}

// wanted is what the moment wants, or of a switch back what its list says.
func (a changeArgs) wanted(ctx context.Context, env recovery.Env) (wanted, func(), error) {
	if a.Versions == "" {
		want, err := a.wantedAt(ctx, env)
		return want, func() {}, err
	}
	sum, err := tree.DigestOf(a.Versions)
	if err != nil {
		return nil, nil, recovery.Errorf("find the artifacts of the run that has switched", "read which versions were current: %w", err)
	}
	if sum != a.SHA256 {
		return nil, nil, recovery.Errorf("find out who changed it; the versions are still in the bucket", "refused: %s is not the list that the run has written", a.Versions).WithExit(recovery.Refused)
	}
	want, stop := listed(back(changes(a.Versions)))
	return want, stop, nil
}

// madeBefore are the copies that earlier attempts have made.
func (a changeArgs) madeBefore(env recovery.Env) (*copies, error) {
	lists := a.lists(env)
	if len(lists) == 0 {
		return &copies{}, nil
	}
	return ofRun(filepath.Dir(lists[0]), a.Component)
}

// plan writes what is to be changed, durable when it returns. What an earlier attempt has
// made current is right. Where the bucket's versions of the moment are not any more what they
// were when it was chosen, and so in the tree, nothing is to be changed.
func (a changeArgs) plan(ctx context.Context, env recovery.Env, r reverter, want wanted, made *copies) (*listOfChanges, error) {
	list, err := newListOfChanges(env, a.Component+"-changes")
	if err != nil {
		return nil, err
	}
	env.Meter().Phase("list what is to be changed", 0, recovery.InItems)
	current := newCurrents()
	watched := func(h history) (change, bool, error) {
		if then := h.at(a.Moment); then != nil {
			current.add(*then)
		}
		return want(h)
	}
	for c, err := range made.others(r.differing(ctx, watched, r.right)) {
		if err == nil {
			env.Meter().Add(1)
			err = list.add(c)
		}
		if err != nil {
			return nil, errors.Join(err, list.out.Close())
		}
	}
	return list, errors.Join(current.are(a.Current, a.Bucket.Copy.Name), list.out.Close())
}

// prove looks at every key again.
func (a changeArgs) prove(ctx context.Context, env recovery.Env, r reverter, made *copies) error {
	want, stop, err := a.wanted(ctx, env)
	if err != nil {
		return err
	}
	defer stop()
	env.Meter().Phase("prove that each is current", 0, recovery.InItems)
	var wrong []string
	for c, err := range made.others(r.differing(ctx, want, r.alike)) {
		if err != nil {
			return fmt.Errorf("look at what is current: %w", err)
		}
		if wrong = append(wrong, tree.Show(c.Key)); len(wrong) > 3 {
			break
		}
	}
	if len(wrong) > 0 {
		return recovery.Errorf("stop what writes to the bucket, then retry", "%d objects or more are not what was asked for, %s: somebody writes to %s", len(wrong), wrong[0], a.Bucket.Copy.Name)
	}
	return nil
}

// copiesDetail is where a claim says which of its copies do not look like ones.
const copiesDetail = "copies"

func (a changeArgs) claim(path, copies string) recovery.Resource {
	copy, err := json.Marshal(a.Bucket)
	if err != nil {
		panic("files: a copy's record: " + err.Error()) // plain data always encodes
	}
	return recovery.Resource{Kind: exchangedVersions, ID: path, Details: map[string]string{"component": a.Component, "bucket": string(copy), copiesDetail: copies}}
}

// lists are the lists of changes that the run's attempts have claimed, in order.
func (a changeArgs) lists(env recovery.Env) []string {
	var all []string
	for _, r := range env.Held() {
		if r.Kind == exchangedVersions && r.Details["component"] == a.Component {
			all = append(all, r.ID)
		}
	}
	return all
}

// outcome tells what was done, and keeps what was current before the first attempt. It
// counts again what is lost: nothing ends the writes to a bucket, and what came after
// the first count was changed, too.
func (a changeArgs) outcome(env recovery.Env, h recovery.Handle, copied, hidden int64) (recovery.Outcome, error) {
	o := recovery.Outcome{Identities: map[recovery.TargetID]recovery.Identity{a.Live: h.Target.Identity},
		Says:  fmt.Sprintf("%s is as it was: %s made current again, %d hidden, all else untouched; no version was deleted", h.Target.Place, recovery.FormatCount(copied, "version"), hidden),
		Facts: map[string]string{"versions made current": fmt.Sprint(copied), "keys hidden": fmt.Sprint(hidden)}}
	lists := a.lists(env)
	if len(lists) == 0 {
		o.Says = h.Target.Place + " is as it was already: nothing was changed"
		return o, nil
	}
	var sources []iter.Seq2[change, error]
	for _, path := range lists {
		sources = append(sources, changes(path))
	}
	before, err := newListOfChanges(env, a.Component+"-before")
	if err != nil {
		return o, err
	}
	lost := recovery.FilesLoss{Since: a.Moment.UTC()}
	for c, err := range firstOf(sources) {
		if err == nil {
			c.loses(&lost)
			err = before.add(c)
		}
		if err != nil {
			return o, errors.Join(err, before.out.Close())
		}
	}
	if a.Versions == "" {
		o.Loss = a.loss(lost)
	}
	if err := before.out.Close(); err != nil {
		return o, err
	}
	o.Old = []recovery.Old{{Component: a.Component, Target: a.Live, Place: before.path, Until: a.Keep,
		Identity: recovery.Identity{"sha256": hex.EncodeToString(before.sum.Sum(nil)), "versions": fmt.Sprint(before.n)},
		Says:     "the versions that were current before, in the bucket itself"}}
	return o, nil
}

// firstOf merges lists in the order of keys; of each key the line of the first list
// that has it counts.
func firstOf(lists []iter.Seq2[change, error]) iter.Seq2[change, error] {
	return func(yield func(change, error) bool) {
		type head struct {
			next func() (change, error, bool)
			c    change
			here bool
		}
		heads := make([]head, len(lists))
		advance := func(h *head) (err error) {
			h.c, err, h.here = h.next()
			return err
		}
		for i, l := range lists {
			next, stop := iter.Pull2(l)
			defer stop()
			heads[i].next = next
			if err := advance(&heads[i]); err != nil {
				yield(change{}, err)
				return
			}
		}
		for {
			var least *head
			for i := range heads {
				if h := &heads[i]; h.here && (least == nil || h.c.Key < least.c.Key) {
					least = h
				}
			}
			if least == nil {
				return
			}
			c := least.c
			for i := range heads {
				if h := &heads[i]; h.here && h.c.Key == c.Key {
					if err := advance(h); err != nil {
						yield(change{}, err)
						return
					}
				}
			}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// openBucket keeps what was changed, and binds the component to the bucket.
type openBucket struct{}

func (openBucket) Name() string              { return openBucketName }
func (openBucket) Restart() recovery.Restart { return recovery.Repeat }

func (openBucket) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a changeArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	h, err := env.Target(ctx, a.Live)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: h.Target.Place + " stays what it is now",
		Bindings: []recovery.Binding{{Component: a.Component, URL: recovery.BucketURL(a.Bucket.Copy.Name, a.Bucket.Prefix)}}}, nil
}
