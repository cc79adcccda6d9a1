package switchover

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// expireArgs are those of the step that removes old data.
type expireArgs struct {
	Old     recovery.Old      `json:"old"`
	Target  recovery.TargetID `json:"target"`
	Address string            `json:"address,omitempty"`
}

const expireName = "live.expire"

// oldTarget is what the target of an expiry says of itself.
type oldTarget struct {
	Into string       `json:"into"`
	Old  recovery.Old `json:"old"`
}

const intoOld = "old data"

func isOld(t recovery.Target) (oldTarget, bool) {
	var o oldTarget
	err := json.Unmarshal(t.Facts, &o)
	return o, err == nil && o.Into == intoOld
}

// Expire lists the step that removes what an earlier run has put aside, or left
// running.
func (s switcher) Expire(c recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	if there, is := s.Elsewhere[c.Component.With]; is {
		if either, is := there.(Either); !is || !either.Here(old) {
			return there.Expire(c, old)
		}
	}
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: recovery.Postgres, Place: old.Place, Name: old.Place, Identity: old.Identity}
	t.Address = cmp.Or(c.Component.Settings.Text("admin"), c.Component.Settings.Text("url"))
	if old.Identity["inode"] == "" && old.Identity["database oid"] == "" {
		return t, nil, recovery.Errorf("remove it by hand", "remove %s: it is not recorded which one it is", old.Place)
	}
	var err error
	if t.Facts, err = json.Marshal(oldTarget{Into: intoOld, Old: old}); err != nil {
		return t, nil, fmt.Errorf("keep which old data is meant: %w", err)
	}
	step := recovery.NewStep("expire", expireName, "remove "+old.Place+" for good", expireArgs{Old: old, Target: t.ID, Address: t.Address})
	step.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{step}, nil
}

// expire removes old data. What is cut off is ended by the next attempt.
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
	o := recovery.Outcome{Says: a.Old.Place + " is gone"}
	if oid := a.Old.Identity["database oid"]; oid != "" {
		n, err := strconv.ParseUint(oid, 10, 32)
		if err != nil {
			return recovery.Outcome{}, fmt.Errorf("remove %s: %w", a.Old.Place, errNotRecorded)
		}
		address, err := env.Secret(a.Address)
		if err != nil {
			return recovery.Outcome{}, err
		}
		return o, live.DropOld(ctx, address, a.Old.Place, uint32(n))
	}
	var which exchange.Identity
	if err := which.UnmarshalText([]byte(a.Old.Identity["inode"])); err != nil {
		return recovery.Outcome{}, errors.Join(err, errNotRecorded)
	}
	if a.Old.Served {
		h := live.Handed{Place: a.Old.Place}
		if err := h.Unused(ctx, a.Old.Address); err != nil {
			return recovery.Outcome{}, err
		}
		return o, h.Remove(ctx, which)
	}
	pids, err := postgres.Processes(a.Old.Place)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if len(pids) > 0 {
		return recovery.Outcome{}, recovery.Errorf("stop it if nobody needs it, then retry", "refused: a server uses %s (process %d)", a.Old.Place, pids[0]).WithExit(recovery.Refused)
	}
	return o, exchange.Discard(a.Old.Place, which)
}

// identifyOld reads whether old data is still what was put aside; what is being
// removed already still is.
func identifyOld(ctx context.Context, t oldTarget, address string) (recovery.Identity, error) {
	now := recovery.Identity{}
	for name, v := range t.Old.Identity {
		now[name] = v
	}
	if t.Old.Identity["database oid"] != "" {
		oid, err := live.OldDatabase(ctx, address, t.Old.Place)
		if err != nil {
			return nil, err
		}
		delete(now, "database oid")
		if oid != 0 {
			now["database oid"] = strconv.FormatUint(uint64(oid), 10)
		}
		return now, nil
	}
	at, err := exchange.Standing(t.Old.Place)
	if err != nil {
		return nil, err
	}
	delete(now, "inode")
	if at != (exchange.Identity{}) {
		text, err := at.MarshalText()
		if err != nil {
			return nil, err
		}
		now["inode"] = string(text)
	}
	return now, nil
}
