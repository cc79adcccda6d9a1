package runbooks

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vocabulary has two engines for databases and one for files.
var vocabulary = Vocabulary{
	Engines: []Schema{
		{Engine: "dump", Kind: "postgres", Keys: []Key{
			{Name: "url", Example: `"${DATABASE_URL}"`, Required: true},
			{Name: "exclude", Example: "[logs]", List: true},
			{Name: "jobs", Example: "2", Check: only("2")},
		}},
		{Engine: "pitr", Kind: "postgres", Keys: []Key{
			{Name: "url", Example: `"${DATABASE_URL}"`},
			{Name: "archive", Example: "wal/", Required: true},
			{Name: "jobs", Example: "4", Check: only("4")},
			{Name: "quorum", Example: "[1]", List: true, Check: only("1")},
		}},
		{Engine: "tree", Kind: "files", Keys: []Key{{Name: "path", Example: "/srv", Required: true}}},
	},
	Expect: func(text string) error {
		if !strings.HasPrefix(text, ">= ") {
			return errors.New("`" + text + "` is no expectation")
		}
		return nil
	},
}

// only takes one value.
func only(value string) func(string) (string, string) {
	return func(v string) (string, string) {
		if v == value {
			return "", ""
		}
		return "is not " + value, "write " + value
	}
}

