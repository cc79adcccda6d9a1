package runbooks

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"comeback/pattern"

	"go.yaml.in/yaml/v4"
)

var (
	copyKeys       = []string{"url", "region", "profile", "endpoint", "path_style", "role", "account"}
	componentKinds = []string{"postgres", "files", "config", "code"}
	accountNumber  = pattern.New(`^[0-9]{12}$`)
)

func (p *parser) readCopies(e entry) {
	list := p.entries(e.from, e.node, "`copies`", nil)
	if len(list) == 0 && e.node.Kind == yaml.MappingNode {
		p.fail(e.Pos, "the runbook names no copy", "write `NAME: {url: \"s3://BUCKET/PREFIX\"}` under `copies:`")
	}
	for _, f := range list {
		p.named(f.Pos, "copy", f.key)
		p.rb.Copies = append(p.rb.Copies, p.readCopy(f))
	}
}

func (p *parser) readCopy(e entry) Copy {
	c := Copy{Pos: e.Pos, Name: e.key}
	has := map[string]Pos{}
	for _, f := range p.entries(e.from, e.node, "a copy", copyKeys) {
		has[f.key] = f.Pos
		s, ok := p.value(f)
		if !ok {
			continue
		}
		literal := !strings.Contains(s, "${")
		switch f.key {
		case "url":
			c.URL = s
			p.checkCopyURL(f, s)
		case "region":
			c.Region = s
		case "profile":
			c.Profile = s
		case "endpoint":
			c.Endpoint = s
			if u, err := url.Parse(s); literal && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
				p.fail(f.valueAt(), fmt.Sprintf("`%s` is not the address of a service", s), "write it like `endpoint: \"https://s3.example.com\"`")
			}
		case "path_style":
			c.PathStyle = s == "true"
			if s != "true" && s != "false" {
				p.fail(f.valueAt(), fmt.Sprintf("`%s` is neither true nor false", s), "write `path_style: true` or remove the key")
			}
		case "role":
			c.Role = s
		case "account":
			c.Account = s
			if literal && !accountNumber.MatchString(s) {
				p.fail(f.valueAt(), fmt.Sprintf("`%s` is not an account", s), "write its twelve digits in quotes")
			}
		}
	}
	if _, ok := has["url"]; !ok && e.node.Kind == yaml.MappingNode {
		p.fail(e.Pos, fmt.Sprintf("copy `%s` has no url", e.key), "write `url: \"file:///DIR\"` or `url: \"s3://BUCKET/PREFIX\"`")
	}
	if strings.HasPrefix(c.URL, "file:") {
		for _, key := range copyKeys[1:] {
			if at, ok := has[key]; ok {
				p.warn(at, fmt.Sprintf("`%s` means nothing for a directory", key), "remove it")
			}
		}
	}
	return c
}

// checkCopyURL checks the address of a copy as far as its references allow.
func (p *parser) checkCopyURL(e entry, s string) {
	if strings.HasPrefix(s, "${") {
		return
	}
	const forms = "`file:///DIR` or `s3://BUCKET/PREFIX`"
	at := e.valueAt()
	scheme, rest, ok := strings.Cut(s, "://")
	switch {
	case !ok && strings.HasPrefix(s, "/"):
		p.fail(at, "a copy's url has a scheme", fmt.Sprintf("write `url: \"file://%s\"`", s))
	case !ok:
		p.fail(at, "this is not the url of a copy", "write "+forms)
	case scheme == "file" && !strings.HasPrefix(rest, "/") && !strings.HasPrefix(rest, "${"):
		p.fail(at, "a file url has three slashes before an absolute path", fmt.Sprintf("write `file:///%s`", rest))
	case scheme == "s3" && (rest == "" || strings.HasPrefix(rest, "/")):
		p.fail(at, "the url names no bucket", "write `s3://BUCKET/PREFIX`")
	case scheme != "file" && scheme != "s3":
		do := "write " + forms
		if near, ok := nearest(scheme, []string{"file", "s3"}); ok {
			do = fmt.Sprintf("write `%s://`", near)
		}
		p.fail(at, fmt.Sprintf("no copy can be read from `%s://`", scheme), do)
	case strings.ContainsAny(rest, "?#"):
		p.fail(at, "a copy's url ends with its path", "remove what follows the `?` or `#`; region, profile and endpoint are keys of their own")
	}
}

// readWithout reads the kinds of which the system has nothing.
func (p *parser) readWithout(e entry) {
	for _, n := range p.items(e) {
		w := Without{Pos: e.from.at(n.Line, n.Column), Kind: n.Value}
		if p.isKind(w.Pos, w.Kind) {
			p.rb.Without = append(p.rb.Without, w)
		}
	}
}

// isKind fails where a word is no kind of component.
func (p *parser) isKind(at Pos, word string) bool {
	if slices.Contains(componentKinds, word) {
		return true
	}
	do := "write one of " + strings.Join(componentKinds, ", ")
	if near, ok := nearest(word, componentKinds); ok {
		do = fmt.Sprintf("write `%s`", near)
	}
	p.fail(at, fmt.Sprintf("`%s` is not a kind of component", word), do)
	return false
}

// holdWithout fails where a kind of which there is nothing has a component.
func (p *parser) holdWithout() {
	for _, w := range p.rb.Without {
		if i := slices.IndexFunc(p.rb.Components, func(c Component) bool { return c.Kind == w.Kind }); i >= 0 {
			p.fail(w.Pos, fmt.Sprintf("the system is said to have no %s, and its component %s is that", w.Kind, p.rb.Components[i].Name), "remove one of the two")
		}
	}
}

func (p *parser) readComponents(e entry) {
	list := p.entries(e.from, e.node, "`components`", nil)
	if len(list) == 0 && e.node.Kind == yaml.MappingNode {
		p.fail(e.Pos, "the runbook names no component", "write `NAME: {kind: postgres}` under `components:`")
	}
	for _, f := range list {
		p.named(f.Pos, "component", f.key)
		p.rb.Components = append(p.rb.Components, p.readComponent(f))
	}
}

func (p *parser) readComponent(e entry) Component {
	c := Component{Pos: e.Pos, Name: e.key, Settings: map[string][]string{}, Keys: map[string]Pos{}}
	for _, f := range p.entries(e.from, e.node, "a component", nil) {
		c.Keys[f.key] = f.Pos
		switch f.key {
		case "kind":
			if s, ok := p.text(f); ok && p.isKind(f.valueAt(), s) {
				c.Kind = s
			}
		case "with":
			c.With, _ = p.text(f)
		default:
			for _, n := range p.items(f) {
				p.refer(f, n)
				c.Settings[f.key] = append(c.Settings[f.key], n.Value)
			}
			c.order = append(c.order, f.key)
		}
	}
	if _, ok := c.Keys["kind"]; !ok && e.node.Kind == yaml.MappingNode {
		if i := slices.IndexFunc(c.order, func(key string) bool { return distance(key, "kind", 1) == 1 }); i >= 0 {
			p.fail(c.Keys[c.order[i]], fmt.Sprintf("`%s` is not a key of a component", c.order[i]), "write `kind`")
			return c
		}
		p.fail(e.Pos, fmt.Sprintf("component `%s` does not say what it is", e.key),
			"write `kind: postgres`, files, config or code")
	}
	return c
}
