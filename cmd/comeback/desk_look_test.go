package main

import (
	"io"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/tui"
)

// The command that the console's check names finds the same, with the same exit code.
func TestDesk_checkCommand(t *testing.T) {
	t.Parallel()
	r, book, ctx := newRig(t), pictures(t), t.Context()
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	found, err := (&desk{app: r.app(io.Discard, io.Discard)}).Check(ctx, book)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.Fields(tui.CheckCommand(book))
	if words[0] != "comeback" || found.Exit() == recovery.CheckUnknown {
		t.Fatalf("%q finds %s", words, found.Answer)
	}
	r.run(ctx, words[1:]...).has(t, found.Exit(), string(found.Answer))
}
