package runbooks

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// Reaches says what a runbook would have this host do, or tell others, before anybody has
// confirmed anything: which programs it would run, to see which backups there are or to call a
// person, and what of its environment would go to where the runbook says. "" is nothing of
// it. Whoever does not know who has written a runbook asks that first.
func (r *Runbook) Reaches(v Vocabulary) string {
	if len(r.Notify) > 0 {
		return "its `notify:` is a command that this host would run"
	}
	for _, c := range r.Components {
		if what := runs(c, v.candidates(c)); what != "" {
			return what
		}
	}
	return r.tells()
}

// runs says what a component would have this host run.
func runs(c Component, engines []Schema) string {
	var programs string
	for _, s := range engines {
		for _, k := range s.Keys {
			switch {
			case len(c.Settings[k.Name]) == 0:
			case k.Command:
				return fmt.Sprintf("its component %s has commands that this host would run", c.Name)
			case k.Program:
				programs = cmp.Or(programs, fmt.Sprintf("`%s` of its component %s says what this host would run", k.Name, c.Name))
			}
		}
	}
	return programs
}

// tells says what of this host's environment would go to where the runbook says: a copy is
// opened and a database is asked to see what there is. A component's setting that is one
// reference goes to nobody but whom the environment itself names.
func (r *Runbook) tells() string {
	for _, c := range r.Copies {
		for _, field := range []string{c.Region, c.Profile, c.Role, c.Account} {
			for _, name := range Named(field) {
				return fmt.Sprintf("its copy %s says to whom this host would tell $%s", c.Name, name)
			}
		}
		if name := cmp.Or(Within(c.URL), Within(c.Endpoint)); name != "" {
			return fmt.Sprintf("the address of its copy %s says to whom this host would tell $%s", c.Name, name)
		}
	}
	for _, c := range r.Components {
		for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
			for _, value := range c.Settings[key] {
				if name := Within(value); name != "" {
					return fmt.Sprintf("`%s` of its component %s says to whom this host would tell $%s", key, c.Name, name)
				}
			}
		}
	}
	return ""
}

// Acts is the name of the first block that does on this host what the runbook says, in a
// rehearsal: one whose text is a script, or that tells an address something of the environment;
// "" where none does. They run as who rehearses.
func (r *Runbook) Acts() string {
	for _, s := range r.Stages {
		for _, block := range s.Blocks {
			if name := acts(block); name != "" {
				return name
			}
		}
	}
	return ""
}

func acts(block Block) string {
	shell := func(b Shell) string {
		if b.In == InRecovery {
			return ""
		}
		return b.Name
	}
	switch b := block.(type) {
	case Shell:
		return shell(b)
	case ShellWait:
		return shell(b.Shell)
	case Start:
		return b.Name
	case HTTPCheck:
		if len(b.References()) > 0 {
			return b.Name
		}
	}
	return ""
}
