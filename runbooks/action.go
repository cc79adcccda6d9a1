package runbooks

import (
	"fmt"
	"slices"
	"strings"

	"comeback/pattern"

	"go.yaml.in/yaml/v4"
)

// readAction reads a YAML block that begins with restore, check, switch or
// approve.
func (p *parser) readAction(e *excerpt, at Pos) Block {
	doc := Doc{Pos: at, Language: "yaml", Text: e.text}
	root, ok := p.loadYAML(e)
	switch {
	case !ok || root == nil:
		p.unclear = true
		return doc
	case root.Kind == yaml.MappingNode && root.Content[0].Value == "check":
		if has(root, "sound") {
			return p.readSoundCheck(e, at, root)
		}
		if has(root, "http") {
			return p.readHTTPCheck(e, at, root)
		}
		return p.readFilesCheck(e, at, root)
	}
	entries := p.entries(e, root, "a block", nil)
	if len(entries) == 0 {
		p.unclear = true
		return doc
	}
	switch first := entries[0]; first.key {
	case "restore":
		p.alone(entries)
		r := Restore{Pos: at}
		names := p.componentNames(first)
		p.unclear = p.unclear || len(names) == 0
		for _, u := range names {
			if before, again := p.restored[u.name]; again {
				p.fail(u.at, fmt.Sprintf("`%s` is restored already, on line %d", u.name, before.Line), "restore it once")
				continue
			}
			p.restored[u.name] = u.at
			r.Components = append(r.Components, u.name)
		}
		return r
	case "switch":
		p.alone(entries)
		s := Switch{Pos: at}
		for _, u := range p.componentNames(first) {
			p.switched = append(p.switched, u)
			s.Components, s.At = append(s.Components, u.name), append(s.At, u.at)
		}
		return s
	case "approve":
		p.alone(entries)
		return p.readApproval(at, first)
	}
	return doc
}

// alone reports keys beside the one that says what the block does.
func (p *parser) alone(entries []entry) {
	for _, e := range entries[1:] {
		do := "remove it"
		if slices.Contains(yamlAction.markers, e.key) {
			do = "put it into a block of its own"
		}
		p.fail(e.Pos, fmt.Sprintf("`%s` has no place beside `%s`", e.key, entries[0].key), do)
	}
}

// use is a component's name where a block has it.
type use struct {
	name string
	at   Pos
}

// componentNames lists the known components that an entry names, each once.
func (p *parser) componentNames(e entry) []use {
	var uses []use
	seen := map[string]bool{}
	for _, n := range p.items(e) {
		at := e.from.at(n.Line, n.Column)
		name := p.component(at, n.Value)
		switch {
		case seen[name]:
			p.fail(at, fmt.Sprintf("`%s` stands here twice", name), "write it once")
		case name != "":
			seen[name] = true
			uses = append(uses, use{name, at})
		}
	}
	return uses
}

func (p *parser) readFilesCheck(e *excerpt, at Pos, root *yaml.Node) Block {
	c := FilesCheck{Pos: at}
	has := map[string]bool{}
	for _, f := range p.entries(e, root, "a check of files", []string{"check", "on", "rows", "files", "missing", "different", "unknown"}) {
		has[f.key] = true
		s, ok := p.text(f)
		if !ok {
			continue
		}
		switch f.key {
		case "check":
			c.Name = s
			p.uniqueName(f.valueAt(), s)
		case "on":
			c.On = p.database(f.valueAt(), s)
		case "rows":
			c.Rows = strings.TrimSpace(s)
			p.checkQuery(c.Rows, f.valueAt(), header{Pos: f.Pos, Key: "check"})
		case "files":
			c.Files = p.component(f.valueAt(), s)
			if kind, _ := p.rb.Component(c.Files); kind.Kind == "postgres" {
				p.fail(f.valueAt(), fmt.Sprintf("`%s` is of kind %s and holds no files that rows list", c.Files, kind.Kind), "write a component of kind files")
			}
			p.asked = append(p.asked, use{c.Files, f.valueAt()})
		case "missing":
			c.Missing = p.tolerance(f, s)
		case "different":
			c.Different = p.tolerance(f, s)
		case "unknown":
			c.Unknown = p.tolerance(f, s)
		}
	}
	marker := e.at(root.Line, root.Column)
	if !has["rows"] {
		p.fail(marker, "the check does not say which files there should be", "write `rows: select path, sha256 from TABLE`")
	}
	if !has["files"] {
		p.fail(marker, "the check does not say which component holds the files", "write `files: COMPONENT`")
	}
	if !has["on"] && p.frontOK {
		c.On = p.onlyDatabase(marker)
	}
	return c
}

// soundWords are what a database can be looked at for.
var soundWords = []string{"indexes", "foreign keys", "sequences", "collations", "extensions", "checksums", "amcheck", "record"}

func (p *parser) readSoundCheck(e *excerpt, at Pos, root *yaml.Node) Block {
	c := SoundCheck{Pos: at}
	on := false
	for _, f := range p.entries(e, root, "a check of soundness", []string{"check", "on", "sound"}) {
		if f.key == "sound" {
			for _, n := range p.items(f) {
				if !slices.Contains(soundWords, n.Value) {
					do := "write one of " + strings.Join(soundWords, ", ")
					if near, ok := nearest(n.Value, soundWords); ok {
						do = fmt.Sprintf("write `%s`", near)
					}
					p.fail(f.from.at(n.Line, n.Column), fmt.Sprintf("a database cannot be looked at for `%s`", n.Value), do)
					continue
				}
				c.Sound = append(c.Sound, n.Value)
			}
			continue
		}
		s, ok := p.text(f)
		if !ok {
			continue
		}
		if f.key == "on" {
			on = true
			c.On = p.database(f.valueAt(), s)
			continue
		}
		c.Name = s
		p.uniqueName(f.valueAt(), s)
	}
	if !on && p.frontOK {
		c.On = p.onlyDatabase(e.at(root.Line, root.Column))
	}
	return c
}

var tolerated = pattern.New(`^(any|\d{1,15}|\d{1,3}(\.\d{1,6})?%)$`)

// tolerance is how much may differ.
func (p *parser) tolerance(e entry, text string) string {
	if !tolerated.MatchString(text) {
		p.fail(e.valueAt(), fmt.Sprintf("`%s` does not say how many may be %s", text, e.key),
			fmt.Sprintf("write `%s: 3`, `%s: 0.1%%` or `%s: any`", e.key, e.key, e.key))
		return ""
	}
	return text
}

// onlyDatabase is the component that a check asks if it does not say.
func (p *parser) onlyDatabase(marker Pos) string {
	var names []string
	for _, c := range p.rb.Components {
		if c.Kind == "postgres" {
			names = append(names, c.Name)
		}
	}
	if len(names) != 1 {
		p.fail(marker, fmt.Sprintf("the check does not say which component it asks, and %d are databases", len(names)),
			"write `on: COMPONENT`")
		return ""
	}
	return names[0]
}
