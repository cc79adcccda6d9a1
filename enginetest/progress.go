package enginetest

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// progress sees what the steps of a restore show of how far they are, each value before
// it is thinned for the screen.
type progress struct {
	mu    sync.Mutex
	steps map[string]*shown
}

// shown is what one step has shown, in all of its attempts.
type shown struct {
	kind   string
	phases []string
	// moved says that a phase has counted, toward that it has counted towards a total.
	moved, toward bool
	beyond        string
}

// of is what a step has shown.
func (p *progress) of(s recovery.Step) *shown {
	if p.steps == nil {
		p.steps = map[string]*shown{}
	}
	if p.steps[s.ID] == nil {
		p.steps[s.ID] = &shown{kind: s.Kind}
	}
	return p.steps[s.ID]
}

// judge fails the test where somebody who looks at a step of a restore that has passed would
// not see it move: each counts something, or says one thing after another; at least one
// counts towards a total, unless nobody knows how much there is; and none goes beyond it.
func (p *progress) judge(t testing.TB, uncounted bool) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	toward := false
	for id, s := range p.steps {
		toward = toward || s.toward
		if !s.moved && len(slices.Compact(slices.Clone(s.phases))) < 2 {
			t.Errorf("the step %s (%s) shows nothing that moves: its phases are %q", id, s.kind, s.phases)
		}
		if s.beyond != "" {
			t.Errorf("the step %s (%s) shows more than all of it: %s", id, s.kind, s.beyond)
		}
	}
	if !toward && !uncounted {
		t.Errorf("no step shows how much of what there is to restore is done")
	}
}

// watched is a kind whose steps' progress is seen.
type watched struct {
	recovery.Kind
	progress *progress
}

func (w watched) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	w.progress.mu.Lock()
	of := w.progress.of(s)
	w.progress.mu.Unlock()
	return w.Kind.Do(ctx, &watchedEnv{env, &watchedMeter{Meter: env.Meter(), progress: w.progress, shown: of}}, s)
}

// reviving is a watched kind that can bring what it made back to life.
type reviving struct {
	watched
	recovery.Reviver
}

// watch gives kinds whose steps' progress is seen.
func (p *progress) watch(kinds []recovery.Kind) []recovery.Kind {
	var all []recovery.Kind
	for _, k := range kinds {
		if strings.HasPrefix(k.Name(), "test.") { // what a test adds, nobody looks at
			all = append(all, k)
			continue
		}
		w := watched{k, p}
		if r, ok := k.(recovery.Reviver); ok {
			all = append(all, reviving{w, r})
			continue
		}
		all = append(all, w)
	}
	return all
}

// watchedEnv is the step's own, with another meter.
type watchedEnv struct {
	recovery.Env
	meter *watchedMeter
}

func (e *watchedEnv) Meter() recovery.Meter { return e.meter }

// Box is the executor's, which servers ask for.
func (e *watchedEnv) Box() isolation.Box {
	return e.Env.(interface{ Box() isolation.Box }).Box()
}

// watchedMeter counts as the executor's meter does.
type watchedMeter struct {
	recovery.Meter
	progress    *progress
	shown       *shown
	phase       string
	done, total int64
}

func (m *watchedMeter) Phase(name string, total int64, unit recovery.Unit) {
	m.Meter.Phase(name, total, unit)
	m.progress.mu.Lock()
	defer m.progress.mu.Unlock()
	m.shown.phases = append(m.shown.phases, name)
	m.phase, m.done, m.total = name, 0, total
}

func (m *watchedMeter) Add(n int64) {
	m.Meter.Add(n)
	m.count(func() { m.done += n })
}

func (m *watchedMeter) Set(n int64) {
	m.Meter.Set(n)
	m.count(func() { m.done = n })
}

func (m *watchedMeter) count(do func()) {
	m.progress.mu.Lock()
	defer m.progress.mu.Unlock()
	do()
	m.shown.moved = m.shown.moved || m.done > 0
	m.shown.toward = m.shown.toward || m.done > 0 && m.total > 0
	if m.total > 0 && m.done > m.total {
		m.shown.beyond = fmt.Sprintf("%d of %d at %q", m.done, m.total, m.phase)
	}
}
