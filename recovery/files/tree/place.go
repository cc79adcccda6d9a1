package tree

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
	"syscall"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
	"comeback/storage"
)

// Place is where a restore has its tree, in scratch: beside it lies the ledger of what is in
// it, and what else an attempt leaves for the one after it.
type Place struct {
	// Component is whose tree it is, What is restored there, for people: "the snapshot
	// 4f2a".
	Component, What string
	// Dir is the step's own directory, Scratch says that it is no live one.
	Dir     string
	Scratch bool
}

// Path is that of something beside the tree.
func (p Place) Path(name string) string { return filepath.Join(p.Dir, name) }

// Tree is the path of the tree.
func (p Place) Tree() string { return p.Path("tree") }

// Ledger is the path of the ledger.
func (p Place) Ledger() string { return p.Path("files.ledger") }

// Begin makes the place this process's own: a restored tree may hold programs
// that run with their owner's rights, which nobody else is to reach.
func (p Place) Begin() error {
	err := os.Chmod(p.Dir, 0o700)
	if err == nil {
		err = os.Lchown(p.Dir, os.Geteuid(), os.Getegid())
	}
	if err != nil {
		return fmt.Errorf("close the scratch directory to others: %w", err)
	}
	return nil
}

// Open opens the tree of a restore. Where there is none, as where somebody has removed
// it to restore anew, nothing is true any more that a ledger says of it: that is forgotten
// before the tree is made, so that no interruption leaves a new tree and the old ledger.
func (p Place) Open() (*Writer, error) {
	dir := p.Tree()
	_, err := os.Lstat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		if err = ledger.Forget(p.Ledger()); err == nil {
			err = os.Mkdir(dir, 0o700)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("make the tree: %w", err)
	}
	if folds(dir) {
		return nil, recovery.Errorf("choose another place for scratch, with --scratch or $COMEBACK_SCRATCH", "make the tree: %s is on a file system that does not tell upper from lower case, where one file would come in the place of another", dir).WithExit(recovery.Refused)
	}
	return Open(dir)
}

// folds reports whether a directory is found under its name in capital letters, too. Of what
// is written there nobody could tell whether it is another file or the same one again. A
// variable for tests.
var folds = func(dir string) bool {
	info, err := os.Lstat(dir)
	other, errOther := os.Lstat(filepath.Join(filepath.Dir(dir), strings.ToUpper(filepath.Base(dir))))
	return err == nil && errOther == nil && os.SameFile(info, other)
}

// OpenLedger opens the ledger of a restore of that name, and removes from the tree what
// stands there where nothing of it is believed. The tree must have been opened before. The
// JSON of an entry has "whole", which is true of the last one: the tree is complete.
func OpenLedger[E any](p Place, of string) (*ledger.Ledger[E], []E, error) {
	l, past, err := ledger.Open[E](p.Ledger(), of, ledger.Boot())
	if err != nil || len(past) > 0 {
		return l, past, err
	}
	entries, err := os.ReadDir(p.Tree())
	for _, e := range entries {
		if err == nil {
			err = os.RemoveAll(filepath.Join(p.Tree(), e.Name()))
		}
	}
	if err == nil { // what it has noted of the tree
		err = os.RemoveAll(p.Tree() + keptGrants)
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("remove what an earlier attempt left: %w", err), l.Close())
	}
	return l, nil, nil
}

// Standing proves by the ledger of that name that the tree is there and whole; or that it is
// live, by the exchange that was cut off after it. Where it is neither, the error wraps
// recovery.ErrGone.
func (p Place) Standing(env recovery.Env, of string, rebooted bool) error {
	if p.live(env) {
		return nil
	}
	boot := ledger.Boot()
	if rebooted {
		boot = ""
	}
	past, err := ledger.Read[Ended](p.Ledger(), of, boot)
	if err != nil {
		return err
	}
	info, errTree := os.Lstat(p.Tree())
	if len(past) == 0 || !past[len(past)-1].Whole || errTree != nil || !info.IsDir() {
		return fmt.Errorf("the tree of %s is not whole on disk: %w", p.What, recovery.ErrGone)
	}
	return nil
}

// live reports whether the tree has taken a live one's place in an exchange that is
// not finished: whoever exchanges keeps with its claim which directory is which.
func (p Place) live(env recovery.Env) bool {
	for _, r := range env.Held() {
		var pair exchange.Pair
		if !r.Kind.Exchanges() || json.Unmarshal([]byte(r.Details["pair"]), &pair) != nil || !pair.Brings(p.Tree()) {
			continue
		}
		at, err := exchange.Identify(pair.Live)
		return err == nil && at.Is(pair.New)
	}
	return false
}

// Ended is what entries of every ledger of a place have: the last says that the tree is
// whole.
type Ended struct {
	Whole bool `json:"whole"`
}

// Binding is where the tree can be reached, which is a copy of a live directory; "" where it is
// not known of which.
func (p Place) Binding(of string) recovery.Binding {
	return recovery.Binding{Component: p.Component, URL: (&url.URL{Scheme: "file", Path: p.Tree()}).String(), Scratch: p.Scratch, Of: of}
}

// Failed gives a failure of the restore its next step.
func (p Place) Failed(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("restore %s: %w", p.What, context.Cause(ctx))
	}
	hint := recovery.HintOf(err)
	if hint == "" && errors.Is(err, storage.ErrCorrupt) {
		hint = "choose another backup, or the same from another copy, and find out what damaged this one"
	}
	hint = cmp.Or(hint, recovery.CopyHint(err))
	if hint == "" && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		hint = "make room where scratch lies, or choose another place with --scratch, then retry"
	}
	hint = cmp.Or(hint, "read the step's log, then retry")
	e := recovery.Errorf(hint, "restore %s: %w", p.What, err)
	return e.WithExit(recovery.ExitOf(err))
}
