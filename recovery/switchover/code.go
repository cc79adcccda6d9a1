package switchover

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/live"
)

// codeArgs are those of the step that looks at what would be loaded.
type codeArgs struct {
	args
	// Trusts are the powers that the runbook gives to code that live does not have.
	Trusts []string `json:"trusts,omitempty"`
}

// codeFact is under which name the digest of the code that was seen is recorded.
const codeFact = "code"

// lookAtCode looks at the code in what was restored before any of it is loaded into the live
// server with the rights of a superuser: what only a superuser may make, and live does not
// have, is for a person to judge, or for who wrote the runbook. It changes nothing.
type lookAtCode struct{}

func (lookAtCode) Name() string              { return codeName }
func (lookAtCode) Restart() recovery.Restart { return recovery.Repeat }

func (lookAtCode) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a codeArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	_, restored, err := restoredAt(env, a.Component)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("look at the code of %s: %w", a.Component, err)
	}
	address, err := env.Secret(a.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("compare the restored code with that of live", 0, recovery.NoUnit)
	code, err := a.database(address).Code(ctx, restored)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return a.judge(env, code)
}

// judge refuses what nobody has trusted, and tells the rest.
func (a codeArgs) judge(env recovery.Env, code live.Code) (recovery.Outcome, error) {
	if code.Superuser == "" {
		return recovery.Outcome{Says: "the role that loads it is no superuser, and may make nothing that only one may"}, nil
	}
	refused := code.Untrusted(a.Trusts)
	if len(refused) > 0 {
		list, err := a.named(env, refused)
		if err != nil {
			return recovery.Outcome{}, err
		}
		return recovery.Outcome{}, recovery.Errorf(a.waysOn(refused),
			"refused: loading it would bring code with the rights of superuser %s that live does not have: %s", code.Superuser, list).WithExit(recovery.Refused)
	}
	o := recovery.Outcome{Says: "no code in it has the rights of a superuser that live does not have", Facts: map[string]string{codeFact: code.Digest}}
	if len(code.Powers) > 0 {
		list, err := a.named(env, code.Powers)
		if err != nil {
			return recovery.Outcome{}, err
		}
		o.Says = "what of its code has the rights of a superuser, and is not in live, the runbook trusts"
		o.Remarks = append(o.Remarks, "loaded because `trusts:` of the runbook says so: "+list)
	}
	o.Remarks = append(o.Remarks, remarksOn(code)...)
	return o, nil
}

// waysOn are what can be done about code that nobody has trusted.
func (a codeArgs) waysOn(refused []live.Power) string {
	var words []string
	for _, p := range refused {
		if !slices.Contains(words, p.Kind) {
			words = append(words, p.Kind)
		}
	}
	return fmt.Sprintf("read it (comeback look %s --component %s \"select …\"), and go on with a reason if you trust it; or let the runbook say so: `trusts: [%s]`; or restore it beside with `into: hand-over`",
		a.Run, a.Component, strings.Join(append(slices.Clone(a.Trusts), words...), ", "))
}

// mostNamed is how many things a sentence names.
const mostNamed = 6

// named names powers in a sentence; where they are many, all are in a file beside the report.
func (a codeArgs) named(env recovery.Env, all []live.Power) (string, error) {
	var says []string
	for _, p := range all {
		says = append(says, p.Says)
	}
	if len(says) <= mostNamed {
		return strings.Join(says, "; "), nil
	}
	w, name, err := recovery.NewArtifact(env, a.Component+"-code", ".txt")
	if err == nil {
		_, err = fmt.Fprintln(w, strings.Join(says, "\n"))
		if errClose := w.Close(); err == nil {
			err = errClose
		}
	}
	if err != nil {
		return "", fmt.Errorf("list the code of %s: %w", a.Component, err)
	}
	return fmt.Sprintf("%s; and %d more, all of them in %s", strings.Join(says[:mostNamed], "; "), len(says)-mostNamed, name), nil
}

// remarksOn tell what nobody has to decide about.
func remarksOn(code live.Code) (remarks []string) {
	if code.Closed {
		return []string{fmt.Sprintf("what of its code is new is not known: database %s lets nobody in, so that there is nothing to compare it with", code.Database)}
	}
	if n := len(code.Functions); n > 0 {
		loading := ""
		if len(code.Loading) > 0 {
			loading = ", first of all those that a constraint, a generated column or a partition key calls: " + some(code.Loading)
		}
		remarks = append(remarks, fmt.Sprintf("%s of it live does not have, or not as here; while it is loaded they may run with the rights of superuser %s%s: give `admin:` a role that is none",
			recovery.FormatCount(int64(n), "function"), code.Superuser, loading))
	}
	if len(code.Extensions) > 0 {
		remarks = append(remarks, "live gets extensions that it does not have: "+some(code.Extensions))
	}
	return remarks
}

// some are the first of names, and how many there are besides.
func some(names []string) string {
	if len(names) <= mostNamed {
		return strings.Join(names, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(names[:mostNamed], ", "), len(names)-mostNamed)
}

// codeSeen is the digest of the code that a step before this one has seen; empty where none
// has, as in plans of earlier versions, or where a person went on without it.
func codeSeen(env recovery.Env, component string) string {
	p, ok := env.(recovery.Preceded)
	if !ok {
		return ""
	}
	for _, st := range p.Before() {
		if st.Kind == codeName && st.Component == component && st.State == recovery.Done {
			return st.Outcome.Facts[codeFact]
		}
	}
	return ""
}

var languageName = pattern.New(`^[a-z_][a-z0-9_$]*$`)

// checkTrusted says what is wrong with one of what a runbook trusts.
func checkTrusted(text string) error {
	if text == live.EventTriggers || text == live.Definers || languageName.MatchString(text) {
		return nil
	}
	return recovery.Errorf("write "+live.EventTriggers+", "+live.Definers+", or the name of a language, as plpython3u or c", "is no language, and none of %s, %s", live.EventTriggers, live.Definers).WithExit(recovery.Usage)
}
