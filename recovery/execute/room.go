package execute

import (
	"fmt"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/room"
)

// guard checks a condition immediately before an attempt at a step.
func (x *Executor) guard(g recovery.Guard, attempt int) error {
	if g.Kind != recovery.GuardRoom {
		return recovery.Errorf("use the version of comeback that made the plan",
			"refused: this version does not know the guard %q", g.Kind).WithExit(recovery.Refused)
	}
	t, err := x.target(g.Target)
	if err != nil {
		return err
	}
	need := g.Bytes
	if attempt > 1 && g.Dir == "" { // what an earlier one has left is gone on with or replaced
		left, err := room.Taken(t.Place)
		if err != nil {
			return err
		}
		need = max(0, need-left)
	}
	return checkRoom(x.Plan, guarded{t, g.Dir, need, isTree(x.Plan, t)})
}

// guarded is a place that a plan needs room in.
type guarded struct {
	recovery.Target
	dir  string
	need int64
	tree bool // of files, not of a server
}

// isTree reports whether a target is of files.
func isTree(p *recovery.Plan, t recovery.Target) bool {
	return slices.ContainsFunc(p.Components, func(c recovery.Component) bool { return c.Name == t.Component && c.Kind != recovery.Postgres })
}

func (g guarded) where() string {
	if g.dir != "" {
		return g.dir
	}
	return g.Place
}

// CheckPlan refuses a plan beforehand whose scratch would lie inside of what lives, or
// whose steps would find too little room: what they need on one file system together
// must be free there, and what must stay free for what lives on it. What may be needed
// beyond that, and is not free, are warnings for the plan. The plan stays as it is.
func CheckPlan(p *recovery.Plan) (warnings []string, err error) {
	if err := checkApart(p); err != nil {
		return nil, err
	}
	type disk struct {
		free, need, likely, keep int64
		all                      []guarded
	}
	disks := map[uint64]*disk{}
	var order []uint64
	for _, s := range p.Steps {
		for _, g := range s.Guards {
			for _, t := range p.Targets {
				if g.Kind != recovery.GuardRoom || t.ID != g.Target {
					continue
				}
				at := guarded{t, g.Dir, g.Bytes, isTree(p, t)}
				free, device, err := room.Free(at.where())
				if err != nil {
					return nil, err
				}
				if disks[device] == nil {
					disks[device] = &disk{free: free}
					order = append(order, device)
				}
				d := disks[device]
				d.need, d.likely = d.need+g.Bytes, d.likely+max(g.Bytes, g.Likely)
				d.keep, d.all = max(d.keep, keepsFree(p, t, device)), append(d.all, at)
			}
		}
	}
	for _, device := range order {
		d := disks[device]
		if d.free < d.need+d.keep {
			return nil, tooSmall(d.all, d.need, d.free, d.keep)
		}
		if d.free < d.likely+d.keep {
			where, verb := places(d.all)
			warnings = append(warnings, fmt.Sprintf("%s %s at least %s, and up to %s if what was dumped has shrunk as far as text does; there is %s free: %s",
				where, verb, recovery.FormatBytes(d.need), recovery.FormatBytes(d.likely), recovery.FormatBytes(d.free), hintOf(d.all)))
		}
	}
	return warnings, nil
}

// places names places, with the verb for what they need.
func places(all []guarded) (where, verb string) {
	var names []string
	for _, g := range all {
		names = append(names, g.where())
	}
	if len(names) > 1 {
		return strings.Join(names, " and "), "together need"
	}
	return strings.Join(names, ""), "needs"
}

// tooSmall says which places lack room, and what can be done instead.
func tooSmall(all []guarded, need, free, keep int64) error {
	where, verb := places(all)
	stays := ""
	if keep > 0 {
		stays = fmt.Sprintf(", of which %s must stay free for what lives on that disk", recovery.FormatBytes(keep))
	}
	return recovery.Errorf(hintOf(all), "refused: %s %s %s and there is %s free%s", where, verb, recovery.FormatBytes(need), recovery.FormatBytes(free), stays).WithExit(recovery.Refused)
}

const elsewhere = "make room, or choose another place with --scratch"

// hintOf is what can be done where places lack room.
func hintOf(all []guarded) string {
	hint := elsewhere
	for _, g := range all {
		if h := g.hint(); h != elsewhere {
			hint = h
		}
	}
	return hint
}

// hint is what can be done where a place lacks room.
func (g guarded) hint() string {
	switch {
	case !g.Beside && !g.BecomesLive:
		return elsewhere
	case g.tree:
		return "make room on that disk; or give another directory as its `path:`, or recover on another host; or leave it out of the switch"
	}
	return "make room on that disk; or write `into: hand-over` and restore into another directory with --scratch, or on another host; or bring only some tables or rows back: comeback rescue RUNBOOK"
}

// checkRoom refuses where too little is free for this user on the file system that
// a place lies on, or will lie on once it is created.
func checkRoom(p *recovery.Plan, g guarded) error {
	free, device, err := room.Free(g.where())
	if err != nil {
		return err
	}
	if keep := keepsFree(p, g.Target, device); free < g.need+keep {
		return tooSmall([]guarded{g}, g.need, free, keep)
	}
	return nil
}
