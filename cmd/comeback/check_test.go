package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
)

// A real system is checked: before its first backup, after it, and when something
// goes wrong that was right.
func TestCheck(t *testing.T) {
	b, ctx := openBackedUp(t, ", backup: base"), t.Context()
	assess := func(want recovery.Exit) (recovery.Assessment, map[string]recovery.Judgement) {
		t.Helper()
		got := b.run(ctx, "check", b.book, "--json")
		var a recovery.Assessment
		if err := json.Unmarshal([]byte(got.out), &a); err != nil || got.code != want {
			t.Fatalf("exit %d, want %d: %v\n%s%s", got.code, want, err, got.out, got.err)
		}
		found := map[string]recovery.Judgement{}
		for _, f := range a.Findings {
			found[f.ID] = f
		}
		return a, found
	}
	_, found := assess(recovery.CheckCritical)
	for _, component := range []string{"database", "uploads", "config", "code"} {
		if f := found["none/"+component]; !f.Fatal || !strings.Contains(f.Do, "comeback backup "+b.book+" "+component) {
			t.Errorf("%s before the first backup: %+v", component, f)
		}
	}
	b.run(ctx, "backup", b.book).has(t, recovery.CameBack)
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	a, found := assess(recovery.CheckWarning)
	for _, c := range a.Components {
		for _, in := range c.Copies {
			if in.Mark != recovery.Met {
				t.Errorf("%s in %s: %+v", c.Component, in.Copy, in)
			}
		}
		if c.Kind != recovery.Postgres && !c.Unchanged {
			t.Errorf("%s has not changed since its backup", c.Component)
		}
	}
	// Both copies are directories on one disk, nothing is locked or proven, and the
	// server closes no segment by itself.
	for _, id := range []string{"3-2-1-1-0/3 copies", "3-2-1-1-0/1 locked", "proof", "rto", "timeout/database"} {
		if _, ok := found[id]; !ok {
			t.Errorf("%s was not found", id)
		}
	}
	for id := range found {
		if strings.HasPrefix(id, "rpo/") || strings.HasPrefix(id, "none/") || strings.HasPrefix(id, "gap/") || strings.HasPrefix(id, "archive/") || strings.HasPrefix(id, "server/") || strings.HasPrefix(id, "survey/") {
			t.Errorf("found what is not there: %+v", found[id])
		}
	}
	b.run(ctx, "check", b.book, "--no-canary").has(t, recovery.CheckWarning, "YES, BUT: ", "database", "ok, no gap", "never: a hope", "3-2-1-1-0", "NEXT    a rehearsal")
	prom := filepath.Join(t.TempDir(), "comeback.prom")
	b.run(ctx, "check", b.book, "--prometheus", prom).has(t, recovery.CheckWarning)
	text, err := os.ReadFile(prom)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`comeback_would_save{system="shop"} 1`, `comeback_restorable{system="shop",component="config",copy="offsite"} 1`, "# TYPE comeback_findings gauge"} {
		if !strings.Contains(string(text), line+"\n") {
			t.Errorf("the metrics lack %s:\n%s", line, text)
		}
	}
	b.run(ctx, "check", b.book, "--assign", "proof", "--owner", "dba", "--due", "2099-12-24").has(t, recovery.CheckWarning, "dba, by 24 Dec 2099.")
	b.run(ctx, "check", b.book).has(t, recovery.CheckWarning, "dba, by 24 Dec 2099.")
	b.run(ctx, "check", b.book, "--assign", "99", "--owner", "dba").has(t, recovery.CheckUnknown, "no finding")
	b.run(ctx, "check", b.book, "--assign", "proof").has(t, recovery.CheckUnknown, "--assign proof does not say to whom", "add --owner WHO")

	// A segment is lost, a file changes, and what decrypts is not at hand.
	if err := b.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := b.Archived(ctx); err != nil {
			t.Fatal(err)
		}
		if err := b.Write(ctx, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	names := strings.Fields(segments(t, b.copies["offsite"]))
	lost := names[len(names)-2]
	if err := os.Remove(filepath.Join(b.copies["offsite"], "wal", lost)); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(b.Settings(), "shop.conf"), []byte("changed\n"), 0o640); err != nil {
		t.Fatal(err)
	}
	delete(b.environ, "CONFIG_IDENTITY")
	a, found = assess(recovery.CheckWarning)
	if f := found["gap/database/offsite"]; !strings.Contains(f.Says, strings.TrimSuffix(lost, ".zst")) {
		t.Errorf("the lost segment %s: %+v", lost, f)
	}
	if _, ok := found["gap/database/nearby"]; ok {
		t.Error("a gap is found where there is none")
	}
	if f := found["identity/config"]; !strings.Contains(f.Says, "CONFIG_IDENTITY") {
		t.Errorf("the missing identity: %+v", f)
	}
	for _, c := range a.Components {
		if c.Component == "config" && c.Unchanged {
			t.Error("the configuration has changed")
		}
	}
}

