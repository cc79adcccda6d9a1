package main

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"comeback/recovery"
	"comeback/recovery/runner"
	"comeback/recovery/verify"
)

// hostile is what an object's name, a server's message or a person's note may hold.
const hostile = "\x1b[2J\x1b]0;title\a\x1b]52;c;aGk=\x1b\\\u009b5m\u202egnp\u2066\u200b\r\n\tz\x00\x7f\xff\u2028\x1bP+q\x1b\\"

// actsOnTerminals reports whether something of what was printed would command a terminal, or hide or
// turn around what stands beside it.
func actsOnTerminals(printed string) bool {
	return !utf8.ValidString(printed) || strings.ContainsFunc(printed, func(r rune) bool {
		return r != '\n' && unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}

// poison makes every text of a value hostile.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Type().Field(i); f.IsExported() && f.Name != "Step" {
				poison(v.Field(i))
			}
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(v.String() + hostile)
		}
	}
}

// poisoned is an event with hostile texts.
func poisoned[P recovery.Payload](p P) recovery.Payload {
	poison(reflect.ValueOf(&p))
	return p
}

// Nothing that a run tells acts on the terminal on which it is printed, whatever it was told.
func TestPlainWriter_harmless(t *testing.T) {
	p := &recovery.Plan{Run: "7c31", Stages: []recovery.Stage{{Name: "Restore" + hostile}}, Steps: []recovery.Step{
		{ID: "a", Kind: "pitr.copy", Component: "db" + hostile, Says: "copy" + hostile},
		recovery.NewStep("t", recovery.KindTicks, "ticks"+hostile, recovery.TicksArgs{Items: []string{"one" + hostile}})}}
	s := recovery.NewState(p)
	at := time.Now()
	for i, payload := range []recovery.Payload{
		poisoned(recovery.RunStarted{}), poisoned(recovery.StepStarted{Step: "a", Attempt: 2}), poisoned(recovery.StepCheckpoint{Step: "a"}),
		poisoned(recovery.StepFinished{Step: "a", Outcome: recovery.Outcome{Remarks: []string{""}, Exceptions: []string{""}, Check: &recovery.CheckResult{}, Reached: &recovery.Reached{Evidence: []string{""}}}}),
		poisoned(recovery.StepFailed{Step: "a"}), poisoned(recovery.Waiting{Step: "a"}), poisoned(recovery.Decided{Step: "a"}), poisoned(recovery.StepSkipped{Step: "a"}),
		poisoned(recovery.StepGone{Step: "a"}), poisoned(recovery.Approved{Step: "a"}), poisoned(recovery.Ticked{Step: "t"}), poisoned(recovery.StepFailed{Step: "none" + hostile}),
		poisoned(recovery.Waiting{Step: "t"}), poisoned(recovery.RunResumed{}), poisoned(recovery.LeaseTaken{}), poisoned(recovery.LeaseHanded{}), poisoned(recovery.Amended{}),
		poisoned(recovery.SecretGiven{}), poisoned(recovery.Notified{}), poisoned(recovery.OutageNoted{Since: at}), poisoned(recovery.HeldBack{}), poisoned(recovery.Confirmed{}),
		poisoned(recovery.Noted{}), poisoned(recovery.ClaimReleased{}), poisoned(recovery.ClaimKept{}), poisoned(recovery.StopAsked{}),
	} {
		e, err := recovery.NewEvent(at, payload)
		if err != nil {
			t.Fatal(err)
		}
		e.Seq = uint64(i + 1)
		s = recovery.Fold(s, e)
		var out strings.Builder
		(&plainWriter{out: &out, now: time.Now}).event(&s, e)
		if got := out.String(); actsOnTerminals(got) || got == "" {
			t.Errorf("%s is printed as %q", e.Type, got)
		}
	}
}

// Nor does what a command prints of errors, of the rows of a query, and of what was left.
func TestApp_harmless(t *testing.T) {
	r := newRig(t)
	for name, prints := range map[string]func(a *app) error{
		"an error": func(a *app) error { a.tell(recovery.Errorf(hostile, "it failed: %w", errors.New(hostile))); return nil },
		"rows": func(a *app) error {
			h := hostile
			return a.printResult(verify.Result{Names: []string{h}, Rows: [][]*string{{&h}}}, false)
		},
		"retention": func(a *app) error { a.sayRetained("%s", hostile); return nil },
		"a wait":    func(a *app) error { a.sayWaiting(hostile); return nil },
		"a claim that was kept": func(a *app) error {
			s := recovery.State{Claims: []recovery.ClaimState{{Resource: recovery.Resource{Kind: recovery.Directory, ID: hostile}, Kept: hostile}}}
			if a.tellHeld(&plainWriter{out: a.out, now: a.now, redact: a.said}, &recovery.Plan{Run: "7c31"}, &s) == nil {
				return errors.New("nothing was kept")
			}
			return nil
		},
		"what another host holds": func(a *app) error {
			past := runner.Past{ID: "7c31", Plan: &recovery.Plan{System: hostile}, State: recovery.State{Host: hostile, Operator: hostile, Run: "7c31"}}
			a.tell(a.stopEnded(t.Context(), runner.Past{ID: past.ID, Plan: past.Plan, State: past.State, Brought: true}, "", nil))
			return nil
		},
	} {
		var out, errs strings.Builder
		a := r.app(&out, &errs)
		if err := prints(a); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := out.String() + errs.String(); actsOnTerminals(got) || strings.TrimSpace(got) == "" {
			t.Errorf("%s is printed as %q", name, got)
		}
	}
}
