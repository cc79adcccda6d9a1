package trees

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

// The kinds of steps.
const (
	newerName = "trees.newer"
	swapName  = "trees.swap"
	openName  = "trees.open"
)

// exchangedTree is a claim: two directories that have, or may have, exchanged their
// names. Its record is enough to undo that.
const exchangedTree = recovery.Exchanged + " of trees"

// restoredTree is a claim of what becomes live: given back, it lies aside, and may
// hold what was written to it.
const restoredTree recovery.ResourceKind = "restored tree"

// record is what a claim keeps of an exchange.
type record struct {
	pair  exchange.Pair
	aside string
	// since is when it was claimed: what is written to the old tree later may have
	// come there past the exchange.
	since time.Time
}

// tick is how far the times that the kernel gives to files may be behind its clock.
const tick = 10 * time.Millisecond

func (r record) resource(path string) (recovery.Resource, error) {
	b, err := json.Marshal(r.pair)
	if err != nil {
		return recovery.Resource{}, fmt.Errorf("keep which directory is which: %w", err)
	}
	return recovery.Resource{Kind: exchangedTree, ID: path, Details: map[string]string{"pair": string(b), "aside": r.aside, "since": r.since.Format(time.RFC3339Nano)}}, nil
}

// claim announces an exchange, and what is to be kept if it is given back.
func (r record) claim(ctx context.Context, env recovery.Env, path string) error {
	exchanged, err := r.resource(path)
	if err != nil {
		return err
	}
	if r.aside != "" {
		if err := env.Claim(ctx, recovery.Resource{Kind: restoredTree, ID: r.aside, Details: exchanged.Details}); err != nil {
			return err
		}
	}
	return env.Claim(ctx, exchanged)
}

func recordOf(r recovery.Resource) (record, error) {
	rec := record{aside: r.Details["aside"]}
	if err := json.Unmarshal([]byte(r.Details["pair"]), &rec.pair); err != nil {
		return rec, recovery.Errorf("exchange them back by hand", "give back %s: its record does not say which directory is which: %w", r.ID, err)
	}
	if since, err := time.Parse(time.RFC3339Nano, r.Details["since"]); err == nil { // claims of before this was kept have none
		rec.since = since
	}
	return rec, nil
}

// exchange makes the restored tree live and calls the old one aside. Both directions
// read how far it has come, so that they may be repeated after any interruption.
func (r record) exchange() error {
	if err := r.fetch(); err != nil {
		return err
	}
	if err := r.pair.Exchange(); err != nil {
		return err
	}
	if r.aside == "" || r.pair.Old == (exchange.Identity{}) {
		return nil
	}
	return move(r.pair.Beside, r.aside)
}

// undo makes the old tree live again. The restored one was open to everybody from the
// exchange on: in the same step it takes the old one's place aside, and not the one in
// scratch that it came from, with which it would be removed.
func (r record) undo() error {
	if r.aside == "" {
		return r.pair.Undo()
	}
	kept := r.pair
	kept.Beside = r.aside
	id, err := exchange.Identify(r.aside)
	switch {
	case err == nil && !id.Is(r.pair.Old) && !id.Is(r.pair.New):
		return r.stranger()
	case err == nil:
		return kept.Undo()
	case !errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("look at %s: %w", r.aside, err)
	}
	at, err := r.pair.Side()
	if err != nil {
		return err
	}
	if at == exchange.Before {
		return r.pair.Undo() // it was not live; this makes it durable
	}
	if r.pair.Old != (exchange.Identity{}) {
		if err := move(r.pair.Beside, r.aside); err != nil {
			return err
		}
	}
	return kept.Undo()
}

func (r record) stranger() error {
	return recovery.Errorf("find out what it is and move it away", "refused: there is something else at %s", r.aside).WithExit(recovery.Refused)
}

// fetch brings an old tree that was called aside back beside, from where it is
// exchanged.
func (r record) fetch() error {
	if r.aside == "" {
		return nil
	}
	id, err := exchange.Identify(r.aside)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look at %s: %w", r.aside, err)
	}
	if !id.Is(r.pair.Old) {
		return r.stranger()
	}
	return move(r.aside, r.pair.Beside)
}

// move renames a directory, over nothing, and makes that durable.
func move(from, to string) error {
	if err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE); err != nil {
		return recovery.Errorf("look what stands at "+to, "call %s %s: %w", from, to, err)
	}
	return syncNames(filepath.Dir(from), filepath.Dir(to))
}

// syncNames makes the names in directories durable.
func syncNames(dirs ...string) error {
	for _, dir := range dirs {
		d, err := os.Open(dir)
		if err == nil {
			err = errors.Join(d.Sync(), d.Close())
		}
		if err != nil {
			return fmt.Errorf("make the names in %s durable: %w", dir, err)
		}
	}
	return nil
}

// onDisk returns when all of the file system that a directory lies on is on disk, and so a tree
// that was restored there, by whatever program.
func onDisk(dir, component string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("put the restored %s on disk: %w", component, err)
	}
	if err := errors.Join(unix.Syncfs(int(d.Fd())), d.Close()); err != nil {
		return recovery.Errorf("look at the disk, then retry", "put the restored %s on disk: %w", component, err)
	}
	return nil
}

// swap exchanges the trees, when all of the restored one is on disk: power that is lost
// afterwards finds what came back whole at the live path.
type swap struct{}

