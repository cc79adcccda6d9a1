package switchover

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
)

// file is an artifact in memory.
type file struct{ bytes.Buffer }

func (*file) Close() error { return nil }

// judging is what the look at code needs of a run: files.
type judging struct {
	recovery.Env
	files map[string]*file
}

func (j *judging) Artifact(name string) (io.WriteCloser, error) {
	j.files[name] = &file{}
	return j.files[name], nil
}

// What nobody trusts is refused, with what can be done; what the runbook trusts is a remark,
// as is all other code that live does not have.
func TestLookAtCode_judge(t *testing.T) {
	python, guard := live.Power{Kind: "plpython3u", Says: "function public.x() in plpython3u"}, live.Power{Kind: live.EventTriggers, Says: "event trigger guard on ddl_command_end"}
	var many []live.Power
	for i := range 9 {
		many = append(many, live.Power{Kind: "c", Says: fmt.Sprintf("function public.f%d() in c", i)})
	}
	ours := live.Code{Superuser: "postgres", Database: "shop", Digest: "d1"}
	with := func(change func(*live.Code)) live.Code { c := ours; change(&c); return c }
	for name, test := range map[string]struct {
		code    live.Code
		trusts  []string
		refused []string
		next    string
		remarks []string
		file    int
	}{
		"nothing new":     {code: ours},
		"no superuser":    {code: live.Code{Database: "shop"}},
		"what is new":     {code: with(func(c *live.Code) { c.Powers = []live.Power{python, guard} }), refused: []string{"rights of superuser postgres that live does not have: " + python.Says + "; " + guard.Says}, next: "`trusts: [plpython3u, event-triggers]`"},
		"trusted in part": {code: with(func(c *live.Code) { c.Powers = []live.Power{python, guard} }), trusts: []string{"plpython3u"}, refused: []string{"have: " + guard.Says}, next: "`trusts: [plpython3u, event-triggers]`"},
		"trusted":         {code: with(func(c *live.Code) { c.Powers = []live.Power{python, guard} }), trusts: []string{"event-triggers", "plpython3u"}, remarks: []string{"`trusts:` of the runbook says so: " + python.Says + "; " + guard.Says}},
		"many":            {code: with(func(c *live.Code) { c.Powers = many }), refused: []string{"function public.f5() in c; and 3 more, all of them in database-code.txt"}, next: "`trusts: [c]`", file: 9},
		"other functions": {code: with(func(c *live.Code) {
			c.Functions, c.Loading = []string{"public.a()", "public.b()"}, []string{"public.b()"}
		}), remarks: []string{"2 functions of it live does not have, or not as here; while it is loaded they may run with the rights of superuser postgres, first of all those that a constraint, a generated column or a partition key calls: public.b(): give `admin:` a role that is none"}},
		"an extension":      {code: with(func(c *live.Code) { c.Extensions = []string{"vector"} }), remarks: []string{"extensions that it does not have: vector"}},
		"closed":            {code: with(func(c *live.Code) { c.Closed = true }), remarks: []string{"database shop lets nobody in"}},
		"closed, with some": {code: with(func(c *live.Code) { c.Closed, c.Powers = true, []live.Power{guard} }), refused: []string{guard.Says}, next: "comeback look 7c31 --component database"},
	} {
		env := &judging{files: map[string]*file{}}
		o, err := codeArgs{args{Component: "database", Run: "7c31"}, test.trusts}.judge(env, test.code)
		if test.refused != nil {
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), test.refused[0]) || !strings.Contains(recovery.HintOf(err), test.next) {
				t.Errorf("%s: %v (next: %s)", name, err, recovery.HintOf(err))
			}
		} else if err != nil || o.Facts[codeFact] != test.code.Digest || o.Says == "" || !slices.EqualFunc(o.Remarks, test.remarks, strings.Contains) {
			t.Errorf("%s: %+v, %v", name, o, err)
		}
		lines := 0
		for _, f := range env.files {
			lines += strings.Count(f.String(), "\n")
		}
		if lines != test.file {
			t.Errorf("%s: %d lines in files", name, lines)
		}
	}
}

// What was seen counts only where the look has ended well: who went on without it goes on.
func TestCodeSeen(t *testing.T) {
	step := func(kind, component string, state recovery.Progress) recovery.StepState {
		st := recovery.StepState{Step: recovery.Step{ID: component + ".code", Kind: kind, Component: component}, State: state}
		st.Outcome.Facts = map[string]string{codeFact: "d1"}
		return st
	}
	for want, before := range map[string][]recovery.StepState{
		"d1": {step("pitr.promote", "database", recovery.Done), step(codeName, "other", recovery.Done), step(codeName, "database", recovery.Done)},
		"":   {step("pitr.promote", "database", recovery.Done), step(codeName, "other", recovery.Done), step(codeName, "database", recovery.Passed)},
	} {
		if got := codeSeen(after{before: before}, "database"); got != want {
			t.Errorf("seen %q, want %q", got, want)
		}
	}
	if got := codeSeen(struct{ recovery.Env }{}, "database"); got != "" {
		t.Errorf("of no steps: %q", got)
	}
}

// The words of a runbook are those of powers, and names of languages.
func TestCheckTrusted(t *testing.T) {
	for text, ok := range map[string]bool{"event-triggers": true, "definers": true, "plpython3u": true, "c": true, "event-trigger": false, "all of it": false, "": false} {
		if err := checkTrusted(text); (err == nil) != ok || err != nil && recovery.HintOf(err) == "" {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// Nothing is loaded before the look, which a person may go on after; what the runbook trusts
// goes along.
func TestSwitcher_Plan_code(t *testing.T) {
	s, err := switcher{}.Plan(recovery.SwitchContext{Component: recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"trusts": {"c", "definers"}}}, Run: "7c31",
		Live: recovery.Live{Component: "database", Facts: []byte(`{"database":"shop","oid":16385}`), Target: recovery.Target{ID: "live/database", Name: "db1/shop"}}})
	if err != nil {
		t.Fatal(err)
	}
	code, load := s.Prepare[0], s.Prepare[1]
	var a codeArgs
	if err := code.Decode(&a); err != nil || code.Kind != codeName || !code.MayPass || len(code.Writes) > 0 || !slices.Equal(a.Trusts, []string{"c", "definers"}) || a.Database != "shop" {
		t.Errorf("%+v, %+v, %v", code, a, err)
	}
	if load.Kind != loadName || load.MayPass || !slices.Equal(load.After, []string{code.ID}) {
		t.Errorf("%+v", load)
	}
}

// Where nothing can be compared, that is said before anybody types a name: only of a superuser
// who loads beside a database that is empty, or lets nobody in.
func TestNewCode(t *testing.T) {
	c := recovery.Component{Name: "database"}
	seen := func(super, open, empty bool) live.Server {
		s := live.Server{User: "postgres", Superuser: super, Empty: empty, Target: live.Properties{Open: open}}
		s.Database = "shop"
		return s
	}
	for says, servers := range map[string][]live.Server{
		"":               {seen(true, true, false), seen(false, true, true), seen(false, false, false)},
		"is empty":       {seen(true, true, true)},
		"lets nobody in": {seen(true, false, false)},
	} {
		for _, s := range servers {
			all := strings.Join(effects(c, "db1", s).NotUndone, "\n")
			if got := strings.Contains(all, "rights of superuser"); got != (says != "") || !strings.Contains(all, says) {
				t.Errorf("%+v: %s", s, all)
			}
		}
	}
}
