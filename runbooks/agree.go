package runbooks

import (
	"fmt"
	"slices"
	"time"
)

// agree checks what only the whole file shows.
func (p *parser) agree() {
	slices.SortStableFunc(p.rb.references, func(a, b Reference) int {
		return slices.Compare([]int{a.Line, a.Column}, []int{b.Line, b.Column})
	})
	if !p.frontOK {
		return
	}
	for _, c := range p.rb.Components {
		if _, ok := p.restored[c.Name]; !ok && !p.isSwitched(c.Name) && len(p.rb.Stages) > 0 && !p.unclear {
			p.warn(c.Pos, fmt.Sprintf("no stage restores `%s`", c.Name),
				fmt.Sprintf("write a YAML block `restore: %s` in a stage", c.Name))
		}
	}
	for _, u := range p.asked {
		if at, ok := p.restored[u.name]; ok && at.Line > u.at.Line {
			p.warn(u.at, fmt.Sprintf("`%s` is restored only on line %d, so there is nothing to check yet", u.name, at.Line),
				"put the check below its restore")
		}
	}
	for _, u := range p.switched {
		at, ok := p.restored[u.name]
		switch {
		case ok && at.Line > u.at.Line:
			p.fail(u.at, fmt.Sprintf("`%s` is restored only on line %d, so there is nothing to switch to yet", u.name, at.Line),
				"put the switch below its restore")
		case !ok && !p.unclear:
			// No error: everything else of the runbook can be rehearsed.
			p.warn(u.at, fmt.Sprintf("no stage restores `%s`, so there is nothing to switch to, and a recovery is refused", u.name),
				fmt.Sprintf("write a YAML block `restore: %s` in a stage before it, or leave it out of the `switch:`", u.name))
		}
	}
	for _, at := range p.visited {
		if len(p.switched) > 0 && p.switched[0].at.Line > at.Line {
			p.warn(at, "in a recovery this asks what is live before the switch", "put it, and the start above it, below the switch")
		}
	}
	seen := map[string]bool{}
	for _, r := range p.rb.references {
		if p.argued[r.Pos] {
			p.argument(r)
			continue
		}
		if _, ok := p.rb.Needs[r.Name]; !ok && !seen[r.Name] {
			p.warn(r.Pos, fmt.Sprintf("the runbook does not say where a person finds %s", r.Name),
				fmt.Sprintf("write `needs: {%s: \"WHERE FROM\"}`", r.Name))
		}
		seen[r.Name] = true
	}
	p.approveOnce()
	p.compareBudgets()
}

func (p *parser) isSwitched(component string) bool {
	return slices.ContainsFunc(p.switched, func(u use) bool { return u.name == component })
}

func (p *parser) compareBudgets() {
	var sum time.Duration
	var last Stage
	for _, s := range p.rb.Stages {
		if s.Budget > 0 {
			sum, last = sum+s.Budget, s
		}
	}
	if p.rb.RTO > 0 && sum > p.rb.RTO {
		p.warn(last.Pos, fmt.Sprintf("the budgets of the stages add up to %s, more than the RTO of %s",
			formatDuration(sum), formatDuration(p.rb.RTO)), "lower the budgets, or promise less")
	}
}
