package execute_test

import (
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
