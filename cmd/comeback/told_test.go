package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"

	"github.com/google/go-cmp/cmp"
	"github.com/spf13/cobra"
)

// broken takes nothing that is written to it.
type broken struct{ why error }

func (b broken) Write([]byte) (int, error) { return 0, b.why }

// What cannot be written is told, and fails commands whose work is to tell; what has been done
// counts by itself. A reader that goes away is nobody's failure, and hides no answer that the
// exit code gives.
func TestTold(t *testing.T) {
	book := filesBook(t, "")
	r := newRig(t)
	check := []string{"check", book, "--no-canary", "--json"}
	answer := r.run(t.Context(), check...).code
	if answer == recovery.CheckOK || answer == recovery.CheckUnknown {
		t.Fatalf("check ends with %d, like much else", answer)
	}
	for _, test := range []struct {
		why  error
		args []string
		want recovery.Exit
	}{
		{syscall.ENOSPC, []string{"runs"}, recovery.Failed},
		{syscall.ENOSPC, []string{"moments", book}, recovery.Failed},
		{syscall.ENOSPC, []string{"moments", book, "--json"}, recovery.Failed},
		{syscall.ENOSPC, []string{"check", book, "--no-canary"}, answer},
		{syscall.ENOSPC, check, recovery.CheckUnknown},
		{syscall.ENOSPC, []string{"rehearse", book, "--plain", "--to", "pages.tar"}, recovery.CameBack},
		{syscall.EPIPE, []string{"runs"}, recovery.CameBack},
		{syscall.EPIPE, []string{"moments", book, "--json"}, recovery.CameBack},
		{syscall.EPIPE, check, answer},
		{syscall.EPIPE, []string{"rehearse", book, "--plain", "--to", "pages.tar"}, recovery.CameBack},
	} {
		var said bytes.Buffer
		code := r.app(broken{test.why}, &said).run(t.Context(), test.args)
		if code != test.want {
			t.Errorf("%s, %v: exit %d, want %d\n%s", strings.Join(test.args, " "), test.why, code, test.want, said.String())
		}
		if told := strings.Contains(said.String(), test.why.Error()); told != (test.why == syscall.ENOSPC) {
			t.Errorf("%s, %v, is told %v:\n%s", strings.Join(test.args, " "), test.why, told, said.String())
		}
	}
}

// Whoever asks for JSON gets JSON also where a command fails: one object with the cause, what to
// do next and the exit code, on standard output.
func TestJSON_failure(t *testing.T) {
	r := newRig(t)
	fails := func(args ...string) {
		t.Helper()
		got := r.run(t.Context(), args...)
		var f failure
		lines := json.NewDecoder(strings.NewReader(got.out))
		lines.DisallowUnknownFields()
		if err := lines.Decode(&f); err != nil || lines.More() || f.Error == "" || f.Next == "" || f.Exit != got.code || got.code == recovery.CameBack {
			t.Errorf("comeback %s: exit %d, %v\n%s\n%s", strings.Join(args, " "), got.code, err, got.out, got.err)
		}
		if !strings.Contains(got.err, "comeback: "+f.Error) || !strings.Contains(got.err, "next: "+f.Next) {
			t.Errorf("comeback %s says otherwise to people:\n%s", strings.Join(args, " "), got.err)
		}
	}
	n := 0
	var look func(cmd *cobra.Command)
	look = func(cmd *cobra.Command) {
		for _, sub := range cmd.Commands() {
			look(sub)
		}
		if cmd.Hidden || cmd.Flags().Lookup("json") == nil {
			return
		}
		n++
		words := strings.Fields(cmd.CommandPath())[1:]
		missing := "7c31"
		if strings.Contains(cmd.Use, "RUNBOOK") {
			missing = filepath.Join(t.TempDir(), "shop.md")
		}
		fails(append(words, missing, "--json", "--frobnicate")...)
		switch {
		case cmd.Flags().Lookup("xid") != nil:
			words = append(words, "--xid", "1")
		case cmd.Flags().Lookup("outage") != nil:
			words = append(words, "--to", "latest")
		}
		fails(append(words, missing, "--json")...)
	}
	look(r.app(&bytes.Buffer{}, &bytes.Buffer{}).root())
	if n < 8 {
		t.Errorf("only %d commands have --json", n)
	}
	if got := r.run(t.Context(), "check", "nowhere.md"); got.out != "" {
		t.Errorf("without --json it prints %s", got.out)
	}
}

