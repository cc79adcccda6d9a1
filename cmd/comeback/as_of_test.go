package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// Somebody has got the keys of the copy and has deleted and overwritten all that is in it.
// Its bucket keeps versions, so that the system comes back from what was there before.
func TestAsOf(t *testing.T) {
	server, r := storagetest.StartS3(t), newRig(t)
	server.Setenv(t)
	server.CreateBucket("copies")
	server.SetVersioning("copies", true)
	book := filesBook(t, "")
	opened, _, err := r.app(os.Stderr, os.Stderr).open(t.Context(), book)
	if err != nil {
		t.Fatal(err)
	}
	pages, _ := opened.Component("pages")
	copied, _ := opened.Copy("nearby")
	bucketBook := strings.Replace(string(opened.bytes), `{url: "`+copied.URL+`"}`,
		fmt.Sprintf(`{url: "s3://copies/shop", region: %s, endpoint: %q, path_style: true}`, storagetest.Region, server.Endpoint()), 1)
	path := pages.Settings["path"][0]
	if err := os.MkdirAll(path, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{book: bucketBook, filepath.Join(path, "index.html"): "welcome\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	if err := os.Remove(book); err != nil {
		t.Fatal(err)
	}
	stored, before := time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour).UTC().Truncate(time.Second)
	store, err := s3.Open(t.Context(), server.Options("copies", ""))
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for o, err := range store.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n%3 == 0 {
			if _, err := store.Put(t.Context(), o.Key, strings.NewReader("encrypted; send one bitcoin"), storage.PutOptions{Size: -1}); err != nil {
				t.Fatal(err)
			}
			continue
		}
		server.Delete("copies", o.Key)
	}
	if n < 3 {
		t.Fatalf("the copy holds %d objects", n)
	}
	server.DateVersions("copies", stored, time.Now())

	const url = "s3://copies/shop"
	r.run(t.Context(), "rehearse", url, "--plain").has(t, recovery.Usage, "next: ", "--as-of TIME")
	for text, says := range map[string]string{"latest": `"latest" is not a time`, time.Now().Add(time.Hour).Format(time.RFC3339): "is still to come"} {
		r.run(t.Context(), "moments", url, "--as-of", text).has(t, recovery.Usage, says)
	}
	at := before.Format(time.RFC3339)
	r.run(t.Context(), "moments", url, "--as-of", at).has(t, recovery.CameBack, "snapshot")
	got := r.run(t.Context(), "rehearse", url, "--as-of", at, "--plain")
	got.has(t, recovery.CameBack, "nearby: read as it was at "+at)
	text, err := os.ReadFile(filepath.Join(r.only(t), "report.md"))
	if err != nil || !strings.Contains(string(text), "read as it was at "+at) {
		t.Errorf("%v, the report says %s", err, text)
	}
	r.run(t.Context(), "moments", url, "--as-of", at, "--switch-wal").has(t, recovery.Usage, "leave out one of them")
	// What reads a copy by its own program would tell of what is there now.
	restic := strings.Replace(bucketBook, "pages: {kind: files, path:", "pages: {kind: files, with: restic, password: secret, path:", 1)
	if err := os.WriteFile(book, []byte(restic), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "moments", book, "--as-of", at); !strings.Contains(got.out+got.err, "nearby cannot be read as it was at "+at+": restic") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
	// Before there was anything there is nothing.
	r.run(t.Context(), "rehearse", url, "--as-of", stored.Add(-time.Hour).Format(time.RFC3339), "--plain").has(t, recovery.Usage, "holds no runbook")
}
