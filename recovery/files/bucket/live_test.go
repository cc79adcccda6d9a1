package bucket_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/files/bucket"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/runbooks"
	"comeback/storage"
	"comeback/storagetest"
)

func (d dated) reverter() storage.Reverter {
	r, _ := storage.As[storage.Reverter](d.Store)
	return r
}

func (d dated) Alike(ctx context.Context, a, b storage.Object) (bool, error) {
	return d.reverter().Alike(ctx, a, b)
}

func (d dated) SaidAlike(ctx context.Context, a, b storage.Object) (bool, error) {
	return d.reverter().SaidAlike(ctx, a, b)
}

func (d dated) Hide(ctx context.Context, key string) error { return d.reverter().Hide(ctx, key) }

func (d dated) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	return d.reverter().Revert(ctx, v)
}

// failing fails at the n-th version that is made current, and at all after it.
type failing struct {
	dated
	left atomic.Int64
}

func (f *failing) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	if f.left.Add(-1) < 0 {
		return storage.Reverted{}, &storage.Error{Op: "revert", Object: v.Key, Kind: storage.ErrUnavailable, Says: "cut off"}
	}
	return f.dated.Revert(ctx, v)
}

const bucketBook = "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  uploads: {url: \"s3://shop\"}\ncomponents:\n" +
	"  uploads: {kind: files, with: bucket, prefix: uploads/, live: uploads}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: uploads\n```\n\n## Switch\n\n```yaml\nswitch: uploads\n```\n"

// liveRun carries out plans on a live bucket, as a person who types its name when
// asked for it and who decides what choose says when a step fails.
type liveRun struct {
	store    storage.Store
	engine   recovery.Engine
	switcher recovery.Switcher
	choose   func() recovery.Choice
	dies     func(e recovery.Event) bool // behind which event its process dies
	restored func()                      // what happens when the tree is there
}

func newLiveRun(store storage.Store, choose func() recovery.Choice) *liveRun {
	open := func(context.Context, recovery.Copy, func(string) (string, error)) (storage.Store, error) {
		return store, nil
	}
	return &liveRun{store: store, engine: bucketEngine(), switcher: bucket.NewSwitcher(open), choose: choose}
}

func asIs(s string) (string, error) { return s, nil }

func (l *liveRun) options(t testing.TB, live recovery.Live) plan.Options {
	t.Helper()
	return plan.Options{Engines: []recovery.Engine{l.engine}, Mode: recovery.Recovery, Switchers: []recovery.Switcher{l.switcher},
		Live: []recovery.Live{live}, Run: "7c31", Scratch: t.TempDir(), Created: time.Now()}
}

func (l *liveRun) look(t testing.TB, c recovery.Component, copies []recovery.Copy) recovery.Live {
	t.Helper()
	live, err := l.switcher.Look(t.Context(), c, copies, asIs)
	if err != nil {
		t.Fatal(err)
	}
	return live
}

