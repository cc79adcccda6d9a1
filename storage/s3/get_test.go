package s3_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// bySDK reports whether a request was made by the SDK as a whole.
func bySDK(r *http.Request) bool { return r.Header.Get("Amz-Sdk-Invocation-Id") != "" }

// reads reads all of an object.
func reads(t *testing.T, s storage.Store, o storage.Object) (string, error) {
	t.Helper()
	r := storage.NewReader(t.Context(), s, o, unhurried)
	text, err := io.ReadAll(r)
	return string(text), errors.Join(err, r.Close())
}

// TestGet_likeTheSDK reads objects of a real server with keys that are written in another
// way than they are, whole, from the middle on and in an older version: after the first
// one none is asked for by the SDK, and the server takes the signature of each.
func TestGet_likeTheSDK(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	server.SetVersioning("backups", true)
	var asked []bool
	behind := server.Options("backups", "shop/db 1")
	target, err := url.Parse(behind.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && !r.URL.Query().Has("versions") {
			asked = append(asked, bySDK(r))
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	options := behind
	options.Endpoint = front.URL
	s := open(t, options)
	var objects []storage.Object
	for _, key := range []string{"plain", "two words", "a+b", "100%", "a%20b", "ü/日本", "'(!*)~", "a=b&c?d#e", "deep/er/still", `back\slash"`} {
		for _, text := range []string{"first of " + key, "second of " + key} {
			o, err := s.Put(t.Context(), key, strings.NewReader(text), storage.PutOptions{Size: int64(len(text))})
			if err != nil {
				t.Fatal(err)
			}
			objects = append(objects, o)
		}
	}
	for i, o := range objects {
		want := []string{"first of ", "second of "}[i%2] + o.Key
		if got, err := reads(t, s, o); got != want || err != nil {
			t.Errorf("%q: %q, %v", o.Key, got, err)
		}
		body, err := s.Open(t.Context(), o, 3)
		if err != nil {
			t.Errorf("%q from 3 on: %v", o.Key, err)
			continue
		}
		if got, err := io.ReadAll(body); string(got) != want[3:] || err != nil {
			t.Errorf("%q from 3 on: %q, %v", o.Key, got, err)
		}
		body.Close()
	}
	if len(asked) != 2*len(objects) || !asked[0] || slices.Contains(asked[1:], true) {
		t.Errorf("%d objects were asked for by the SDK: %v", len(objects), asked)
	}
	o := objects[0]
	o.Revision = "another"
	_, err = s.Open(t.Context(), o, 0)
	check(t, "open", err, storage.ErrChanged)
	_, err = s.Open(t.Context(), storage.Object{Key: "missing", Size: 1}, 0)
	check(t, "open", err, storage.ErrNotExist, "NoSuchKey")
}

// gives answers with an object of nine bytes.
func gives(w http.ResponseWriter) {
	w.Header().Set("Content-Length", "9")
	fmt.Fprint(w, "123456789")
}

var nine = storage.Object{Key: "a", Size: 9}

// TestGet_refused meets a service that takes only what the SDK sends: it is not bothered
// again with anything else.
func TestGet_refused(t *testing.T) {
	var asked []bool
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked = append(asked, bySDK(r)); !bySDK(r) {
			w.WriteHeader(403)
			fmt.Fprint(w, "<Error><Code>SignatureDoesNotMatch</Code><Message>no</Message></Error>")
			return
		}
		gives(w)
	}), s3.Options{})
	for range 4 {
		if got, err := reads(t, s, nine); got != "123456789" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if want := []bool{true, false, true, true, true}; !slices.Equal(asked, want) {
		t.Errorf("the SDK asked: %v, want %v", asked, want)
	}
}

// TestGet_overloaded meets a service that is overloaded for a moment and then for good:
// the SDK tries again, and says in the service's words that it was in vain.
func TestGet_overloaded(t *testing.T) {
	var asked []bool
	overloaded := 0
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if asked = append(asked, bySDK(r)); overloaded > 0 {
			overloaded--
			w.WriteHeader(503)
			fmt.Fprint(w, "<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>")
			return
		}
		gives(w)
	})
	s := at(t, server, s3.Options{})
	for i := range 3 {
		if i == 1 {
			overloaded = 1
		}
		if got, err := reads(t, s, nine); got != "123456789" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if want := []bool{true, false, true, false}; !slices.Equal(asked, want) {
		t.Errorf("the SDK asked: %v, want %v", asked, want)
	}
	overloaded = 1 << 20
	_, err := s.Open(t.Context(), nine, 0)
	check(t, "open", err, storage.ErrUnavailable, "Please reduce your request rate.")
}

// TestGet_damaged gets bytes that do not have the checksum that came with them, first by
// the SDK and then without it.
func TestGet_damaged(t *testing.T) {
	var asked []bool
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, bySDK(r))
		w.Header().Set("x-amz-checksum-crc32c", "AAAAAA==")
		w.Header().Set("x-amz-checksum-type", "FULL_OBJECT")
		gives(w)
	}), s3.Options{})
	for i := range 2 {
		_, err := reads(t, s, nine)
		check(t, fmt.Sprintf("read %d", i), err, storage.ErrCorrupt, "4waSgw==")
	}
	if want := []bool{true, false}; !slices.Equal(asked, want) {
		t.Errorf("the SDK asked: %v, want %v", asked, want)
	}
}

// TestGet_credentials asks with credentials that end between two objects.
func TestGet_credentials(t *testing.T) {
	given := 0
	sts := serve(t, func(w http.ResponseWriter, r *http.Request) {
		given++
		fmt.Fprintf(w, `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>ASIA%[1]d</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>token-%[1]d</SessionToken><Expiration>%[2]s</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`,
			given, time.Now().UTC().Format(time.RFC3339))
	})
	var asked []string
	bucket := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, key, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=")
		key, _, _ = strings.Cut(key, "/")
		asked = append(asked, fmt.Sprintf("%v %s %s", bySDK(r), key, r.Header.Get("X-Amz-Security-Token")))
		gives(w)
	})
	storagetest.SetenvS3(t, bucket.URL, storagetest.Root)
	t.Setenv("AWS_ENDPOINT_URL_STS", sts.URL)
	s := open(t, s3.Options{URL: "s3://backups", Role: "arn:aws:iam::123456789012:role/restore", PathStyle: true, Account: "123456789012"})
	for range 3 {
		if got, err := reads(t, s, nine); got != "123456789" || err != nil {
			t.Errorf("%q, %v", got, err)
		}
	}
	if want := []string{"true ASIA1 token-1", "false ASIA2 token-2", "false ASIA3 token-3"}; !slices.Equal(asked, want) {
		t.Errorf("asked as %q, want %q", asked, want)
	}
}
