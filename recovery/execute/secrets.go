package execute

import (
	"net/url"
	"slices"
	"strings"
	"sync"

	"comeback/pattern"
	"comeback/recovery"
)

// Secrets resolves references such as ${DATABASE_URL} at the moment of use and
// takes the values out of everything that is recorded. It is safe for
// concurrent use.
type Secrets struct {
	lookup func(name string) (string, bool)
	where  map[string]string // where a person finds a value
	*hidden
}

// hidden are the values that were seen so far.
type hidden struct {
	mu     sync.RWMutex
	values []string // longest first
	// given are values that a person typed in.
	given map[string]string
}

// MissingSecret is the cause of an error about a value that nobody has given.
type MissingSecret struct{ Name string }

func (m MissingSecret) Error() string { return m.Name + " is not set" }

// Give sets the value of a reference; it goes before what lookup says.
func (s *Secrets) Give(name, value string) {
	s.hide(value)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.given == nil {
		s.given = map[string]string{}
	}
	s.given[name] = value
}

// value is what a name refers to.
func (s *Secrets) value(name string) (string, bool) {
	s.mu.RLock()
	v, ok := s.given[name]
	s.mu.RUnlock()
	if ok {
		return v, true
	}
	return s.lookup(name)
}

// NewSecrets reads values with lookup. Where tells people where to find what is
// missing; known are names whose values are secret whether or not the runbook
// refers to them.
func NewSecrets(lookup func(string) (string, bool), where map[string]string, known ...string) *Secrets {
	s := &Secrets{lookup: lookup, hidden: &hidden{}}
	for _, name := range known {
		if v, ok := lookup(name); ok {
			s.hide(v)
		}
	}
	return s.For(where)
}

// For is the same secrets for a runbook that says where to find which value.
// What either of them hides, both do.
func (s *Secrets) For(where map[string]string) *Secrets {
	for name := range where {
		if v, ok := s.lookup(name); ok {
			s.hide(v)
		}
	}
	return &Secrets{lookup: s.lookup, where: where, hidden: s.hidden}
}

// KnownSecrets are the variables that hold secrets by their nature.
var KnownSecrets = []string{"AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "PGPASSWORD", "DATABASE_URL"}

// Missing lists the references in text that have no value.
func (s *Secrets) Missing(text string) []string {
	var names []string
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if v, ok := s.value(m[1]); (!ok || v == "") && !slices.Contains(names, m[1]) {
			names = append(names, m[1])
		}
	}
	return names
}

var reference = pattern.New(`\$\{([A-Za-z_][A-Za-z0-9_]*)\}`)

// Expand resolves the references in text. One that has no value is an error
// that says where to find it.
func (s *Secrets) Expand(text string) (string, error) {
	var missing string
	out := reference.ReplaceAllStringFunc(text, func(r string) string {
		name := r[2 : len(r)-1]
		v, ok := s.value(name)
		if !ok || v == "" {
			if missing == "" {
				missing = name
			}
			return ""
		}
		s.hide(v)
		return v
	})
	if missing != "" {
		hint := "export " + missing + " and try again"
		if w := s.where[missing]; w != "" {
			hint = "export " + missing + " (" + w + ") and try again"
		}
		return "", recovery.Errorf(hint, "%w", MissingSecret{missing}).WithExit(recovery.Usage)
	}
	return out, nil
}

// minSecret is the length below which a value is not taken out: shorter ones
// stand in ordinary words and would make the record unreadable.
const minSecret = 4

// hide makes a value and the forms in which it may appear disappear from
// records, also without the white space around it, which is of the file that it was
// read from more often than its own. Of a connection string with a password, the
// password is hidden too, and of a text of several lines, such as a key, each line:
// what programs print is recorded line by line.
func (s *hidden) hide(v string) {
	var forms []string
	add := func(v string) { forms = append(forms, v, url.QueryEscape(v), url.PathEscape(v)) }
	add(v)
	bare := strings.TrimSpace(v)
	add(bare)
	for _, p := range passwords(bare) {
		add(p)
	}
	if lines := strings.Split(bare, "\n"); len(lines) > 1 {
		for _, l := range lines {
			add(strings.TrimSpace(l))
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range forms {
		if len(f) >= minSecret && !slices.Contains(s.values, f) {
			s.values = append(s.values, f)
		}
	}
	slices.SortFunc(s.values, func(a, b string) int { return len(b) - len(a) })
}

// passwords are those in a connection string, as a URL or as key=value words.
func passwords(v string) []string {
	var found []string
	if u, err := url.Parse(v); err == nil && u.Scheme != "" {
		if p, ok := u.User.Password(); ok {
			found = append(found, p)
		}
		return append(found, u.Query()["password"]...)
	}
	for _, m := range passwordWord.FindAllStringSubmatch(v, -1) {
		found = append(found, unquoted(m[1]))
	}
	return found
}

// unquoted is a word of a connection string without the quotes that it may have.
func unquoted(word string) string {
	if quoted, ok := strings.CutPrefix(word, "'"); ok {
		return escaped.ReplaceAllString(strings.TrimSuffix(quoted, "'"), "$1")
	}
	return word
}

var (
	passwordWord = pattern.New(`\bpassword\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']\S*)`)
	escaped      = pattern.New(`\\(.)`)
)

// Redact takes every secret out of text.
func (s *hidden) Redact(text string) string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, v := range s.values {
		if strings.Contains(text, v) {
			text = strings.ReplaceAll(text, v, "[redacted]")
		}
	}
	return text
}
