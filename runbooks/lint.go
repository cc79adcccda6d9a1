package runbooks

import (
	"fmt"
	"slices"
	"strings"
)

// Vocabulary is what the rest of the program understands in a runbook.
type Vocabulary struct {
	// Engines are the engines' keys.
	Engines []Schema
	// Expect says what is wrong with an expectation; nil accepts every one.
	Expect func(text string) error
	// Alike says why the backups of two components cannot be told apart, and what to do,
	// empty where they can; nil says it of none.
	Alike func(a, b Component) (what, do string)
}

// Schema is what one engine understands of a component.
type Schema struct {
	// Engine is its name, for `with:`.
	Engine string
	// Kind is the kind of component that it restores.
	Kind string
	Keys []Key
	// Switches says that a recovery can put what was restored in the place of what is
	// live. Where it cannot, Instead is what to write instead of a switch.
	Switches bool
	Instead  string
}

// handOver is the value of `into:` of what a recovery leaves on its own, wherever a
// `switch:` names it.
const handOver = "hand-over"

// Key is one setting of a component.
type Key struct {
	Name, Doc, Example string
	Required           bool
	// List allows several values.
	List bool
	// Check says what is wrong with a value, in words that go on after it ("is not a
	// duration"), and what to write instead; both are empty where nothing is. Nil takes
	// every value.
	Check func(value string) (what, do string)
	// Command says that the value is a command which this host runs to see what there is,
	// Program that it names a program for that, or leads one to others.
	Command, Program bool
}

// Lint checks what a runbook leaves to others: the engines' keys, what cannot be switched,
// backups that cannot be told apart, and the expectations. It is for a runbook that Parse found no error in; its problems
// come in the order of the document.
func Lint(rb *Runbook, v Vocabulary) Problems {
	l := &linter{rb: rb, vocabulary: v}
	for i, c := range rb.Components {
		l.component(c)
		l.apart(c, rb.Components[:i])
	}
	for _, s := range rb.Stages {
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case SQLCheck:
				l.expectation(b)
			case SQLWait:
				l.expectation(b.SQLCheck)
			case Switch:
				l.switched(b)
			}
		}
	}
	l.problems.sort()
	return l.problems.capped()
}

type linter struct {
	rb         *Runbook
	vocabulary Vocabulary
	problems   Problems
}

func (l *linter) expectation(c SQLCheck) {
	if l.vocabulary.Expect == nil || c.Expect == "" {
		return
	}
	if err := l.vocabulary.Expect(c.Expect); err != nil {
		l.problems.add(Error, c.ExpectAt, err.Error(),
			"write for example `>= 1`, `= 42`, `between 1 and 9`, `within 10m`, `no rows`, `rows` or `in {open, paid}`")
	}
}

// apart tells of components whose backups are taken for each other's.
func (l *linter) apart(c Component, before []Component) {
	if l.vocabulary.Alike == nil {
		return
	}
	for _, other := range before {
		if what, do := l.vocabulary.Alike(other, c); what != "" {
			at, ok := c.Keys["prefix"]
			if !ok {
				at = c.Pos
			}
			l.problems.add(Warning, at, what, do)
			return
		}
	}
}

// component checks a component against the engines that may restore it.
func (l *linter) component(c Component) {
	if c.Kind == "" {
		return
	}
	var candidates []Schema
	for _, s := range l.vocabulary.Engines {
		if s.Kind == c.Kind {
			candidates = append(candidates, s)
		}
	}
	if len(candidates) == 0 {
		l.unsupported(c)
		return
	}
	if c.With != "" {
		i := slices.IndexFunc(candidates, func(s Schema) bool { return s.Engine == c.With })
		if i < 0 {
			l.unknownEngine(c, candidates)
			return
		}
		candidates = candidates[i : i+1]
	}
	l.keys(c, candidates)
	l.required(c, candidates)
	l.unswitched(c, candidates)
}

// candidates are the engines that may restore a component.
func (l *linter) candidates(c Component) []Schema { return l.vocabulary.candidates(c) }

func (v Vocabulary) candidates(c Component) (all []Schema) {
	for _, s := range v.Engines {
		if s.Kind == c.Kind && (c.With == "" || s.Engine == c.With) {
			all = append(all, s)
		}
	}
	return all
}

func handedOver(c Component) bool { return slices.Contains(c.Settings["into"], handOver) }

// switched checks that what a block switches can be switched.
func (l *linter) switched(b Switch) {
	for i, name := range b.Components {
		c, ok := l.rb.Component(name)
		candidates := l.candidates(c)
		if !ok || handedOver(c) || len(candidates) == 0 || slices.ContainsFunc(candidates, func(s Schema) bool { return s.Switches || s.Instead == "" }) {
			continue
		}
		at := b.Pos
		if i < len(b.At) {
			at = b.At[i]
		}
		what := "a component of kind `" + c.Kind + "`"
		if c.With != "" {
			what = "what `with: " + c.With + "` restores"
		}
		l.problems.add(Error, at, fmt.Sprintf("`%s` cannot be switched: nothing puts %s in the place of what is live", name, what), candidates[0].Instead)
	}
}

