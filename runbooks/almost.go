package runbooks

import (
	"fmt"
	"slices"

	"comeback/pattern"
)

// almostRuns reports a block that does not run, though its author seems to have
// meant it to.
func (p *parser) almostRuns(e *excerpt, language string, hash, dash []header) {
	for _, style := range []struct {
		action
		headers []header
		others  []string
	}{
		{shellAction, hash, []string{"in", "timeout", "every", "ready", "terminal"}},
		{sqlAction, dash, []string{"on", "expect", "every"}},
	} {
		if slices.Contains(style.languages, language) && p.almostMarked(style.action, style.headers, style.others) {
			return
		}
	}
	if slices.Contains(yamlAction.languages[:2], language) {
		if m := topKey.FindStringSubmatch(e.firstLine()); m != nil {
			if near, ok := nearest(m[1], yamlAction.markers); ok {
				p.fail(e.at(1+slices.Index(e.lines(), e.firstLine()), 1),
					fmt.Sprintf("`%s` does nothing", m[1]), fmt.Sprintf("write `%s`", near))
				p.unclear = true
				return
			}
		}
	}
	for i, line := range e.lines() {
		if m := lateMarker.FindStringSubmatch(line); m != nil {
			p.warn(e.at(i+1, 1), fmt.Sprintf("`%s` is not at the top of its block, so the block never runs", m[1]),
				"write it on the block's first line")
			return
		}
	}
}

var lateMarker = pattern.New(`^[ \t]*(# (?:run|wait|start):|-- (?:check|wait):)`)

// almostMarked reports headers of which one is nearly a marker, or which belong
// to a block that has one.
func (p *parser) almostMarked(a action, headers []header, others []string) bool {
	marker := a.markers[0]
	switch {
	case find(headers, "every") != nil:
		marker = "wait"
	case find(headers, "ready") != nil:
		marker = "start"
	}
	for _, h := range headers {
		for _, m := range a.markers {
			if distance(h.Key, m, 1) <= 1 {
				p.fail(h.Pos, fmt.Sprintf("`%s` does not make a block run", h.Key), fmt.Sprintf("write `%s%s:`", a.comment, m))
				return true
			}
		}
		if slices.Contains(others, h.Key) {
			p.fail(h.Pos, fmt.Sprintf("the block has `%s:` but no `%s%s:`, so it never runs", h.Key, a.comment, marker),
				fmt.Sprintf("write `%s%s: NAME` on its first line", a.comment, marker))
			return true
		}
	}
	return false
}
