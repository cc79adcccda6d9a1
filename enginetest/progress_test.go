package enginetest

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"comeback/recovery"
)

// telling is a kind whose step only shows something.
type telling func(recovery.Meter)

func (telling) Name() string              { return "telling.steps" }
func (telling) Restart() recovery.Restart { return recovery.Repeat }

func (k telling) Do(_ context.Context, env recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
	k(env.Meter())
	return recovery.Outcome{}, nil
}

// silent is a meter that nobody sees.
type silent struct{ recovery.Meter }

func (silent) Phase(string, int64, recovery.Unit) {}
func (silent) Add(int64)                          {}
func (silent) Set(int64)                          {}

type withSilent struct{ recovery.Env }

func (withSilent) Meter() recovery.Meter { return silent{} }

// failures are what a test would fail of.
type failures struct {
	testing.TB
	all []string
}

func (f *failures) Helper() {}

func (f *failures) Errorf(format string, args ...any) {
	f.all = append(f.all, fmt.Sprintf(format, args...))
}

// A restore of which people would see nothing move, or more than all of it, fails its test.
func TestProgress(t *testing.T) {
	copies := func(m recovery.Meter) {
		m.Phase("copy", 10, recovery.InBytes)
		m.Add(10)
	}
	for name, c := range map[string]struct {
		steps     []telling
		uncounted bool
		says      string
	}{
		"it counts":                         {[]telling{copies}, false, ""},
		"a step says nothing":               {[]telling{copies, func(recovery.Meter) {}}, false, "the step 1 (telling.steps) shows nothing that moves"},
		"a step says one thing":             {[]telling{copies, func(m recovery.Meter) { m.Phase("wait", 0, recovery.NoUnit) }}, false, "the step 1 (telling.steps) shows nothing that moves"},
		"a step says one thing again":       {[]telling{copies, func(m recovery.Meter) { m.Phase("wait", 0, recovery.NoUnit); m.Phase("wait", 0, recovery.NoUnit) }}, false, "nothing that moves"},
		"a step says one after another":     {[]telling{copies, func(m recovery.Meter) { m.Phase("wait", 0, recovery.NoUnit); m.Phase("go", 0, recovery.NoUnit) }}, false, ""},
		"a total and nothing of it":         {[]telling{func(m recovery.Meter) { m.Phase("copy", 10, recovery.InBytes) }}, false, "nothing that moves"},
		"more than all of it":               {[]telling{func(m recovery.Meter) { m.Phase("copy", 10, recovery.InBytes); m.Set(11) }}, false, `more than all of it: 11 of 10 at "copy"`},
		"of how much is not said":           {[]telling{func(m recovery.Meter) { m.Phase("copy", 0, recovery.InBytes); m.Add(3) }}, false, "no step shows how much"},
		"of how much is not known":          {[]telling{func(m recovery.Meter) { m.Phase("copy", 0, recovery.InBytes); m.Add(3) }}, true, ""},
		"what is not known must move, also": {[]telling{func(m recovery.Meter) { m.Phase("copy", 0, recovery.InBytes) }}, true, "nothing that moves"},
	} {
		t.Run(name, func(t *testing.T) {
			var p progress
			for i, k := range c.steps {
				if _, err := p.watch([]recovery.Kind{k})[0].Do(t.Context(), withSilent{}, recovery.Step{ID: fmt.Sprint(i), Kind: k.Name()}); err != nil {
					t.Fatal(err)
				}
			}
			f := &failures{TB: t}
			p.judge(f, c.uncounted)
			if got := strings.Join(f.all, "; "); c.says == "" && got != "" || !strings.Contains(got, c.says) {
				t.Errorf("it fails of %q, want %q", got, c.says)
			}
		})
	}
}