func (swap) Name() string              { return swapName }
func (swap) Restart() recovery.Restart { return recovery.Repeat }

func (swap) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, a.Live); err != nil {
		return recovery.Outcome{}, err
	}
	rec, err := a.record(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	remarks, toDo, err := a.dress(rec.pair)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("put everything on disk", 0, recovery.NoUnit)
	if err := onDisk(filepath.Dir(rec.pair.Live), a.Component); err != nil {
		return recovery.Outcome{}, err
	}
	if err := rec.exchange(); err != nil {
		return recovery.Outcome{}, err
	}
	now, err := identify(a.Path)
	if err != nil {
		return recovery.Outcome{}, err
	}
	exceptions, give := a.disowned(env)
	o := recovery.Outcome{Says: a.Path + " is the restored tree now", Remarks: remarks, Exceptions: exceptions, ToDo: append(toDo, give...), Identities: map[recovery.TargetID]recovery.Identity{a.Live: now}}
	place := a.Aside
	if place == "" {
		place = rec.pair.Beside
	}
	if rec.pair.Old != (exchange.Identity{}) {
		was, err := identify(place)
		if err != nil {
			return recovery.Outcome{}, err
		}
		o.Says += "; the one before is " + place
		o.Old = []recovery.Old{{Component: a.Component, Target: a.Live, Place: place, Until: a.Keep, Since: rec.since, Identity: was, Says: "a directory beside the live one"}}
	}
	return o, nil
}

// claimOf finds what an earlier attempt has claimed for a path.
func claimOf(env recovery.Env, path string) (recovery.Resource, bool) {
	for _, r := range env.Held() {
		if r.Kind == exchangedTree && r.ID == path {
			return r, true
		}
	}
	return recovery.Resource{}, false
}

// record is which directory is which: as an earlier attempt has claimed it, or as
// they lie now, claimed before anything is exchanged.
func (a args) record(ctx context.Context, env recovery.Env) (record, error) {
	if r, claimed := claimOf(env, a.Path); claimed {
		return recordOf(r)
	}
	beside := a.Beside
	if beside == "" {
		if beside = scratchTree(env, a.Component); beside == "" {
			return record{}, recovery.Errorf("retry the restore", "make %s live: it is not restored", a.Component)
		}
	}
	pair, err := exchange.Look(a.Path, beside)
	if err != nil {
		return record{}, err
	}
	rec := record{pair: pair, aside: a.Aside, since: time.Now().Add(-tick).UTC()}
	return rec, rec.claim(ctx, env, a.Path)
}

// open keeps what was exchanged, and counts once more what is lost, now that nothing
// written to the live path gets into the old tree. Programs that hold on to the old
// directory itself go on in it: it names those that it sees.
type open struct{}

func (open) Name() string              { return openName }
func (open) Restart() recovery.Restart { return recovery.Repeat }

func (open) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	var a args
	if err := s.Decode(&a); err != nil {
		return o, err
	}
	if _, err := env.Target(ctx, a.Live); err != nil {
		return o, err
	}
	o = recovery.Outcome{Says: a.Path + " stays what it is now",
		Bindings: []recovery.Binding{{Component: a.Component, URL: (&url.URL{Scheme: "file", Path: a.Path}).String()}}}
	for _, r := range env.Held() {
		if r.Kind == restoredTree && r.ID == a.Aside {
			o.Adopted = append(o.Adopted, r)
		}
	}
	if o.Loss, err = a.recount(ctx, env); err != nil {
		return o, fmt.Errorf("count again what is lost of %s: %w", a.Path, err)
	}
	if o.Loss != nil && !o.Loss.Final {
		o.Remarks = append(o.Remarks, "somebody still writes to "+a.Aside+", which is live no more: look who with: fuser -vm "+a.Aside)
	}
	old := cmp.Or(a.Aside, a.Beside)
	using, err := users(old)
	if err != nil {
		return o, fmt.Errorf("look who still uses %s: %w", old, err)
	}
	if len(using) > 0 {
		o.ToDo = append(o.ToDo, fmt.Sprintf("%s: restart what still uses %s, which is live no more, so that nothing more is written there: %s", a.Component, old, strings.Join(using, ", ")))
	}
	return o, nil
}

// undo gives the old tree its place again, from the record of the claim alone.
type undo struct{}

func (undo) Resource() recovery.ResourceKind { return exchangedTree }

func (undo) Release(_ context.Context, r recovery.Resource) error {
	rec, err := recordOf(r)
	if err != nil {
		return err
	}
	return rec.undo()
}

// keepRestored keeps a restored tree that was live: whoever uses the path has written
// to it. One that did not become live is scratch's.
type keepRestored struct{}

func (keepRestored) Resource() recovery.ResourceKind { return restoredTree }

func (keepRestored) Release(_ context.Context, r recovery.Resource) error {
	rec, err := recordOf(r)
	if err != nil {
		return err
	}
	id, err := exchange.Identify(rec.aside)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", rec.aside, err)
	}
	if err == nil && id.Is(rec.pair.New) {
		return recovery.Errorf("look for what was written to it, then remove it by hand",
			"%s was open to its users, may hold what they wrote, and is kept", rec.aside).WithExit(recovery.Refused)
	}
	return nil
}