// plan plans the recovery of the bucket to a time.
func (l *liveRun) plan(t testing.TB, at time.Time) *recovery.Plan {
	t.Helper()
	rb, problems := runbooks.Parse("shop.md", []byte(bucketBook))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	c := plan.Components(rb)[0]
	s, err := l.engine.Survey(t.Context(), c, plan.Copies(rb)[0], l.store)
	if err != nil {
		t.Fatal(err)
	}
	want := recovery.Want{Kind: recovery.WantTime, Time: at, Text: "then"}
	p, err := l.engine.Resolve(t.Context(), s, want, l.store)
	if err != nil {
		t.Fatalf("%v (%s)", err, recovery.HintOf(err))
	}
	o := l.options(t, l.look(t, c, plan.Copies(rb)))
	o.Runbook, o.Moment = rb, recovery.Moment{Want: want, Anchor: c.Name, Points: []recovery.Point{p}}
	made, err := plan.Make(o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// planBack plans the switch back of a run.
func planBack(p *recovery.Plan, s recovery.State, o plan.Options) (*recovery.Plan, error) {
	return plan.Back(plan.BackOptions{Parent: p, Old: s.Old, Options: o})
}

// executor is what carries a plan out on a bucket, as a process sees it.
func (l *liveRun) executor(t testing.TB, p *recovery.Plan, dir string, j *journal.Journal, s recovery.State, store storage.Store) execute.Options {
	t.Helper()
	switcher := l.switcher
	if _, dies := store.(mortal); dies {
		switcher = bucket.NewSwitcher(func(context.Context, recovery.Copy, func(string) (string, error)) (storage.Store, error) {
			return store, nil
		})
	}
	return execute.Options{Plan: p, Dir: dir, Journal: j, State: s,
		Kinds: append(l.engine.Kinds(), switcher.Kinds()...), Releasers: switcher.Releasers(asIs),
		OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) { return store, nil },
		Secrets:   execute.NewSecrets(func(string) (string, bool) { return "", false }, nil),
		Owner:     recovery.User{UID: -1, GID: -1}, Now: time.Now, Sample: func(recovery.Sample) {},
		Identify: func(ctx context.Context, target recovery.Target) (recovery.Identity, error) {
			return switcher.Identify(ctx, target, asIs)
		}}
}

func (l *liveRun) run(t testing.TB, p *recovery.Plan) recovery.State {
	t.Helper()
	dir := t.TempDir()
	j, err := journal.Create(filepath.Join(dir, journal.Name), strings.Repeat("0", 64))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	started, err := recovery.NewEvent(time.Now(), recovery.RunStarted{Run: p.Run, System: p.System, Mode: p.Mode, Operator: "ops1", PlanSHA256: "aa"})
	if err == nil {
		started, err = j.Append(started)
	}
	if err != nil {
		t.Fatal(err)
	}
	var x *execute.Executor
	o := l.executor(t, p, dir, j, recovery.Fold(recovery.NewState(p), started), l.store)
	o.Event = func(e recovery.Event) {
		payload, _ := e.Payload()
		if f, ok := payload.(recovery.StepFinished); ok && l.restored != nil && strings.HasSuffix(string(f.Step), "restore") {
			l.restored()
		}
		w, ok := payload.(recovery.Waiting)
		if !ok {
			return
		}
		c := recovery.Command{Kind: recovery.DoConfirm, By: "ops1", Text: p.Confirm}
		if w.For != recovery.WaitName {
			c = recovery.Command{Kind: recovery.DoDecide, Step: w.Step, By: "ops1", Text: "test", Choice: l.choose()}
		}
		go func() {
			if err := x.Do(c); err != nil {
				t.Error(err)
			}
		}()
	}
	x, err = execute.New(o)
	if err != nil {
		t.Fatal(err)
	}
	s, err := x.Run(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// objects are what is current in a bucket below a prefix.
func objects(t testing.TB, store storage.Store, prefix string) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, key := range storagetest.Keys(t, store, prefix) {
		all[key] = storagetest.Read(t, store, key)
	}
	return all
}

// ids are all versions of a bucket, those of one key in one text.
func ids(t testing.TB, store storage.Versioner) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for v, err := range store.Versions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all[v.Key] = append(all[v.Key], v.Version)
	}
	return all
}

// Where the version of the moment was removed after the tree was restored, the one before it
// is not made current in its place: nothing is changed.
func TestBucket_inPlaceRemoved(t *testing.T) {
	server, store := versioned(t)
	for _, text := range []string{"older", "then"} {
		store.put(t, "uploads/a", text)
		store.put(t, "uploads/b", text)
	}
	moment := time.Now().UTC()
	store.remove(t, server, "uploads/b")
	want := objects(t, store, "")
	l := newLiveRun(store, func() recovery.Choice { return recovery.ChooseStop })
	l.restored = func() { store.removeVersion(t, server, "uploads/a") }
	want["uploads/a"] = "older" // which is current by itself then
	s := l.run(t, l.plan(t, moment))
	if says, hint := enginetest.Failure(s); s.Result == recovery.ResultPassed || !strings.Contains(says, "removed since, or stored") || !strings.Contains(hint, "choose the moment again") || len(s.Held()) > 0 {
		t.Errorf("it ended %s: %s (%s)", s.Result, says, hint)
	}
	if diff := cmp.Diff(want, objects(t, store, "")); diff != "" {
		t.Errorf("live was changed: %s", diff)
	}
}

