package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"comeback/storage"
	"comeback/storagetest"
)

func openDirs(t *testing.T, names ...string) []storage.Arm {
	t.Helper()
	var arms []storage.Arm
	for _, name := range names {
		s, err := storage.OpenDir(memoryDir(t))
		if err != nil {
			t.Fatal(err)
		}
		arms = append(arms, storage.Arm{Name: name, Store: s})
	}
	return arms
}

// memoryDir is a directory in memory, where the host has such: what is durable is
// the directory's business, and not the fan's.
func memoryDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "fan-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// refusing is a store that takes some bytes and then fails.
type refusing struct {
	storage.Store
	err error
}

func (r refusing) Put(_ context.Context, _ string, in io.Reader, _ storage.PutOptions) (storage.Object, error) {
	_, err := io.CopyN(io.Discard, in, 10)
	return storage.Object{}, errors.Join(err, r.err)
}

// A fan keeps the promises of a store.
func TestFan_store(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store { return storage.NewFan(openDirs(t, "nearby", "offsite")...) })
}

// What is read once is in each store; one that fails keeps the others from
// nothing.
func TestFan_Put(t *testing.T) {
	arms := openDirs(t, "nearby", "offsite", "third")
	broken := &storage.Error{Op: "put", Object: "there", Kind: storage.ErrDenied}
	arms[1].Store = refusing{arms[1].Store, broken}
	f := storage.NewFan(arms...)
	content := strings.Repeat("one night's dump ", 200_000)
	reads := 0
	source := readerFunc(func(b []byte) (int, error) {
		n := min(len(b), len(content)-reads)
		copy(b, content[reads:reads+n])
		if reads += n; reads == len(content) {
			return n, io.EOF
		}
		return n, nil
	})
	if _, err := f.Put(t.Context(), "db/one.dump", source, storage.PutOptions{IfAbsent: true, Size: int64(len(content))}); err != nil {
		t.Fatal(err)
	}
	if reads != len(content) {
		t.Errorf("%d bytes were read of %d", reads, len(content))
	}
	for _, i := range []int{0, 2} {
		if got := storagetest.Read(t, arms[i].Store, "db/one.dump"); got != content {
			t.Errorf("%s holds %d bytes, want %d", arms[i].Name, len(got), len(content))
		}
	}
	if failed := f.Failed(); len(failed) != 1 || !errors.Is(failed["offsite"], storage.ErrDenied) {
		t.Errorf("failed: %v", failed)
	}
	if _, err := f.Put(t.Context(), "db/one.dump", strings.NewReader("other"), storage.PutOptions{IfAbsent: true, Size: -1}); !errors.Is(err, storage.ErrExist) {
		t.Errorf("a key that all have: %v", err)
	}
	if len(f.Left()) != 2 {
		t.Errorf("left: %v", f.Left())
	}
}

// A source that breaks off leaves no object, and no store is blamed for it.
func TestFan_Put_brokenSource(t *testing.T) {
	arms := openDirs(t, "nearby", "offsite")
	f := storage.NewFan(arms...)
	died := errors.New("pg_dump: error: the server has gone")
	source := io.MultiReader(bytes.NewReader(make([]byte, 1<<20)), iotest.ErrReader(died))
	if _, err := f.Put(t.Context(), "db/one.dump", source, storage.PutOptions{Size: -1}); !errors.Is(err, died) {
		t.Errorf("err = %v", err)
	}
	for _, a := range arms {
		if keys := storagetest.Keys(t, a.Store, ""); len(keys) > 0 {
			t.Errorf("%s holds %v", a.Name, keys)
		}
	}
	if failed := f.Failed(); len(failed) > 0 {
		t.Errorf("failed: %v", failed)
	}
}

// stuck is a store that takes some bytes and then no more; one that is deaf does not hear
// either that nobody waits for it.
type stuck struct {
	storage.Store
	deaf chan struct{}
}

func (s stuck) Put(ctx context.Context, _ string, in io.Reader, _ storage.PutOptions) (storage.Object, error) {
	if _, err := io.CopyN(io.Discard, in, 3<<20); err != nil && err != io.EOF {
		return storage.Object{}, err
	}
	if s.deaf != nil {
		<-s.deaf
		return storage.Object{}, nil
	}
	<-ctx.Done()
	return storage.Object{}, ctx.Err()
}

