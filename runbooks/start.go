package runbooks

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.yaml.in/yaml/v4"
)

// readStart reads a script that runs an application.
func (p *parser) readStart(e *excerpt, at Pos, language string, marker header, headers []header, rest int) Block {
	s := Start{Shell: newShell(e, at, language, marker)}
	s.In = InRehearsal
	named := false
	kept := p.known(headers, startForm)
	p.blockName(marker, startForm)
	for _, h := range kept {
		switch h.Key {
		case "timeout":
			s.Timeout, _ = p.durationText(h.ValueAt, "timeout", h.Value, time.Second)
		case "env":
			named = true
			s.Env = p.variables(h)
		case "ready":
			s.Ready = h.Value
		case "url":
			s.Variable, s.URL = p.ownAddress(h)
		}
	}
	p.commands(e, &s.Shell, marker, rest, named)
	switch {
	case s.Ready == "":
		p.fail(marker.Pos, "the start does not say when the application has started",
			"write `# ready: /health`, a path that it answers then, or `# ready: TEXT` of a line that it writes")
	case strings.HasPrefix(s.Ready, "/") && s.URL == "":
		p.fail(marker.Pos, fmt.Sprintf("the start does not say where %s is answered", s.Ready), "write `# url: APP_URL=http://127.0.0.1:8080`")
	}
	if s.Variable != "" {
		p.applications[s.Variable] = at
	}
	return s
}

// ownAddress reads "APP_URL=http://127.0.0.1:8080": the loopback of the application
// is all the network there is for it.
func (p *parser) ownAddress(h header) (variableName, address string) {
	const do = "write it like `# url: APP_URL=http://127.0.0.1:8080`"
	name, address, ok := strings.Cut(h.Value, "=")
	name, address = strings.TrimSpace(name), strings.TrimSuffix(strings.TrimSpace(address), "/")
	if !ok || !variable.MatchString(name) {
		p.fail(h.ValueAt, "an application's url is a variable and its address", do)
		return "", ""
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Scheme != "http" || u.Port() == "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil:
		p.fail(h.ValueAt, fmt.Sprintf("`%s` is not the address of an application", address), do)
	case u.Hostname() != "localhost" && !net.ParseIP(u.Hostname()).IsLoopback():
		p.fail(h.ValueAt, fmt.Sprintf("`%s` is not on the application's own loopback, which is all the network that it has", u.Host), do)
	default:
		return name, address
	}
	return "", ""
}

// readHTTPCheck reads a check of an answer.
func (p *parser) readHTTPCheck(e *excerpt, at Pos, root *yaml.Node) Block {
	c := HTTPCheck{Pos: at, Status: 200}
	for _, f := range p.entries(e, root, "a check over HTTP", []string{"check", "http", "status", "body"}) {
		if f.key == "http" {
			c.URL, _ = p.value(f)
			p.checkAddress(f, c)
			continue
		}
		s, ok := p.text(f)
		switch {
		case !ok:
		case f.key == "check":
			c.Name = s
			p.uniqueName(f.valueAt(), s)
		case f.key == "body":
			c.Body = s
		default:
			if _, err := fmt.Sscanf(s, "%d", &c.Status); err != nil || c.Status < 100 || c.Status > 599 || len(s) != 3 {
				p.fail(f.valueAt(), fmt.Sprintf("`%s` is not a status of HTTP", s), "write `status: 200`")
			}
		}
	}
	return c
}

// checkAddress checks what an HTTP check asks, as far as its references allow.
func (p *parser) checkAddress(f entry, c HTTPCheck) {
	if len(c.References()) > 0 {
		p.visited = append(p.visited, f.valueAt())
	}
	for _, name := range c.References() {
		if _, ok := p.applications[name]; !ok {
			p.warn(f.valueAt(), fmt.Sprintf("in a rehearsal %s is nobody's address, so this is not checked", name),
				fmt.Sprintf("start the application above it, with `# url: %s=http://127.0.0.1:8080`", name))
		}
	}
	if c.URL == "" || strings.HasPrefix(c.URL, "${") {
		return
	}
	if u, err := url.Parse(referenceLike.ReplaceAllString(c.URL, "x")); err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		p.fail(f.valueAt(), fmt.Sprintf("`%s` is not an address", c.URL), "write it like `http: \"${APP_URL}/health\"`")
	}
}