// A live bucket after ransomware goes back to the moment in place: by new versions and
// marks, with no version lost and what is right not touched; it is taken up again
// after a failure, stopped in the middle it is as it was, and a switch back gives what
// was before.
func TestBucket_inPlace(t *testing.T) {
	server, d := versioned(t)
	store := &failing{dated: d}
	store.left.Store(1000)
	store.put(t, "elsewhere", "not asked for")
	name := func(i int) string { return fmt.Sprintf("uploads/%d/photo %d.jpg", i%3, i) }
	for i := range 24 {
		store.put(t, name(i), strings.Repeat(fmt.Sprint(i, " "), i))
	}
	store.remove(t, server, name(0))
	moment, then := time.Now().UTC(), objects(t, store, "uploads/")
	for i := range 20 {
		store.put(t, name(i), "encrypted")
		if i%2 == 1 {
			store.remove(t, server, name(i))
		}
	}
	store.put(t, name(21), then[name(21)]) // the same bytes again
	store.put(t, "uploads/ransom note", "send one bitcoin")
	harmed := objects(t, store, "")
	before := ids(t, store)

	// Stopped in the middle it is as it was.
	l := newLiveRun(store, func() recovery.Choice {
		store.left.Store(1000)
		return recovery.ChooseStop
	})
	p := l.plan(t, moment)
	if p.Confirm != "shop/uploads/" {
		t.Errorf("to type: %q", p.Confirm)
	}
	if gone := strings.Join(p.Effects().Gone, "; "); !strings.Contains(gone, "10 objects overwritten, 10 deleted and 2 new") {
		t.Errorf("gone from live: %s", gone)
	}
	store.left.Store(5)
	s := l.run(t, p)
	if s.Result == recovery.ResultPassed || len(s.Held()) > 0 {
		t.Errorf("ended as %s, holds %v", s.Result, s.Held())
	}
	if diff := cmp.Diff(harmed, objects(t, store, "")); diff != "" {
		t.Errorf("stopped in the middle, live is not what it was: %s", diff)
	}

	// A failure is gone on from.
	l.choose = func() recovery.Choice {
		store.left.Store(1000)
		return recovery.ChooseRetry
	}
	p = l.plan(t, moment)
	store.left.Store(5)
	s = l.run(t, p)
	passed(t, s)
	want := maps.Clone(then)
	want["elsewhere"] = "not asked for"
	if diff := cmp.Diff(want, objects(t, store, "")); diff != "" {
		t.Errorf("live is not what it was at the moment: %s", diff)
	}
	now := ids(t, store)
	for key, all := range before {
		for _, id := range all {
			if !slices.Contains(now[key], id) {
				t.Errorf("version %s of %s is gone", id, key)
			}
		}
	}
	for _, key := range []string{name(21), name(22), "elsewhere"} {
		if len(now[key]) != len(before[key]) {
			t.Errorf("%s was right and got %d versions more", key, len(now[key])-len(before[key]))
		}
	}
	if len(s.Old) != 1 || len(s.Step("uploads.since").Outcome.ToDo) == 0 {
		t.Fatalf("old data %+v, %+v", s.Old, s.Step("uploads.since").Outcome)
	}
	facts := s.Step("uploads.since").Outcome.Facts
	if loss := s.Losses[0]; !loss.Final || !loss.Files.Since.Equal(moment) || !loss.Files.Newest.After(moment) || loss.Files.Bytes == 0 ||
		fmt.Sprint(loss.Files.Changed, loss.Files.Removed, loss.Files.Added) != facts["overwritten"]+" "+facts["deleted"]+" "+facts["new"] {
		t.Errorf("lost %+v, and listed %v", loss.Files, facts)
	}
	step := s.Step("uploads.revert")
	// The first attempt asked for the name, the second made five, at the least.
	if n, err := strconv.Atoi(step.Outcome.Facts["versions made current"]); step.Attempts != 3 || err != nil || n > 14 {
		t.Errorf("attempts %d, %v", step.Attempts, step.Outcome.Facts)
	}

	// And back.
	o := l.options(t, l.look(t, p.Components[0], p.Copies))
	back, err := plan.Back(plan.BackOptions{Parent: p, Old: s.Old, Options: o})
	if err != nil {
		t.Fatal(err)
	}
	passed(t, l.run(t, back))
	if diff := cmp.Diff(harmed, objects(t, store, "")); diff != "" {
		t.Errorf("switched back, live is not what it was: %s", diff)
	}
	// A list that somebody has touched is none to go by.
	for i := range back.Steps {
		back.Steps[i].Args = []byte(strings.ReplaceAll(string(back.Steps[i].Args), s.Old[0].Identity["sha256"], strings.Repeat("0", 64)))
	}
	l.choose = func() recovery.Choice { return recovery.ChooseStop }
	if s := l.run(t, back); s.Result == recovery.ResultPassed {
		t.Error("went back by another list than the run has written")
	}
}

// inParts is a bucket of objects that were stored in parts, without checksums: nothing
// shows that a copy is one.
type inParts struct{ *failing }

