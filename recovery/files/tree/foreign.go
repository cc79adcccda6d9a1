package tree

import (
	"fmt"
	"os"
	"slices"
	"sync"

	"comeback/recovery"
)

// giver is whom this process can give files to: root to everybody, others only to themselves
// and their groups.
type giver struct {
	root   bool
	uid    int
	groups []int
}

// thisProcess is the giver that this process is.
var thisProcess = sync.OnceValue(func() giver {
	g := giver{root: os.Geteuid() == 0, uid: os.Geteuid(), groups: []int{os.Getegid()}}
	if more, err := os.Getgroups(); err == nil { // without them, less can be given
		g.groups = append(g.groups, more...)
	}
	return g
})

func (g giver) can(uid, gid int) bool {
	return g.root || uid == g.uid && slices.Contains(g.groups, gid)
}

// Foreign counts the names of a tree that this process cannot give to their owners. Whoever
// restores notes it with what is restored, so that no attempt loses what the one before it has
// counted.
type Foreign struct {
	Names int64  `json:"names,string"`
	First string `json:"first"`
}

// AllOwn reports whether this process can give everything to its owner.
func AllOwn() bool { return thisProcess().root }

// See counts a name of the tree by its owner. A hard link is the name of what was counted.
func (f *Foreign) See(name string, uid, gid int) {
	if thisProcess().can(uid, gid) {
		return
	}
	if f.Names++; f.Names == 1 {
		f.First = fmt.Sprintf("%s of user %d, group %d", Show(name), uid, gid)
	}
}

// Tell adds to the outcome of a restore what is not its owners', and to its bindings, for
// whoever makes the tree live.
func (f Foreign) Tell(o *recovery.Outcome) {
	if f.Names == 0 {
		return
	}
	says := recovery.FormatCount(f.Names, "name") + ", the first " + f.First
	for i := range o.Bindings {
		o.Bindings[i].Disowned = says
	}
	o.Remarks = append(o.Remarks, says+", belong to the user of this run: only root can give them to their owners")
}
