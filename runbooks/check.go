package runbooks

import (
	"fmt"
	"slices"
	"strings"
)

// known are the headers whose keys a kind of block has, each once; the others
// are reported.
func (p *parser) known(headers []header, owner string, keys []string) []header {
	var kept []header
	for _, h := range headers {
		switch first := find(kept, h.Key); {
		case first != nil:
			p.fail(h.Pos, fmt.Sprintf("`%s` stands here again, first on line %d", h.Key, first.Line), "keep one of them")
		case !slices.Contains(keys, h.Key):
			do := "put an empty line above it if it is a comment, or write one of " + strings.Join(keys, ", ")
			near, ok := nearest(h.Key, keys)
			if ok {
				do = fmt.Sprintf("write `%s`", near)
			}
			p.fail(h.Pos, fmt.Sprintf("`%s` is not a key of %s", h.Key, owner), do)
			if ok && find(headers, near) == nil {
				h.Key = near
				kept = append(kept, h)
			}
		default:
			kept = append(kept, h)
		}
	}
	return kept
}

// blockName checks the name of a check or a script; names tell results apart.
func (p *parser) blockName(h header, example string) {
	if h.Value == "" {
		p.fail(h.Pos, fmt.Sprintf("this `%s` has no name", h.Key), fmt.Sprintf("write what it does, like `%s`", example))
		return
	}
	p.uniqueName(h.ValueAt, h.Value)
}

func (p *parser) uniqueName(at Pos, name string) {
	if first, taken := p.names[name]; taken {
		p.fail(at, fmt.Sprintf("there is a block named `%s` already, on line %d", name, first.Line), "give this one another name")
		return
	}
	p.names[name] = at
}

func (p *parser) readSQLCheck(e *excerpt, at Pos, headers []header, rest int) Block {
	c := SQLCheck{Pos: at}
	marker := *find(headers, "check")
	kept := p.known(headers, "a check", []string{"check", "on", "expect"})
	p.blockName(marker, "-- check: orders came back")
	c.Name = marker.Value
	if on := find(kept, "on"); on == nil || on.Value == "" {
		p.fail(marker.Pos, "the check does not say which component it asks", fmt.Sprintf("write `-- on: %s`", p.aDatabase()))
	} else {
		c.On = p.database(on.ValueAt, on.Value)
	}
	if expect := find(kept, "expect"); expect == nil || expect.Value == "" {
		p.fail(marker.Pos, "the check does not say what it expects, so it proves nothing", "write for example `-- expect: >= 1`")
	} else {
		c.Expect, c.ExpectAt = expect.Value, expect.ValueAt
	}
	lines := e.lines()
	for rest < len(lines) && strings.TrimSpace(lines[rest]) == "" {
		rest++
	}
	c.Query = strings.TrimSpace(strings.Join(lines[min(rest, len(lines)):], "\n"))
	c.QueryAt = e.at(rest+1, 1)
	p.checkQuery(c.Query, c.QueryAt, marker.Pos)
	return c
}

// checkQuery reports what is not exactly one SQL statement.
func (p *parser) checkQuery(query string, at, owner Pos) {
	switch n, command := statements(query); {
	case command:
		p.fail(at, "the query holds a command of psql", "write SQL: psql does not run it")
	case n == 0:
		p.fail(owner, "the check has no query", "write one SELECT below its expectation")
	case n > 1:
		p.fail(at, fmt.Sprintf("the check has %d statements", n), "write one SELECT, and a second check for a second question")
	}
}

// component is the name of a component. One that is no component's is reported
// and becomes the one that was probably meant, or "".
func (p *parser) component(at Pos, name string) string {
	if _, ok := p.rb.Component(name); ok || !p.frontOK {
		return name
	}
	var names []string
	for _, c := range p.rb.Components {
		names = append(names, c.Name)
	}
	do := "add it under `components`"
	near, ok := nearest(name, names)
	if ok {
		do = fmt.Sprintf("write `%s`", near)
	} else if len(names) > 0 {
		do += ", or write one of " + strings.Join(names, ", ")
	}
	p.fail(at, fmt.Sprintf("there is no component `%s`", name), do)
	return near
}

// database is the name of a component that can be asked in SQL, likewise.
func (p *parser) database(at Pos, name string) string {
	name = p.component(at, name)
	c, _ := p.rb.Component(name)
	if c.Kind != "" && c.Kind != "postgres" {
		p.fail(at, fmt.Sprintf("`%s` is of kind %s and cannot be asked in SQL", name, c.Kind),
			fmt.Sprintf("write `%s`", p.aDatabase()))
		return ""
	}
	p.asked = append(p.asked, use{name, at})
	return name
}

// aDatabase is a component that can be asked in SQL, for examples.
func (p *parser) aDatabase() string {
	for _, c := range p.rb.Components {
		if c.Kind == "postgres" {
			return c.Name
		}
	}
	return "COMPONENT"
}