func (p inParts) Alike(_ context.Context, a, b storage.Object) (bool, error) {
	return a.Version == b.Version, nil
}

func (p inParts) Revert(ctx context.Context, v storage.Object) (storage.Reverted, error) {
	o, err := p.failing.Revert(ctx, v)
	o.Revision += "-2"
	return o, err
}

// A bucket of such objects goes back in place, too, and stopped in the middle it is as
// it was, by one copy of each that had been changed.
func TestBucket_inPlaceInParts(t *testing.T) {
	_, d := versioned(t)
	f := &failing{dated: d}
	for i := range 8 {
		f.put(t, fmt.Sprintf("uploads/%d", i), "as it was")
	}
	moment, then := time.Now().UTC(), objects(t, d, "")
	for i := range 8 {
		f.put(t, fmt.Sprintf("uploads/%d", i), "overwritten")
	}
	harmed, before := objects(t, d, ""), ids(t, d)
	l := newLiveRun(inParts{f}, func() recovery.Choice {
		f.left.Store(1000)
		return recovery.ChooseStop
	})
	f.left.Store(3)
	s := l.run(t, l.plan(t, moment))
	if s.Result == recovery.ResultPassed || len(s.Held()) > 0 {
		t.Errorf("ended as %s: %s, holds %v", s.Result, s.Says, s.Held())
	}
	if diff := cmp.Diff(harmed, objects(t, d, "")); diff != "" {
		t.Errorf("stopped in the middle, live is not what it was: %s", diff)
	}
	for key, all := range ids(t, d) {
		if n := len(all) - len(before[key]); n > 2 {
			t.Errorf("%s got %d versions more", key, n)
		}
	}
	f.left.Store(1000)
	passed(t, l.run(t, l.plan(t, moment)))
	if diff := cmp.Diff(then, objects(t, d, "")); diff != "" {
		t.Errorf("live is not what it was at the moment: %s", diff)
	}
}

// An attempt goes on from what an earlier one has made of such objects, and stopped after
// both the bucket is as it was: what either of them, and giving back, has made is known.
func TestBucket_inPlaceInPartsAgain(t *testing.T) {
	_, d := versioned(t)
	f := &failing{dated: d}
	for i := range 8 {
		f.put(t, fmt.Sprintf("uploads/%d", i), "as it was")
	}
	moment := time.Now().UTC()
	for i := range 8 {
		f.put(t, fmt.Sprintf("uploads/%d", i), "overwritten")
	}
	harmed, before := objects(t, d, ""), ids(t, d)
	choices := []recovery.Choice{recovery.ChooseRetry, recovery.ChooseStop}
	l := newLiveRun(inParts{f}, func() recovery.Choice {
		next := choices[0]
		choices = choices[1:]
		f.left.Store(map[recovery.Choice]int64{recovery.ChooseRetry: 2, recovery.ChooseStop: 1000}[next])
		if now := objects(t, d, ""); len(choices) == 0 && strings.Count(fmt.Sprint(now), "as it was") != 4 {
			t.Errorf("two attempts, of two objects each, have made of it %v", now)
		}
		return next
	})
	f.left.Store(2)
	s := l.run(t, l.plan(t, moment))
	if len(choices) > 0 || s.Result == recovery.ResultPassed || len(s.Held()) > 0 || spared(s) != "" {
		t.Errorf("ended as %s: %s, holds %v", s.Result, s.Says, s.Held())
	}
	if diff := cmp.Diff(harmed, objects(t, d, "")); diff != "" {
		t.Errorf("stopped after two attempts, live is not what it was: %s", diff)
	}
	for key, all := range ids(t, d) {
		if n := len(all) - len(before[key]); n > 2 {
			t.Errorf("%s got %d versions more", key, n)
		}
	}
}

