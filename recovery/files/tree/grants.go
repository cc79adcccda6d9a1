package tree

import (
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/attributes"
	"comeback/recovery/files/tally"
)

// What a restored file lets whoever reaches it do, in the order in which it is told.
const (
	asOwner = "user"         // it runs with the rights of its owner
	asGroup = "group"        // with those of its group
	capable = "capabilities" // with capabilities of its own
	device  = "device"
)

// grants are the files of a tree that give rights to whoever reaches them. The scratch
// directory is closed to others; a switch opens what is in it to every user of the host.
type grants struct{ *tally.Tally }

// keptGrants ends the name of the file beside a tree that they are kept in.
const keptGrants = ".grants"

// grantsNamed is how many of a kind are named.
const grantsNamed = 3

func grantsIn(kept string) grants { return grants{tally.New(kept, grantsNamed-1)} }

// see notes a file by its mode, as chmod takes it.
func (g grants) see(name string, mode uint32, uid, gid int) error {
	why := asGroup
	switch {
	case mode&0o111 == 0, mode&0o6000 == 0:
		return nil
	case mode&0o4000 != 0:
		why = asOwner
	}
	return g.Note(why, fmt.Sprintf("%s (mode %o, user %d, group %d)", Show(name), mode, uid, gid))
}

// tell adds to an outcome what gives rights.
func (g grants) tell(o *recovery.Outcome) error {
	all, err := g.All()
	if err != nil {
		return err
	}
	for _, kind := range []struct{ why, one, does string }{
		{asOwner, "restored file", "set-user-ID, whoever runs it has the rights of its owner"},
		{asGroup, "restored file", "set-group-ID, whoever runs it has the rights of its group"},
		{capable, "restored file", "with capabilities, which whoever runs it has (getcap tells which)"},
		{device, "restored device", "which whoever its mode lets reads or writes past every file system"},
	} {
		n, ok := all[kind.why]
		if !ok {
			continue
		}
		names := strings.Join(append([]string{n.First}, n.Others...), ", ")
		if more := n.Names - 1 - int64(len(n.Others)); more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s, %s: %s; look that the live tree is to have it", recovery.FormatCount(n.Names, kind.one), kind.does, names))
	}
	return nil
}

// TellGrants looks through a tree that another program has written, and adds to an outcome
// which of its files give rights.
func TellGrants(tree string, o *recovery.Outcome) error {
	g, err := grantedIn(tree)
	if err != nil {
		return err
	}
	return g.tell(o)
}

func grantedIn(tree string) (grants, error) {
	g := grantsIn("")
	err := filepath.WalkDir(tree, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(tree, path)
		switch {
		case err != nil:
			return err
		case e.Type()&fs.ModeDevice != 0:
			return g.Note(device, Show(name))
		case !e.Type().IsRegular():
			return nil
		}
		return g.look(path, name, e)
	})
	if err != nil {
		return g, fmt.Errorf("look which restored files give rights: %w", err)
	}
	return g, nil
}

// look notes a file that is there.
func (g grants) look(path, name string, e fs.DirEntry) error {
	info, err := e.Info()
	if err != nil {
		return err
	}
	st := info.Sys().(*syscall.Stat_t)
	if err := g.see(name, st.Mode&0o7777, int(st.Uid), int(st.Gid)); err != nil {
		return err
	}
	has, err := attributes.Capable(path)
	if err == nil && has {
		err = g.Note(capable, Show(name))
	}
	return err
}
