package verify_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// stood is an environment in which steps have ended.
type stood struct {
	bound
	before []recovery.StepState
}

func (s stood) Before() []recovery.StepState { return s.before }

// brought is a step that has brought a component to a moment, as the nth event.
func brought(component string, at time.Time, n uint64) recovery.StepState {
	return recovery.StepState{State: recovery.Done, EndedSeq: n, Outcome: recovery.Outcome{Reached: &recovery.Reached{Component: component, Time: at}}}
}

// What is relative to the moment is held against the one that was reached, and against the one
// that was planned where no step tells.
func TestSQLCheck_reached(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 20})
	const before, after = "timestamptz '2026-11-23 01:41:00+00'", "timestamptz '2026-11-23 01:42:00+00'"
	later := moment.Add(2 * time.Minute)
	failed := brought("database", later, 9)
	failed.State = recovery.FailedAt
	for name, c := range map[string]struct {
		value   string
		moment  time.Time
		atLeast bool
		before  []recovery.StepState
		held    bool
		found   string
	}{
		"later than planned":            {value: after, moment: moment, before: []recovery.StepState{brought("database", later, 3)}, held: true, found: "1m05 before the moment"},
		"after what was reached":        {value: after, moment: later, before: []recovery.StepState{brought("database", moment, 3)}, found: "after the moment"},
		"the newest of two":             {value: after, moment: moment, before: []recovery.StepState{brought("database", later, 5), brought("database", moment, 3)}, held: true, found: "before the moment"},
		"no moment was planned":         {value: after, before: []recovery.StepState{brought("database", later, 3)}, held: true, found: "before the moment"},
		"of another component":          {value: after, moment: moment, before: []recovery.StepState{brought("uploads", later, 3)}, found: "after the moment"},
		"a step that has failed":        {value: after, moment: moment, before: []recovery.StepState{failed}, found: "after the moment"},
		"a step that does not tell":     {value: before, moment: moment, before: []recovery.StepState{brought("database", time.Time{}, 3), {State: recovery.Done}}, held: true, found: "before the moment"},
		"at least":                      {value: after, moment: moment, atLeast: true, before: []recovery.StepState{brought("database", time.Time{}, 3)}, held: true, found: "after what is known of the moment"},
		"at least, and what is reached": {value: after, moment: later, atLeast: true, before: []recovery.StepState{brought("database", moment, 3)}, found: "after the moment"},
		"nobody knows":                  {value: before, before: []recovery.StepState{brought("database", time.Time{}, 3)}, found: "is not known as a time"},
	} {
		t.Run(name, func(t *testing.T) {
			step := recovery.NewStep("1", recovery.KindSQLCheck, "check", recovery.SQLCheckArgs{Name: "x", On: "database", Query: "select " + c.value,
				Expect: "within 10m", Moment: c.moment, AtLeast: c.atLeast})
			o, err := verify.SQLCheck{}.Do(t.Context(), stood{bound{url: s.URL()}, c.before}, step)
			if o.Check == nil || o.Check.Held != c.held || (err == nil) != c.held || !strings.Contains(o.Check.Found, c.found) {
				t.Errorf("%+v, %v", o.Check, err)
			}
			if known := !strings.Contains(recovery.HintOf(err), "what you know of the moment"); known != (name != "nobody knows") {
				t.Errorf("the hint is %q", recovery.HintOf(err))
			}
		})
	}
}
