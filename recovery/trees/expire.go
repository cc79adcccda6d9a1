package trees

import (
	"context"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

const expireName = "trees.expire"

// expireArgs are those of the step that removes an old tree.
type expireArgs struct {
	Place string    `json:"place"`
	Inode string    `json:"inode"`
	Since time.Time `json:"since,omitzero"`
	// Handed says that it was never live: it was handed over.
	Handed bool              `json:"handed,omitempty"`
	Target recovery.TargetID `json:"target"`
}

// Expire lists the step that removes an old tree for good.
func (switcher) Expire(_ recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: recovery.Files, Place: old.Place, Name: old.Place, Identity: old.Identity}
	if old.Identity["inode"] == "" || old.Identity["inode"] == nothing {
		return t, nil, recovery.Errorf("remove it by hand", "remove %s: it is not recorded which directory it is", old.Place)
	}
	s := recovery.NewStep("expire", expireName, "remove "+old.Place+" for good", expireArgs{Place: old.Place, Inode: old.Identity["inode"], Since: old.Since, Handed: old.Handed, Target: t.ID})
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
}

// expire removes an old tree, or one that was handed over. What is cut off is ended by the next attempt.
type expire struct{}

func (expire) Name() string              { return expireName }
func (expire) Restart() recovery.Restart { return recovery.Repeat }

func (expire) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a expireArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, a.Target); err != nil {
		return recovery.Outcome{}, err
	}
	var which exchange.Identity
	if err := which.UnmarshalText([]byte(a.Inode)); err != nil {
		return recovery.Outcome{}, fmt.Errorf("remove %s: %w", a.Place, err)
	}
	if err := a.free(ctx, env); err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: a.Place + " is gone"}, exchange.Discard(a.Place, which)
}

// free refuses a tree that people still need.
func (a expireArgs) free(ctx context.Context, env recovery.Env) error {
	if a.Handed {
		return a.unused()
	}
	return a.unwritten(ctx, env)
}

// unwritten refuses a tree that was written to when it was live no more: a program that
// kept hold of the directory itself (a container's mount, a working directory) goes on in
// it until it is restarted, and what it wrote is nowhere else. Directories do not count,
// so that these files can be taken out. A tree whose removal was cut off stands here no
// more.
func (a expireArgs) unwritten(ctx context.Context, env recovery.Env) error {
	if a.Since.IsZero() {
		return recovery.Errorf("look for what was written to it after its run, then remove it by hand", "remove %s: it is not recorded since when it is live no more", a.Place).WithExit(recovery.Refused)
	}
	env.Meter().Phase("look for what was written after the switch", 0, recovery.InItems)
	var n int64
	var newest string
	var at time.Time
	err := eachFile(ctx, a.Place, func(rel string, info fs.FileInfo) error {
		env.Meter().Add(1)
		if changed := changedAt(info); !info.IsDir() && changed.After(a.Since) {
			if n++; changed.After(at) {
				at, newest = changed, rel
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("look for what was written to %s after the switch: %w", a.Place, err)
	}
	if n == 0 {
		return nil
	}
	return recovery.Errorf(fmt.Sprintf("restart what still uses it (lsof +D %s), list these files with: find %s ! -type d -newerct '%s'; copy what is wanted into the live directory, "+
		"move them out of %s and expire it again", a.Place, a.Place, a.Since.UTC().Format("2006-01-02 15:04:05.000000000 UTC"), a.Place),
		"refused: %s in %s changed after it was live no more, the newest %s at %s: a program went on in it, and that is nowhere else",
		recovery.FormatCount(n, "file"), a.Place, strconv.Quote(newest), at.UTC().Format("2006-01-02 15:04:05Z")).WithExit(recovery.Refused)
}
