package execute

import (
	"net/url"
	"strings"

	"comeback/pattern"
)

// passwords are those in a connection string, as a URL or as key=value words: as they
// are written, and as they are read.
func passwords(v string) []string {
	if !schemed.MatchString(v) {
		var found []string
		for _, m := range passwordWord.FindAllStringSubmatch(v, -1) {
			found = append(found, unquoted(m[1]))
		}
		return found
	}
	var found []string
	for _, both := range userinfos(v) {
		_, raw, _ := strings.Cut(both, ":")
		found = append(found, raw)
		if p, err := url.PathUnescape(raw); err == nil {
			found = append(found, p)
		}
		// What Go takes for the port of a URL that it cannot parse stands in its errors.
		if end := strings.IndexAny(raw, "/?#"); end >= 0 && !parses(v) {
			found = append(found, raw[:end])
		}
	}
	return append(found, queried(v)...)
}

// credentials are the users of a URL with their passwords, as they are read.
func credentials(v string) (found []string) {
	if !schemed.MatchString(v) {
		return nil
	}
	for _, both := range userinfos(v) {
		if both, err := url.PathUnescape(both); err == nil {
			found = append(found, both)
		}
	}
	return found
}

// userinfos are what may be meant as user and password of a URL, whether or not it is
// a sound one: up to the last "@" of the authority, up to the first one, as PostgreSQL's
// programs read it, whatever is before it but a slash, and where nobody can parse it, up to
// the last one at all.
func userinfos(v string) (found []string) {
	_, rest, _ := strings.Cut(v, "://")
	host, _, _ := strings.Cut(rest, "/")
	ends := []int{strings.IndexByte(host, '@'), strings.LastIndexByte(host, '@')}
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		ends = append(ends, strings.LastIndexByte(rest[:end], '@'))
	}
	if !parses(v) {
		ends = append(ends, strings.LastIndexByte(rest, '@'))
	}
	for _, end := range ends {
		if end >= 0 && strings.Contains(rest[:end], ":") {
			found = append(found, rest[:end])
		}
	}
	return found
}

// queried are the passwords among the settings of a URL.
func queried(v string) (found []string) {
	for word := range strings.SplitSeq(v, "&") {
		key, raw, _ := strings.Cut(word, "=")
		key, err := url.PathUnescape(key[strings.LastIndexByte(key, '?')+1:])
		if err != nil || key != "password" && key != "sslpassword" {
			continue
		}
		before, _, _ := strings.Cut(raw, "#")
		for _, raw := range []string{raw, before} {
			found = append(found, raw)
			for _, read := range []func(string) (string, error){url.PathUnescape, url.QueryUnescape} {
				if p, err := read(raw); err == nil {
					found = append(found, p)
				}
			}
		}
	}
	return found
}

func parses(v string) bool {
	_, err := url.Parse(v)
	return err == nil
}

// unquoted is a word of a connection string without the quotes that it may have.
func unquoted(word string) string {
	if quoted, ok := strings.CutPrefix(word, "'"); ok {
		return escaped.ReplaceAllString(strings.TrimSuffix(quoted, "'"), "$1")
	}
	return word
}

var (
	schemed      = pattern.New(`^[A-Za-z][A-Za-z0-9+.-]*://`)
	passwordWord = pattern.New(`\b(?:ssl)?password\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']\S*)`)
	escaped      = pattern.New(`\\(.)`)
)