// Somebody goes on uploading until the recovery says so and is obeyed: the loss that it
// tells in the end is what is current no more, whenever that was uploaded.
func TestBucket_inPlaceUnderLoad(t *testing.T) {
	_, store := versioned(t)
	for i := range 10 {
		store.put(t, fmt.Sprintf("uploads/%d", i), "as it was")
	}
	moment := time.Now().UTC()
	store.put(t, "uploads/3", "overwritten")
	uploads, stop := 0, make(chan struct{})
	var uploading sync.WaitGroup
	uploading.Go(func() {
		for ; ; uploads++ {
			select {
			case <-stop:
				return
			default:
				store.put(t, fmt.Sprintf("uploads/new %d", uploads), "new")
			}
		}
	})
	end := sync.OnceFunc(func() {
		close(stop)
		uploading.Wait()
	})
	defer end()
	l := newLiveRun(store, func() recovery.Choice {
		end()
		return recovery.ChooseRetry
	})
	s := l.run(t, l.plan(t, moment))
	end()
	passed(t, s)
	added, now := int64(0), objects(t, store, "uploads/")
	for n := range uploads {
		if _, stays := now[fmt.Sprintf("uploads/new %d", n)]; !stays {
			added++
		}
	}
	if now["uploads/3"] != "as it was" || added == 0 {
		t.Errorf("live holds %v", now)
	}
	if len(s.Losses) != 1 || !s.Losses[0].Final {
		t.Fatalf("losses: %+v", s.Losses)
	}
	if f := s.Losses[0].Files; f.Changed != 1 || f.Removed != 0 || f.Added != added || f.Bytes != int64(len("overwritten"))+3*added {
		t.Errorf("lost %+v; in truth 1 overwritten and %d new, of %d uploads", f, added, uploads)
	}
}

// What cannot be taken for the live bucket is refused, with what to do.
func TestBucket_inPlaceRefuses(t *testing.T) {
	server, store := versioned(t)
	l := newLiveRun(store, nil)
	copies := []recovery.Copy{{Name: "uploads", URL: "s3://shop"}}
	refused := func(c recovery.Component, says string) {
		t.Helper()
		if _, err := l.switcher.Look(t.Context(), c, copies, asIs); err == nil || !strings.Contains(err.Error(), says) || recovery.HintOf(err) == "" {
			t.Errorf("%v, and it was to say %q", err, says)
		}
	}
	named := inBucket
	named.Settings = recovery.Settings{"prefix": {"uploads/"}, "live": {"uploads"}}
	refused(inBucket, "which bucket")
	live := l.look(t, named, copies)
	server.SetVersioning("shop", false)
	refused(named, "keeps no versions")
	if _, err := l.switcher.Identify(t.Context(), live.Target, asIs); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("the identity of a bucket that keeps no versions any more: %v", err)
	}
	open := func(context.Context, recovery.Copy, func(string) (string, error)) (storage.Store, error) {
		return directory(t), nil
	}
	if _, err := bucket.NewSwitcher(open).Look(t.Context(), named, copies, asIs); recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("a directory as the live bucket: %v", err)
	}
}

// Where a row names a hash, the version that has it wins over the clock: over one
// that was written a moment too early, over a deletion; a hash that no version has is
// told.
func TestBucket_byRows(t *testing.T) {
	server, store := versioned(t)
	digest := func(text string) string {
		sum := sha256.Sum256([]byte(text))
		return hex.EncodeToString(sum[:])
	}
	store.put(t, "uploads/a", "a, as it was")
	store.put(t, "uploads/b", "b, as it was")
	store.put(t, "uploads/c", "c, as it was")
	store.put(t, "uploads/d", "d, as it was")
	store.put(t, "uploads/a", "a, harmed by a server whose clock is slow")
	store.remove(t, server, "uploads/b")
	moment := time.Now().UTC()
	e := bucket.New(bucket.Options{SyncEvery: 4 << 10, Rows: func(context.Context, recovery.Env, string, string) iter.Seq2[recovery.NamedFile, error] {
		return func(yield func(recovery.NamedFile, error) bool) {
			for _, f := range []recovery.NamedFile{
				{Path: "a", SHA256: digest("a, as it was"), Bytes: -1}, {Path: "b", SHA256: digest("b, as it was"), Bytes: 12},
				{Path: "c", SHA256: digest("c, as it was"), Bytes: -1}, {Path: "d", Bytes: -1}, {Path: "e", SHA256: digest("e"), Bytes: 1}} {
				if !yield(f, nil) {
					return
				}
			}
		}
	}})
	s := survey(t, e, inBucket, store)
	p, err := e.Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: moment, Text: "then"}, store)
	if err != nil {
		t.Fatal(err)
	}
	l := newLiveRun(store, nil)
	l.engine = e
	target := recovery.Target{ID: "scratch/uploads", Scratch: true, Component: "uploads", Place: filepath.Join(t.TempDir(), "run", "uploads")}
	steps, err := e.Plan(inBucket, p, target)
	if err != nil {
		t.Fatal(err)
	}
	rows := e.(recovery.RowReader).PlanRows(inBucket, p, target, recovery.FilesCheckArgs{On: "database", Query: "select path, sha256 from uploads", Files: "uploads"})
	rows.After = []string{steps[0].ID}
	var restored map[string]string
	l.switcher = probing{l.switcher, func() error {
		restored = contents(t, filepath.Join(target.Place, "tree"))
		return nil
	}}
	end := l.run(t, &recovery.Plan{Format: 1, Run: "test", System: "test", Mode: recovery.Rehearsal, Components: []recovery.Component{inBucket},
		Copies: []recovery.Copy{{Name: "nearby", URL: "s3://shop"}}, Targets: []recovery.Target{target}, Stages: []recovery.Stage{{Name: "Restore"}},
		Steps: append(steps, rows, recovery.Step{ID: "probe", Kind: "probe", Says: "look", After: []string{rows.ID}}), Moment: recovery.Moment{Points: []recovery.Point{p}}})
	passed(t, end)
	want := map[string]string{"a": "a, as it was", "b": "b, as it was", "c": "c, as it was", "d": "d, as it was"}
	if diff := cmp.Diff(want, restored); diff != "" {
		t.Error(diff)
	}
	if o := end.Step(rows.ID).Outcome; o.Facts["versions by their hash"] != "2" || o.Facts["hashes that no version has"] != "1" || !strings.Contains(strings.Join(o.Remarks, "; "), `"e"`) {
		t.Errorf("%+v", o)
	}
}

