package trees

import (
	"context"
	"fmt"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

const expireName = "trees.expire"

// expireArgs are those of the step that removes an old tree.
type expireArgs struct {
	Place  string            `json:"place"`
	Inode  string            `json:"inode"`
	Target recovery.TargetID `json:"target"`
}

// Expire lists the step that removes an old tree for good.
func (switcher) Expire(_ recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: recovery.Files, Place: old.Place, Name: old.Place, Identity: old.Identity}
	if old.Identity["inode"] == "" || old.Identity["inode"] == nothing {
		return t, nil, recovery.Errorf("remove it by hand", "remove %s: it is not recorded which directory it is", old.Place)
	}
	s := recovery.NewStep("expire", expireName, "remove "+old.Place+" for good", expireArgs{Place: old.Place, Inode: old.Identity["inode"], Target: t.ID})
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
}

// expire removes an old tree. What is cut off is ended by the next attempt.
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
	return recovery.Outcome{Says: a.Place + " is gone"}, exchange.Discard(a.Place, which)
}