// How a backup went is told as the copies tell it, and what failed with what to do next.
func TestBackup_json(t *testing.T) {
	dir := t.TempDir()
	live, copied, book := filepath.Join(dir, "pages"), filepath.Join(dir, "copy"), filepath.Join(dir, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\ncopies:\n  nearby: {url: \"file://%s\"}\ncomponents:\n  pages: {kind: files, path: %q}\n  settings: {kind: config, paths: [%q]}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: [pages, settings]\n```\n", copied, live, live)
	if err := errors.Join(os.Mkdir(live, 0o755), os.Mkdir(copied, 0o755), os.WriteFile(filepath.Join(live, "index.html"), []byte("welcome\n"), 0o644), os.WriteFile(book, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	r := newRig(t)
	type line struct {
		Component, Sort, Error, Next string
		Copies                       []string
		Manifest                     any
	}
	var told, failed line
	got := r.run(t.Context(), "backup", book, "--json")
	lines := json.NewDecoder(strings.NewReader(got.out))
	if err := errors.Join(lines.Decode(&told), lines.Decode(&failed)); err != nil || lines.More() || got.code != recovery.Failed ||
		told.Component != "pages" || told.Sort != "snapshot" || !slices.Equal(told.Copies, []string{"nearby"}) ||
		failed.Component != "settings" || !strings.Contains(failed.Error, "for whom to encrypt") || !strings.Contains(failed.Next, "recipients") {
		t.Fatalf("exit %d, %v\n%s\n%s", got.code, err, got.out, got.err)
	}
	stored, err := filepath.Glob(filepath.Join(copied, "comeback", "backups", "pages", "*.json"))
	if err != nil || len(stored) != 1 {
		t.Fatalf("manifests %v, %v", stored, err)
	}
	b, err := os.ReadFile(stored[0])
	if err != nil {
		t.Fatal(err)
	}
	var want any
	if err := json.Unmarshal(b, &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, told.Manifest); diff != "" {
		t.Errorf("the manifest in the copy, and as it is told:\n%s", diff)
	}
}

// Where the console is left before a run was begun, nothing has come back.
func TestConsole_nothingBegun(t *testing.T) {
	r, book := newRig(t), filesBook(t, "")
	for _, command := range []string{"rehearse", "recover"} {
		if got := r.run(t.Context(), command, book, "--ask"); got.code != recovery.NotEnded || !strings.Contains(got.err, "nothing was begun") {
			t.Errorf("%s: exit %d\n%s\n%s", command, got.code, got.out, got.err)
		}
	}
	if got := r.run(t.Context(), "--ask"); got.code != recovery.CameBack {
		t.Errorf("the console itself: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	r.noRun(t)
}

// Whoever interrupts a command reads that it was interrupted, and by what.
func TestInterrupted(t *testing.T) {
	r, book := newRig(t), filesBook(t, "")
	ctx, interrupt := context.WithCancelCause(t.Context())
	interrupt(errors.New("interrupted by ctrl-c"))
	for command, want := range map[string]recovery.Exit{"moments": recovery.Interrupted, "rehearse": recovery.Interrupted, "check": recovery.CheckUnknown} {
		if got := r.run(ctx, command, book); got.code != want || !strings.Contains(got.err, "interrupted by ctrl-c") || strings.Contains(got.err, "context canceled") {
			t.Errorf("%s: exit %d\n%s\n%s", command, got.code, got.out, got.err)
		}
	}
}

// lockedKey is a key with a passphrase.
func lockedKey(t *testing.T) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "open sesame", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return key
}

// A run that ended well and could not be signed, as was asked for, has not failed. Whoever is
// asked for the passphrase, or to accept an exception, may leave that be.
func TestSign_interrupted(t *testing.T) {
	r, book, key := newRig(t), filesBook(t, ""), lockedKey(t)
	got := r.run(t.Context(), "rehearse", book, "--plain", "--to", "pages.tar", "--key", key)
	got.has(t, recovery.WithExceptions, "REHEARSED", "ended, unsigned", "wants a passphrase and nobody can be asked", "next: add the key to an ssh-agent")
	id := filepath.Base(r.only(t))
	const interrupt = "\x03"
	s := openTerminal(t, r, t.TempDir(), 100, 30, "report", "sign", id, "--key", key)
	s.shows("Passphrase of")
	s.press(interrupt)
	if code := s.ends(); code != int(recovery.Interrupted) {
		t.Errorf("the passphrase: exit %d\n%s", code, s.text())
	}
	s.shows("interrupted by ctrl-c")
	withKey(t, r)
	r.run(t.Context(), "report", "sign", id).has(t, recovery.CameBack, "signed by")
	s = openTerminal(t, r, t.TempDir(), 100, 30, "report", "review", id, "--key", key)
	s.shows("(yes/no)")
	s.press(interrupt)
	if code := s.ends(); code != int(recovery.Interrupted) {
		t.Errorf("the review: exit %d\n%s", code, s.text())
	}
}
