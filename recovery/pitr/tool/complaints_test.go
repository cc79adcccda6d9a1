package tool

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// What a program complains of is told apart from its answer, however its output is cut.
func TestComplaints(t *testing.T) {
	of := func(line string) (string, bool) {
		text, ok := strings.CutPrefix(line, "says: ")
		if !ok {
			return "", false
		}
		return text, strings.HasPrefix(text, "fatal")
	}
	for name, test := range map[string]struct {
		in, out     string
		said, fatal []string
	}{
		"an answer":                 {in: "one\nsays: two\n", out: "one\nsays: two\n"},
		"nothing":                   {},
		"one without an end":        {in: "one", out: "one"},
		"a complaint before it":     {in: "says: odd\nsays: odder\n{}\n", out: "{}\n", said: []string{"odd", "odder"}},
		"a failure":                 {in: "says: odd\nsays: fatal\n  hint\n", said: []string{"odd", "fatal", "hint"}, fatal: []string{"fatal", "hint"}},
		"binary":                    {in: "says\x00\xd1\n\n", out: "says\x00\xd1\n\n"},
		"a long line":               {in: "says: " + strings.Repeat("x", 2*longest), out: "says: " + strings.Repeat("x", 2*longest)},
		"a complaint about nothing": {in: "says: odd\n", said: []string{"odd"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, size := range []int{1, 7, 1 << 20} {
				var out bytes.Buffer
				c := &complaints{out: &out, of: of}
				for in := []byte(test.in); len(in) > 0; in = in[min(size, len(in)):] {
					p := in[:min(size, len(in))]
					if n, err := c.Write(p); n != len(p) || err != nil {
						t.Fatalf("took %d of %d bytes: %v", n, len(p), err)
					}
				}
				if err := c.end(); err != nil || out.String() != test.out {
					t.Errorf("by %d: answers %q (%v), want %q", size, out.String(), err, test.out)
				}
				if diff := cmp.Diff([][]string{test.said, test.fatal}, [][]string{c.said, c.fatal}); diff != "" {
					t.Errorf("by %d: %s", size, diff)
				}
			}
		})
	}
}
