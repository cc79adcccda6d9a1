package storage_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"comeback/storage"
	"comeback/storagetest"
)

func openDir(t *testing.T) (storage.Store, string) {
	t.Helper()
	path := t.TempDir()
	s, err := storage.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	return s, path
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDir(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) storage.Store {
		s, _ := openDir(t)
		return s
	})
}

func TestDir_Identity(t *testing.T) {
	s, _ := openDir(t)
	identifier, ok := storage.As[storage.Identifier](storagetest.NewFaulty(s))
	if !ok {
		t.Fatal("a directory cannot say who reads it")
	}
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	if who, account, err := identifier.Identity(t.Context()); who != "user "+u.Username || account != "" || err != nil {
		t.Errorf("identity is %q, %q, %v", who, account, err)
	}
}

func TestOpenDir_Missing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backups")
	_, err := storage.OpenDir(path)
	if !errors.Is(err, storage.ErrNotExist) || !errors.Is(err, storage.ErrConfig) || !strings.Contains(err.Error(), path) {
		t.Errorf("missing: %v", err)
	}
	write(t, path, "")
	if _, err := storage.OpenDir(path); !errors.Is(err, storage.ErrConfig) || errors.Is(err, storage.ErrNotExist) {
		t.Errorf("a file: %v", err)
	}
}

// TestDir_GoneOrReplaced proves that a directory that went away is not taken
// for one whose objects went away.
func TestDir_GoneOrReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "backups")
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	s, err := storage.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	o := storagetest.Put(t, s, "a", "text")
	all := func(t *testing.T, kind error, listKind error) {
		_, stat := s.Stat(t.Context(), "a")
		_, open := s.Open(t.Context(), o, 0)
		_, put := s.Put(t.Context(), "a", strings.NewReader(""), storage.PutOptions{})
		for op, err := range map[string]error{"stat": stat, "open": open, "put": put} {
			if !errors.Is(err, kind) || errors.Is(err, storage.ErrNotExist) {
				t.Errorf("%s: %v", op, err)
			}
		}
		for _, err := range s.List(t.Context(), "") {
			if !errors.Is(err, listKind) {
				t.Errorf("list: %v", err)
			}
		}
	}
	if err := os.Rename(path, path+".old"); err != nil {
		t.Fatal(err)
	}
	t.Run("gone", func(t *testing.T) { all(t, storage.ErrConfig, storage.ErrNotExist) })
	if err := os.Mkdir(path, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Run("replaced", func(t *testing.T) { all(t, storage.ErrUnavailable, storage.ErrUnavailable) })
}

