package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storagetest"
)

// What is stored once is locked anew with each backup that needs it; where the copy does not
// let it, the backup says so, and no check calls the copy locked when the lock of the oldest
// object that is needed has ended.
func TestCheck_locksOfAll(t *testing.T) {
	server := storagetest.StartS3(t)
	server.CreateLocking("vault")
	server.SetLocking("vault", 1)
	key := server.CreateUser("backup")
	server.SetenvAs(t, key)
	all := []string{"s3:*"}
	server.Allow("vault", key, all...)
	ctx, r := t.Context(), newRig(t)
	place := t.TempDir()
	book := filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  vault: {url: \"s3://vault/shop\", region: %[2]s, endpoint: %[3]q, path_style: true}\n"+
		"components:\n  uploads: {kind: files, path: %[1]s/tree, prefix: \"uploads/\"}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: uploads\n```\n", place, storagetest.Region, server.Endpoint())
	if err := errors.Join(os.Mkdir(filepath.Join(place, "tree"), 0o700), os.WriteFile(filepath.Join(place, "tree", "a.jpg"), []byte("a picture"), 0o600), os.WriteFile(book, []byte(text), 0o600)); err != nil {
		t.Fatal(err)
	}
	day := 24 * time.Hour
	night := func() output {
		t.Helper()
		taken := r.run(ctx, "backup", book)
		taken.has(t, recovery.CameBack)
		server.LockNew("vault", time.Now().Add(day)) // as other services do with each object
		r.ahead += 2 * time.Second                   // no two begin in one second
		return taken
	}
	locked := func() string {
		t.Helper()
		var a recovery.Assessment
		if got := r.run(ctx, "check", book, "--no-canary", "--json"); json.Unmarshal([]byte(got.out), &a) != nil {
			t.Fatalf("%s%s", got.out, got.err)
		}
		i := slices.IndexFunc(a.Digits, func(d recovery.Digit) bool { return d.Name == "1 locked" })
		return string(a.Digits[i].Mark) + ": " + strings.Join(a.Digits[i].Evidence, "; ")
	}
	r.ahead = time.Minute // what was changed before is unchanged
	night()
	if says := locked(); !strings.HasPrefix(says, string(recovery.Met)+": ") || !strings.Contains(says, "4 objects that the newest backups need were looked at, and all are locked") {
		t.Errorf("at first: %s", says)
	}
	server.EndLocks("vault")
	if says := locked(); !strings.HasPrefix(says, string(recovery.NotMet)+": ") || !strings.Contains(says, "which the newest backups need, ended on") {
		t.Errorf("when they have ended: %s", says)
	}
	forget := func() { // no lock ends sooner by itself
		t.Helper()
		if err := os.RemoveAll(filepath.Join(r.state, "locks-seen")); err != nil {
			t.Fatal(err)
		}
	}
	forget()
	if taken := night(); strings.Contains(taken.out, "remark") {
		t.Errorf("the second backup says:\n%s", taken.out)
	}
	if says := locked(); !strings.HasPrefix(says, string(recovery.Met)+": ") || !strings.Contains(says, "and all are locked") {
		t.Errorf("after a second backup: %s", says)
	}
	if kept, err := filepath.Glob(filepath.Join(r.state, "locks-seen", "*")); err != nil || len(kept) != 1 {
		t.Errorf("of what was seen of locks the state keeps %v, %v", kept, err)
	}
	server.EndLocks("vault")
	forget()
	server.Allow("vault", key, "s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetObjectRetention", "s3:GetBucketObjectLockConfiguration", "s3:GetBucketVersioning", "s3:ListBucketMultipartUploads")
	night().has(t, recovery.CameBack, "could not be prolonged", "s3:PutObjectRetention")
	if says := locked(); !strings.HasPrefix(says, string(recovery.NotMet)+": ") || !strings.Contains(says, "-0001.tar.zst, which the newest backups need, ended on") {
		t.Errorf("after a backup that may not lock: %s", says)
	}
}
