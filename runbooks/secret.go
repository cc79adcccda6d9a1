package runbooks

import (
	"fmt"
	"strings"

	"comeback/pattern"
)

// secretLike are the forms of secrets that people leave in files. The first
// group is the secret itself.
var secretLike = []struct {
	form *pattern.Pattern
	what string
}{
	{pattern.New(`[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@"'<>]*:([^\s/@"'<>]+)@`), "a password in a url"},
	{pattern.New(`(?i)\bPGPASSWORD[ \t]*=[ \t]*["']?([^\s"']+)`), "a password"},
	{pattern.New(`(?i)[?&]password=([^\s"'&]+)`), "a password in a url"},
	{pattern.New(`(?i)\b(?:host|dbname|user)=\S+.*\bpassword=["']?([^\s"']+)`), "a password"},
	{pattern.New(`(?i)\baws_secret_access_key["']?[ \t]*[:=][ \t]*["']?([^\s"']+)`), "a secret access key"},
	{pattern.New(`(-----BEGIN [A-Z ]*PRIVATE KEY-----)`), "a private key"},
	{pattern.New(`(AGE-SECRET-KEY-1[A-Z0-9]+)`), "a private key"},
}

// findSecrets reports literal secrets: they would end up in plans and reports.
// Where nothing runs they are a warning. No problem repeats them.
func (p *parser) findSecrets() {
	var found []string
	defer func() {
		for i, problem := range p.problems {
			for _, secret := range found {
				problem.Says = strings.ReplaceAll(problem.Says, secret, "***")
				problem.Do = strings.ReplaceAll(problem.Do, secret, "***")
			}
			p.problems[i] = problem
		}
	}()
	for i := range p.src.lines {
		if p.problems.full() {
			return
		}
		line := string(p.src.bytesOf(i + 1))
		for _, s := range secretLike {
			m := s.form.FindStringSubmatchIndex(line)
			if m == nil || !literal(line[m[2]:m[3]]) {
				continue
			}
			found = append(found, line[m[2]:m[3]])
			severity := Warning
			if p.runs[i+1] {
				severity = Error
			}
			p.problems.add(severity, Pos{i + 1, 1 + len([]rune(line[:m[2]]))},
				fmt.Sprintf("%s stands in the file", s.what),
				"write a reference such as `${DATABASE_URL}`, and change the secret: others have read it")
			break
		}
	}
}

// literal reports whether a value is neither a reference nor a placeholder.
func literal(s string) bool {
	return !strings.HasPrefix(s, "$") && strings.Trim(s, "*.…xX") != "" && !strings.HasPrefix(s, "<")
}
