package enginetest

import (
	"context"
	"sync"
	"testing"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// Progress sees what the steps of a restore show of how far they are, each value before
// it is thinned for the screen.
type Progress struct {
	mu      sync.Mutex
	phases  []string
	between bool
	beyond  string
}

// Shown fails the test where no phase has counted towards a total, or one went beyond it.
func (p *Progress) Shown(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.between {
		t.Errorf("nothing shows how far the restore is: its phases are %q", p.phases)
	}
	if p.beyond != "" {
		t.Errorf("%s shows more than all of it", p.beyond)
	}
}

// watched is a kind whose steps' progress is seen.
type watched struct {
	recovery.Kind
	progress *Progress
}

func (w watched) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return w.Kind.Do(ctx, &watchedEnv{env, &watchedMeter{Meter: env.Meter(), progress: w.progress}}, s)
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
	progress    *Progress
	phase       string
	done, total int64
}

func (m *watchedMeter) Phase(name string, total int64, unit recovery.Unit) {
	m.Meter.Phase(name, total, unit)
	m.progress.mu.Lock()
	defer m.progress.mu.Unlock()
	m.progress.phases = append(m.progress.phases, name)
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
	switch {
	case m.total > 0 && m.done > m.total:
		m.progress.beyond = m.phase
	case m.total > 0 && m.done > 0:
		m.progress.between = true
	}
}
