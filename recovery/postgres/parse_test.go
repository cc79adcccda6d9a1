package postgres

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServerLog_Words(t *testing.T) {
	for name, test := range map[string]struct{ log, want string }{
		"clean": {"2026-11-22 02:41:07.221 UTC [7] LOG:  database system is shut down", ""},
		"detail": {"2026-11-22 02:41:07.221 UTC [7] FATAL:  database files are incompatible with server\n" +
			"2026-11-22 02:41:07.221 UTC [7] DETAIL:  Initialized by 9.1.\n" +
			"2026-11-22 02:41:07.221 UTC [7] LOG:  database system is shut down",
			"database files are incompatible with server (Initialized by 9.1.)"},
		"a session's failure is not the server's": {`2026-11-22 02:41:07.221 UTC [8] FATAL:  database "shop" does not exist`, ""},
		"panic beats fatal":                       {"2026-11-22 02:41:07.221 UTC [7] FATAL:  first\n2026-11-22 02:41:07.300 UTC [7] PANIC:  second", "second"},
		"full disk beats all": {"2026-11-22 02:41:07.221 UTC [7] ERROR:  could not extend file \"base/5/1\": No space left on device\n" +
			"2026-11-22 02:41:07.300 UTC [7] PANIC:  second", `could not extend file "base/5/1": No space left on device`},
		"crash": {"2026-11-22 02:41:07.221 UTC [7] LOG:  server process (PID 9) was terminated by signal 11: Segmentation fault\n" +
			"2026-11-22 02:41:07.300 UTC [7] LOG:  terminating any other active server processes", "server process (PID 9) was terminated by signal 11: Segmentation fault"},
		"before the log": {"/usr/lib/postgresql/15/bin/postgres: could not find the database system\nExpected to find it in \"/x\",",
			`could not find the database system Expected to find it in "/x",`},
	} {
		t.Run(name, func(t *testing.T) {
			l := newServerLog()
			for line := range strings.Lines(test.log) {
				l.add(strings.TrimSuffix(line, "\n"))
			}
			if got := l.words(); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

func FuzzParseLogLine(f *testing.F) {
	f.Add("2026-11-22 02:41:07.221 UTC [7] FATAL:  database files are incompatible with server")
	f.Add("\tcontinued")
	f.Add("postgres: early")
	f.Fuzz(func(t *testing.T, line string) {
		got := ParseLogLine(line)
		if got.Text != "" && !strings.Contains(line, got.Text) {
			t.Errorf("%q became %q", line, got.Text)
		}
	})
}

func FuzzParseControl(f *testing.F) {
	f.Add("Database system identifier: 7301\nLatest checkpoint location: 0/1")
	f.Add("Latest checkpoint's NextXID: 0:735\n")
	f.Fuzz(func(t *testing.T, text string) {
		_, _ = parseControl(text) // must not panic
	})
}

func TestFormatSettings(t *testing.T) {
	got, err := formatSettings(map[string]string{"b": `it's a \path`, "a": ""})
	if err != nil {
		t.Fatal(err)
	}
	want := "# written by comeback; nothing else is read\na = ''\nb = 'it''s a \\\\path'\n"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if _, err := formatSettings(map[string]string{"a": "x\nfsync = off"}); err == nil {
		t.Error("a value may smuggle in a line")
	}
}

func TestTools_HintFor(t *testing.T) {
	tools := Tools{Major: 15}
	for words, want := range map[string]string{
		`could not extend file "base/5/1": No space left on device`:                                          "make room",
		`extension "postgis" is not available`:                                                               "postgresql-15-postgis-3",
		`could not open extension control file "/usr/share/postgresql/15/extension/vector.control": No such`: "postgresql-15-pgvector",
		`extension "my_own" is not available`:                                                                "postgresql-15-my-own",
	} {
		if got := tools.HintFor(words); !strings.Contains(got, want) {
			t.Errorf("for %q: %q lacks %q", words, got, want)
		}
	}
	if got := tools.HintFor("something else"); got != "" {
		t.Errorf("a hint out of nothing: %q", got)
	}
}