func TestDir_Links(t *testing.T) {
	s, path := openDir(t)
	outside := filepath.Join(t.TempDir(), "secret")
	write(t, outside, "not of this copy")
	real := storagetest.Put(t, s, "db/dump", "text")
	for link, to := range map[string]string{
		"latest": "db/dump", "db/newest": "dump", "out": outside, "up": "../../../../etc/passwd", "dangling": "none",
		"directory": "db", "loop": "loop", "absolute": filepath.Join(path, "db/dump"),
	} {
		if err := os.Symlink(to, filepath.Join(path, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Mkfifo(filepath.Join(path, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(path, "lost+found"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(path, "lost+found", "#1"), "")

	want := []string{"db/dump", "db/newest", "latest"}
	if got := storagetest.Keys(t, s, ""); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	latest, err := s.Stat(t.Context(), "latest")
	if err != nil || latest.Revision != real.Revision {
		t.Errorf("a link is %+v, %v; want the revision of its target %+v", latest, err, real)
	}
	if got := storagetest.Read(t, s, "latest"); got != "text" {
		t.Errorf("read %q", got)
	}
	for key, kind := range map[string]error{
		"out": storage.ErrDenied, "up": storage.ErrDenied, "absolute": storage.ErrDenied,
		"dangling": storage.ErrNotExist, "directory": storage.ErrNotExist, "fifo": storage.ErrNotExist, "loop": storage.ErrConfig,
	} {
		_, stat := s.Stat(t.Context(), key)
		o := real
		o.Key = key
		_, open := s.Open(t.Context(), o, 0)
		if !errors.Is(stat, kind) || !errors.Is(open, kind) {
			t.Errorf("%s: stat gives %v, open gives %v; want %v", key, stat, open, kind)
		}
	}

	// A link on the way out must not be written through either.
	if err := os.Symlink(t.TempDir(), filepath.Join(path, "elsewhere")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(t.Context(), "elsewhere/x", strings.NewReader(""), storage.PutOptions{}); !errors.Is(err, storage.ErrDenied) {
		t.Errorf("put through a link: %v", err)
	}
}

func TestDir_ChangedWhileRead(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(t *testing.T, path string)
		want   error
	}{
		{"not", func(*testing.T, string) {}, nil},
		{"cut", func(t *testing.T, path string) {
			if err := os.Truncate(path, 5); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrCorrupt},
		{"grown", func(t *testing.T, path string) {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			if _, err := f.WriteString("more"); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrChanged},
		{"overwritten", func(t *testing.T, path string) {
			write(t, path, strings.Repeat("y", 1000))
			later := time.Now().Add(time.Second) // the clock of a file system may be coarse
			if err := os.Chtimes(path, later, later); err != nil {
				t.Fatal(err)
			}
		}, storage.ErrChanged},
		{"replaced", func(t *testing.T, path string) {
			write(t, path+".new", "new")
			if err := os.Rename(path+".new", path); err != nil {
				t.Fatal(err)
			}
		}, nil},
		{"removed", func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			s, path := openDir(t)
			o := storagetest.Put(t, s, "a", strings.Repeat("x", 1000))
			r := storage.NewReader(t.Context(), s, o, storage.ReadOptions{})
			defer r.Close()
			if _, err := io.ReadFull(r, make([]byte, 10)); err != nil {
				t.Fatal(err)
			}
			test.change(t, filepath.Join(path, "a"))
			rest, err := io.ReadAll(r)
			if !errors.Is(err, test.want) || err == nil && string(rest) != strings.Repeat("x", 990) {
				t.Errorf("%d bytes, error is %v, want %v", len(rest), err, test.want)
			}
		})
	}
}

func TestDir_FileOrDirectory(t *testing.T) {
	s, _ := openDir(t)
	storagetest.Put(t, s, "a/b", "")
	for _, key := range []string{"a", "a/b/c"} {
		for _, ifAbsent := range []bool{false, true} {
			_, err := s.Put(t.Context(), key, strings.NewReader(""), storage.PutOptions{IfAbsent: ifAbsent})
			if !errors.Is(err, storage.ErrConfig) {
				t.Errorf("%s, if absent %v: %v", key, ifAbsent, err)
			}
		}
	}
}

// TestDir_Interrupted proves that what an interrupted Put left is no object,
// and is removed by the next process, and that a Put under way is left alone.
func TestDir_Interrupted(t *testing.T) {
	s, path := openDir(t)
	storagetest.Put(t, s, "db/a", "text")
	left := filepath.Join(path, "db", ".comeback-put-LEFT")
	busy := filepath.Join(path, "db", ".comeback-put-BUSY")
	write(t, left, "half a dump")
	write(t, busy, "half another")
	f, err := os.Open(busy)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}

	if got := storagetest.Keys(t, s, ""); !slices.Equal(got, []string{"db/a"}) {
		t.Errorf("listed %q", got)
	}
	if _, err := s.Stat(t.Context(), "db/.comeback-put-LEFT"); !errors.Is(err, storage.ErrConfig) {
		t.Errorf("stat of a reserved name gives %v", err)
	}
	next, err := storage.OpenDir(path)
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, next, "db/b", "text")
	if _, err := os.Stat(left); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the leftover is still there: %v", err)
	}
	if _, err := os.Stat(busy); err != nil {
		t.Errorf("the Put under way has lost its file: %v", err)
	}
}

// TestDir_SweepRace lets processes that clean up meet those that begin.
func TestDir_SweepRace(t *testing.T) {
	_, path := openDir(t)
	var group errgroup.Group
	for i := range 8 {
		group.Go(func() error {
			for j := range 50 {
				s, err := storage.OpenDir(path)
				if err != nil {
					return err
				}
				key := string(rune('a'+i)) + string(rune('0'+j))
				if _, err := s.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(path)
	if err != nil || len(names) != 400 {
		t.Errorf("%d files, %v; want 400", len(names), err)
	}
}

// What another user's interrupted Put has left keeps nobody from storing beside it.
func TestDir_SweepOfAnother(t *testing.T) {
	s, dir := openDir(t)
	left := filepath.Join(dir, ".comeback-put-A")
	if err := errors.Join(os.WriteFile(left, nil, 0o000), os.Chmod(dir, 0o777), os.Chmod(filepath.Dir(dir), 0o755)); err != nil {
		t.Fatal(err)
	}
	asNobody(func() {
		if _, err := s.Put(t.Context(), "wal/000000010000000000000001", strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
			t.Error(err)
		}
		if _, err := s.Put(t.Context(), "beside", strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
			t.Error(err)
		}
	})
	if _, err := os.Lstat(left); err != nil {
		t.Error(err)
	}
}

func TestDir_Modes(t *testing.T) {
	s, path := openDir(t)
	storagetest.Put(t, s, "new/a", "text")
	for name, want := range map[string]os.FileMode{"new": 0o700, "new/a": 0o600} {
		info, err := os.Stat(filepath.Join(path, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func TestDir_Denied(t *testing.T) {
	s, path := openDir(t)
	o := storagetest.Put(t, s, "open/a", "text")
	storagetest.Put(t, s, "shut/b", "text")
	if err := os.Chmod(filepath.Join(path, "open/a"), 0); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(path, "shut"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(path, "shut"), 0o700)
	if os.Getuid() == 0 { // nobody has to get there
		for dir := path; dir != "/"; dir = filepath.Dir(dir) {
			if err := os.Chmod(dir, 0o755); dir == path && err != nil {
				t.Fatal(err)
			}
			if filepath.Dir(dir) == filepath.Clean(os.TempDir()) {
				break
			}
		}
	}
	asNobody(func() {
		_, stat := s.Stat(t.Context(), "shut/b")
		_, open := s.Open(t.Context(), o, 0)
		_, put := s.Put(t.Context(), "shut/c", strings.NewReader(""), storage.PutOptions{})
		var list error
		for _, list = range s.List(t.Context(), "") {
		}
		for op, err := range map[string]error{"stat": stat, "open": open, "put": put, "list": list} {
			if !errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrNotExist) {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
}

// asNobody runs f on a thread that has the rights of nobody in the file
// system, where the test has those of root.
func asNobody(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with the goroutine
		if os.Getuid() == 0 {
			_, _ = unix.SetfsuidRetUid(65534)
		}
		f()
	}()
	<-done
}

func FuzzCheckKey(f *testing.F) {
	for _, key := range []string{"", "a", "a/b", "..", "a/../b", "/", "a//b", "a/.", "nul\x00", "...", `a\..\b`} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if storage.CheckKey(key) == nil && (!filepath.IsLocal(key) || filepath.Clean(key) != key || bytes.ContainsRune([]byte(key), 0)) {
			t.Errorf("%q passes", key)
		}
	})
}

// TestDir_Swap waits for the lock of another process no longer than its
// context, takes over what a crash left, and leaves no file.
func TestDir_Swap(t *testing.T) {
	s, path := openDir(t)
	swapper, _ := storage.As[storage.Swapper](s)
	old := storagetest.Put(t, s, "locks/one", "first")
	name := filepath.Join(path, "locks", ".comeback-put-lock")
	write(t, name, "")
	held, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := swapper.Swap(ctx, old, []byte("second")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("with the lock held: %v", err)
	}
	held.Close() // as the end of its process does
	if _, err := swapper.Swap(t.Context(), old, []byte("second")); err != nil {
		t.Errorf("with the lock of the dead: %v", err)
	}
	if got := storagetest.Read(t, s, "locks/one"); got != "second" {
		t.Errorf("holds %q", got)
	}
	left, err := os.ReadDir(filepath.Dir(name))
	if err != nil || len(left) != 1 {
		t.Errorf("left %v, %v", left, err)
	}
}

// What is found is made durable, and what is gone is not.
func TestDir_Settle(t *testing.T) {
	s, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	o, err := s.Put(t.Context(), "wal/1", strings.NewReader("x"), storage.PutOptions{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	settler, ok := storage.As[storage.Settler](s)
	if !ok {
		t.Fatal("a directory cannot make what is found durable")
	}
	if err := settler.Settle(t.Context(), o); err != nil {
		t.Error(err)
	}
	o.Key = "wal/2"
	if err := settler.Settle(t.Context(), o); !errors.Is(err, storage.ErrNotExist) {
		t.Errorf("of what is not there it says %v", err)
	}
	o.Key = "../etc/passwd"
	if err := settler.Settle(t.Context(), o); err == nil {
		t.Error("it goes out of the directory")
	}
}

// What killed Puts have left goes, with the directories that hold nothing else; what a
// Put is at, objects, and what has another name stay.
func TestDir_Sweep(t *testing.T) {
	dir := t.TempDir()
	s, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	left := func(name string) *os.File {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { f.Close() })
		return f
	}
	for _, name := range []string{"base/1/.comeback-put-A", "base/1/deep/.comeback-put-B", "base/2/.comeback-put-C", "base/3/.comeback-put-D", "dump/.comeback-put-E", "dump/shop-1/.comeback-put-F", "dump/shop-2/.comeback-put-G"} {
		left(name)
	}
	storagetest.Put(t, s, "base/2/object", "x")
	left("base/2/.comeback-put-C")
	busy := left("base/2/.comeback-put-busy")
	if err := syscall.Flock(int(busy.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	for _, prefix := range []string{"base/1/", "base/2/", "dump/shop-1", "none/such/", "none"} {
		if err := storage.Sweep(t.Context(), s, prefix); err != nil {
			t.Errorf("sweep %s: %v", prefix, err)
		}
	}
	var got []string
	err = filepath.WalkDir(dir, func(path string, e os.DirEntry, err error) error {
		if rel, _ := filepath.Rel(dir, path); err == nil && rel != "." {
			got = append(got, rel)
		}
		return err
	})
	want := []string{"base", "base/2", "base/2/.comeback-put-busy", "base/2/object", "base/3", "base/3/.comeback-put-D", "dump", "dump/shop-2", "dump/shop-2/.comeback-put-G"}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v: left are %q, want %q", err, got, want)
	}
}

// A directory that answers nothing keeps nobody waiting.
func TestOpenDirWithin(t *testing.T) {
	hung := storagetest.HungMount(t)
	_, err := storage.OpenDirWithin(t.Context(), hung, time.Millisecond)
	if !errors.Is(err, storage.ErrUnavailable) || !strings.Contains(err.Error(), hung) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := storage.OpenDirWithin(ctx, hung, time.Hour); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	s, err := storage.OpenDirWithin(t.Context(), t.TempDir(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, s, "a", "text")
}
