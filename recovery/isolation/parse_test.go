package isolation

import (
	"slices"
	"strings"
	"testing"
)

const netUnix = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 21801 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000003 00000000 00000000 0001 03 21802 /run/postgresql/.s.PGSQL.5432
0000000000000000: 00000002 00000000 00010000 0001 01 21803 /srv/two words/x
0000000000000000: 00000002 00000000 00000000 0002 01 21804 /dev/log
0000000000000000: 00000002 00000000 00010000 0001 01 21805 @abstract
0000000000000000: 00000003 00000000 00000000 0001 03 21806
`

func TestBoundSockets(t *testing.T) {
	got, err := boundSockets(strings.NewReader(netUnix))
	if want := []string{"/run/postgresql/.s.PGSQL.5432", "/srv/two words/x", "/dev/log"}; err != nil || !slices.Equal(got, want) {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}

func TestParseStat(t *testing.T) {
	for text, want := range map[string]stat{
		"7 (sleep) S 1 42 41 0 -1\n":    {"sleep", "S", 42, 41},
		"7 (a) Z (b) R 1 42 42 0 -1\n":  {"a) Z (b", "R", 42, 42},
		"7 (two words) D 1 5 42 0 -1\n": {"two words", "D", 5, 42},
		"7 () Z 1 5 42 0 -1\n":          {"", "Z", 5, 42},
		"7 (sleep) S 1 42\n":            {},
		"7 (sleep) S 1 x 42\n":          {},
		"7 (sleep) S 1 42 x\n":          {},
		"7 sleep S 1 42 41\n":           {},
		"7 sleep) S 1 42 41\n":          {},
		"":                              {},
	} {
		if got, ok := parseStat(text); got != want || ok != (want != stat{}) {
			t.Errorf("%q: %+v, %v", text, got, ok)
		}
	}
}

func FuzzBoundSockets(f *testing.F) {
	f.Add(netUnix)
	f.Add("0: 2 0 10000 1 1 1 /")
	f.Fuzz(func(t *testing.T, text string) {
		paths, err := boundSockets(strings.NewReader(text))
		for _, p := range paths {
			if err == nil && !strings.HasPrefix(p, "/") {
				t.Errorf("%q is no path", p)
			}
		}
	})
}
