package runbooks

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// small is a runbook without a problem. The tests change one thing in it.
const small = `---
comeback: 1
system: shop
rpo: 5m
rto: 30m
people: [{role: on-call, reach: "+00"}]
needs: {DATABASE_URL: the vault}
copies:
  nearby: {url: "file:///var/backups/shop"}
components:
  database: {kind: postgres, url: "${DATABASE_URL}"}
---
# Bring it back

## Restore
Owner: on-call. Budget: 15m.

` + "```yaml\nrestore: database\n```" + `

## Check

` + "```sql\n-- check: orders\n-- on: database\n-- expect: >= 1\nselect count(*) from orders\n```\n"

// edit changes pieces of small, each of which must occur in it.
func edit(t *testing.T, oldnew ...string) string {
	t.Helper()
	s := small
	for i := 0; i < len(oldnew); i += 2 {
		if !strings.Contains(s, oldnew[i]) {
			t.Fatalf("the runbook to edit holds no %q", oldnew[i])
		}
		s = strings.Replace(s, oldnew[i], oldnew[i+1], 1)
	}
	return s
}

func texts(problems Problems) []string {
	var list []string
	for _, p := range problems {
		list = append(list, p.String())
	}
	return list
}

func TestParse_smallHasNoProblem(t *testing.T) {
	if _, problems := Parse("small.md", []byte(small)); len(problems) > 0 {
		t.Fatalf("problems: %q", problems)
	}
}

// fence makes a fenced block.
func fence(language string, lines ...string) string {
	return "```" + language + "\n" + strings.Join(lines, "\n") + "\n```\n"
}

type problemCase struct {
	name string
	// edits are pairs of what stands in small and what stands there instead.
	edits []string
	// add is appended to small.
	add  string
	want []string
}

func runCases(t *testing.T, cases []problemCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, problems := Parse("shop.md", []byte(edit(t, c.edits...)+c.add))
			if diff := cmp.Diff(c.want, texts(problems)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

// frontEnd is where the front matter of small ends.
var frontEnd = strings.Index(small, "---\n# Bring")

// Whatever may fail a run counts as a check, so that it is missed where it is gone.
func TestRunbook_Checks(t *testing.T) {
	const blocks = "\n## More\n\n```sh\n# run: smoke\ntrue\n```\n\n```sh\n# wait: search\n# every: 1s\ntrue\n```\n\n```sh\n# start: app\n# ready: up\nexec app\n```\n"
	checks := func(edits ...string) map[string]string {
		t.Helper()
		rb, problems := Parse("x.md", []byte(edit(t)+strings.NewReplacer(edits...).Replace(blocks)))
		if problems.Failed() {
			t.Fatal(problems)
		}
		return rb.Checks()
	}
	all := checks()
	for _, name := range []string{"smoke", "search", "app"} {
		if all[name] == "" {
			t.Errorf("%s is not among %q", name, all)
		}
	}
	for name, edits := range map[string][]string{"smoke": {"smoke\ntrue", "smoke\ntrue || true"}, "search": {"every: 1s", "every: 2s"}, "app": {"ready: up", "ready: u"}} {
		for other, asks := range checks(edits...) {
			if same := asks == all[other]; same == (other == name) {
				t.Errorf("%q: %s is the same: %v", edits, other, same)
			}
		}
	}
}
