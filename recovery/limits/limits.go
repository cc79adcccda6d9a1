// Package limits is what a rehearsal that nobody watches may take of its host.
//
// It promises that a plan which would take more is refused before anything of it begins, and
// that a run which takes more after all is stopped. What cannot be looked at meanwhile counts
// as nothing; memory that is short for a moment, by anybody's doing, stops nothing. It ends no
// process, and removes nothing: whoever runs the run does.
package limits

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/room"
)

// Limits are how many bytes of disk it may need in scratch, and how many of memory must be
// free before it begins; 0 is no limit.
type Limits struct{ Disk, Memory int64 }

// Hold refuses a plan that would take more than it may.
func (l Limits) Hold(p *recovery.Plan) error {
	var needs int64
	for _, s := range p.Steps {
		for _, g := range s.Guards {
			if g.Kind == recovery.GuardRoom {
				needs += g.Bytes
			}
		}
	}
	if l.Disk > 0 && needs > l.Disk {
		return recovery.Errorf("raise --max-disk, or rehearse on a larger host", "refused: the rehearsal needs about %s of disk, and may take %s",
			recovery.FormatBytes(needs), recovery.FormatBytes(l.Disk)).WithExit(recovery.Refused)
	}
	if len(p.Targets) > 0 { // all scratch lies in one place
		place := p.Targets[0].Place
		free, _, err := room.Free(place)
		if err != nil {
			return err
		}
		if needs > free {
			return recovery.Errorf("make room, or name another place with --scratch", "refused: the rehearsal needs about %s in %s, and %s are free",
				recovery.FormatBytes(needs), place, recovery.FormatBytes(free)).WithExit(recovery.Refused)
		}
	}
	if l.Memory > 0 {
		free, err := freeMemory()
		if err != nil {
			return err
		}
		if free < l.Memory {
			return recovery.Errorf("rehearse when the host is less busy, or lower --min-memory", "refused: %s of memory are free, and %s are to stay free for the host",
				recovery.FormatBytes(free), recovery.FormatBytes(l.Memory)).WithExit(recovery.Refused)
		}
	}
	return nil
}

// freeMemory is what the kernel says could be had without swapping.
func freeMemory() (int64, error) {
	f, err := os.Open("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("look for free memory: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var kb int64
		if n, _ := fmt.Sscanf(lines.Text(), "MemAvailable: %d kB", &kb); n == 1 {
			return kb << 10, nil
		}
	}
	return 0, fmt.Errorf("look for free memory: /proc/meminfo does not tell")
}

// lookEach is how often a run is held to its limits, and lookRest how many times longer
// than a look the time between two looks is at least.
const (
	lookEach = time.Second
	lookRest = 20
)

// Watch looks at what a run takes until ctx ends, and stops the run where that is more
// than it may.
func (l Limits) Watch(ctx context.Context, place string, stop func(cause error)) {
	rest, short := lookEach, 0
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(rest):
		}
		began := time.Now()
		err := l.exceeded(place)
		if err == nil {
			if err = l.starved(); err != nil {
				short++
			} else {
				short = 0
			}
			if short < shortLooks { // it may be short for a moment, by anybody's doing
				err = nil
			}
		}
		if err != nil {
			stop(err)
			return
		}
		rest = max(lookEach, lookRest*time.Since(began))
	}
}

// shortLooks is at how many looks, one after the other, memory must be short.
const shortLooks = 5

// exceeded says that a run in a place takes more disk than it may.
func (l Limits) exceeded(place string) error {
	if l.Disk > 0 {
		takes, _ := room.Taken(place) // what cannot be looked at is not counted
		if takes > l.Disk {
			return recovery.Errorf("raise --max-disk, or rehearse on a larger host", "the rehearsal takes %s of disk, and may take %s", recovery.FormatBytes(takes), recovery.FormatBytes(l.Disk))
		}
	}
	return nil
}

// starved says that the host has less memory left than half of what had to be free before
// the run began.
func (l Limits) starved() error {
	if l.Memory > 0 {
		if free, err := freeMemory(); err == nil && free < l.Memory/2 {
			return recovery.Errorf("rehearse when the host is less busy, or lower --min-memory", "%s of memory are left to the host, less than half of %s",
				recovery.FormatBytes(free), recovery.FormatBytes(l.Memory))
		}
	}
	return nil
}
