package main

import (
	"bytes"
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
)

// Where other programs take the backups, a check and the end of a run bring the runbook into
// the copy; nothing is stored again that lies there, and nothing older takes its place.
func TestRunbookInCopy_withoutBackups(t *testing.T) {
	r, book := newRig(t), filesBook(t, "")
	opened, _, err := r.app(os.Stderr, os.Stderr).open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	c, _ := opened.Copy("nearby")
	b := copiedBook{rig: r, book: book, copy: strings.TrimPrefix(c.URL, "file://")}
	told := func(args ...string) bool {
		t.Helper()
		return strings.Contains(r.run(t.Context(), append([]string{"check", book}, args...)...).out, "holds no runbook")
	}
	if !told("--no-canary") {
		t.Error("a check that stores nothing does not find that the runbook is not there")
	}
	if told() || len(b.books(t)) != 1 || told("--no-canary") {
		t.Errorf("after a check the copy holds %q", b.books(t))
	}
	r.run(t.Context(), "runbook", "lint", c.URL).has(t, recovery.CameBack, b.books(t)[0])
	told()
	rehearse := func(book string) {
		r.run(t.Context(), "rehearse", book, "--plain", "--to", "pages.tar").has(t, recovery.CameBack)
	}
	rehearse(book)
	if n := len(b.books(t)); n != 1 {
		t.Errorf("what lies there was stored again: %d", n)
	}
	first, err := os.ReadFile(book)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text []byte, changed time.Time) {
		t.Helper()
		if err := errors.Join(os.WriteFile(book, text, 0o600), os.Chtimes(book, time.Time{}, changed)); err != nil {
			t.Fatal(err)
		}
	}
	r.ahead += time.Hour
	write(append(bytes.Clone(first), "\nAnd then tell everybody.\n"...), time.Now().Add(r.ahead))
	rehearse(book) // which may have been of a draft
	r.runnersEnd(t)
	if n := len(b.books(t)); n != 1 {
		t.Fatalf("after the rehearsal of another one there are %d", n)
	}
	r.run(t.Context(), "check", book)
	if n := len(b.books(t)); n != 2 {
		t.Fatalf("after the check of another one there are %d", n)
	}
	// An older one that another host still has is not the newest, whether it lay there before
	// or not; one that was put back is.
	never := append(bytes.Clone(first), "\nA draft.\n"...)
	for name, c := range map[string]struct {
		text    []byte
		changed time.Time
	}{"that lay there before": {first, time.Now()}, "that never lay there": {never, time.Now()}} {
		write(c.text, c.changed)
		r.ahead += time.Hour
		says := strings.Join(strings.Fields(r.run(t.Context(), "check", book).out), " ")
		rehearse(book)
		r.runnersEnd(t)
		if n := len(b.books(t)); n != 2 || !strings.Contains(says, "the newest runbook in nearby is another than this one") || !strings.Contains(says, "touch "+book) {
			t.Errorf("an older one %s: there are %d\n%s", name, n, says)
		}
	}
	write(first, time.Now().Add(r.ahead+30*time.Minute))
	r.ahead += time.Hour
	if got := r.run(t.Context(), "check", book); len(b.books(t)) != 3 || strings.Contains(got.out, "the newest runbook") {
		t.Errorf("after one was put back there are %d\n%s", len(b.books(t)), got.out)
	}
	// What was found in a copy is carried into no other.
	rehearse("file://" + b.copy)
	if n := len(b.books(t)); n != 3 {
		t.Errorf("what was found was stored: %d", n)
	}
}
