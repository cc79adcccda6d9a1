package s3_test

import (
	"errors"
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
