package main

import (
	"fmt"
	"strings"
	"testing"

	"comeback/recovery"
)

// One table of a dump answers whether the lost rows are there, and proves
// nothing else.
func TestRehearse_OnlyTable(t *testing.T) {
	l, r := theShop(t), newRig(t)
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, "")
	got := r.run(t.Context(), "rehearse", book, "--plain", "--only-table", "carts")
	for _, want := range []string{"only carts of " + l.dump + " is restored: ", "REHEARSED WITH EXCEPTIONS", "not checked: all of database but carts"} {
		if got.code != recovery.WithExceptions || !strings.Contains(got.out, want) {
			t.Errorf("exit %d, want %q in\n%s%s", got.code, want, got.out, got.err)
		}
	}
	none := newRig(t)
	if got := none.run(t.Context(), "rehearse", book, "--plain", "--only-table", "carts", "--engine", "pitr"); got.code != recovery.Refused || !strings.Contains(got.err, "not one table of them") {
		t.Errorf("of a base backup: exit %d, %s", got.code, got.err)
	}
	none.noRun(t)
}
