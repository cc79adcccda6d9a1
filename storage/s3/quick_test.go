package s3_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"comeback/storage"
	"comeback/storagetest"
)

// between stands before the real server, counts what is asked with and without the
// SDK's layers, and may spoil the answers to the latter.
type between struct {
	quick, sdk atomic.Int64
	spoil      atomic.Pointer[func(*http.Response)]
}

func startBetween(t *testing.T, server *storagetest.S3) *between {
	t.Helper()
	b := &between{}
	to, err := url.Parse(server.Endpoint())
	if err != nil {
		t.Fatal(err)
	}
	before := httptest.NewServer(&httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.Out.Host = r.In.Host // which the signature is of
			r.Out.URL.RawQuery = r.In.URL.RawQuery
		},
		ModifyResponse: func(r *http.Response) error {
			if !strings.HasSuffix(r.Request.URL.RawQuery, "x-id=GetObject") {
				return nil
			}
			if r.Request.Header.Get("Amz-Sdk-Invocation-Id") != "" {
				b.sdk.Add(1)
				return nil
			}
			b.quick.Add(1)
			if r.Request.Header.Get("X-Amz-Expected-Bucket-Owner") != storagetest.Root.AccessKey {
				t.Error("a version was asked for, whoever owns the bucket")
			}
			if spoil := b.spoil.Load(); spoil != nil {
				(*spoil)(r)
			}
			return nil
		},
	})
	t.Cleanup(before.Close)
	storagetest.SetenvS3(t, before.URL, storagetest.Root)
	return b
}

// kept puts two versions of objects whose keys are hard to write, and gives all
// versions as they are listed with what each holds.
func kept(t *testing.T, s storage.Store) (all []storage.Object, holds map[string]string) {
	t.Helper()
	holds = map[string]string{}
	for _, key := range []string{"a", "b/plain.txt", "c/with space+plus", "d/100%25?&=#;", "e/ä日本", "f/(!*'~@:,$)"} {
		for _, text := range []string{"old " + key, strings.Repeat("new "+key, 2000)} {
			o := storagetest.Put(t, s, key, text)
			holds[key+" "+o.Version] = text
		}
	}
	versions, _ := storage.As[storage.Versioner](s)
	for v, err := range versions.Versions(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, v.Object)
	}
	if len(all) != len(holds) {
		t.Fatalf("%d versions are listed of %d", len(all), len(holds))
	}
	return all, holds
}

func versioned(t *testing.T) (*between, storage.Store) {
	t.Helper()
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("uploads")
	server.SetVersioning("uploads", true)
	b := startBetween(t, server)
	options := server.Options("uploads", "the shop/+")
	options.Endpoint, options.Account = "", storagetest.Root.AccessKey // from the environment, which leads through here
	return b, open(t, options)
}

// TestQuick reads versions without the SDK once that has shown how.
func TestQuick(t *testing.T) {
	b, s := versioned(t)
	all, holds := kept(t, s)
	for _, o := range all {
		got, err := io.ReadAll(storage.NewReader(t.Context(), s, o, unhurried))
		if err != nil || string(got) != holds[o.Key+" "+o.Version] {
			t.Errorf("%s: %d bytes, %v", o.Key, len(got), err)
		}
	}
	if b.sdk.Load() != 1 || b.quick.Load() != int64(len(all)-1) {
		t.Errorf("of %d versions the SDK asked for %d, and %d were asked for without it", len(all), b.sdk.Load(), b.quick.Load())
	}
	t.Run("a version that is gone", func(t *testing.T) {
		o := all[0]
		o.Version = "00000000000000000000000000"
		_, err := s.Open(t.Context(), o, 0)
		check(t, "open", err, storage.ErrNotExist, o.Key)
	})
	t.Run("another revision", func(t *testing.T) {
		o := all[0]
		o.Revision = strings.Repeat("0", 32)
		_, err := s.Open(t.Context(), o, 0)
		check(t, "open", err, storage.ErrChanged, o.Key)
	})
}

// TestQuick_Dropped gets answers that are not as they should be: the SDK is asked, and
// after some of them only the SDK.
func TestQuick_Dropped(t *testing.T) {
	for name, spoil := range map[string]func(*http.Response){
		"refused":          func(r *http.Response) { r.StatusCode, r.Status = http.StatusForbidden, "403 Forbidden" },
		"another revision": func(r *http.Response) { r.Header.Set("ETag", `"00000000000000000000000000000000"`) },
		"another length": func(r *http.Response) {
			r.Body, r.ContentLength = io.NopCloser(strings.NewReader("x")), 1
			r.Header.Set("Content-Length", "1")
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, s := versioned(t)
			b.spoil.Store(&spoil)
			all, holds := kept(t, s)
			for _, o := range append(all, all...) {
				got, err := io.ReadAll(storage.NewReader(t.Context(), s, o, unhurried))
				if err != nil || string(got) != holds[o.Key+" "+o.Version] {
					t.Errorf("%s: %d bytes, %v", o.Key, len(got), err)
				}
			}
			if b.sdk.Load() != int64(2*len(all)) || b.quick.Load() != 10 {
				t.Errorf("of %d readings the SDK did %d, and %d were tried without it", 2*len(all), b.sdk.Load(), b.quick.Load())
			}
		})
	}
}

// TestQuick_Damaged changes a byte on its way.
func TestQuick_Damaged(t *testing.T) {
	b, s := versioned(t)
	all, _ := kept(t, s)
	storagetest.Read(t, s, all[0].Key) // shows how
	spoil := func(r *http.Response) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body.Close()
		body[0] ^= 1
		r.Body = io.NopCloser(bytes.NewReader(body))
		r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	}
	b.spoil.Store(&spoil)
	_, err := io.ReadAll(storage.NewReader(t.Context(), s, all[0], unhurried))
	check(t, "read", err, storage.ErrCorrupt, all[0].Key)
	if b.quick.Load() != 1 {
		t.Errorf("%d were asked for without the SDK", b.quick.Load())
	}
}
