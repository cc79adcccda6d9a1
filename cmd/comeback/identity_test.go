package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"

	"comeback/recovery"
	"comeback/tui"
)

// sealedBook is a runbook of a configuration that is encrypted for an identity, and that
// identity; a backup of it is in the copy.
func sealedBook(t *testing.T, r *rig) (book string, identity *age.X25519Identity) {
	t.Helper()
	place := t.TempDir()
	book = filepath.Join(place, "shop.md")
	identity, err := age.GenerateX25519Identity()
	if err == nil {
		text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {CONFIG_IDENTITY: \"from the vault, path shop/config\"}\ncopies:\n  nearby: {url: \"file://%[1]s/nearby\"}\n"+
			"components:\n  config: {kind: config, paths: [%[1]s/etc], prefix: config/, recipients: [%[2]s], identity: \"${CONFIG_IDENTITY}\"}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: config\n```\n", place, identity.Recipient())
		err = errors.Join(os.Mkdir(filepath.Join(place, "etc"), 0o700), os.Mkdir(filepath.Join(place, "nearby"), 0o700),
			os.WriteFile(filepath.Join(place, "etc", "shop.conf"), []byte("colour = green\n"), 0o600), os.WriteFile(book, []byte(text), 0o600))
	}
	if err != nil {
		t.Fatal(err)
	}
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	return book, identity
}

// What decrypts a backup and is not set is told before a run begins: of a recovery and of a
// rehearsal, in lines, which are refused, and in the console.
func TestRun_identityNotSet(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	book, identity := sealedBook(t, r)
	for _, command := range []string{"recover", "rehearse"} {
		got := r.run(t.Context(), command, book, "--plain", "--to", "latest")
		got.has(t, recovery.Usage)
		if !strings.Contains(got.err, "needs CONFIG_IDENTITY, which is not set") || !strings.Contains(got.err, "from the vault, path shop/config") {
			t.Errorf("%s says %s", command, got.err)
		}
	}
	r.noRun(t)
	notSet := func() []tui.NotSet {
		t.Helper()
		d := &desk{app: r.app(io.Discard, io.Discard)}
		p, err := d.Plan(t.Context(), book, recovery.Rehearsal, tui.Choice{Want: "latest"})
		if err != nil {
			t.Fatal(err)
		}
		return p.NotSet
	}
	if missing := notSet(); len(missing) != 1 || missing[0].Name != "CONFIG_IDENTITY" || missing[0].From != "from the vault, path shop/config" || !strings.HasPrefix(missing[0].For, "restore config/") {
		t.Errorf("in the console: %+v", missing)
	}
	r.environ["CONFIG_IDENTITY"] = identity.String()
	if missing := notSet(); len(missing) != 0 {
		t.Errorf("with the identity: %+v", missing)
	}
	r.run(t.Context(), "rehearse", book, "--plain", "--to", "latest").has(t, recovery.CameBack)
}

// A check decrypts the head of the newest backup: an identity that was good for an earlier one
// is found before the day.
func TestCheck_otherIdentity(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	book, identity := sealedBook(t, r)
	found := func() (recovery.Judgement, string) {
		t.Helper()
		got := r.run(t.Context(), "check", book, "--no-canary", "--json")
		var a recovery.Assessment
		if err := json.Unmarshal([]byte(got.out), &a); err != nil {
			t.Fatalf("%v: %s%s", err, got.out, got.err)
		}
		for _, f := range a.Findings {
			if f.ID == "identity/config" {
				return f, got.out
			}
		}
		return recovery.Judgement{}, got.out
	}
	r.environ["CONFIG_IDENTITY"] = identity.String()
	if f, _ := found(); f.ID != "" {
		t.Errorf("with the identity it finds %+v", f)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r.environ["CONFIG_IDENTITY"] = other.String()
	f, out := found()
	if f.Mark != recovery.NotMet || !strings.Contains(f.Says, "cannot be decrypted with ${CONFIG_IDENTITY}") || !strings.Contains(f.Do, "give ${CONFIG_IDENTITY} the identity of one of those") {
		t.Errorf("with another identity it finds %+v", f)
	}
	if strings.Contains(out, other.String()) {
		t.Error("the value is shown")
	}
}
