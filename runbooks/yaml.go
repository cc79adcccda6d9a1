package runbooks

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// entry is one key of a YAML mapping with its value.
type entry struct {
	Pos  // of the key
	key  string
	node *yaml.Node
	from *excerpt
}

// valueAt is where the entry's value begins.
func (e entry) valueAt() Pos { return e.from.at(e.node.Line, e.node.Column) }

// loadYAML reads the single document of an excerpt. A nil node without a
// problem is an empty document.
func (p *parser) loadYAML(e *excerpt) (node *yaml.Node, ok bool) {
	if strings.TrimSpace(stripComments(e.text)) == "" {
		return nil, true
	}
	var document yaml.Node
	if err := yaml.Load([]byte(e.text), &document); err != nil {
		p.yamlProblem(e, err)
		return nil, false
	}
	if len(document.Content) == 0 {
		return nil, true
	}
	before := len(p.problems)
	p.plainYAML(e, document.Content[0])
	return document.Content[0], len(p.problems) == before
}

func stripComments(text string) string {
	var kept []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// yamlProblem translates an error of the YAML library to the file's lines and
// adds what people usually did when it occurs.
func (p *parser) yamlProblem(e *excerpt, err error) {
	at, began, says := e.at(1, 1), 0, err.Error()
	var failure *yaml.LoadError
	if errors.As(err, &failure) {
		if failure.Stage == yaml.ReaderStage {
			return // a character that cannot be seen, which has been reported
		}
		says = failure.Message
		switch {
		case failure.Mark.Line > 0:
			at = e.at(failure.Mark.Line, failure.Mark.Column)
		case failure.ContextMark.Line > 0:
			at = e.at(failure.ContextMark.Line, failure.ContextMark.Column)
		}
		if failure.ContextMark.Line > 0 {
			began = e.at(failure.ContextMark.Line, 1).Line
		}
		if began > 0 && began != at.Line {
			says += fmt.Sprintf(" (%s that begins on line %d)", failure.ContextMsg, began)
		}
	}
	says = strings.TrimPrefix(says, "yaml: ")
	line := string(p.src.bytesOf(at.Line))
	do := "correct it; a value with a special character in it stands in quotes"
	switch trimmed := strings.TrimLeft(line, " "); {
	case strings.HasPrefix(trimmed, "\t"):
		do = "indent with spaces: YAML does not take tabs"
	case strings.Contains(says, "multiple"):
		do = "write one document: no line --- or ... in the middle"
	case strings.Contains(line, "${") && strings.Contains(line, "{"):
		do = `put quotes around references: "${DATABASE_URL}"`
	case strings.Contains(says, "mapping values are not allowed"):
		do = `put quotes around a value that holds ": ", and align keys of one level`
	case strings.Contains(says, "did not find expected ','") && began > 0:
		do = fmt.Sprintf("close the brace, bracket or quote that opens on line %d", began)
	case strings.Contains(says, "cannot start any token"):
		do = "put quotes around the value"
	case strings.Contains(says, "unexpected end of stream"):
		do = "close the quote"
	}
	p.fail(at, "this is not YAML: "+says, do)
}

// plainYAML refuses what would make a value stand somewhere else than where it
// is read: anchors, aliases, merges and tags.
func (p *parser) plainYAML(e *excerpt, n *yaml.Node) {
	at := e.at(n.Line, n.Column)
	switch {
	case n.Kind == yaml.AliasNode:
		p.fail(at, fmt.Sprintf("`*%s` repeats a value from elsewhere", n.Value), "write the value out")
		return
	case n.Anchor != "":
		p.fail(at, fmt.Sprintf("`&%s` names a value to repeat it elsewhere", n.Anchor), "write each value out")
	case n.Style&yaml.TaggedStyle != 0:
		p.fail(at, fmt.Sprintf("`%s` is a YAML tag", n.Tag), "write the value without it")
	}
	for _, c := range n.Content {
		p.plainYAML(e, c)
	}
}

// entries lists the keys of a mapping. It reports what is no mapping, keys that
// occur twice, and keys that are not known where a list of known ones is given.
// The owner is the mapping's name in sentences: "a copy".
func (p *parser) entries(e *excerpt, n *yaml.Node, owner string, known []string) []entry {
	if n == nil {
		return nil
	}
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		p.fail(e.at(n.Line, n.Column), owner+" has no value", "write its keys or remove it")
		return nil
	}
	if n.Kind != yaml.MappingNode {
		do := "write `key: value` lines"
		if known != nil {
			do = "write its keys: " + strings.Join(known, ", ")
		}
		p.fail(e.at(n.Line, n.Column), owner+" consists of keys with values", do)
		return nil
	}
	var entries []entry
	seen := map[string]Pos{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		at := e.at(k.Line, k.Column)
		if k.Kind != yaml.ScalarNode || k.Value == "" {
			p.fail(at, "this key is not a word", "write a word before the colon")
			continue
		}
		if first, twice := seen[k.Value]; twice {
			p.fail(at, fmt.Sprintf("`%s` stands here again, first on line %d", k.Value, first.Line),
				"keep one of them")
			continue
		}
		seen[k.Value] = at
		key := k.Value
		if known != nil && !slices.Contains(known, key) {
			if key = p.unknownKey(at, key, owner, known); key == "" || has(n, key) {
				continue
			}
		}
		entries = append(entries, entry{Pos: at, key: key, node: v, from: e})
	}
	return entries
}