// A state that cannot be written, or was damaged, silences no check: the page is whole,
// the answer is the same, and what is wrong with the state is one finding more.
func TestCheck_stateUnwritable(t *testing.T) {
	t.Parallel()
	r, book, ctx := newRig(t), pictures(t), t.Context()
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	metrics := filepath.Join(t.TempDir(), "comeback.prom")
	args := []string{"check", book, "--no-canary", "--prometheus", metrics}
	whole := r.run(ctx, args...)
	if whole.code != recovery.CheckWarning {
		t.Fatalf("exit %d: %s%s", whole.code, whole.out, whole.err)
	}
	for _, inPlace := range []string{"findings", "judged"} {
		dir := filepath.Join(r.state, inPlace)
		if err := errors.Join(os.RemoveAll(dir), os.WriteFile(dir, nil, 0o600), os.RemoveAll(metrics)); err != nil {
			t.Fatal(err)
		}
		got := r.run(ctx, args...)
		got.out = strings.Join(strings.Fields(got.out), " ")
		got.has(t, whole.code, "uploads", "this host cannot keep what it knows", "df -h")
		if _, err := os.Stat(metrics); err != nil {
			t.Error(err)
		}
		found, err := (&desk{app: r.app(io.Discard, io.Discard)}).Check(ctx, book)
		if err != nil || len(found.Components) != 1 || !slices.ContainsFunc(found.Findings, func(f recovery.Judgement) bool { return f.ID == "state" }) {
			t.Errorf("the console: %+v, %v", found, err)
		}
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
	}
	file := filepath.Join(r.state, "findings", "shop.json")
	if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, []byte("damaged"), 0o600)); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, args...).has(t, whole.code, "uploads", "shop.json", "remove the file")
	if b, err := os.ReadFile(file); err != nil || string(b) != "damaged" {
		t.Errorf("it holds %q now, %v", b, err)
	}
}

// Whatever keeps the check from being made is unknown to monitoring: 1 and 2 say
// something of the backups.
func TestCheck_notMade(t *testing.T) {
	r, book := newRig(t), filesBook(t, "")
	r.environ["COMEBACK_SSH"] = "false"
	for _, c := range []struct {
		says string
		args []string
	}{
		{"comeback check needs RUNBOOK", nil},
		{"unknown flag: --jsno", []string{book, "--jsno"}},
		{"no such file or directory", []string{filepath.Join(t.TempDir(), "none.md")}},
		{"the connection to elsewhere ended", []string{book, "--on", "elsewhere"}},
		{"is not the name of a host", []string{book, "--on=-v"}},
		{"--give gives variables to another host", []string{book, "--give", "HOME"}},
	} {
		r.run(t.Context(), append([]string{"check"}, c.args...)...).has(t, recovery.CheckUnknown, c.says, "next: ")
	}
	interrupted, interrupt := context.WithCancelCause(t.Context())
	interrupt(errors.New("interrupted by ctrl-c"))
	r.run(interrupted, "check", book).has(t, recovery.CheckUnknown)
}

// A command that could not begin ends as one that proved nothing, in the words of its own
// table.
func TestNeverBegan(t *testing.T) {
	a := newRig(t).app(io.Discard, io.Discard)
	unread := recovery.Errorf("let it be read", "read the variables").WithExit(recovery.Usage)
	for line, want := range map[string]recovery.Exit{
		"check shop.md --json": recovery.CheckUnknown, "wal fetch shop.md NAME PATH": fetchFailed, "wal fetch --component database shop.md NAME PATH": fetchFailed,
		"wal push shop.md PATH": recovery.Usage, "backup shop.md": recovery.Usage, "no such command": recovery.Usage, "": recovery.Usage,
	} {
		if got := a.neverBegan(strings.Fields(line), unread); got != want {
			t.Errorf("comeback %s: exit %d, want %d", line, got, want)
		}
	}
}
