package trees

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"comeback/recovery"
)

// onlyLive is what a live checkout has and the restored tree of a commit has not: its history,
// what git does not track, and what other commits have. An exchange would take all of it away.
type onlyLive struct {
	live  string
	names int64
	first []string
	// history says that .git is one of them.
	history bool
	// list is the artifact that has each name on a line, that of a directory with a slash at its
	// end and without what is in it.
	list io.WriteCloser
	as   string
}

// onlyLiveNamed is how many of them are named.
const onlyLiveNamed = 3

// onlyLive looks what the live checkout has that is not restored, and lists it.
func (a handOverArgs) onlyLive(env recovery.Env) (o onlyLive, err error) {
	if len(a.Live) != 1 || unnamed(a.Live[0]) {
		return o, nil
	}
	o.live = filepath.Clean(a.Live[0])
	top, err := filepath.EvalSymlinks(o.live)
	if errors.Is(err, fs.ErrNotExist) {
		return o, nil
	}
	add := func(name string, e fs.DirEntry) error { return o.add(env, a.Component+".only-live", name, e) }
	if err == nil {
		err = differ(top, a.tree(), add)
	}
	if o.list != nil {
		err = errors.Join(err, o.list.Close())
	}
	if err != nil {
		return o, fmt.Errorf("look what %s has that is not restored: %w", o.live, err)
	}
	return o, nil
}

// differ calls add for what a directory has and another one has not, and for what it may not
// look into.
func differ(top, other string, add func(name string, e fs.DirEntry) error) error {
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it is gone by now
		}
		if err != nil && (path == top || !errors.Is(err, fs.ErrPermission)) {
			return err
		}
		name, errName := filepath.Rel(top, path)
		if errName != nil {
			return errName
		}
		if err == nil {
			there, err := os.Lstat(filepath.Join(other, name))
			if err == nil && there.IsDir() == e.IsDir() {
				return nil
			}
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		if err := add(name, e); err != nil {
			return err
		}
		if e.IsDir() {
			return fs.SkipDir
		}
		return nil
	})
}

// add lists one name.
func (o *onlyLive) add(env recovery.Env, list, name string, e fs.DirEntry) (err error) {
	if o.list == nil {
		if o.list, o.as, err = recovery.NewArtifact(env, list, ".txt"); err != nil {
			return err
		}
	}
	o.history = o.history || name == ".git"
	if e.IsDir() {
		name += "/"
	}
	name = strconv.Quote(name)
	if o.names++; len(o.first) < onlyLiveNamed {
		o.first = append(o.first, name)
	}
	_, err = fmt.Fprintln(o.list, name)
	return err
}

// says is what people do instead of an exchange. A checkout that has its history goes to a
// commit by itself: git leaves what it does not track.
func (o onlyLive) says(commit string) string {
	named := strings.Join(o.first, ", ")
	if more := o.names - int64(len(o.first)); more > 0 {
		named += fmt.Sprintf(" and %d more", more)
	}
	says := fmt.Sprintf("%s has what this commit has not, and an exchange would take away: %s, listed in artifacts/%s; copy over what is needed of it", o.live, named, o.as)
	if o.history && commit != "" {
		says += ", or let the checkout itself go to the commit, as the user whose it is: " +
			"git -C " + recovery.ShellWord(o.live) + " checkout --detach " + commit
	}
	return says
}