// has reports whether a mapping has a key.
func has(n *yaml.Node, key string) bool {
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == key {
			return true
		}
	}
	return false
}

// unknownKey reports a key and returns the one that was probably meant, so that
// a slip of the finger is one problem and not two.
func (p *parser) unknownKey(at Pos, key, owner string, known []string) (meant string) {
	do := "remove it, or write one of " + strings.Join(known, ", ")
	meant, ok := nearest(key, known)
	if ok {
		do = fmt.Sprintf("write `%s`", meant)
	}
	p.fail(at, fmt.Sprintf("`%s` is not a key of %s", key, owner), do)
	return meant
}

// text is the entry's single value, in which a reference has no place.
func (p *parser) text(e entry) (string, bool) {
	s, ok := p.scalar(e, e.node, "one value")
	if ok && strings.Contains(s, "${") {
		p.fail(e.valueAt(), fmt.Sprintf("`%s` cannot refer to the environment", e.key),
			"write the value: only copies, components and `notify` take references")
		return "", false
	}
	return s, ok
}

// value is the entry's single value, whose references are noted.
func (p *parser) value(e entry) (string, bool) {
	s, ok := p.scalar(e, e.node, "one value")
	if ok {
		p.refer(e, e.node)
	}
	return s, ok
}

// items are the scalars of a list, or the single scalar.
func (p *parser) items(e entry) []*yaml.Node {
	if e.node.Kind != yaml.SequenceNode {
		if _, ok := p.scalar(e, e.node, "one value or a list"); ok {
			return []*yaml.Node{e.node}
		}
		return nil
	}
	if len(e.node.Content) == 0 {
		p.fail(e.valueAt(), fmt.Sprintf("the list of `%s` is empty", e.key), "name something or remove the key")
	}
	var items []*yaml.Node
	for _, n := range e.node.Content {
		if _, ok := p.scalar(e, n, "a list of single values"); ok {
			items = append(items, n)
		}
	}
	return items
}

func (p *parser) scalar(e entry, n *yaml.Node, takes string) (string, bool) {
	at := e.from.at(n.Line, n.Column)
	switch {
	case n.Kind != yaml.ScalarNode:
		p.fail(at, fmt.Sprintf("`%s` takes %s", e.key, takes), fmt.Sprintf("write `%s: value`", e.key))
		return "", false
	case n.Tag == "!!null" || strings.TrimSpace(n.Value) == "":
		p.fail(e.Pos, fmt.Sprintf("`%s` has no value", e.key), "write one or remove the key")
		return "", false
	}
	return n.Value, true
}
