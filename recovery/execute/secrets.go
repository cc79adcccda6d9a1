package execute

import (
	"encoding/base64"
	"net/url"
	"slices"
	"strconv"
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
	forms := formsOf(v)
	bare := strings.TrimSpace(v)
	forms = append(forms, formsOf(bare)...)
	for _, p := range passwords(bare) {
		forms = append(forms, formsOf(p)...)
	}
	for _, both := range credentials(bare) {
		forms = append(forms, inBase64(both)...) // as HTTP sends a user and a password
	}
	if lines := strings.Split(bare, "\n"); len(lines) > 1 {
		for _, l := range lines {
			forms = append(forms, formsOf(strings.TrimSpace(l))...)
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

// formsOf are a value as it is, as URLs have it, as Go quotes it, and in base64, as
// Kubernetes keeps it.
func formsOf(v string) []string {
	quoted := strconv.Quote(v)
	forms := []string{v, url.QueryEscape(v), url.PathEscape(v), quoted[1 : len(quoted)-1]}
	return append(forms, inBase64(v)...)
}

// inBase64 are the ways to write a value in base64, nothing for one that is too short to
// be taken out.
func inBase64(v string) (forms []string) {
	if len(v) < minSecret {
		return nil
	}
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		forms = append(forms, e.EncodeToString([]byte(v)))
	}
	return forms
}

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
