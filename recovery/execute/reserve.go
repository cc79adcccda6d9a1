package execute

import (
	"comeback/recovery"
	"comeback/recovery/room"
)

// leastFree is what stays free of a disk that something lives on: a full disk would end what
// lives there.
const leastFree = 256 << 20

// roomIn gives what a step asks for room in a scratch target.
func (x *Executor) roomIn(t recovery.Target) (func(more int64) error, error) {
	_, device, err := room.Free(t.Place)
	if err != nil {
		return nil, err
	}
	return Room(t.Place, keepsFree(x.Plan, t, device), guarded{Target: t, tree: isTree(x.Plan, t)}.hint()), nil
}

// Room gives what is asked before so many more bytes are written to a place, and for none
// while something is written there: it refuses where fewer than keep would stay free of its
// disk, and hints at what else can be done.
func Room(place string, keep int64, hint string) func(more int64) error {
	return func(more int64) error {
		free, _, err := room.Free(place)
		switch {
		case err != nil:
			return err
		case free >= more+keep, more+keep == 0:
			return nil
		case more == 0:
			return recovery.Errorf(hint, "refused: there is %s free in %s, and %s must stay free for what lives on that disk", recovery.FormatBytes(free), place, recovery.FormatBytes(keep)).WithExit(recovery.Refused)
		case keep == 0:
			return recovery.Errorf(hint, "refused: %s needs %s and there is %s free", place, recovery.FormatBytes(more), recovery.FormatBytes(free)).WithExit(recovery.Refused)
		}
		return recovery.Errorf(hint, "refused: %s needs %s and there is %s free, of which %s must stay free for what lives on that disk", place, recovery.FormatBytes(more), recovery.FormatBytes(free), recovery.FormatBytes(keep)).WithExit(recovery.Refused)
	}
}

// Keep is how much must stay free of the disk of a place where no plan tells what lives on it:
// as much as of any that something lives on, and of a small one a tenth.
func Keep(place string) (int64, error) {
	all, err := room.Total(place)
	return min(leastFree, all/10), err
}

// keepsFree is how much must stay free of a device that a target lies on, for what lives
// there.
func keepsFree(p *recovery.Plan, t recovery.Target, device uint64) int64 {
	if t.BecomesLive || t.Beside || livesOn(p, device) {
		return leastFree
	}
	return 0
}

// livesOn reports whether anything lives on a device, as far as a plan tells.
func livesOn(p *recovery.Plan, device uint64) bool {
	for path := range living(p) {
		if _, at, err := room.On(path); err == nil && at == device {
			return true
		}
	}
	return false
}
