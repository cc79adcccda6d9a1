package execute_test

import (
	"strings"
	"testing"

	"comeback/recovery/execute"
)

// Texts lose the secret; names, and what a run is folded by, do not.
func TestSecrets_RedactJSON(t *testing.T) {
	s := execute.NewSecrets(func(string) (string, bool) { return `sh"op`, true }, nil, "X")
	for in, want := range map[string]string{
		`{"step":"sh\"op","error":"no sh\"op"}`:                                                            `{"step":"sh\"op","error":"no [redacted]"}`,
		`{"error":"x","step":"sh\"op","says":"\u0073h\"op"}`:                                               `{"error":"x","step":"sh\"op","says":"[redacted]"}`,
		`{"resource":{"kind":"d","id":"/sh\"op","details":{"a":"sh\"op"}},"why":"sh\"op"}`:                 `{"resource":{"kind":"d","id":"/sh\"op","details":{"a":"sh\"op"}},"why":"[redacted]"}`,
		`{"outcome":{"says":"sh\"op","facts":{"sh\"op":"sh\"op","id":"sh\"op"},"remarks":["sh\"op","b"]}}`: `{"outcome":{"says":"[redacted]","facts":{"[redacted]":"[redacted]","id":"[redacted]"},"remarks":["[redacted]","b"]}}`,
		`{"artifacts":[{"name":"sh\"op","size":"1"},{"name":"b"}],"text":"sh\"op"}`:                        `{"artifacts":[{"name":"sh\"op","size":"1"},{"name":"b"}],"text":"[redacted]"}`,
		`{"sh\"op" : 1}`:  `{"sh\"op" : 1}`,
		`"sh\"op"`:        `"[redacted]"`,
		`[ "sh\"op" , 7]`: `[ "[redacted]" , 7]`,
		`{"a":"{\"b\":"}`: `{"a":"{\"b\":"}`,
	} {
		if got := string(s.RedactJSON([]byte(in))); got != want {
			t.Errorf("%s\nbecame %s\nnot    %s", in, got, want)
		}
	}
}

// Programs print line by line, and connect by a part of what they were given.
func TestSecrets_Redact(t *testing.T) {
	for secret, all := range map[string][]string{
		"-----BEGIN KEY-----\nbGluZSBvbmU\n  bGluZSB0d28\n-----END KEY-----\n": {"bGluZSBvbmU", "bGluZSB0d28"},
		"host=db1 password='it\\'s hidden' user=shop":                          {"it's hidden"},
		"host=db1 password = bare-word user=shop":                              {"bare-word"},
		"hunter2-hunter2 \n":                                  {"hunter2-hunter2"},
		"\tpostgres://shop:in-a-file@db1/shop\n":              {"in-a-file", "postgres://shop:in-a-file@db1/shop"},
		"postgres://shop:in%20front@db1/shop?password=behind": {"in front", "in%20front", "behind"},
		"postgres://shop:lower%2fcase@db1/shop?password=be%2fhind#x": {"lower%2fcase", "lower/case", "be%2fhind", "be/hind",
			"c2hvcDpsb3dlci9jYXNl"}, // with the user, as HTTP sends it
		"postgres://shop:hunter2#se@cret@db1/shop":          {"hunter2#se@cret", "hunter2#se", ":hunter2"},
		"postgres://shop:hunter2%zz@db1/shop":               {"hunter2%zz"},
		"postgres://shop:hunter2/secret@db1/shop":           {"hunter2/secret", ":hunter2"},
		"postgres://shop:hunter2/a@db1?sslpassword=b+ehind": {"hunter2/a", "b+ehind", "b ehind"},
		"host=db1 sslpassword=of-the-key user=shop":         {"of-the-key"},
		"sub?ject~~":      {"c3ViP2plY3R+fg==", "c3ViP2plY3R+fg", "c3ViP2plY3R-fg==", "c3ViP2plY3R-fg"},
		"with \"quotes\"": {`with \"quotes\"`},
	} {
		s := execute.NewSecrets(func(string) (string, bool) { return secret, true }, nil, "X")
		for _, word := range all {
			if got := s.Redact("it says: " + word + "!"); strings.Contains(got, word) {
				t.Errorf("of %q is told %q", secret, got)
			}
		}
		if got := s.Redact("host db1"); got != "host db1" {
			t.Errorf("of %q even this is hidden: %q", secret, got)
		}
	}
}

// A value that is too short to be taken out is not taken out in another form either.
func TestSecrets_Redact_short(t *testing.T) {
	s := execute.NewSecrets(func(string) (string, bool) { return "abc", true }, nil, "X")
	if got := s.Redact("abc YWJj"); got != "abc YWJj" {
		t.Errorf("it says %q", got)
	}
}
