package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/tui"
)

// A runbook that was found in a copy may do what one may that somebody has named, if it is
// signed there by a key that the reader knows; the stock tools say the same of it.
func TestRunbookSign(t *testing.T) {
	b := openCopiedBook(t)
	withKey(t, b.rig)
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte("components:\n"), []byte("notify: [/bin/true]\ncomponents:\n"), 1)
	if err := os.WriteFile(b.book, text, 0o600); err != nil {
		t.Fatal(err)
	}
	from, signature := "file://"+b.copy, b.book+".sig"
	b.run(t.Context(), "runbook", "verify", b.book).has(t, recovery.Usage, "is not signed", "next: sign it")
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
	b.run(t.Context(), "moments", from).has(t, recovery.Refused, "its `notify:` is a command", "--signers")

	b.run(t.Context(), "runbook", "sign", b.book).has(t, recovery.CameBack, "signed by", signature+"\n", "ssh-keygen -Y verify -f allowed_signers -I NAME -n runbook@comeback -s "+signature+" < "+b.book+"\n")
	public, err := os.ReadFile(filepath.Join(b.environ["HOME"], ".ssh", "id_ed25519.pub"))
	if err != nil {
		t.Fatal(err)
	}
	lists := t.TempDir()
	list := func(name, line string) string {
		path := filepath.Join(lists, name)
		if err := os.WriteFile(path, []byte(line+" "+string(public)), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	runbooksOnly, reportsOnly := list("runbooks", `ops1 namespaces="runbook@comeback"`), list("reports", `ops1 namespaces="report@comeback"`)
	stock := func(file, signature string) error {
		cmd := exec.Command("ssh-keygen", "-Y", "verify", "-f", runbooksOnly, "-I", "ops1", "-n", report.RunbookNamespace, "-s", signature)
		in, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		cmd.Stdin = in
		return cmd.Run()
	}
	if err := stock(b.book, signature); err != nil {
		t.Errorf("ssh-keygen: %v", err)
	}
	b.run(t.Context(), "runbook", "verify", b.book).has(t, recovery.Refused, "is not known here", `namespaces="runbook@comeback"`)
	b.run(t.Context(), "runbook", "verify", b.book, "--signers", reportsOnly).has(t, recovery.Refused, "is not known here")
	b.run(t.Context(), "runbook", "verify", b.book, "--signers", runbooksOnly).has(t, recovery.CameBack, "signed by ops1")
	b.run(t.Context(), "runbook", "verify", b.book, "--signers", filepath.Join(lists, "none")).has(t, recovery.Usage, "no such file")

	// It goes into the copy beside the runbook that lies there already.
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
	books := b.books(t)
	stored := books[len(books)-1]
	if err := stock(stored, stored+".sig"); err != nil {
		t.Errorf("ssh-keygen, in the copy: %v", err)
	}
	b.run(t.Context(), "moments", from).has(t, recovery.Refused, "signed with a key that is not known here", "its `notify:` is a command")
	b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.CameBack, "signed by ops1", "SHA-256 "+sumOf(text))
	b.run(t.Context(), "runbook", "verify", from, "--signers", runbooksOnly).has(t, recovery.CameBack, "signed by ops1")
	b.run(t.Context(), "rehearse", from, "--plain", "--signers", runbooksOnly).has(t, recovery.CameBack, "signed by ops1")

	// The console's first screen says whose bytes they are, and where they lie.
	t.Chdir(filepath.Dir(b.book))
	home := func(signers string) tui.System {
		a := b.app(io.Discard, io.Discard)
		a.signers = signers
		d := &desk{app: a, named: b.book}
		if _, err := d.Check(t.Context(), b.book); err != nil {
			t.Fatal(err)
		}
		list, err := d.Systems(t.Context())
		i := slices.IndexFunc(list, func(s tui.System) bool { return s.Runbook == b.book })
		if err != nil || i < 0 {
			t.Fatalf("the systems are %+v, %v", list, err)
		}
		return list[i]
	}
	if s := home(runbooksOnly); s.Signed != "same bytes as ops1 signed" || s.Unsigned || !slices.Equal(s.Saves.Holding, []string{"nearby"}) {
		t.Errorf("the first screen says %q, %v, %q", s.Signed, s.Unsigned, s.Saves.Holding)
	}
	if s := home(reportsOnly); !strings.Contains(s.Signed, "not known here") || !s.Unsigned {
		t.Errorf("of a signer that is not known the first screen says %q, %v", s.Signed, s.Unsigned)
	}

	// What removes something goes by nothing that may have been put back.
	b.run(t.Context(), "retain", from, "--remove", "--signers", runbooksOnly).has(t, recovery.Refused, "the runbook was found in a copy")
	// One of another system's says nothing of this one.
	other := bytes.Replace(text, []byte("system: shop"), []byte("system: blog"), 1)
	blog := filepath.Join(t.TempDir(), "blog.md")
	if err := os.WriteFile(blog, other, 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t.Context(), "runbook", "sign", blog).has(t, recovery.CameBack)
	armoredBlog, err := os.ReadFile(blog + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	planted := filepath.Join(filepath.Dir(stored), time.Now().Add(time.Hour).UTC().Format("20060102T150405Z")+"-"+sumOf(other)+".md")
	for name, b := range map[string][]byte{planted: other, planted + ".sig": armoredBlog} {
		if err := os.WriteFile(name, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.Refused, "signed by ops1", "its `notify:` is a command")
	for _, name := range []string{planted, planted + ".sig"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	// A new signature takes the place of the old one.
	if _, err := report.CreateKey(filepath.Join(lists, "second"), "ops2"); err != nil {
		t.Fatal(err)
	}
	b.run(t.Context(), "runbook", "sign", b.book, "--key", filepath.Join(lists, "second")).has(t, recovery.CameBack)
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
	b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.Refused, "signed with a key that is not known here")
	b.run(t.Context(), "moments", from, "--signers", filepath.Join(lists, "none")).has(t, recovery.Usage, "read the list of signers")
	b.run(t.Context(), "runbook", "sign", b.book).has(t, recovery.CameBack)
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack)
	b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.CameBack, "signed by ops1")

	// What does not hold is worse than nothing, and is not carried on.
	if err := os.WriteFile(b.book, append(text, "\nOne more line.\n"...), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t.Context(), "runbook", "verify", b.book, "--signers", runbooksOnly).has(t, recovery.Refused, "not one over this runbook", "next: sign it again")
	if s := home(runbooksOnly); !strings.Contains(s.Signed, "NOT as it was signed") || !s.Unsigned || len(s.Saves.Holding) > 0 {
		t.Errorf("of other bytes the first screen says %q, %v, %q", s.Signed, s.Unsigned, s.Saves.Holding)
	}
	b.run(t.Context(), "runbook", "lint", b.book).has(t, recovery.CameBack, "warning", "stays here")
	b.run(t.Context(), "backup", b.book).has(t, recovery.CameBack, ".sig stays here")
	if books = b.books(t); books[len(books)-1] == stored {
		t.Fatal("the changed runbook is not stored")
	}
	changed := books[len(books)-1]
	if _, err := os.Stat(changed + ".sig"); err == nil {
		t.Error("a signature of other bytes lies beside it")
	}
	b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.Refused, "its `notify:` is a command")
	armored, err := os.ReadFile(signature)
	if err != nil {
		t.Fatal(err)
	}
	for _, planted := range []string{string(armored), strings.Replace(string(armored), "BEGIN", "begin", 1), ""} {
		if err := os.WriteFile(changed+".sig", []byte(planted), 0o600); err != nil {
			t.Fatal(err)
		}
		b.run(t.Context(), "moments", from, "--signers", runbooksOnly).has(t, recovery.Refused, "as its signature")
	}
}

// What cannot be signed is said before a key is asked for.
func TestRunbookSign_refuses(t *testing.T) {
	b := openCopiedBook(t)
	broken := filepath.Join(t.TempDir(), "broken.md")
	if err := os.WriteFile(broken, []byte("---\ncomeback: 1\n---\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b.run(t.Context(), "runbook", "sign", broken).has(t, recovery.Usage, "nothing is signed", "next: see comeback runbook lint")
	b.run(t.Context(), "runbook", "sign", "file://"+b.copy).has(t, recovery.Usage, "lies in a copy")
	b.run(t.Context(), "runbook", "sign", b.book).has(t, recovery.Usage, "no key to sign with")
	if _, err := os.Stat(b.book + ".sig"); err == nil {
		t.Error("there is a signature")
	}
}
