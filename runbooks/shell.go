package runbooks

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
)

// withheld are variables that a block never gets: they would lend it the
// operator's keys.
var withheld = []string{"SSH_AUTH_SOCK", "SSH_AGENT_PID"}

// shellsOwn are variables that every shell has or sets.
var shellsOwn = []string{
	"HOME", "IFS", "LANG", "LINENO", "OLDPWD", "OPTARG", "OPTIND", "PATH", "PPID", "PWD", "RANDOM", "REPLY",
	"SECONDS", "SHELL", "TMPDIR", "UID", "USER",
}

// readShell reads a script, which is run once or, where its marker is `wait`,
// until it exits with 0.
func (p *parser) readShell(e *excerpt, at Pos, language string, marker header, headers []header, rest int) Block {
	f := shellForm
	switch marker.Key {
	case "wait":
		f = shellWaitForm
	case "start":
		return p.readStart(e, at, language, marker, headers, rest)
	}
	s := newShell(e, at, language, marker)
	named := false
	kept := p.known(headers, f)
	p.blockName(marker, f)
	for _, h := range kept {
		switch h.Key {
		case "in":
			s.In = p.where(h)
		case "timeout":
			if marker.Key == "run" {
				s.Timeout, _ = p.durationText(h.ValueAt, "timeout", h.Value, time.Second)
			}
		case "terminal":
			s.Terminal = p.terminal(h)
		case "env":
			named = true
			s.Env = p.variables(h)
		}
	}
	p.commands(e, &s, marker, rest, named)
	if marker.Key == "wait" {
		return ShellWait{Shell: s, Patience: p.patience(kept)}
	}
	return s
}

func newShell(e *excerpt, at Pos, language string, marker header) Shell {
	s := Shell{Pos: at, Name: marker.Value, In: InRecovery, Interpreter: "sh", Script: e.text}
	if language == "bash" || strings.HasPrefix(e.text, "#!") && strings.Contains(e.lines()[0], "bash") {
		s.Interpreter = "bash"
	}
	return s
}

// commands checks what a block runs, and finds the variables that it reads where
// they are not named.
func (p *parser) commands(e *excerpt, s *Shell, marker header, rest int, named bool) {
	code := stripComments(strings.Join(e.lines()[rest:], "\n"))
	if strings.TrimSpace(code) == "" {
		p.fail(s.Pos, "this block has nothing to run", fmt.Sprintf("write the commands below its `# %s:` line", marker.Key))
	}
	if !named {
		s.Env = mentioned(code)
	}
	for _, v := range withheld {
		if slices.Contains(s.Env, v) {
			p.fail(s.Pos, fmt.Sprintf("a block never gets %s, which would lend it the operator's keys", v), "use a key of its own")
		}
	}
}

// terminal reads whether a script talks with a person.
func (p *parser) terminal(h header) bool {
	if h.Value != "yes" && h.Value != "no" {
		p.fail(h.ValueAt, fmt.Sprintf("`%s` is neither yes nor no", h.Value),
			"write `# terminal: yes` if the script talks with a person, or remove the line")
	}
	return h.Value == "yes"
}

func (p *parser) where(h header) Where {
	places := []string{string(InRecovery), string(InRehearsal), string(InBoth)}
	if slices.Contains(places, h.Value) {
		return Where(h.Value)
	}
	do := "write recovery, rehearsal or both"
	if near, ok := nearest(h.Value, places); ok {
		do = fmt.Sprintf("write `# in: %s`", near)
	}
	p.fail(h.ValueAt, fmt.Sprintf("a block cannot run in `%s`", h.Value), do)
	return InRecovery
}

func (p *parser) variables(h header) []string {
	var names []string
	for _, v := range strings.FieldsFunc(h.Value, func(r rune) bool { return r == ',' || r == ' ' }) {
		if !variable.MatchString(v) {
			p.fail(h.ValueAt, fmt.Sprintf("`%s` is not the name of an environment variable", v),
				"write names only, like `# env: APP_URL, API_TOKEN`")
			continue
		}
		if !slices.Contains(names, v) {
			names = append(names, v)
		}
	}
	return names
}

var (
	mention = pattern.New(`(\\?)\$\{?#?([A-Za-z_][A-Za-z0-9_]*)`)
	sets    = pattern.New(`(?m)(?:^|[;&|(\s])(?:for[ \t]+([A-Za-z_]\w*)\b|read[ \t]+(?:-\w+[ \t]+)*([A-Za-z_]\w*)|([A-Za-z_]\w*)\+?=)`)
)

// mentioned lists the variables that a script reads and does not set itself, in
// the order of their first mention.
func mentioned(script string) []string {
	known := map[string]bool{}
	for _, name := range shellsOwn {
		known[name] = true
	}
	for _, m := range sets.FindAllStringSubmatch(script, -1) {
		known[m[1]], known[m[2]], known[m[3]] = true, true, true
	}
	var names []string
	for _, m := range mention.FindAllStringSubmatch(script, -1) {
		if m[1] == "" && !known[m[2]] {
			known[m[2]] = true
			names = append(names, m[2])
		}
	}
	return names
}
