package main

import (
	"io"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/plan"
)

// A backup looks at the disk on which it lies until it is stored, and at those of copies that
// what is live lies on, too, and at no others.
func TestBackupOptions_room(t *testing.T) {
	t.Parallel()
	r, book := newRig(t), pictures(t)
	a := r.app(io.Discard, io.Discard)
	b, _, err := a.open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	o, err := a.backupOptions(t.Context(), b, backupAsked{})
	if err != nil {
		t.Fatal(err)
	}
	refuses := func(what string, room func(int64) error, place, hint string) {
		t.Helper()
		if err := room(1); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		err := room(1 << 60)
		if err == nil || !strings.Contains(err.Error(), "refused: "+place+" needs") || !strings.Contains(err.Error(), "must stay free for what lives on that disk") ||
			!strings.Contains(recovery.HintOf(err), hint) || recovery.ExitOf(err) != recovery.Refused {
			t.Errorf("%s: %v (hint %q)", what, err, recovery.HintOf(err))
		}
	}
	refuses("until it is stored", o.Room, r.scratch, "--temp DIRECTORY")
	nearby := filepath.Join(filepath.Dir(book), "nearby")
	refuses("beside what is live", o.CopyRoom(plan.Copies(b.Runbook)[0]), nearby, "let the copy lie on another one")
	for _, elsewhere := range []string{"file:///proc", "s3://bucket/shop"} {
		if o.CopyRoom(recovery.Copy{Name: "elsewhere", URL: elsewhere}) != nil {
			t.Errorf("%s is looked at", elsewhere)
		}
	}
}
