package runbooks

import (
	"fmt"
	"path"
	"strings"

	"comeback/pattern"

	"go.yaml.in/yaml/v4"
)

// readNotify reads the command that calls a person, word by word: no shell
// comes between the runbook and the program.
func (p *parser) readNotify(e entry) {
	p.rb.NotifyAt = e.Pos
	before := len(p.rb.references)
	for i, n := range p.items(e) {
		at := e.from.at(n.Line, n.Column)
		p.refer(e, n)
		switch {
		case i == 0:
			p.program(at, n.Value, e.node.Kind == yaml.ScalarNode)
		case shellWord.MatchString(n.Value):
			p.fail(at, fmt.Sprintf("`%s` is for a shell, and none reads this command", n.Value),
				"put the commands into a script, and name the script")
		case secretWord.MatchString(n.Value) || secretFlag.MatchString(p.lastWord()) && literal(n.Value):
			p.fail(at, "a secret on a command line can be read by every user of the host", readFromFile)
		}
		p.rb.Notify = append(p.rb.Notify, n.Value)
	}
	for _, r := range p.rb.references[before:] {
		p.argued[r.Pos] = true
	}
}

func (p *parser) lastWord() string { return p.rb.Notify[len(p.rb.Notify)-1] }

const readFromFile = "let the program read it from a file of its own, or name a script that does"

var (
	shellWord  = pattern.New(`^([|&;<>]+|[0-9]?>>?(&[0-9]|.*)|.*[;&|])$`)
	secretFlag = pattern.New(`(?i)^--?(password|passwd|passphrase|token|secret|api[-_]?key|credentials?)$`)
	secretWord = pattern.New(`(?i)^--?(password|passwd|passphrase|token|secret|api[-_]?key|credentials?)=[^$]` +
		`|^(authorization|private-token|x-[a-z-]*(key|token)):` +
		`|[?&](password|token|secret|api_?key)=[^$]|//hooks\.slack\.com/services/`)
	secretName = pattern.New(`(?i)(^|_)(pass(word|wd|phrase)?|pwd|secret|token|(api_?)?key|credentials?|webhook)(_|[0-9]|$)`)
)

// program checks the command's first word.
func (p *parser) program(at Pos, word string, alone bool) {
	words := strings.Fields(word)
	switch {
	case strings.HasPrefix(word, "$"):
		p.fail(at, "the program to call a person with must stand in the runbook", "write its absolute path")
	case alone && len(words) > 1:
		p.fail(at, "no shell cuts this command into words", fmt.Sprintf("write `notify: [%s]`, each word by itself", quoteWords(words)))
	case strings.Contains(word, "/") && !path.IsAbs(word):
		p.fail(at, fmt.Sprintf("`%s` is another program in every directory", word), "write its absolute path, like `/usr/local/bin/page`")
	case len(words) > 1 && !path.IsAbs(word):
		p.fail(at, fmt.Sprintf("`%s` is not the name of a program", word), "write the program and its arguments as words of their own")
	case path.IsAbs(word) && (path.Clean(word) != word || word == "/"):
		p.fail(at, fmt.Sprintf("`%s` is not the path of a program", word), "write its absolute path, like `/usr/local/bin/page`")
	}
}

func quoteWords(words []string) string {
	var quoted []string
	for _, w := range words {
		quoted = append(quoted, quote(w))
	}
	return strings.Join(quoted, ", ")
}

// argument checks a reference that becomes a part of a command line.
func (p *parser) argument(r Reference) {
	if secretName.MatchString(r.Name) || p.isAddress(r.Name) {
		p.fail(r.Pos, fmt.Sprintf("%s is a secret, and a command line can be read by every user of the host", r.Name), readFromFile)
		return
	}
	if _, ok := p.rb.Needs[r.Name]; !ok {
		p.fail(r.Pos, fmt.Sprintf("`needs` does not list %s, so nobody is asked for it", r.Name),
			fmt.Sprintf("write `needs: {%s: \"WHERE FROM\"}`, or its value here", r.Name))
	}
}

// isAddress reports whether a component's settings or a copy refer to a
// variable: addresses hold passwords.
func (p *parser) isAddress(name string) bool {
	for _, r := range p.rb.references {
		if r.Name == name && !p.argued[r.Pos] {
			return true
		}
	}
	return false
}
