package schedule_test

import (
	"slices"
	"testing"

	"comeback/recovery/schedule"
)

// A file of variables means what systemd takes it for, whatever a shell would make of it.
func TestEnvironment(t *testing.T) {
	for text, want := range map[string][]string{
		"":                                   nil,
		"GREETING=a b&c$d#e\n":               {"GREETING=a b&c$d#e"},
		"URL=postgres://u:p@db/shop?a=b&c=d": {"URL=postgres://u:p@db/shop?a=b&c=d"},
		"URL=host=db1 dbname=shop  \r\nB=2":  {"URL=host=db1 dbname=shop", "B=2"},
		"# a comment\n; another=1\n\n  A=1\nA=2\n": {"A=1", "A=2"},
		"A=`id`;$(id)\n": {"A=`id`;$(id)"},
		"A='a \"b\" $c\\'\nB=\"a 'b' \\$c \\n\\\"\"": {`A=a "b" $c\`, `B=a 'b' $c \n"`},
		"A=' a ' \nB=  b  c  \nC=\"x\"'y'z":          {"A= a ", "B=b  c", "C=xyz"},
		"A=a\\\\b\\ \nB=one\\\ntwo\nC=":              {`A=a\b `, "B=onetwo", "C="},
		"A=it's\nB=\"over\ntwo lines\"\n":            {"A=it's", "B=over\ntwo lines"},
		"export A=1\nA B=1\n9=1\nnothing\nOK = 1\n":  {"OK=1"},
	} {
		if got := schedule.Environment(text); !slices.Equal(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}