func TestLint(t *testing.T) {
	component := `{kind: postgres, url: "${DATABASE_URL}"}`
	for _, c := range []struct {
		name  string
		edits []string
		// engines are there, too.
		engines []Schema
		want    []string
	}{
		{name: "clean"},
		{name: "with an engine", edits: []string{component, `{kind: postgres, with: dump, url: "${DATABASE_URL}"}`}},
		{name: "a key of another engine", edits: []string{component, `{kind: postgres, with: dump, url: "${DATABASE_URL}", archive: wal/}`}, want: []string{
			"11:66: error: `archive` is not a key of a component of kind `postgres`; remove it; there are kind, with, url, exclude, jobs",
		}},
		{name: "misspelt engine", edits: []string{component, `{kind: postgres, with: dmup}`}, want: []string{
			"11:30: error: no engine `dmup` restores components of kind `postgres`; write `with: dump`",
		}},
		{name: "unknown engine", edits: []string{component, `{kind: postgres, with: barman}`}, want: []string{
			"11:30: error: no engine `barman` restores components of kind `postgres`; write one of dump, pitr",
		}},
		{name: "misspelt key", edits: []string{`url: "${DATABASE_URL}"`, `url: "${DATABASE_URL}", archiv: wal/, colour: red`}, want: []string{
			"11:54: error: `archiv` is not a key of a component of kind `postgres`; write `archive`",
			"11:68: error: `colour` is not a key of a component of kind `postgres`; remove it; there are kind, with, url, exclude, jobs, archive, quorum",
		}},
		{name: "list where one value goes", edits: []string{`"${DATABASE_URL}"`, `["${DATABASE_URL}", b]`}, want: []string{
			"11:30: error: `url` takes one value, and 2 are given; keep one of them",
		}},
		{name: "value that each engine refuses", edits: []string{`url: "${DATABASE_URL}"`, `url: "${DATABASE_URL}", jobs: 3, quorum: [1, 2, x]`}, want: []string{
			"11:54: error: `jobs: 3` is not 4; write 2; or write 4",
			"11:63: error: `quorum: 2` is not 1; write 1",
			"11:63: error: `quorum: x` is not 1; write 1",
		}},
		{name: "value that one of two engines takes", edits: []string{`url: "${DATABASE_URL}"`, `url: "${DATABASE_URL}", jobs: 2, quorum: 1`}},
		{name: "value that the named engine refuses", edits: []string{component, `{kind: postgres, with: pitr, archive: wal/, jobs: 2}`}, want: []string{
			"11:57: error: `jobs: 2` is not 4; write 4",
		}},
		{name: "list", edits: []string{component, `{kind: postgres, url: "${DATABASE_URL}", exclude: [a, b]}`}},
		{name: "nothing that any engine needs", edits: []string{component, `{kind: postgres}`}, want: []string{
			"11:3: error: component `database` cannot be restored: dump needs `url`, pitr needs `archive`; write `url: \"${DATABASE_URL}\"` or `archive: wal/`",
		}},
		{name: "enough for one engine", edits: []string{component, `{kind: postgres, archive: wal/}`}},
		{name: "kind that nothing restores", edits: []string{"\n---\n# B", "\n  site: {kind: code, path: /srv}\n---\n# B"}, want: []string{
			"12:10: warning: nothing here restores components of kind `code`; bring it back by hand and tick it; restored are postgres, files",
		}},
		{name: "kind that nothing restores in a stage", edits: []string{"\n---\n# B", "\n  site: {kind: code, path: /srv}\n---\n# B", "restore: database", "restore: [database, site]"}, want: []string{
			"12:10: error: nothing here restores components of kind `code`; remove it from its `restore:` and bring it back by hand and tick it; restored are postgres, files",
		}},
		{name: "expectation of a wait", edits: []string{"-- check", "-- wait", ">= 1", "many"}, want: []string{
			"27:12: error: `many` is no expectation; write for example `>= 1`, `= 42`, `between 1 and 9`, `within 10m`, `no rows`, `rows` or `in {open, paid}`",
		}},
		{name: "switch of what nothing switches", edits: []string{component, component + "\n  site: {kind: code, path: /srv}", "restore: database\n```", "restore: [database, site]\n```\n\n```yaml\nswitch: [database, site]\n```"},
			engines: []Schema{{Engine: "code", Kind: "code", Keys: []Key{{Name: "path"}}, Instead: "leave it out of the `switch:`"}}, want: []string{
				"24:20: error: `site` cannot be switched: nothing puts a component of kind `code` in the place of what is live; leave it out of the `switch:`",
			}},
		{name: "switch of what is handed over", edits: []string{component, `{kind: postgres, with: cluster, into: hand-over}`, "restore: database\n```", "restore: database\n```\n\n```yaml\nswitch: database\n```"},
			engines: []Schema{{Engine: "cluster", Kind: "postgres", Keys: []Key{{Name: "into"}}, Instead: "write `into: hand-over` into the component"}}},
		{name: "switch of what would have to be handed over", edits: []string{component, `{kind: postgres, with: cluster}`, "restore: database\n```", "restore: database\n```\n\n```yaml\nswitch: database\n```"},
			engines: []Schema{{Engine: "cluster", Kind: "postgres", Keys: []Key{{Name: "into"}}, Instead: "write `into: hand-over` into the component"}}, want: []string{
				"23:9: error: `database` cannot be switched: nothing puts what `with: cluster` restores in the place of what is live; write `into: hand-over` into the component",
			}},
		{name: "restored and not switched", edits: []string{component, component + "\n  uploads: {kind: files, path: /srv}", "restore: database", "restore: [database, uploads]"},
			engines: []Schema{{Engine: "files", Kind: "files", Keys: []Key{{Name: "path"}}, Switches: true}}, want: []string{
				"12:3: warning: no stage switches `uploads`: a recovery leaves it beside what is live, and says where; write a YAML block `switch: uploads` below its checks, if it is to take the place of what is live",
			}},
		{name: "expectation", edits: []string{">= 1", "many"}, want: []string{
			"27:12: error: `many` is no expectation; write for example `>= 1`, `= 42`, `between 1 and 9`, `within 10m`, `no rows`, `rows` or `in {open, paid}`",
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			rb, problems := Parse("x.md", []byte(edit(t, c.edits...)))
			if problems.Failed() {
				t.Fatalf("problems: %q", problems)
			}
			v := vocabulary
			v.Engines = append(slices.Clip(v.Engines), c.engines...)
			if diff := cmp.Diff(c.want, texts(Lint(rb, v))); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNew(t *testing.T) {
	for _, c := range []struct {
		name  string
		draft Draft
		holds []string
	}{
		{"with defaults", Draft{System: "shop"}, []string{
			"system: shop\n", `nearby: {url: "file:///var/backups/shop"}`, `url: "${DATABASE_URL}"`, "# Bring shop back", "restore: database"}},
		{"with everything", Draft{System: "Shop-2", RPO: time.Hour, RTO: 8 * time.Hour, Owner: `the "night" shift`, Reach: `+00 "1"`,
			Copy: "s3://bucket/x", Region: "eu-central-1", Profile: "backups", Endpoint: "http://127.0.0.1:7070",
			Database: "SHOP_URL", From: "vault: shop"}, []string{
			"rto: 8h\n", `offsite: {url: "s3://bucket/x", region: "eu-central-1", profile: "backups", endpoint: "http://127.0.0.1:7070", path_style: true}`,
			`needs: {SHOP_URL: "vault: shop"}`, "Budget: 4h.", `Owner: the "night" shift.`}},
		{"in a hurry", Draft{System: "shop", RTO: 10 * time.Second}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			file, err := New(c.draft)
			if err != nil {
				t.Fatal(err)
			}
			rb, problems := Parse("new.md", file)
			problems = append(problems, Lint(rb, vocabulary)...)
			if len(problems) > 0 {
				t.Errorf("problems: %q", problems)
			}
			for _, s := range c.holds {
				if !strings.Contains(string(file), s) {
					t.Errorf("the runbook holds no %q:\n%s", s, file)
				}
			}
		})
	}
	if _, err := New(Draft{System: "a shop"}); err == nil || !strings.Contains(err.Error(), "`a shop` cannot be the name of a system") {
		t.Errorf("error is %v", err)
	}
}
