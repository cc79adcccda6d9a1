package main

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"comeback/runbooks"
)

// sendsVariables refuses a runbook that was found by what of this host's environment would
// go to where the runbook says, before anybody has confirmed anything: a copy is opened and
// a database is asked to see what there is. A component's setting that is one reference
// goes to nobody but whom the environment itself names.
func sendsVariables(path string, rb *runbooks.Runbook) error {
	for _, c := range rb.Copies {
		for _, field := range []string{c.Region, c.Profile, c.Role, c.Account} {
			for _, name := range runbooks.Named(field) {
				return notNamed(path, fmt.Sprintf("its copy %s says to whom this host would tell $%s", c.Name, name))
			}
		}
		if name := cmp.Or(runbooks.Within(c.URL), runbooks.Within(c.Endpoint)); name != "" {
			return notNamed(path, fmt.Sprintf("the address of its copy %s says to whom this host would tell $%s", c.Name, name))
		}
	}
	for _, c := range rb.Components {
		for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
			for _, value := range c.Settings[key] {
				if name := runbooks.Within(value); name != "" {
					return notNamed(path, fmt.Sprintf("`%s` of its component %s says to whom this host would tell $%s", key, c.Name, name))
				}
			}
		}
	}
	return nil
}

// rehearsesUnasked refuses a rehearsal by a runbook that was found whose blocks are scripts,
// or tell an address something of the environment, where nobody is asked about them: they
// run as who rehearses.
func (a *app) rehearsesUnasked(b *book) error {
	if !b.found || a.books.vouched(b.path, b.System) {
		return nil
	}
	for _, s := range b.Stages {
		for _, block := range s.Blocks {
			if name := acts(block); name != "" {
				return notNamed(b.path, fmt.Sprintf("nobody is asked here about its block “%s”, which would run on this host", name))
			}
		}
	}
	return nil
}

// acts is the name of a block that does on this host what its runbook says, in a rehearsal;
// "" for all others.
func acts(block runbooks.Block) string {
	shell := func(b runbooks.Shell) string {
		if b.In == runbooks.InRecovery {
			return ""
		}
		return b.Name
	}
	switch b := block.(type) {
	case runbooks.Shell:
		return shell(b)
	case runbooks.ShellWait:
		return shell(b.Shell)
	case runbooks.Start:
		return b.Name
	case runbooks.HTTPCheck:
		if len(b.References()) > 0 {
			return b.Name
		}
	}
	return ""
}
