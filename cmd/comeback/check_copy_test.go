package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/check"
	"comeback/recovery/plan"
)

// What fails together with a bucket is told by what the service holds it to, and never by
// whose credentials ask; a name that leads here is this host, however it is written.
func TestPlaceOf(t *testing.T) {
	own := "127.0.0.2"
	if all, err := net.InterfaceAddrs(); err == nil {
		for _, a := range all {
			if ip, _, err := net.ParseCIDR(a.String()); err == nil && ip.To4() != nil && !ip.IsLoopback() {
				own = ip.String()
			}
		}
	}
	for name, test := range map[string]struct {
		copy             recovery.Copy
		caller           string
		provider, domain string
		here             bool
	}{
		"AWS":                      {recovery.Copy{URL: "s3://b/x"}, "", "AWS", "", false},
		"AWS by its endpoint":      {recovery.Copy{URL: "s3://b/x", Endpoint: "https://s3.eu-central-1.amazonaws.com", Account: "2"}, "1", "AWS", "AWS, account 2", false},
		"the caller's account":     {recovery.Copy{URL: "s3://b/x", Profile: "p"}, "1", "AWS", "", false},
		"the owner's account":      {recovery.Copy{URL: "s3://b/x", Account: "2"}, "1", "AWS", "AWS, account 2", false},
		"a service by a loopback":  {recovery.Copy{URL: "s3://b/x", Endpoint: "http://127.0.0.2:9000", Account: "2"}, "", "127.0.0.2:9000", "", true},
		"a service by our address": {recovery.Copy{URL: "s3://b/x", Endpoint: "http://" + own + ":9000"}, "", own + ":9000", "", true},
		"a service of nowhere":     {recovery.Copy{URL: "s3://b/x", Endpoint: "https://s3.example.invalid"}, "", "s3.example.invalid", "", false},
		"a service far away":       {recovery.Copy{URL: "s3://b/x", Endpoint: "https://192.0.2.1"}, "", "192.0.2.1", "", false},
	} {
		seen := check.Copy{Copy: test.copy, Account: test.caller}
		placeOf(t.Context(), &seen)
		if seen.Medium != "a bucket" || seen.Provider != test.provider || seen.Domain != test.domain || seen.Here != test.here {
			t.Errorf("%s: %s at %q, domain %q, here %v", name, seen.Medium, seen.Provider, seen.Domain, seen.Here)
		}
	}
	seen := check.Copy{Copy: recovery.Copy{URL: "file://" + t.TempDir()}}
	if placeOf(t.Context(), &seen); seen.Medium != "a directory" || !seen.Here && !strings.Contains(seen.Domain, " at ") {
		t.Errorf("a directory: %+v", seen)
	}
}

// A copy with many backups is looked at in its time, and the next look reads
// nothing of them again; that this host cannot keep what was read changes nothing.
func TestGatherCopy_manyBackups(t *testing.T) {
	t.Parallel()
	r, book := newRig(t), pictures(t)
	a := r.app(io.Discard, io.Discard)
	b, _, err := a.open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	dir := filepath.Join(filepath.Dir(book), "nearby", recovery.ManifestsIn, "uploads")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	for i := range n {
		m := recovery.Manifest{Format: recovery.ManifestFormat, ID: fmt.Sprintf("uploads/%d", i), System: "shop", Component: "uploads", Kind: recovery.Files, Engine: "files", Begun: time.Unix(int64(i), 0)}
		text, err := m.Encode()
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d-snapshot.json", i)), text, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	look := func(want int) {
		t.Helper()
		seen := a.gatherCopy(t.Context(), b, plan.Copies(b.Runbook)[0], false)
		if seen.Err != nil || seen.UnreadErr != nil || seen.Unread > 0 || len(seen.Manifests) != want {
			t.Fatalf("%d manifests and %d unread: %v, %v", len(seen.Manifests), seen.Unread, seen.Err, seen.UnreadErr)
		}
	}
	// A file in place of the directory: nothing can be kept.
	known := filepath.Join(r.state, "known")
	if err := os.WriteFile(known, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	look(n)
	if err := os.Remove(known); err != nil {
		t.Fatal(err)
	}
	look(n)
	// Its revision stays: who reads it again reads none.
	path := filepath.Join(dir, "7-snapshot.json")
	was, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(path, bytes.Repeat([]byte("x"), int(was.Size())), 0o600), os.Chtimes(path, was.ModTime(), was.ModTime())); err != nil {
		t.Fatal(err)
	}
	look(n)
	kept, err := filepath.Glob(filepath.Join(known, "*.json"))
	if err != nil || len(kept) != 1 {
		t.Fatalf("kept in %q, %v", kept, err)
	}
	if err := os.WriteFile(kept[0], []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	look(n - 1)
}
