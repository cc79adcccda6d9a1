package execute

import (
	"maps"
	"slices"
	"strings"

	"comeback/recovery"
)

// Unset is a reference without a value, and what needs one.
type Unset struct{ Name, For string }

// Unset lists the values that steps of a plan would miss: what restores need and, for real,
// checks of applications and shell blocks. All are the kinds of steps that runs may use.
func (s *Secrets) Unset(p *recovery.Plan, all []recovery.Kind) (missing []Unset, err error) {
	for _, step := range p.Steps {
		texts, err := neededBy(step, p.Mode, all)
		if err != nil {
			return nil, err
		}
		for _, name := range s.Missing(strings.Join(texts, " ")) {
			if !slices.ContainsFunc(missing, func(m Unset) bool { return m.Name == name }) {
				missing = append(missing, Unset{Name: name, For: step.Says})
			}
		}
	}
	return missing, nil
}

// neededBy lists the texts whose references a step resolves.
func neededBy(s recovery.Step, mode recovery.Mode, all []recovery.Kind) (texts []string, err error) {
	switch s.Kind {
	case recovery.KindHTTPCheck:
		var args recovery.HTTPCheckArgs
		if err := s.Decode(&args); err != nil || mode != recovery.Recovery {
			return nil, err
		}
		return []string{args.URL}, nil
	case recovery.KindShell, recovery.KindShellWait:
		var args recovery.ShellArgs
		if err := s.Decode(&args); err != nil || mode != recovery.Recovery {
			return nil, err
		}
		for _, name := range args.Env {
			texts = append(texts, "${"+name+"}")
		}
		return texts, nil
	}
	for _, k := range all {
		if needing, ok := k.(recovery.Needing); ok && k.Name() == s.Kind {
			return needing.Needs(s)
		}
	}
	return nil, nil
}

// ToGoOn lists the references without a value that a run may need which goes on in another
// process: those of its copies and, since a rehearsal knows no live target, of a recovery's
// components.
func (s *Secrets) ToGoOn(p *recovery.Plan) []string {
	var texts []string
	for _, c := range p.Copies {
		texts = append(texts, c.URL, c.Region, c.Profile, c.Endpoint, c.Role, c.Account)
	}
	for _, c := range p.Components {
		if p.Mode != recovery.Rehearsal {
			for _, key := range slices.Sorted(maps.Keys(c.Settings)) {
				texts = append(texts, c.Settings[key]...)
			}
		}
	}
	return s.Missing(strings.Join(texts, "\n"))
}

// ToRelease lists the references without a value that giving claims back needs. Most releasers
// resolve every reference of a claim; one that does not says which.
func (s *Secrets) ToRelease(claims []recovery.Resource, all []recovery.Releaser) []string {
	var texts []string
	for _, c := range claims {
		i := slices.IndexFunc(all, func(k recovery.Releaser) bool { return k.Resource() == c.Kind })
		if i >= 0 {
			if some, ok := all[i].(recovery.Expander); ok {
				texts = append(texts, some.Expands(c)...)
				continue
			}
		}
		texts = append(texts, slices.Sorted(maps.Values(c.Details))...)
	}
	return s.Missing(strings.Join(texts, "\n"))
}
