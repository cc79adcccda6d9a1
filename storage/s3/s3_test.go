package s3_test

import (
	"fmt"
	"testing"

	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

func open(t *testing.T, options s3.Options) storage.Store {
	t.Helper()
	s, err := s3.Open(t.Context(), options)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// TestStore holds the store to the suite of every store: under a prefix, and in
// a whole bucket that keeps versions.
func TestStore(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	n := 0
	bucket := func() string {
		n++
		name := fmt.Sprintf("bucket-%d", n)
		server.CreateBucket(name)
		return name
	}
	t.Run("prefix", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store { return open(t, server.Options(bucket(), "shop/db 1")) })
	})
	t.Run("versions", func(t *testing.T) {
		storagetest.Run(t, func(t *testing.T) storage.Store {
			name := bucket()
			server.SetVersioning(name, true)
			return open(t, server.Options(name, ""))
		})
	})
}
