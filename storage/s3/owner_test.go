package s3_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"comeback/storage"
	"comeback/storagetest"
)

// front lets everything through to the real server, and remembers the requests
// that name no account.
type front struct {
	*httptest.Server
	mu      sync.Mutex
	unasked []string
}

func startFront(t *testing.T, server *storagetest.S3) *front {
	t.Helper()
	target, err := url.Parse(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(r *httputil.ProxyRequest) { r.SetURL(target); r.Out.Host = r.In.Host },
		FlushInterval: -1,
	}
	f := &front{}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("x-amz-expected-bucket-owner") == "" {
			f.mu.Lock()
			f.unasked = append(f.unasked, r.Method+" "+r.URL.String())
			f.mu.Unlock()
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

// TestOwner proves that each request names the account that has to own the
// bucket, and that another account's bucket is told from missing rights. The
// accounts of the server are called as their access keys.
func TestOwner(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	front := startFront(t, server)
	options := server.Options("backups", "")
	options.Endpoint = front.URL
	large := random(9 << 20)

	options.Account = storagetest.Root.AccessKey
	s := open(t, options)
	storagetest.Put(t, s, "db/dump", "data")
	if _, err := s.Put(t.Context(), "db/large", bytes.NewReader(large), storage.PutOptions{Size: 9 << 20, IfAbsent: true}); err != nil {
		t.Fatal(err)
	}
	broken := io.MultiReader(bytes.NewReader(large), failing{io.ErrNoProgress})
	if _, err := s.Put(t.Context(), "db/failed", broken, storage.PutOptions{Size: 20 << 20}); !errors.Is(err, io.ErrNoProgress) {
		t.Errorf("error is %v", err)
	}
	if got := storagetest.Read(t, s, "db/dump") + strings.Join(storagetest.Keys(t, s, "db/"), " "); got != "datadb/dump db/large" {
		t.Errorf("found %q", got)
	}
	if len(front.unasked) > 0 {
		t.Errorf("these requests named no account: %q", front.unasked)
	}

	options.Account = "123456789012"
	for op, err := range every(t.Context(), open(t, options)) {
		check(t, op, err, storage.ErrConfig, "the bucket backups is not of the account 123456789012", "AccessDenied")
	}

	stranger := server.CreateUser("stranger")
	server.SetenvAs(t, stranger)
	options.Account = storagetest.Root.AccessKey
	for op, err := range every(t.Context(), open(t, options)) {
		check(t, op, err, storage.ErrDenied, "AccessDenied")
	}
}
