package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"comeback/storagetest"
)

// site is a system without servers that people use: pages in a live directory,
// two backups of them, and a runbook that checks and switches.
type site struct {
	dir, live, copied string
	// whole is a file without which the check of the restored pages fails.
	whole string
}

// newSite makes one; copies are the lines of its runbook's copies, with %s where
// the directory with the backups stands.
func newSite(t *testing.T, copies string) *site {
	t.Helper()
	dir, err := os.MkdirTemp("", "site") // a short name, as people have to type it
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	s := &site{dir: dir, live: filepath.Join(dir, "www"), copied: filepath.Join(dir, "copied"), whole: filepath.Join(dir, "whole")}
	if err := os.Mkdir(s.copied, 0o700); err != nil {
		t.Fatal(err)
	}
	for i, welcome := range []string{"welcome\n", "welcome, we sell mugs\n"} {
		name := filepath.Join(s.copied, fmt.Sprintf("pages-%d.tar", i+1))
		taken := time.Now().Add(time.Duration(i-3) * time.Hour)
		if err := errors.Join(os.WriteFile(name, archive(t, welcome), 0o600), os.Chtimes(name, taken, taken)); err != nil {
			t.Fatal(err)
		}
	}
	s.stands(t, "hacked\n")
	text := "---\ncomeback: 1\nsystem: site\nrpo: 24h\nrto: 30m\nneeds: {BACKUP_ACCOUNT: \"whose bucket it is\"}\ncopies:\n" + strings.ReplaceAll(copies, "%s", s.copied) +
		fmt.Sprintf("components:\n  pages: {kind: files, path: %q}\n---\n# The site\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: pages\n```\n", s.live) +
		fmt.Sprintf("\n## Check\n\n```sh\n# run: the pages are whole\n# in: both\n# timeout: 1m\ntest -e %s\n```\n", s.whole) +
		"\n## Switch\nBudget: 2m.\n\n```yaml\nswitch: pages\n```\n" + somebodyLooks
	if err := os.WriteFile(filepath.Join(s.dir, "site.md"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return s
}

// archive is a backup of the pages.
func archive(t *testing.T, welcome string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for name, text := range map[string]string{"www/index.html": welcome, "www/about.html": "a shop\n"} {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Now()})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// stands is the live site with one page.
func (s *site) stands(t *testing.T, welcome string) {
	t.Helper()
	err := errors.Join(os.MkdirAll(s.live, 0o755), os.WriteFile(filepath.Join(s.live, "index.html"), []byte(welcome), 0o644))
	if err != nil {
		t.Fatal(err)
	}
}

// shows is what people see of it.
func (s *site) shows(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.live, "index.html"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(b)
}

// target is the name that is typed.
func (s *site) target(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host + ":" + s.live
}

// expiring is an S3 server whose credentials can be made to expire for the
// reading of an object.
type expiring struct {
	*httptest.Server
	expired atomic.Bool
}

func startExpiring(t *testing.T, server *storagetest.S3) *expiring {
	t.Helper()
	target, err := url.Parse(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host }, FlushInterval: -1}
	e := &expiring{}
	e.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if e.expired.Load() && r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, ".tar") {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `<Error><Code>ExpiredToken</Code><Message>The provided token has expired.</Message></Error>`)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(e.Close)
	return e
}

// dies takes the live site away, as a host that is lost does.
func (s *site) dies(t *testing.T) {
	t.Helper()
	if err := os.RemoveAll(s.live); err != nil {
		t.Fatal(err)
	}
}

// passes lets the check of the restored pages hold from now on.
func (s *site) passes(t *testing.T) {
	t.Helper()
	if err := os.WriteFile(s.whole, nil, 0o600); err != nil {
		t.Fatal(err)
	}
}

// taken is when a backup was taken.
func (s *site) taken(t *testing.T, backup string) time.Time {
	t.Helper()
	info, err := os.Stat(filepath.Join(s.copied, backup))
	if err != nil {
		t.Fatal(err)
	}
	return info.ModTime().UTC()
}
