package pitr

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
	"comeback/storagetest"
)

// feeding is a feeder without a server, for the point latest of a copy.
func feeding(t *testing.T, c *copyOf, wrap func(storage.Store) storage.Store) *feeder {
	t.Helper()
	s := survey(t, c.store, database)
	return feedingTo(t, c.store, mustResolve(t, c.store, s, "latest"), wrap)
}

func feedingTo(t *testing.T, store storage.Store, p recovery.Point, wrap func(storage.Store) storage.Store) *feeder {
	t.Helper()
	e := impatient(t).(nativeEngine).engine
	steps, err := e.Plan(database, p, recovery.Target{ID: "scratch/database"})
	if err != nil {
		t.Fatal(err)
	}
	var args replayArgs
	if err := steps[1].Decode(&args); err != nil {
		t.Fatal(err)
	}
	if wrap != nil {
		store = wrap(store)
	}
	repo, err := e.enter(args.Facts.Layout, store)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "data", "pg_wal"), 0o700); err != nil {
		t.Fatal(err)
	}
	f, err := newFeeder(t.Context(), repo, args, filepath.Join(dir, "data"), filepath.Join(dir, "feed"), recovery.User{UID: -1, GID: -1}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := f.close(); err != nil {
			t.Error(err)
		}
	})
	return f
}

const restoring = "pg_wal/RECOVERYXLOG"

// withheld lets nothing of a key be read until it is free.
type withheld struct {
	storage.Store
	key  string
	free chan struct{}
}

func (h withheld) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	if strings.HasSuffix(o.Key, h.key) {
		select {
		case <-h.free:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return h.Store.Open(ctx, o, offset)
}

// What the server had to wait for is counted; the first segment is not, nobody could
// know that it would be asked for.
func TestFeeder_waits(t *testing.T) {
	c := source.get(t).copy(t, "zstd")
	names := c.segments(t)
	first, second := names[len(names)-2], names[len(names)-1]
	free := make(chan struct{})
	f := feeding(t, c, func(s storage.Store) storage.Store { return withheld{s, second, free} })
	if code := f.fetch(first, restoring); code != walfetch.Fetched {
		t.Fatalf("%s: exit code %d: %v", first, code, f.failure())
	}
	code := make(chan int)
	go func() { code <- f.fetch(second, restoring) }()
	for late := false; !late; runtime.Gosched() {
		f.mu.Lock()
		for _, t := range f.tasks {
			late = late || t.late
		}
		f.mu.Unlock()
	}
	close(free)
	if got := <-code; got != walfetch.Fetched || f.waits != 1 {
		t.Errorf("%s: exit code %d, %v; %s", second, got, f.failure(), f.waitedSays())
	}
}

// What the archive holds arrives byte by byte, in order or not, and again.
func TestFeeder_Fetch(t *testing.T) {
	l := source.get(t)
	for _, pack := range [][]string{nil, {".gz", "gzip", "-1c"}, {".zst", "zstd", "-1c"}} {
		c := l.copy(t, "zstd")
		names := c.segments(t)
		if pack != nil {
			c.pack(t, pack[0], pack[1:]...)
		}
		f := feeding(t, c, nil)
		last := names[len(names)-1]
		for _, name := range []string{prior(prior(last)), prior(last), last, prior(last), last} {
			if code := f.fetch(name, restoring); code != walfetch.Fetched {
				t.Fatalf("%s: exit code %d: %v", name, code, f.failure())
			}
			got, err := os.ReadFile(filepath.Join(f.data, restoring))
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(l.archive, name))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%s is not what was archived", name)
			}
		}
	}
}

