package limits_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/limits"
)

// needing is a plan whose steps need so much room in a place.
func needing(place string, bytes ...int64) *recovery.Plan {
	p := &recovery.Plan{Targets: []recovery.Target{{Place: place}}}
	for _, n := range bytes {
		p.Steps = append(p.Steps, recovery.Step{Guards: []recovery.Guard{{Kind: recovery.GuardRoom, Bytes: n}, {Kind: "another", Bytes: 1 << 60}}})
	}
	return p
}

// A plan is refused that needs more than it may, than is free, or while the host is short of
// memory.
func TestLimits_Hold(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	for name, c := range map[string]struct {
		limits limits.Limits
		needs  []int64
		says   string
	}{
		"no limits":             {limits.Limits{}, []int64{1000, 1000}, ""},
		"within":                {limits.Limits{Disk: 2000, Memory: 1}, []int64{1000, 1000}, ""},
		"more disk than it may": {limits.Limits{Disk: 1999}, []int64{1000, 1000}, "needs about 2.00 kB of disk, and may take 2.00 kB"},
		"more disk than free":   {limits.Limits{}, []int64{1 << 60}, "are free"},
		"more memory than free": {limits.Limits{Memory: 1 << 60}, nil, "are to stay free for the host"},
	} {
		err := c.limits.Hold(needing(place, c.needs...))
		if c.says == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A run is stopped that takes more disk than it may, or leaves its host less than half of the
// memory for several looks; one within its limits is not, until it has ended.
func TestLimits_Watch(t *testing.T) {
	t.Parallel()
	place := t.TempDir()
	if err := os.WriteFile(filepath.Join(place, "much"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		limits limits.Limits
		says   string
	}{
		"disk":   {limits.Limits{Disk: 1 << 19}, "the rehearsal takes 1.05 MB of disk, and may take 524 kB"},
		"memory": {limits.Limits{Memory: 1 << 60}, "of memory are left to the host"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx, stop := context.WithCancelCause(t.Context())
			defer stop(nil)
			c.limits.Watch(ctx, place, stop)
			if err := context.Cause(ctx); err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("stopped by %v", err)
			}
		})
	}
	ctx, end := context.WithCancel(t.Context())
	end()
	limits.Limits{Disk: 1}.Watch(ctx, place, func(err error) { t.Errorf("stopped after its end: %v", err) })
}
