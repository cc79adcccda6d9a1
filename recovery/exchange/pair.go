package exchange

import (
	"errors"
	"fmt"
	"io/fs"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// Pair is two files or directories that are to change places. Its paths are
// clean, absolute and free of symbolic links.
type Pair struct {
	// Live is the path that people and programs use, Beside where the restored
	// one lies before and the old one after.
	Live   string `json:"live"`
	Beside string `json:"beside"`
	// Old is what was live, New what was restored. Old is zero where nothing was
	// at Live: then New is moved there.
	Old Identity `json:"old"`
	New Identity `json:"new"`
}

// Side says what stands at the live path.
type Side string

// What stands at the live path.
const (
	// Before: the old one, or nothing where nothing was.
	Before Side = "before"
	// After: the new one.
	After Side = "after"
)

// Side reads what stands where. Anything but one of the two orders is a refusal:
// somebody has put something else there.
func (p Pair) Side() (Side, error) {
	live, err := look(p.Live)
	if err != nil {
		return "", err
	}
	beside, err := look(p.Beside)
	if err != nil {
		return "", err
	}
	apart := live.path != "" && beside.path != "" && live.mount != beside.mount
	switch {
	case p.New == (Identity{}) || p.Old.Is(p.New):
		return "", fmt.Errorf("exchange %s: it is not known what was restored", p.Live)
	case apart:
		return "", refuse("find out what is mounted there; nothing was changed by this step",
			"%s and %s are not on the same file system (or not in the same mount of it) any more", p.Live, p.Beside)
	case live.identity.Is(p.Old) && beside.identity.Is(p.New):
		return Before, nil
	case live.identity.Is(p.New) && beside.identity.Is(p.Old):
		return After, nil
	}
	return "", recovery.Errorf("find out who changed it; nothing was changed by this step",
		"exchange %s with %s: %s", p.Live, p.Beside, p.stranger(live.identity, beside.identity)).WithExit(recovery.Refused)
}

// Brings reports whether a path, by whatever links it is written, is the one from which
// the restored one is brought.
func (p Pair) Brings(path string) bool {
	at, err := resolve(path)
	return err == nil && at == p.Beside
}

// stranger says which of the two paths holds what it should not.
func (p Pair) stranger(live, beside Identity) string {
	for _, at := range []struct {
		path  string
		found Identity
	}{{p.Live, live}, {p.Beside, beside}} {
		if !at.found.Is(p.Old) && !at.found.Is(p.New) {
			return fmt.Sprintf("at %s is another one now, %s (it was %s or %s)", at.path, name(at.found), name(p.Old), name(p.New))
		}
	}
	return fmt.Sprintf("at %s is %s, at %s %s, and it was %s and %s", p.Live, name(live), p.Beside, name(beside), name(p.Old), name(p.New))
}

func name(i Identity) string {
	if i == (Identity{}) {
		return "nothing"
	}
	return i.String()
}

// look is describe for a path where nothing may be.
func look(path string) (found, error) {
	f, err := describe(path)
	if errors.Is(err, fs.ErrNotExist) {
		return found{}, nil
	}
	return f, err
}

// identify is Identify for a path where nothing may be.
func identify(path string) (Identity, error) {
	id, err := Identify(path)
	if errors.Is(err, fs.ErrNotExist) {
		return Identity{}, nil
	}
	return id, err
}

// Exchange lets the new one be live. It returns when that is durable; where it
// has happened already, it makes it durable and returns. An error leaves what
// was live, live.
func (p Pair) Exchange() error { return p.to(After) }

// Undo lets the old one be live again, in the same way.
func (p Pair) Undo() error { return p.to(Before) }

func (p Pair) to(want Side) error {
	at, err := p.Side()
	if err != nil {
		return err
	}
	live, err := openParent(p.Live)
	if err != nil {
		return err
	}
	defer live.close()
	beside, err := openParent(p.Beside)
	if err != nil {
		return err
	}
	defer beside.close()
	if at != want {
		if err := p.swap(live, beside, want); err != nil {
			return err
		}
	}
	for _, parent := range []place{live, beside} {
		if err := unix.Fsync(parent.dir); err != nil {
			return fmt.Errorf("exchange %s: make it durable: %w", p.Live, err)
		}
	}
	return nil
}

// swap exchanges the names and looks at what it has exchanged: between the look
// before and the act, somebody may have put something else there. Then it is
// taken back.
func (p Pair) swap(live, beside place, want Side) error {
	from, to, flags := beside, live, uint(unix.RENAME_EXCHANGE)
	if p.Old == (Identity{}) {
		flags = unix.RENAME_NOREPLACE
		if want == Before {
			from, to = live, beside
		}
	}
	if err := unix.Renameat2(from.dir, from.name, to.dir, to.name, flags); err != nil {
		return p.refusal(err)
	}
	at, err := p.Side()
	if err == nil && at == want {
		return nil
	}
	back := unix.Renameat2(to.dir, to.name, from.dir, from.name, flags)
	return errors.Join(err, back)
}

// refusal puts the kernel's refusal into words.
func (p Pair) refusal(err error) error {
	hint := "look at both places, then retry; nothing was changed"
	switch {
	case errors.Is(err, unix.EXDEV):
		hint = "restore beside the live one, on the same file system"
	case errors.Is(err, unix.EBUSY):
		hint = "one of them is a mount point: restore inside that file system and name the directory in it"
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS):
		hint = "this file system cannot exchange two directories in one step: restore to another one, or hand the restored one over"
	}
	return recovery.Errorf(hint, "exchange %s with %s: %w", p.Live, p.Beside, err)
}