// The three answers: absent is only what is proven to be absent and not needed.
func TestFeeder_Absence(t *testing.T) {
	l := source.get(t)
	c := l.copy(t, "zstd")
	names := c.segments(t)
	last := names[len(names)-1]
	f := feeding(t, c, nil)
	after, _ := ParseFileName(last)
	next := walfile.SegmentName(1, after.Seg(1<<20)+1, 1<<20)
	for _, name := range []string{next, "00000002.history", "00000002" + last[8:]} {
		if code := f.fetch(name, restoring); code != walfetch.Absent || f.failure() != nil {
			t.Errorf("%s: exit code %d (%v), want %d", name, code, f.failure(), walfetch.Absent)
		}
	}
	if err := os.WriteFile(c.path("wal/00000003.history"), []byte("1\t0/1\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code := f.fetch("00000003.history", "pg_wal/RECOVERYHISTORY"); code != walfetch.Fetched {
		t.Errorf("a history that came since: exit code %d: %v", code, f.failure())
	}
	// A bad segment that the point does not need keeps nobody.
	if err := os.WriteFile(c.path("wal/"+next), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if code := feeding(t, c, nil).fetch(next, restoring); code != walfetch.Absent {
		t.Errorf("an empty segment behind the point: exit code %d", code)
	}
}

// What the server's programs have put in the place of a directory is not written through, and
// what arrives is not written into anything that is there.
func TestFeeder_Swapped(t *testing.T) {
	const name = "00000009.history"
	c := source.get(t).copy(t, "zstd")
	if err := os.WriteFile(c.path("wal/"+name), []byte("1\t0/1\tx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	// aside makes a directory of theirs where one of ours was.
	aside := func(dir string) error { return os.Rename(dir, dir+".aside") }
	for _, test := range []struct {
		name string
		swap func(f *feeder, victim string) error
		code int
	}{
		{"where it arrives a link has its name", func(f *feeder, victim string) error {
			return errors.Join(aside(f.dir), os.Mkdir(f.dir, 0o700), os.Symlink(victim, filepath.Join(f.dir, name)))
		}, walfetch.Fetched},
		{"where it arrives another name of a file has its name", func(f *feeder, victim string) error {
			return os.Link(victim, filepath.Join(f.dir, name))
		}, walfetch.Fetched},
		{"pg_wal is a link", func(f *feeder, victim string) error {
			dir := filepath.Join(f.data, "pg_wal")
			return errors.Join(aside(dir), os.Symlink(filepath.Dir(victim), dir))
		}, walfetch.Failed},
		{"the data directory is a link", func(f *feeder, victim string) error {
			return errors.Join(aside(f.data), os.Symlink(filepath.Dir(filepath.Dir(victim)), f.data))
		}, walfetch.Failed},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := feeding(t, c, nil)
			victim := filepath.Join(filepath.Dir(f.data), "elsewhere", "pg_wal", "victim")
			if err := errors.Join(os.MkdirAll(filepath.Dir(victim), 0o700), os.WriteFile(victim, []byte("untouched"), 0o600), test.swap(f, victim)); err != nil {
				t.Fatal(err)
			}
			if code := f.fetch(name, "pg_wal/victim"); code != test.code {
				t.Errorf("exit code %d, want %d: %v", code, test.code, f.failure())
			}
			if err := f.failure(); err != nil && recovery.HintOf(err) == "" {
				t.Errorf("the failure %q has no hint", err)
			}
			if b, err := os.ReadFile(victim); string(b) != "untouched" || err != nil {
				t.Errorf("the victim is %q, %v", b, err)
			}
		})
	}
}

// A history that the point needs is judged before the server sees it; of another one the
// server must know that it is there. What is neither a segment nor a history is nobody's.
func TestFeeder_Histories(t *testing.T) {
	c := source.get(t).copy(t, "zstd")
	label := c.segments(t)[0] + ".00000028.backup"
	for name, says := range map[string]string{"00000001.history": "x", "00000009.history": "x", "0000000A.history": strings.Repeat("#", maxHistory+1), label: "x"} {
		if err := os.WriteFile(c.path("wal/"+name), []byte(says), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	f := feeding(t, c, nil)
	for _, test := range []struct {
		name string
		code int
	}{{label, walfetch.Absent}, {"00000009.history", walfetch.Fetched}} {
		if code := f.fetch(test.name, "pg_wal/RECOVERYHISTORY"); code != test.code || f.failure() != nil {
			t.Errorf("%s: exit code %d (%v), want %d", test.name, code, f.failure(), test.code)
		}
	}
	for name, says := range map[string]string{"00000001.history": "does not tell where", "0000000A.history": "longer than"} {
		f := feeding(t, c, nil)
		checkFailure(t, f, f.fetch(name, "pg_wal/RECOVERYHISTORY"), []string{name, says})
		if left, err := os.ReadDir(f.dir); err != nil || len(left) > 0 {
			t.Errorf("%s has left %v, %v", name, left, err)
		}
	}
}

func TestFeeder_Failures(t *testing.T) {
	l := source.get(t)
	names := l.copy(t).segments(t)
	name := names[len(names)-2]
	for _, test := range []badSegment{
		{"missing", func(t *testing.T, c *copyOf, name string) { c.remove(t, "wal/"+name) }, []string{name, "missing"}},
		{"empty", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func([]byte) []byte { return nil })
		}, []string{name, "is empty"}},
		{"cut", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func(b []byte) []byte { return b[:len(b)/2] })
		}, []string{name, "wrong size"}},
		{"other cluster", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func(b []byte) []byte { b[24]++; return b })
		}, []string{name, "belongs to another cluster"}},
		{"not WAL", func(t *testing.T, c *copyOf, name string) {
			c.replace(t, "wal/"+name, func(b []byte) []byte { clear(b); return b })
		}, []string{name, "is not WAL"}},
		{"content of another segment", func(t *testing.T, c *copyOf, name string) {
			b, err := os.ReadFile(c.path("wal/" + prior(name)))
			if err != nil {
				t.Fatal(err)
			}
			c.replace(t, "wal/"+name, func([]byte) []byte { return b })
		}, []string{name, "not what its name says"}},
		{"cut gzip", func(t *testing.T, c *copyOf, name string) {
			c.pack(t, ".gz", "gzip", "-1c")
			c.replace(t, "wal/"+name+".gz", func(b []byte) []byte { return b[:len(b)/2] })
		}, []string{name + ".gz", "ends too early"}},
		{"flipped bit in zstd", func(t *testing.T, c *copyOf, name string) {
			c.pack(t, ".zst", "zstd", "-1c")
			c.replace(t, "wal/"+name+".zst", func(b []byte) []byte { b[len(b)/2]++; return b })
		}, []string{name + ".zst", "is damaged"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := l.copy(t, "zstd")
			p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
			test.damage(t, c, name)
			f := feedingTo(t, c.store, p, nil)
			checkFailure(t, f, f.fetch(name, restoring), test.says)
		})
	}
	for _, test := range []struct {
		name  string
		fault storagetest.Fault
		asks  string
		says  string
	}{
		{"unavailable", storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Unavailable}, name, "reduce your request rate"},
		{"dropped", storagetest.Fault{Op: storagetest.OnRead, At: 5000, Err: storagetest.Dropped}, name, "connection reset by peer"},
		{"denied", storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Denied}, name, "Access Denied"},
		{"expired", storagetest.Fault{Op: storagetest.OnOpen, Err: storagetest.Expired}, name, "expired"},
		{"changed", storagetest.Fault{Op: storagetest.OnRead, At: 5000, Err: storagetest.Changed}, name, "changed while it was read"},
		{"flipped first byte", storagetest.Fault{Op: storagetest.OnRead, At: 0, Flip: true}, name, "damaged"},
		{"a history cannot be listed", storagetest.Fault{Op: storagetest.OnList, Err: storagetest.Unavailable}, "00000009.history", "reduce your request rate"},
		{"absence cannot be proven", storagetest.Fault{Op: storagetest.OnStat, Err: storagetest.Denied}, "00000009.history", "Access Denied"},
	} {
		t.Run("store "+test.name, func(t *testing.T) {
			var store *storagetest.Faulty
			f := feeding(t, l.copy(t, "zstd"), func(s storage.Store) storage.Store {
				store = storagetest.NewFaulty(s)
				return store
			})
			store.Inject(test.fault)
			checkFailure(t, f, f.fetch(test.asks, restoring), []string{test.says})
		})
	}
	t.Run("path outside of pg_wal", func(t *testing.T) {
		for _, path := range []string{"base/1/2", "pg_wal/../PG_VERSION", "/etc/passwd", "pg_wal/archive_status/x"} {
			f := feeding(t, l.copy(t, "zstd"), nil)
			if code := f.fetch(name, path); code != walfetch.Failed {
				t.Errorf("%s: exit code %d", path, code)
			}
		}
	})
}

