package tool

import (
	"strings"
	"testing"

	"comeback/recovery"
)

// An answer is bounded also where a program's output is copied into it.
func TestAnswer_bounded(t *testing.T) {
	for text, fits := range map[string]bool{"12345678": true, "123456789": false} {
		out := answer{title: "pgBackRest", most: 8}
		err := command(t.Context(), recovery.Cmd{Path: "/bin/sh", Args: []string{"-c", "printf %s " + text}, Env: []string{"PATH=/usr/bin:/bin"}, User: &recovery.User{UID: -1}, Stdout: &out})
		if (err == nil) != fits || fits != (out.text.String() == text) || !fits && !strings.Contains(err.Error(), "pgBackRest lists more than 8 B") {
			t.Errorf("%q: %q, %v", text, out.text.String(), err)
		}
	}
}
