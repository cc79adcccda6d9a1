package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/report"
)

// A check that was taken out or changed since the system was last restored is told of before
// anything runs, a script as much as a query.
func TestRehearse_weakened(t *testing.T) {
	r := newRig(t)
	book := filesBook(t, "\n## Check\n\n```sh\n# run: smoke test\n# in: both\ntest 1 -eq 1\n```\n\n```sh\n# run: pages\n# in: both\ntrue\n```\n")
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	rehearse := []string{"rehearse", book, "--plain", "--to", "pages.tar"}
	r.run(t.Context(), append(rehearse, "--key", key)...).has(t, recovery.CameBack)
	if p := r.planned(t, rehearse...); len(p.Warnings) > 0 {
		t.Errorf("nothing has changed, and the plan warns: %q", p.Warnings)
	}
	text, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	less := strings.NewReplacer("test 1 -eq 1", "true", "```sh\n# run: pages\n# in: both\ntrue\n```\n", "").Replace(string(text))
	if err := os.WriteFile(book, []byte(less), 0o600); err != nil {
		t.Fatal(err)
	}
	says := fmt.Sprintf("since run %s of ", filepath.Base(r.only(t)))
	p := r.planned(t, rehearse...)
	if len(p.Warnings) != 2 || !strings.HasPrefix(p.Warnings[0], says) || !strings.HasSuffix(p.Warnings[0], `the check "pages" is gone`) ||
		!strings.HasSuffix(p.Warnings[1], `the check "smoke test" asks for something else`) {
		t.Errorf("the plan warns %q", p.Warnings)
	}
	r.run(t.Context(), rehearse...).has(t, recovery.CameBack, "warning: "+says, `the check "pages" is gone`)
}
