package files

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
	"comeback/storage"
)

// What stands in a scratch target.
const (
	treeDir    = "tree"
	lateFile   = "late"
	ledgerFile = "files.ledger"
)

// restoreKind writes a tree. An interruption leaves a part of it, which the next
// attempt goes on with.
type restoreKind struct{ engine }

// Name is files.restore or config.restore.
func (k restoreKind) Name() string { return k.name + ".restore" }

func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

// Do restores the tree and binds the component to it.
func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, err := k.open(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := s.begin(); err != nil {
		return recovery.Outcome{}, err
	}
	t, err := s.openTree()
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
		err = errors.Join(t.grants.tell(&o), t.unset.tell(&o))
	}
	if err == nil && k.sealed() {
		err = s.compare(env, &o)
	}
	if err != nil {
		return recovery.Outcome{}, s.failed(ctx, err)
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
	return s.standing(env, of, rebooted)
}

// standing proves by a ledger that the tree is there and whole; or that it is live,
// by the exchange that was cut off after it.
func (s *scratch) standing(env recovery.Env, of string, rebooted bool) error {
	if s.live(env) {
		return nil
	}
	boot := ledger.Boot()
	if rebooted {
		boot = ""
	}
	past, err := ledger.Read[ended](s.path(ledgerFile), of, boot)
	if err != nil {
		return err
	}
	info, errTree := os.Lstat(s.path(treeDir))
	if len(past) == 0 || !past[len(past)-1].Whole || errTree != nil || !info.IsDir() {
		return fmt.Errorf("the tree of %s is not whole on disk: %w", s.args.Backup, recovery.ErrGone)
	}
	return nil
}

// live reports whether the tree has taken a live one's place in an exchange that is
// not finished: whoever exchanges keeps with its claim which directory is which.
func (s *scratch) live(env recovery.Env) bool {
	for _, r := range env.Held() {
		var pair exchange.Pair
		if !r.Kind.Exchanges() || json.Unmarshal([]byte(r.Details["pair"]), &pair) != nil || !pair.Brings(s.path(treeDir)) {
			continue
		}
		at, err := exchange.Identify(pair.Live)
		return err == nil && at == pair.New
	}
	return false
}

// ended is what entries of every ledger of this package have: the last says that
// the tree is whole.
type ended struct {
	Whole bool `json:"whole"`
}

// scratch is a step's place.
type scratch struct {
	args      args
	dir       string
	scratch   bool
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
	s.dir, s.scratch, s.room = h.Dir, h.Scratch, h.Room
	return s, err
}

func (s *scratch) path(name string) string { return filepath.Join(s.dir, name) }

// begin makes the place this process's own: a restored tree may hold programs
// that run with their owner's rights, which nobody else is to reach.
func (s *scratch) begin() error {
	err := os.Chmod(s.dir, 0o700)
	if err == nil {
		err = os.Lchown(s.dir, os.Geteuid(), os.Getegid())
	}
	if err != nil {
		return fmt.Errorf("close the scratch directory to others: %w", err)
	}
	return nil
}

// openTree opens the tree of a restore. Where there is none, as where somebody has removed
// it to restore anew, nothing is true any more that a ledger says of it: that is forgotten
// before the tree is made, so that no interruption leaves a new tree and the old ledger.
func (s *scratch) openTree() (*tree, error) {
	dir := s.path(treeDir)
	_, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = ledger.Forget(s.path(ledgerFile)); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the tree: %w", err)
	}
	return openTree(dir)
}

// openLedger opens the ledger of a restore, and removes what stands there where
// nothing of it is believed. The tree must have been opened before.
func openLedger[E any](s *scratch, of string) (*ledger.Ledger[E], []E, error) {
	l, past, err := ledger.Open[E](s.path(ledgerFile), of, ledger.Boot())
	if err != nil || len(past) > 0 {
		return l, past, err
	}
	entries, err := os.ReadDir(s.path(treeDir))
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(s.path(treeDir), e.Name()))
		}
	}
	if err == nil { // what it has noted of the tree
		err = os.RemoveAll(s.path(treeDir + keptGrants))
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("remove what an earlier attempt left: %w", err), l.Close())
	}
	return l, nil, nil
}

// failed gives a failure its next step.
func (s *scratch) failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("restore %s: %w", s.args.Backup, context.Cause(ctx))
	}
	hint := recovery.HintOf(err)
	switch {
	case hint != "":
	case errors.Is(err, storage.ErrCorrupt):
		hint = "choose another backup, or the same from another copy, and find out what damaged this one"
	case errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrNotExist):
		hint = "find out who writes to the copy, then make a new plan"
	case errors.Is(err, storage.ErrUnavailable):
		hint = "check the network and the copy's endpoint, then retry: nothing is proven to be missing"
	case errors.Is(err, storage.ErrDenied), errors.Is(err, storage.ErrExpired):
		hint = "renew the credentials, then retry"
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		hint = "make room where scratch lies, or choose another place with --scratch, then retry"
	default:
		hint = "read the step's log, then retry"
	}
	e := recovery.Errorf(hint, "restore %s: %w", s.args.Backup, err)
	return e.WithExit(recovery.ExitOf(err))
}

// binding is where the tree can be reached.
func (s *scratch) binding() recovery.Binding {
	return recovery.Binding{Component: s.args.Component, URL: (&url.URL{Scheme: "file", Path: s.path(treeDir)}).String(), Scratch: s.scratch}
}

// outcome is the report of an archive that is restored.
func (a *archive) outcome() recovery.Outcome {
	n, size := a.log.now.Files, a.log.now.Bytes
	o := recovery.Outcome{
		Says: fmt.Sprintf("%s is restored: %s, %s", a.args.Backup, recovery.FormatCount(n, "file"), recovery.FormatBytes(size)),
		Facts: map[string]string{"backup": a.args.Backup, "form": a.args.Facts.says(), "taken": a.args.Taken.Says(),
			"files": strconv.FormatInt(n, 10), "bytes": strconv.FormatInt(size, 10)},
		Bindings: []recovery.Binding{a.binding()},
		Reached: &recovery.Reached{Component: a.args.Component, Time: a.args.Taken.To, Evidence: []string{
			fmt.Sprintf("the archive was read to its end mark and every entry of it is in the tree; it was taken %s", a.args.Taken.Says())}},
		Exceptions: a.leftOut,
	}
	if sum := a.digest(); sum != "" {
		o.Facts["sha256"] = sum
	}
	if a.args.Facts.Root != "" {
		o.Facts["tree in the archive"] = a.args.Facts.Root
	}
	if a.absolute > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("%s of the archive began with a slash; they are restored below the tree", recovery.FormatCount(a.absolute, "name")))
	}
	if a.attrs > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("access control lists as text, attributes of links or of one host alone, or as bsdtar alone writes them, of %s were not restored", recovery.FormatCount(a.attrs, "file")))
	}
	if n := len(a.private); n > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the archive does not describe %d of its directories, %s the first: they are private, until a switch gives them owner and mode", n, show(a.private[0])))
	}
	o.Remarks = append(o.Remarks, a.tree.remarks()...)
	return o
}

// remarks are what a reader should know of a tree.
func (t *tree) remarks() (says []string) {
	if n := t.outside.Load(); n > 0 {
		says = append(says, fmt.Sprintf("%s of the tree, restored as they were: %s", recovery.FormatCount(n, "link")+" lead out", *t.leads.Load()))
	}
	if n := t.foreign.Load(); n > 0 {
		says = append(says, fmt.Sprintf("%s belong to the user of this run: only root can give them to their owners", recovery.FormatCount(n, "name")))
	}
	return says
}
