package s3_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// TestPut_Multipart stores what does not fit into one part, and proves that a
// failure leaves neither an object nor parts.
func TestPut_Multipart(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	s := open(t, server.Options("backups", "shop"))
	huge := random(33 << 20) // more than a part of an object of unknown size
	large := huge[:20<<20]
	broken := errors.New("pg_dump died")

	t.Run("known size", func(t *testing.T) {
		o, err := s.Put(t.Context(), "known", onlyReader{bytes.NewReader(large)}, storage.PutOptions{Size: int64(len(large))})
		same(t, s, o, err, large)
	})
	t.Run("unknown size", func(t *testing.T) {
		o, err := s.Put(t.Context(), "unknown", onlyReader{bytes.NewReader(huge)}, storage.PutOptions{Size: -1})
		same(t, s, o, err, huge)
	})
	t.Run("more than its parts hold, unless it was said", func(t *testing.T) {
		defer s3.MostParts(1)()
		put := func(key string, atMost int64) (storage.Object, error) {
			return storage.PutFrom(t.Context(), s, key, atMost, nil, func(_ context.Context, w io.Writer) error {
				_, err := w.Write(huge)
				return err
			})
		}
		if _, err := put("failed", 0); err == nil || !strings.Contains(err.Error(), "nobody has said beforehand") {
			t.Errorf("error is %v", err)
		}
		nothing(t, server, s)
		o, err := put("said", int64(len(huge)))
		same(t, s, o, err, huge)
	})
	t.Run("whole parts", func(t *testing.T) {
		o, err := s.Put(t.Context(), "whole", bytes.NewReader(large[:16<<20]), storage.PutOptions{Size: 16 << 20})
		same(t, s, o, err, large[:16<<20])
	})
	for name, test := range map[string]struct {
		source io.Reader
		size   int64
		want   error
	}{
		"source fails":    {io.MultiReader(bytes.NewReader(huge), failing{broken}), -1, broken},
		"fails in a part": {io.MultiReader(bytes.NewReader(large[:10<<20]), failing{broken}), int64(len(large)), broken},
		"short":           {bytes.NewReader(large[:18<<20]), int64(len(large)), storage.ErrCorrupt},
		"long":            {bytes.NewReader(large), 18 << 20, storage.ErrCorrupt},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := s.Put(t.Context(), "failed", test.source, storage.PutOptions{Size: test.size})
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), "s3://backups/shop/failed") {
				t.Errorf("error is %v, want %v", err, test.want)
			}
			nothing(t, server, s)
		})
	}
	t.Run("cancelled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		source := io.MultiReader(bytes.NewReader(large), doing{cancel}, bytes.NewReader(large))
		_, err := s.Put(ctx, "failed", source, storage.PutOptions{Size: 40 << 20})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error is %v", err)
		}
		nothing(t, server, s)
	})
	t.Run("killed", func(t *testing.T) {
		client, part := server.Client(), bytes.NewReader(large[:5<<20])
		for _, key := range []string{"shop/base/one", "shop/base/two", "other/base/one"} {
			up, err := client.CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("backups"), Key: &key})
			if err != nil {
				t.Fatal(err)
			}
			part.Seek(0, io.SeekStart)
			if _, err := client.UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: aws.String("backups"), Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(1), Body: part}); err != nil {
				t.Fatal(err)
			}
		}
		for i, prefix := range []string{"base/on", "base/"} {
			if err := storage.Sweep(t.Context(), s, prefix); err != nil || server.Parts("backups") != 2-i {
				t.Errorf("swept %s: %v, and %d parts remain", prefix, err, server.Parts("backups"))
			}
		}
		whole := open(t, server.Options("backups", ""))
		if err := storage.Sweep(t.Context(), whole, "other/"); err != nil {
			t.Error(err)
		}
		nothing(t, server, s)
	})
	t.Run("taken before", func(t *testing.T) {
		read := &counting{Reader: bytes.NewReader(large)}
		_, err := s.Put(t.Context(), "known", read, storage.PutOptions{Size: int64(len(large)), IfAbsent: true})
		check(t, "put", err, storage.ErrExist, "s3://backups/shop/known")
		if read.n > 8<<20 {
			t.Errorf("%d bytes were read in vain", read.n)
		}
		nothing(t, server, s)
	})
	t.Run("taken meanwhile", func(t *testing.T) {
		take := doing{func() { storagetest.Put(t, s, "raced", "the first") }}
		source := io.MultiReader(bytes.NewReader(large[:18<<20]), take, bytes.NewReader(large[18<<20:]))
		_, err := s.Put(t.Context(), "raced", source, storage.PutOptions{Size: int64(len(large)), IfAbsent: true})
		check(t, "put", err, storage.ErrExist, "s3://backups/shop/raced")
		if got := storagetest.Read(t, s, "raced"); got != "the first" {
			t.Errorf("it holds %d bytes", len(got))
		}
		nothing(t, server, s)
	})
}

// same fails the test unless o describes what was stored.
func same(t *testing.T, s storage.Store, o storage.Object, err error, want []byte) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	stat, err := s.Stat(t.Context(), o.Key)
	if err != nil {
		t.Fatal(err)
	}
	if o.Size != stat.Size || o.Revision != stat.Revision || o.Modified.IsZero() {
		t.Errorf("put says %+v, stat says %+v", o, stat)
	}
	if !strings.HasPrefix(stat.Checksum, "crc64nvme:") {
		t.Errorf("the checksum of the whole is %q", stat.Checksum)
	}
	if got := storagetest.Read(t, s, o.Key); got != string(want) {
		t.Errorf("it holds %d bytes that are not the %d that were stored", len(got), len(want))
	}
}

// nothing fails the test if something is left of a failed put.
func nothing(t *testing.T, server *storagetest.S3, s storage.Store) {
	t.Helper()
	if keys := storagetest.Keys(t, s, "failed"); len(keys) > 0 {
		t.Errorf("%q is there", keys)
	}
	if n := server.Parts("backups"); n != 0 {
		t.Errorf("%d parts remain", n)
	}
}

type onlyReader struct{ io.Reader }

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// doing does something when the reading comes to it.
type doing struct{ do func() }

func (d doing) Read([]byte) (int, error) {
	d.do()
	return 0, io.EOF
}

type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}
