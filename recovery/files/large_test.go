package files_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// Many files come from the S3 server with verified hashes, also by a runner that
// is killed at random points, and a finished file's bytes do not come twice: 2000
// files and 40 MB, or, where COMEBACK_SOAK asks for all, 100 000 files and 2 GB.
func TestSnapshot_many(t *testing.T) {
	n, kills := 2000, 2
	if enginetest.Soak() {
		n, kills = 100_000, 10
	}
	t.Setenv(syncEveryEnv, fmt.Sprint(2<<20))
	random := rand.New(rand.NewPCG(11, 7))
	dir := t.TempDir()
	var size int64
	noise := rand.NewChaCha8([32]byte{3})
	for i := range n {
		b := make([]byte, random.IntN(2*20_000))
		_, _ = noise.Read(b) // never fails
		size += int64(len(b))
		path := filepath.Join(dir, fmt.Sprintf("%02x/%02x", i%16, i/16%251), fmt.Sprintf("%d.jpg", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	store, err := s3.Open(t.Context(), server.Options("backups", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: store, Prefix: "uploads/", Temp: t.TempDir(),
		PackSize: 8 << 20, Now: func() time.Time { return later(1) }}); err != nil {
		t.Fatal(err)
	}
	c := crashingIn(t, engine(), component, store)
	c.Copies = map[string]string{"nearby": "s3://backups/shop"}
	var moved int64
	for range kills {
		at := 1 + random.Int64N(size/int64(kills+1))
		moved += at
		c.Cuts = append(c.Cuts, enginetest.Cut{Bytes: at})
	}
	end := c.Whole(t, describe(t, dir))
	moved += end.Read
	// What four packs had under way when the runner died, and what was read
	// ahead of them, and the manifest each time.
	if most := size + int64(kills)*(16<<20) + size/20; moved > most {
		t.Errorf("of %d bytes %d came over the line, at most %d were to", size, moved, most)
	}
	if diff := cmp.Diff(recovery.ResultPassed, end.Result); diff != "" {
		t.Error(diff)
	}
}