// unswitched tells of a component that a recovery restores and puts in nobody's place.
func (l *linter) unswitched(c Component, candidates []Schema) {
	can := slices.ContainsFunc(candidates, func(s Schema) bool { return s.Switches })
	if !can || handedOver(c) || !l.restored(c.Name) {
		return
	}
	for _, s := range l.rb.Stages {
		for _, b := range s.Blocks {
			if b, ok := b.(Switch); ok && slices.Contains(b.Components, c.Name) {
				return
			}
		}
	}
	l.problems.add(Warning, c.Pos, fmt.Sprintf("no stage switches `%s`: a recovery leaves it beside what is live, and says where", c.Name),
		fmt.Sprintf("write a YAML block `switch: %s` below its checks, if it is to take the place of what is live", c.Name))
	l.problems[len(l.problems)-1].OfRecovery = true
}

// unsupported reports a kind that no engine restores: an error only if a stage
// asks for it, because otherwise nothing would run.
func (l *linter) unsupported(c Component) {
	var kinds []string
	for _, s := range l.vocabulary.Engines {
		if !slices.Contains(kinds, s.Kind) {
			kinds = append(kinds, s.Kind)
		}
	}
	severity, do := Warning, "bring it back by hand and tick it; restored are "+strings.Join(kinds, ", ")
	if l.restored(c.Name) {
		severity = Error
		do = "remove it from its `restore:` and " + do
	}
	l.problems.add(severity, c.Keys["kind"], fmt.Sprintf("nothing here restores components of kind `%s`", c.Kind), do)
}

func (l *linter) restored(component string) bool {
	for _, s := range l.rb.Stages {
		for _, b := range s.Blocks {
			if r, ok := b.(Restore); ok && slices.Contains(r.Components, component) {
				return true
			}
		}
	}
	return false
}

func (l *linter) unknownEngine(c Component, candidates []Schema) {
	var names []string
	for _, s := range candidates {
		names = append(names, s.Engine)
	}
	do := "write one of " + strings.Join(names, ", ")
	if near, ok := nearest(c.With, names); ok {
		do = fmt.Sprintf("write `with: %s`", near)
	}
	l.problems.add(Error, c.Keys["with"], fmt.Sprintf("no engine `%s` restores components of kind `%s`", c.With, c.Kind), do)
}

// keys checks the settings against the keys of all candidates.
func (l *linter) keys(c Component, candidates []Schema) {
	known := map[string]Key{}
	names := []string{"kind", "with"}
	for _, s := range candidates {
		for _, k := range s.Keys {
			if before, ok := known[k.Name]; ok {
				k.List = k.List || before.List
			} else {
				names = append(names, k.Name)
			}
			known[k.Name] = k
		}
	}
	for _, name := range c.order {
		k, ok := known[name]
		switch {
		case !ok:
			do := "remove it; there are " + strings.Join(names, ", ")
			if near, found := nearest(name, names); found {
				do = fmt.Sprintf("write `%s`", near)
			}
			l.problems.add(Error, c.Keys[name], fmt.Sprintf("`%s` is not a key of a component of kind `%s`", name, c.Kind), do)
		case !k.List && len(c.Settings[name]) > 1:
			l.problems.add(Error, c.Keys[name], fmt.Sprintf("`%s` takes one value, and %d are given", name, len(c.Settings[name])),
				"keep one of them")
		default:
			l.values(c, name, candidates)
		}
	}
}

// values checks the values of a setting: one is wrong that each candidate refuses which
// has the key.
func (l *linter) values(c Component, name string, candidates []Schema) {
	for _, v := range c.Settings[name] {
		if v == "" { // as if it were missing
			continue
		}
		var wrong string
		var instead []string
		for _, s := range candidates {
			i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Name == name })
			if i < 0 {
				continue
			}
			what, do := "", ""
			if check := s.Keys[i].Check; check != nil {
				what, do = check(v)
			}
			if wrong = what; what == "" {
				break
			}
			if !slices.Contains(instead, do) {
				instead = append(instead, do)
			}
		}
		if wrong != "" {
			l.problems.value(c.Keys[name], fmt.Sprintf("`%s: %s` %s", name, v, wrong), strings.Join(instead, "; or "))
		}
	}
}

// required reports a component that lacks a key for each of its candidates.
func (l *linter) required(c Component, candidates []Schema) {
	var lacks, do []string
	for _, s := range candidates {
		i := slices.IndexFunc(s.Keys, func(k Key) bool { return k.Required && len(c.Settings[k.Name]) == 0 })
		if i < 0 {
			return
		}
		k := s.Keys[i]
		lacks = append(lacks, fmt.Sprintf("%s needs `%s`", s.Engine, k.Name))
		if write := fmt.Sprintf("`%s: %s`", k.Name, k.Example); !slices.Contains(do, write) {
			do = append(do, write)
		}
	}
	l.problems.add(Error, c.Pos, fmt.Sprintf("component `%s` cannot be restored: %s", c.Name, strings.Join(lacks, ", ")),
		"write "+strings.Join(do, " or "))
}
