package provider

import (
	"crypto/sha256"
	"encoding/hex"
	"path/filepath"
	"strings"

	"comeback/recovery"
)

// Run is the name of the run that a scratch directory belongs to.
func Run(scratch string) string { return filepath.Base(filepath.Dir(scratch)) }

// Name is a text as providers allow a name: at most so many lower-case letters, digits and
// hyphens, a letter first, no two hyphens together and none last. What is too long ends in
// a digest of the whole, so that two texts have two names.
func Name(text string, most int) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(text))
	name = strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == '-' }), "-")
	if name == "" || name[0] < 'a' {
		name = "comeback-" + name
	}
	if len(name) > most {
		name = strings.TrimRight(name[:most-9], "-") + "-" + Digest(text)[:8]
	}
	return name
}

// Digest tells apart what restores are of: the hex SHA-256 of texts, shortened to 16 digits.
func Digest(texts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(texts, "\x00")))
	return hex.EncodeToString(sum[:8])
}

// Held is the run's claim on something, or nil.
func Held(env recovery.Env, kind recovery.ResourceKind, id string) *recovery.Resource {
	for _, r := range env.Held() {
		if r.Kind == kind && r.ID == id {
			return &r
		}
	}
	return nil
}
