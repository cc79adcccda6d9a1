package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
)

// Units and crontabs are written where they belong and taken away again, whole; a
// file of somebody else is left alone, and what systemd refuses is said.
func TestSchedule(t *testing.T) {
	r, ctx, dir := newRig(t), t.Context(), t.TempDir()
	book := filepath.Join(t.TempDir(), "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nrehearse: 90d\nneeds: {DATABASE_URL: \"the vault\"}\ncopies:\n  nearby: {url: \"file://%s\"}\n"+
		"components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", receiver: comeback, retain: [7 daily]}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: database\n```\n", t.TempDir())
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "schedule", book).has(t, recovery.CameBack, "[Timer]", "--auto", "\"wal\" \"receive\"", "\"retain\"")
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Fatalf("written without --install: %v, %v", left, err)
	}
	for _, form := range [][]string{nil, {"--cron"}} {
		args := append([]string{"schedule", book, "--dir", dir, "--on-success", "curl -fsS https://hc.example.com/{job}", "--key", "/etc/comeback/key"}, form...)
		for range 2 { // what it has written it may replace
			r.run(ctx, append(args, "--install")...).has(t, recovery.CameBack, "wrote  "+dir)
		}
		files, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil || len(files) == 0 || form != nil && len(files) != 1 {
			t.Fatalf("%v: %v, %v", form, files, err)
		}
		whole := ""
		for _, f := range files {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			whole += string(b)
		}
		for _, want := range []string{"https://hc.example.com/check", "/etc/comeback/key", "--auto"} {
			if !strings.Contains(whole, want) {
				t.Errorf("%v: the files lack %s:\n%s", form, want, whole)
			}
		}
		foreign := filepath.Join(dir, "comeback-shop-own.timer")
		if err := os.WriteFile(foreign, []byte("[Timer]\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		r.run(ctx, append(args, "--remove")...).has(t, recovery.CameBack, "removed  "+dir)
		if left, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(left) != 1 || left[0] != foreign || os.Remove(foreign) != nil {
			t.Errorf("%v: left %v, %v", form, left, err)
		}
	}
	// A file of that name that somebody else has written.
	path := filepath.Join(dir, "comeback-shop-check.timer")
	if err := os.WriteFile(path, []byte("mine\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got := r.run(ctx, "schedule", book, "--dir", dir, "--install")
	if b, err := os.ReadFile(path); err != nil || string(b) != "mine\n" || got.code != recovery.Failed || !strings.Contains(got.err, "comeback has not written") {
		t.Errorf("exit %d: %s, %q, %v", got.code, got.err, b, err)
	}
	// systemd's refusal comes in its own words.
	t.Setenv("PATH", t.TempDir())
	if err := os.WriteFile(filepath.Join(os.Getenv("PATH"), "systemctl"), []byte("#!/bin/sh\necho System has not been booted with systemd >&2\nexit 1\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	err := systemctl(ctx, "daemon-reload")
	if err == nil || !strings.Contains(err.Error(), "has not been booted with systemd") || !strings.Contains(recovery.HintOf(err), "--cron") {
		t.Errorf("%v", err)
	}
}
