package s3_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// An old version becomes the current one with all that was kept beside its bytes, in
// one request or in parts; what is hidden comes back; no version is lost.
func TestStore_Revert(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("shop")
	server.SetVersioning("shop", true)
	s, err := s3.Open(t.Context(), server.Options("shop", "live"))
	if err != nil {
		t.Fatal(err)
	}
	reverter, ok := storage.As[storage.Reverter](s)
	versions, kept := storage.As[storage.Versioner](s)
	if !ok || !kept {
		t.Fatal("the store cannot go back")
	}
	client, bucket := server.Client(), "shop"
	ctx := t.Context()
	const key = "a b/ü+%&.txt"
	full := "live/" + key
	for name, small := range map[string]bool{"one request": true, "parts": false} {
		t.Run(name, func(t *testing.T) {
			text := strings.Repeat("the bytes of the moment ", 260_000)
			if !small {
				t.Cleanup(s3.CopyInParts(1<<20, 5<<20))
			}
			kind := "image/x-" + name[:1]
			in := &awss3.PutObjectInput{Bucket: &bucket, Key: &full, Body: strings.NewReader(text), ContentType: &kind,
				Metadata: map[string]string{"owner": "ann"}}
			if _, err := client.PutObject(ctx, in); err != nil {
				t.Fatal(err)
			}
			old, err := s.Stat(ctx, key)
			if err != nil || old.Version == "" {
				t.Fatalf("%+v, %v", old, err)
			}
			harm, err := s.Put(ctx, key, strings.NewReader("encrypted"), storage.PutOptions{Size: 9})
			if err != nil {
				t.Fatal(err)
			}
			count := func() (n int) {
				for _, err := range versions.Versions(ctx, "") {
					if err != nil {
						t.Fatal(err)
					}
					n++
				}
				return n
			}
			before := count()
			if alike, err := reverter.Alike(ctx, old, harm); alike || err != nil {
				t.Errorf("alike: %t, %v", alike, err)
			}
			if err := reverter.Hide(ctx, key); err != nil {
				t.Fatal(err)
			}
			o, err := reverter.Revert(ctx, old)
			if err != nil {
				t.Fatal(err)
			}
			if o.Version == old.Version || o.Version == "" || count() != before+2 {
				t.Errorf("%+v; %d versions, and %d before", o, count(), before)
			}
			head, err := client.HeadObject(ctx, &awss3.HeadObjectInput{Bucket: &bucket, Key: &full})
			if err != nil || *head.ContentType != kind || head.Metadata["owner"] != "ann" || *head.ContentLength != int64(len(text)) {
				t.Errorf("%+v, %v", head, err)
			}
			if got := storagetest.Read(t, s, key); got != text {
				t.Errorf("%d bytes that are not those of the moment", len(got))
			}
			if alike, err := reverter.Alike(ctx, old, o); !alike && small || err != nil {
				t.Errorf("a copy is alike: %t, %v", alike, err)
			}
		})
	}
	if _, err := reverter.Revert(ctx, storage.Object{Key: key}); err == nil {
		t.Error("a version without its id was taken")
	}
	server.CreateBucket("plain")
	plain, err := s3.Open(ctx, server.Options("plain", ""))
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, plain, "a", "a")
	unversioned, _ := storage.As[storage.Reverter](plain)
	if err := unversioned.Hide(ctx, "a"); !errors.Is(err, storage.ErrConfig) {
		t.Errorf("hidden where no versions are kept: %v", err)
	}
	storagetest.Read(t, plain, "a")
}

// Keys that users of S3 have and comeback would give to nothing go back like others, asked
// for as they are.
func TestFake_RevertOddKeys(t *testing.T) {
	var asked []string
	s := at(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		path, query, _ := strings.Cut(r.RequestURI, "?")
		switch {
		case strings.HasPrefix(query, "versioning"):
			fmt.Fprint(w, "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")
		case r.Method == http.MethodPut:
			asked = append(asked, path+" from "+r.Header.Get("x-amz-copy-source"))
			w.Header().Set("x-amz-version-id", "v2")
			fmt.Fprint(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
		case r.Method == http.MethodDelete:
			asked = append(asked, path)
			w.Header().Set("x-amz-version-id", "v3")
			w.WriteHeader(http.StatusNoContent)
		case r.Method == http.MethodHead:
			w.Header().Set("ETag", `"e"`)
		default:
			w.WriteHeader(http.StatusNotImplemented)
			fmt.Fprint(w, "<Error><Code>NotImplemented</Code><Message>no</Message></Error>")
		}
	}), s3.Options{})
	reverter, ok := storage.As[storage.Reverter](s)
	if !ok {
		t.Fatal("the store cannot go back")
	}
	for _, key := range []string{"a//b", "/x.jpg", "./x", "a/../b", "a/", "nul\x00"} {
		asked = nil
		path := "/backups/" + strings.ReplaceAll(key, "\x00", "%00")
		if _, err := reverter.Revert(t.Context(), storage.Object{Key: key, Version: "v1", Revision: "e"}); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if err := reverter.Hide(t.Context(), key); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if want := []string{path + " from " + path[1:] + "?versionId=v1", path}; !slices.Equal(asked, want) {
			t.Errorf("asked for %q, want %q", asked, want)
		}
	}
	_, err := reverter.Revert(t.Context(), storage.Object{Version: "v1"})
	check(t, "revert nothing", err, storage.ErrConfig, "the key is empty")
	check(t, "hide nothing", reverter.Hide(t.Context(), ""), storage.ErrConfig, "the key is empty")
}