// A store that takes nothing any more, or that is left out meanwhile, keeps the others from
// nothing.
func TestFan_Put_stuck(t *testing.T) {
	const ample = 5 * time.Second // for a directory of this host
	deaf := make(chan struct{})
	t.Cleanup(func() { close(deaf) }) // when the last has ended
	for name, c := range map[string]struct {
		deaf    chan struct{}
		dropped bool
		size    int
		says    string
	}{"hears": {size: 64 << 20, says: "it took nothing for 5s"}, "is deaf": {deaf: deaf, size: 64 << 20, says: "it took nothing for 5s"},
		"is left out": {dropped: true, size: 64 << 20}, "is deaf and left out": {deaf: deaf, dropped: true, size: 64 << 20},
		"has taken all": {size: 1 << 20, says: "it did not end for 10s"}, "has taken all and is deaf": {deaf: deaf, size: 1 << 20, says: "it did not end for 10s"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arms := openDirs(t, "nearby", "offsite")
			arms[1].Store = stuck{arms[1].Store, c.deaf}
			fan := storage.NewFan(arms...)
			why := errors.New("others may take it for dead")
			left := c.size
			source := readerFunc(func(p []byte) (int, error) {
				if left -= len(p); left < 60<<20 && c.dropped {
					fan.Drop("offsite", why)
				}
				if left <= 0 {
					return 0, io.EOF
				}
				return len(p), nil
			})
			if !c.dropped || c.deaf != nil {
				fan.StallAfter(ample)
			}
			o, err := fan.Put(t.Context(), "base.tar", source, storage.PutOptions{Size: -1})
			if err != nil {
				t.Fatal(err)
			}
			if stored, err := arms[0].Store.Stat(t.Context(), "base.tar"); err != nil || stored.Size != o.Size || o.Size < int64(c.size)-1<<20 {
				t.Errorf("the other store has %d bytes, %v; the fan says %d", stored.Size, err, o.Size)
			}
			switch failed := fan.Failed(); {
			case len(failed) != 1 || failed["offsite"] == nil:
				t.Errorf("left out are %v", failed)
			case c.dropped && !errors.Is(failed["offsite"], why):
				t.Errorf("it was left out for %v", failed["offsite"])
			case !c.dropped && (!errors.Is(failed["offsite"], storage.ErrUnavailable) || !strings.Contains(failed["offsite"].Error(), c.says)):
				t.Errorf("it was left out for %v", failed["offsite"])
			}
		})
	}
}

// When the last store fails the fan does, with the words of each.
func TestFan_Put_nobodyLeft(t *testing.T) {
	arms := openDirs(t, "nearby", "offsite")
	for i := range arms {
		arms[i].Store = refusing{arms[i].Store, &storage.Error{Op: "put", Object: arms[i].Name + "'s place", Kind: storage.ErrUnavailable}}
	}
	_, err := storage.NewFan(arms...).Put(t.Context(), "a", bytes.NewReader(make([]byte, 4<<20)), storage.PutOptions{Size: -1})
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), "nearby's") || !strings.Contains(err.Error(), "offsite's") {
		t.Errorf("err = %v", err)
	}
}

// A listing shows what is in each store.
func TestFan_List(t *testing.T) {
	arms := openDirs(t, "nearby", "offsite")
	for _, key := range []string{"a", "c", "d", "f"} {
		storagetest.Put(t, arms[0].Store, key, "same")
	}
	for _, key := range []string{"b", "c", "f", "g"} {
		storagetest.Put(t, arms[1].Store, key, "same")
	}
	storagetest.Put(t, arms[0].Store, "e", "one")
	storagetest.Put(t, arms[1].Store, "e", "another")
	f := storage.NewFan(arms...)
	if got := strings.Join(storagetest.Keys(t, f, ""), " "); got != "c f" {
		t.Errorf("listed %q", got)
	}
	if _, err := f.Stat(t.Context(), "a"); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("a is in one store only: %v", err)
	}
}

// silentStat is a store that describes nothing.
type silentStat struct{ storage.Store }

func (s silentStat) Stat(context.Context, string) (storage.Object, error) {
	return storage.Object{}, &storage.Error{Op: "stat", Object: s.URL(), Kind: storage.ErrUnavailable}
}

// What was listed in a store that has failed since is read from another one that has it,
// past those that have not, and past one that fails, too.
func TestFan_Open(t *testing.T) {
	arms := openDirs(t, "nearby", "empty", "silent", "offsite")
	for _, i := range []int{0, 2, 3} {
		storagetest.Put(t, arms[i].Store, "a", "text")
	}
	arms[2].Store = silentStat{arms[2].Store}
	o, err := storage.NewFan(arms[0]).Stat(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	f := storage.NewFan(arms...)
	f.Drop("nearby", errors.New("gone"))
	in, err := f.Open(t.Context(), o, 0)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(in); string(text) != "text" || err != nil {
		t.Errorf("read %q, %v", text, err)
	}
	in.Close()
	if _, failed := f.Failed()["silent"]; !failed || len(f.Failed()) != 2 {
		t.Errorf("failed: %v", f.Failed())
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }
