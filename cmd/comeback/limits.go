package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/room"
)

// limits are what a rehearsal that nobody watches may take of a host.
type limits struct {
	// disk is how many bytes it may need in scratch, memory how many must be free
	// before it begins; 0 is no limit.
	disk, memory size
}

// size is a number of bytes as people write it: "20GB", "512MB", "1TB".
type size int64

// String is empty for no limit, so that help shows no default of 0 bytes.
func (s *size) String() string {
	if *s == 0 {
		return ""
	}
	return recovery.FormatBytes(int64(*s))
}

func (*size) Type() string { return "SIZE" }

var units = []struct {
	suffix string
	bytes  int64
}{{"TB", 1e12}, {"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1}}

// flag is the size as Set reads it, exactly; empty if there is none.
func (s *size) flag() string {
	for _, u := range units {
		if n := int64(*s); n > 0 && n%u.bytes == 0 {
			return fmt.Sprintf("%d%s", n/u.bytes, u.suffix)
		}
	}
	return ""
}

// Set takes 0 as no limit.
func (s *size) Set(text string) error {
	if strings.TrimSpace(text) == "0" {
		*s = 0
		return nil
	}
	for _, u := range units {
		number, ok := strings.CutSuffix(strings.TrimSpace(text), u.suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
		if err != nil || n < 1 || n > (1<<62)/u.bytes {
			break
		}
		*s = size(n * u.bytes)
		return nil
	}
	return fmt.Errorf("%q is not a size like 20GB, or 0 for no limit", text)
}

// hold refuses a plan that would take more than it may.
func (l limits) hold(p *recovery.Plan) error {
	var needs int64
	for _, s := range p.Steps {
		for _, g := range s.Guards {
			if g.Kind == recovery.GuardRoom {
				needs += g.Bytes
			}
		}
	}
	if l.disk > 0 && needs > int64(l.disk) {
		return recovery.Errorf("raise --max-disk, or rehearse on a larger host", "refused: the rehearsal needs about %s of disk, and may take %s",
			recovery.FormatBytes(needs), l.disk.String()).WithExit(recovery.Refused)
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
	if l.memory > 0 {
		free, err := freeMemory()
		if err != nil {
			return err
		}
		if free < int64(l.memory) {
			return recovery.Errorf("rehearse when the host is less busy, or lower --min-memory", "refused: %s of memory are free, and %s are to stay free for the host",
				recovery.FormatBytes(free), l.memory.String()).WithExit(recovery.Refused)
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

// watch looks at what a run takes until ctx ends, and stops the run where that is more
// than it may.
func (l limits) watch(ctx context.Context, place string, stop func(cause error)) {
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
func (l limits) exceeded(place string) error {
	if l.disk > 0 {
		takes, _ := room.Taken(place) // what cannot be looked at is not counted
		if takes > int64(l.disk) {
			return recovery.Errorf("raise --max-disk, or rehearse on a larger host", "the rehearsal takes %s of disk, and may take %s", recovery.FormatBytes(takes), l.disk.String())
		}
	}
	return nil
}

// starved says that the host has less memory left than half of what had to be free before
// the run began.
func (l limits) starved() error {
	if l.memory > 0 {
		if free, err := freeMemory(); err == nil && free < int64(l.memory)/2 {
			return recovery.Errorf("rehearse when the host is less busy, or lower --min-memory", "%s of memory are left to the host, less than half of %s",
				recovery.FormatBytes(free), l.memory.String())
		}
	}
	return nil
}