func checkFailure(t *testing.T, f *feeder, code int, says []string) {
	t.Helper()
	err := f.failure()
	if code != walfetch.Failed || err == nil {
		t.Fatalf("exit code %d (%v), want %d", code, err, walfetch.Failed)
	}
	for _, part := range says {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the failure is %q, want %q in it", err, part)
		}
	}
	if recovery.HintOf(err) == "" {
		t.Errorf("the failure %q has no hint", err)
	}
	select {
	case <-f.failed:
	default:
		t.Error("nobody is told of the failure")
	}
}

// Only whoever the server runs as may ask: the socket is his, and has its mode from the start.
func TestListen(t *testing.T) {
	dir, err := os.MkdirTemp("", "cbs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	owner := recovery.User{UID: -1, GID: -1}
	want := os.Geteuid()
	if want == 0 {
		owner = recovery.User{UID: 65534, GID: 65534}
		want = owner.UID
	}
	for range 2 { // again, as after a crash
		l, err := listen(filepath.Join(dir, "s"), owner)
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		info, err := os.Lstat(filepath.Join(dir, "s", socketName))
		if err != nil {
			t.Fatal(err)
		}
		if st := info.Sys().(*syscall.Stat_t); int(st.Uid) != want || info.Mode() != fs.ModeSocket|0o600 {
			t.Errorf("the socket is of user %d, %v", st.Uid, info.Mode())
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}
}

// The client passes on what the step says, and takes anything else for a
// failure.
func TestFetchClient(t *testing.T) {
	dir, err := os.MkdirTemp("", "cbs-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	socket := filepath.Join(dir, "s")
	if code := walfetch.Ask(t.Context(), socket, "name", "path"); code != walfetch.Failed {
		t.Errorf("without a step: exit code %d", code)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for says, want := range map[string]int{
		`{"exit":0}` + "\n": walfetch.Fetched, `{"exit":1}` + "\n": walfetch.Absent, `{"exit":200}` + "\n": walfetch.Failed,
		`{"exit":2}` + "\n": walfetch.Failed, "{}\n": walfetch.Failed, "": walfetch.Failed, "0\n": walfetch.Failed, `{"exit":0}`: walfetch.Failed,
	} {
		asked := make(chan walfetch.Request, 1)
		go func() {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			defer conn.Close()
			var r walfetch.Request
			if json.NewDecoder(conn).Decode(&r) == nil {
				asked <- r
			}
			conn.Write([]byte(says))
		}()
		if code := walfetch.Ask(t.Context(), socket, "name", "path"); code != want {
			t.Errorf("the step says %q: exit code %d, want %d", says, code, want)
		}
		if r := <-asked; r.Name != "name" || r.Path != "path" {
			t.Errorf("the client asked for %+v", r)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code := walfetch.Ask(ctx, socket, "name", "path"); code != walfetch.Failed {
		t.Errorf("when nobody waits any more: exit code %d", code)
	}
}