// Rows are not held against a tree that is gone: it is restored anew, all of it, and then
// they are.
func TestBucket_byRowsAnew(t *testing.T) {
	_, store := versioned(t)
	want := map[string]string{"a": "a, as it was", "b": "b, as it was"}
	for name, text := range want {
		store.put(t, "uploads/"+name, text)
	}
	sum := sha256.Sum256([]byte(want["a"]))
	e := bucket.New(bucket.Options{SyncEvery: 4 << 10, Rows: func(context.Context, recovery.Env, string, string) iter.Seq2[recovery.NamedFile, error] {
		return func(yield func(recovery.NamedFile, error) bool) {
			yield(recovery.NamedFile{Path: "a", SHA256: hex.EncodeToString(sum[:]), Bytes: -1}, nil)
		}
	}})
	p, err := e.Resolve(t.Context(), survey(t, e, inBucket, store), latest, store)
	if err != nil {
		t.Fatal(err)
	}
	l := newLiveRun(store, nil)
	l.engine = e
	target := recovery.Target{ID: "scratch/uploads", Scratch: true, Component: "uploads", Place: filepath.Join(t.TempDir(), "run", "uploads")}
	steps, err := e.Plan(inBucket, p, target)
	if err != nil {
		t.Fatal(err)
	}
	rows := e.(recovery.RowReader).PlanRows(inBucket, p, target, recovery.FilesCheckArgs{On: "database", Query: "select path, sha256 from uploads", Files: "uploads"})
	rows.After = []string{"before"}
	tree, looked := filepath.Join(target.Place, "tree"), 0
	var restored map[string]string
	l.switcher = probing{l.switcher, func() error {
		if looked++; looked == 1 {
			return os.RemoveAll(tree)
		}
		restored = contents(t, tree)
		return nil
	}}
	look := func(id, after string) recovery.Step {
		return recovery.Step{ID: id, Kind: "probe", Says: "look", After: []string{after}}
	}
	end := l.run(t, &recovery.Plan{Format: 1, Run: "test", System: "test", Mode: recovery.Rehearsal, Components: []recovery.Component{inBucket},
		Copies: []recovery.Copy{{Name: "nearby", URL: "s3://shop"}}, Targets: []recovery.Target{target}, Stages: []recovery.Stage{{Name: "Restore"}},
		Steps: append(steps, look("before", steps[0].ID), rows, look("after", rows.ID)), Moment: recovery.Moment{Points: []recovery.Point{p}}})
	passed(t, end)
	if diff := cmp.Diff(want, restored); diff != "" || looked != 3 {
		t.Errorf("looked %d times: %s", looked, diff)
	}
}

// probing is a switcher with one kind of step more, that looks.
type probing struct {
	recovery.Switcher
	look func() error
}

func (p probing) Kinds() []recovery.Kind { return []recovery.Kind{p} }
func (probing) Name() string             { return "probe" }
func (probing) Restart() recovery.Restart {
	return recovery.Repeat
}
func (p probing) Do(context.Context, recovery.Env, recovery.Step) (recovery.Outcome, error) {
	return recovery.Outcome{}, errors.Join(p.look())
}
