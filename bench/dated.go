package main

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"regexp"
	"strconv"
	"sync"
	"time"
)

// dated stands before the S3 server and gives in the list of versions the times
// at which they were stored: the server itself gives an overwritten version the
// time of what overwrote it. Both that are measured go through it.
type dated struct {
	server *httptest.Server
	mu     sync.Mutex
	at     map[string]time.Time // by key, a space and version
}

func startDated(of string) (*dated, error) {
	u, err := url.Parse(of)
	if err != nil {
		return nil, err
	}
	d := &dated{at: map[string]time.Time{}}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host // which the signature is of
		},
		ModifyResponse: d.rewrite,
	}
	d.server = httptest.NewServer(proxy)
	return d, nil
}

func (d *dated) stored(key string, version *string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if version != nil {
		d.at[key+" "+*version] = time.Now().UTC()
	}
}

var (
	versionEntry = regexp.MustCompile(`(?s)<(Version|DeleteMarker)>.*?</(Version|DeleteMarker)>`)
	entryKey     = regexp.MustCompile(`<Key>(.*?)</Key>`)
	entryVersion = regexp.MustCompile(`<VersionId>(.*?)</VersionId>`)
	entryTime    = regexp.MustCompile(`<LastModified>.*?</LastModified>`)
)

// rewrite puts the right times into a list of versions.
func (d *dated) rewrite(r *http.Response) error {
	if _, list := r.Request.URL.Query()["versions"]; !list || r.StatusCode != http.StatusOK {
		return nil
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	if err := r.Body.Close(); err != nil {
		return err
	}
	body = versionEntry.ReplaceAllFunc(body, func(entry []byte) []byte {
		key, version := entryKey.FindSubmatch(entry), entryVersion.FindSubmatch(entry)
		if key == nil || version == nil {
			return entry
		}
		name, err := url.QueryUnescape(string(key[1]))
		if err != nil {
			return entry
		}
		d.mu.Lock()
		at, known := d.at[name+" "+string(version[1])]
		d.mu.Unlock()
		if !known {
			return entry
		}
		return entryTime.ReplaceAll(entry, []byte("<LastModified>"+at.Format("2006-01-02T15:04:05.000Z")+"</LastModified>"))
	})
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	r.Header.Set("Content-Length", strconv.Itoa(len(body)))
	return nil
}
