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
	rehearse(book)
	r.runnersEnd(t)
	if n := len(b.books(t)); n != 2 {
		t.Fatalf("after the rehearsal of another one there are %d", n)
	}
	// An older one that another host still has is not the newest; one that was put back is.
	for _, c := range []struct {
		changed time.Time
		books   int
	}{{time.Now(), 2}, {time.Now().Add(r.ahead + 30*time.Minute), 3}} {
		write(first, c.changed)
		r.ahead += time.Hour
		told()
		if n := len(b.books(t)); n != c.books {
			t.Errorf("changed %s, it was stored: %d, not %d", c.changed, n, c.books)
		}
	}
	// What was found in a copy is carried into no other.
	rehearse("file://" + b.copy)
	if n := len(b.books(t)); n != 3 {
		t.Errorf("what was found was stored: %d", n)
	}
}
