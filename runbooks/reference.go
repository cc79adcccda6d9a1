package runbooks

import (
	"bytes"
	"fmt"
	"strings"

	"comeback/pattern"

	"go.yaml.in/yaml/v4"
)

var (
	variable      = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*$`)
	referenceLike = pattern.New(`\$\{[^}]*\}?|\$[A-Za-z_][A-Za-z0-9_]*`)
	variableStart = pattern.New(`^[A-Za-z_][A-Za-z0-9_]*`)
)

// refer notes the references of a value and reports those that are not written
// as ${NAME}.
func (p *parser) refer(e entry, n *yaml.Node) {
	from := p.src.offset(e.from.at(n.Line, n.Column))
	for _, text := range referenceLike.FindAllString(n.Value, -1) {
		at := e.from.at(n.Line, n.Column)
		near := p.src.text[from:min(len(p.src.text), from+maxLine)]
		if i := bytes.Index(near, []byte(text)); i >= 0 {
			at = p.src.at(from + i)
			from += i + len(text)
		}
		p.reference(at, text)
	}
}

func (p *parser) reference(at Pos, text string) {
	name, braced := strings.CutPrefix(text, "${")
	name, closed := strings.CutSuffix(name, "}")
	switch {
	case !braced:
		p.fail(at, fmt.Sprintf("`%s` is not a reference", text),
			fmt.Sprintf("write `${%s}`", strings.TrimPrefix(text, "$")))
	case variable.MatchString(name) && closed:
		p.rb.references = append(p.rb.references, Reference{Pos: at, Name: name})
	default:
		do := "write the name of a variable, like `${DATABASE_URL}`"
		if start := variableStart.FindString(name); start != "" {
			do = fmt.Sprintf("write `${%s}`", start)
		}
		says := "a reference is the name of a variable and nothing else"
		if !closed {
			says = "this reference is not closed"
		}
		p.fail(at, says, do)
	}
}

// Within names a variable that a value only is in part, as in
// "postgres://shop:${PASSWORD}@db1/shop": there the text around it says where the
// variable's value goes. It is "" for a value without references, and for one that is a
// single reference and nothing else.
func Within(value string) string {
	names := Named(value)
	if len(names) == 0 || "${"+names[0]+"}" == strings.TrimSpace(value) {
		return ""
	}
	return names[0]
}

// Named are the variables that a value refers to, in their order.
func Named(value string) []string {
	var names []string
	for _, text := range referenceLike.FindAllString(value, -1) {
		names = append(names, strings.Trim(text, "${}"))
	}
	return names
}
