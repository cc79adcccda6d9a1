package files

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/files/tree"
)

// lateFile holds the links and directories of an archive, in scratch.
const lateFile = "late"

// restoreKind writes a tree. An interruption leaves a part of it, which the next
// attempt goes on with.
type restoreKind struct{ engine }

// Name is files.restore or config.restore.
func (k restoreKind) Name() string { return k.name + ".restore" }

func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

// Needs is what decrypts a backup that is encrypted.
func (restoreKind) Needs(step recovery.Step) ([]string, error) {
	var a args
	if err := step.Decode(&a); err != nil || !a.Facts.Sealed {
		return nil, err
	}
	return []string{a.Identity, a.Passphrase}, nil
}

// Do restores the tree and binds the component to it.
func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, err := k.open(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := s.Begin(); err != nil {
		return recovery.Outcome{}, err
	}
	t, err := s.Open()
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer t.Close()
	var o recovery.Outcome
	if s.args.Facts.Sealed {
		if s.unseal, err = unsealer(env, s.args); err != nil {
			return recovery.Outcome{}, err
		}
	}
	if s.args.Facts.Form == snapshotForm {
		var r *restoring
		if r, err = restoreSnapshot(ctx, env, s, t); err == nil {
			o = r.outcome()
		}
	} else {
		var a *archive
		if a, err = restoreArchive(ctx, env, s, t); err == nil {
			o = a.outcome()
		}
	}
	if err == nil {
		err = t.Tell(&o)
	}
	if err == nil && k.sealed() {
		err = s.compare(env, s.liveBase(o.Bindings[0].Of), &o)
	}
	if err != nil {
		return recovery.Outcome{}, s.Failed(ctx, err)
	}
	return o, nil
}

// Revive proves by the ledger that the tree is still there and whole.
func (k restoreKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, rebooted bool) error {
	s, err := k.open(ctx, env, step)
	if err != nil {
		return err
	}
	of, err := s.args.ledgerOf()
	if err != nil {
		return err
	}
	return s.Standing(env, of, rebooted)
}

// scratch is a step's place.
type scratch struct {
	tree.Place
	args      args
	syncEvery int64
	jobs      int
	// unseal decrypts; nil where nothing is encrypted.
	unseal func(io.Reader) (io.Reader, error)
	// room refuses where so many more bytes have no room; nil where nobody looks.
	room func(more int64) error
}

func (k restoreKind) open(ctx context.Context, env recovery.Env, step recovery.Step) (*scratch, error) {
	s := &scratch{syncEvery: k.SyncEvery, jobs: k.Jobs}
	if err := step.Decode(&s.args); err != nil {
		return nil, err
	}
	h, err := env.Target(ctx, s.args.Target)
	s.Place, s.room = tree.Place{Component: s.args.Component, What: s.args.Backup, Dir: h.Dir, Scratch: h.Scratch}, h.Room
	return s, err
}

// outcome is the report of an archive that is restored.
func (a *archive) outcome() recovery.Outcome {
	n, size := a.log.now.Files, a.log.now.Bytes
	o := recovery.Outcome{
		Says: fmt.Sprintf("%s is restored: %s, %s", a.args.Backup, recovery.FormatCount(n, "file"), recovery.FormatBytes(size)),
		Facts: map[string]string{"backup": a.args.Backup, "form": a.args.Facts.says(), "taken": a.args.Taken.Says(),
			"files": strconv.FormatInt(n, 10), "bytes": strconv.FormatInt(size, 10)},
		Bindings: []recovery.Binding{a.Binding(a.of)},
		Reached: &recovery.Reached{Component: a.args.Component, Time: a.args.Taken.To, Evidence: []string{
			fmt.Sprintf("the archive was read to its end mark and every entry of it is in the tree; it was taken %s", a.args.Taken.Says())}},
		Exceptions: a.leftOut,
	}
	if sum := a.digest(); sum != "" {
		o.Facts["sha256"] = sum
	}
	if a.root != "" {
		o.Facts["tree in the archive"] = a.root
	}
	if a.absolute > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("%s of the archive began with a slash; they are restored below the tree", recovery.FormatCount(a.absolute, "name")))
	}
	if a.attrs > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("access control lists as text, attributes of links or of one host alone, or as bsdtar alone writes them, of %s were not restored", recovery.FormatCount(a.attrs, "file")))
	}
	if n := len(a.private); n > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the archive does not describe %d of its directories, %s the first: they are private, until a switch gives them owner and mode", n, tree.Show(a.private[0])))
	}
	o.Remarks = append(o.Remarks, a.tree.Remarks()...)
	a.foreign.Tell(&o)
	return o
}
