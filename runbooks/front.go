package runbooks

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/pattern"

	"go.yaml.in/yaml/v4"
)

var frontKeys = []string{"comeback", "system", "formerly", "rpo", "rto", "rehearse", "people", "production", "notify", "needs", "copies", "components", "without"}

// name is what systems, copies and components can be called: names become parts
// of file names and of step ids.
var name = pattern.New(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

const frontExample = "begin the file with a line `---`, then `comeback: 1`, `system: NAME` and so on, then a line `---`"

// split cuts the file into its front matter, nil if there is none, and the
// offset at which its Markdown begins, -1 if that cannot be told.
func (p *parser) split() (*excerpt, int) {
	isFence := func(line int) bool {
		return string(bytes.TrimRight(p.src.bytesOf(line), " \t")) == "---"
	}
	if !isFence(1) {
		for line := 2; line <= min(20, len(p.src.lines)); line++ {
			if isFence(line) && len(bytes.TrimSpace(p.src.text[:p.src.lines[line-1]])) == 0 {
				p.fail(Pos{line, 1}, "the front matter does not begin on the first line",
					"delete the empty lines before it")
				return nil, 0
			}
		}
		p.fail(Pos{1, 1}, "the file has no front matter", frontExample)
		return nil, 0
	}
	e := &excerpt{src: p.src}
	for line := 2; line <= len(p.src.lines); line++ {
		start := p.src.lines[line-1]
		if isFence(line) {
			e.text = string(p.src.text[p.src.lines[1]:start])
			for l := range line {
				p.runs[l+1] = true
			}
			if len(e.starts) == 0 { // nothing stands between the two lines
				e.starts, e.indent = []int{start}, []int{0}
			}
			if line == len(p.src.lines) {
				return e, len(p.src.text)
			}
			return e, p.src.lines[line]
		}
		e.starts, e.indent = append(e.starts, start), append(e.indent, 0)
	}
	p.fail(Pos{1, 1}, "the front matter is not closed", "write a line `---` after its last key")
	return nil, -1
}

func (p *parser) readFront(front *excerpt) {
	root, ok := p.loadYAML(front)
	if !ok {
		return
	}
	if root != nil && root.Kind != yaml.MappingNode {
		p.fail(front.at(root.Line, root.Column), "the front matter consists of keys with values", frontExample)
		return
	}
	p.frontOK = true
	has := map[string]bool{}
	for _, e := range p.entries(front, root, "a runbook", frontKeys) {
		has[e.key] = true
		switch e.key {
		case "comeback":
			p.readFormat(e)
		case "system":
			if s, ok := p.text(e); ok && p.named(e.valueAt(), "system", s) {
				p.rb.System = s
			}
		case "formerly":
			p.readFormerly(e)
		case "rpo":
			p.rb.RPO, _ = p.duration(e, 0)
		case "rto":
			p.rb.RTO, _ = p.duration(e, time.Second)
		case "rehearse":
			p.rb.Rehearse, _ = p.duration(e, time.Second)
		case "people":
			p.readPeople(e)
		case "production":
			for _, n := range p.items(e) {
				p.rb.Production = append(p.rb.Production, n.Value)
			}
		case "notify":
			p.readNotify(e)
		case "needs":
			p.readNeeds(e)
		case "copies":
			p.readCopies(e)
		case "components":
			p.readComponents(e)
		case "without":
			p.readWithout(e)
		}
	}
	p.missingKeys(has)
	p.holdWithout()
	p.holdFormerly()
}

func (p *parser) missingKeys(has map[string]bool) {
	top := Pos{1, 1}
	for _, key := range []struct{ name, says, do string }{
		{"comeback", "the runbook does not say which format it has", "write `comeback: 1`"},
		{"system", "the runbook does not name its system", "write `system: NAME`"},
		{"copies", "the runbook names no copy", "write where backups are: `copies: {offsite: {url: \"s3://BUCKET/PREFIX\"}}`"},
		{"components", "the runbook names no component", "write what comes back: `components: {database: {kind: postgres}}`"},
	} {
		if !has[key.name] {
			p.fail(top, key.says, key.do)
		}
	}
	for _, key := range []struct{ name, says, do string }{
		{"rpo", "the runbook does not say how much may be lost", "write `rpo: 5m`"},
		{"rto", "the runbook does not say how long the system may be down", "write `rto: 30m`"},
	} {
		if !has[key.name] {
			p.warn(top, key.says, key.do)
		}
	}
}

func (p *parser) readFormat(e entry) {
	switch s, ok := p.text(e); {
	case !ok:
	case s != "1":
		p.fail(e.valueAt(), fmt.Sprintf("the runbook has format %s, and this program reads format %d", s, Format),
			fmt.Sprintf("write `comeback: %d`, or use a newer program", Format))
	default:
		p.rb.Format = Format
	}
}

// duration reads a length of time of at least the shortest that makes sense.
func (p *parser) duration(e entry, shortest time.Duration) (time.Duration, bool) {
	s, ok := p.text(e)
	if !ok {
		return 0, false
	}
	return p.durationText(e.valueAt(), e.key, s, shortest)
}

func (p *parser) durationText(at Pos, key, text string, shortest time.Duration) (time.Duration, bool) {
	d, err := ParseDuration(text)
	switch {
	case err != nil && err.Error() == "has no unit":
		p.fail(at, fmt.Sprintf("`%s` has no unit", text), fmt.Sprintf("write `%s: %sm` for minutes", key, text))
		return 0, false
	case err != nil:
		p.fail(at, fmt.Sprintf("`%s` %s", text, err), "write it like 45s, 5m, 1h30m or 90d")
		return 0, false
	case d < shortest:
		p.fail(at, fmt.Sprintf("`%s` is too short", text), fmt.Sprintf("write at least %s", formatDuration(shortest)))
		return 0, false
	}
	return d, true
}

// named checks a name that becomes part of file names.
func (p *parser) named(at Pos, what, s string) bool {
	if name.MatchString(s) {
		return true
	}
	p.fail(at, fmt.Sprintf("`%s` cannot be the name of a %s", s, what),
		"use letters, digits, `-`, `_` and `.`, at most 63, beginning with a letter or a digit")
	return false
}

// readFormerly reads the names under which other backups of the system were taken.
func (p *parser) readFormerly(e entry) {
	for _, n := range p.items(e) {
		if p.named(e.from.at(n.Line, n.Column), "system", n.Value) {
			p.formerly = append(p.formerly, e.from.at(n.Line, n.Column))
			p.rb.Formerly = append(p.rb.Formerly, n.Value)
		}
	}
}

// holdFormerly holds them against the name that the system has.
func (p *parser) holdFormerly() {
	for i, was := range p.rb.Formerly {
		if was == p.rb.System {
			p.fail(p.formerly[i], fmt.Sprintf("`%s` is what the system is called now", was), "leave it out of `formerly`, which has the names that it had")
		} else if slices.Index(p.rb.Formerly, was) < i {
			p.fail(p.formerly[i], fmt.Sprintf("`formerly` names `%s` twice", was), "leave one of them out")
		}
	}
}

func (p *parser) readPeople(e entry) {
	if e.node.Kind != yaml.SequenceNode {
		p.fail(e.Pos, "`people` is a list", "write `- {role: ROLE, reach: \"HOW\"}` for each")
		return
	}
	for _, n := range e.node.Content {
		person := Person{Pos: e.from.at(n.Line, n.Column)}
		problems := len(p.problems)
		for _, f := range p.entries(e.from, n, "a person", []string{"role", "reach", "key"}) {
			s, _ := p.text(f)
			switch f.key {
			case "role":
				person.Role = s
			case "reach":
				person.Reach = s
			case "key":
				person.Key = s
			}
		}
		if person.Role == "" && len(p.problems) == problems {
			p.fail(person.Pos, "this person has no role", "write `role: ROLE`")
		}
		p.rb.People = append(p.rb.People, person)
	}
}

func (p *parser) readNeeds(e entry) {
	p.rb.Needs = map[string]string{}
	for _, f := range p.entries(e.from, e.node, "`needs`", nil) {
		if !variable.MatchString(f.key) {
			p.fail(f.Pos, fmt.Sprintf("`%s` is not the name of an environment variable", f.key),
				fmt.Sprintf("write a name without ${}, like `%s: \"from the vault\"`", suggestVariable(f.key)))
			f.key = suggestVariable(f.key)
		}
		p.rb.Needs[f.key], _ = p.text(f)
	}
}

func suggestVariable(s string) string {
	if s = variableStart.FindString(strings.TrimLeft(s, "${ ")); s != "" {
		return s
	}
	return "DATABASE_URL"
}
