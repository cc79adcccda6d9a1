package runbooks

import (
	"fmt"
	"strings"
)

// readSQLCheck reads a query that must be as expected, at once or, where its
// marker is `wait`, in time.
func (p *parser) readSQLCheck(e *excerpt, at Pos, marker header, headers []header, rest int) Block {
	c := SQLCheck{Pos: at, Name: marker.Value}
	f, nothing := checkForm, "the check does not say what it expects, so it proves nothing"
	if marker.Key == "wait" {
		f, nothing = sqlWaitForm, "the wait does not say what it waits for"
	}
	kept := p.known(headers, f)
	p.blockName(marker, f)
	if on := find(kept, "on"); on == nil || on.Value == "" {
		p.fail(marker.Pos, fmt.Sprintf("the %s does not say which component it asks", marker.Key), fmt.Sprintf("write `-- on: %s`", p.aDatabase()))
	} else {
		c.On = p.database(on.ValueAt, on.Value)
	}
	if expect := find(kept, "expect"); expect == nil || expect.Value == "" {
		p.fail(marker.Pos, nothing, "write for example `-- expect: >= 1`")
	} else {
		c.Expect, c.ExpectAt = expect.Value, expect.ValueAt
	}
	lines := e.lines()
	for rest < len(lines) && strings.TrimSpace(lines[rest]) == "" {
		rest++
	}
	c.Query = strings.TrimSpace(strings.Join(lines[min(rest, len(lines)):], "\n"))
	c.QueryAt = e.at(rest+1, 1)
	p.checkQuery(c.Query, c.QueryAt, marker)
	if marker.Key == "wait" {
		return SQLWait{SQLCheck: c, Patience: p.patience(kept)}
	}
	return c
}

// checkQuery reports what is not exactly one SQL statement. The owner is the
// header whose block, or the key whose mapping, has the query.
func (p *parser) checkQuery(query string, at Pos, owner header) {
	switch n, command := statements(query); {
	case command:
		p.fail(at, "the query holds a command of psql", "write SQL: psql does not run it")
	case n == 0:
		p.fail(owner.Pos, fmt.Sprintf("the %s has no query", owner.Key), "write one SELECT below its expectation")
	case n > 1:
		p.fail(at, fmt.Sprintf("the %s has %d statements", owner.Key, n),
			fmt.Sprintf("write one SELECT, and a second %s for a second question", owner.Key))
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
