package pitr

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/storage"
	"comeback/storagetest"
)

// died is the source after its archiver had failed for a while and it was killed:
// orders 201 and 202, with some segments between them, that no archive has.
var died = &lazyDeath{}

type lazyDeath struct {
	once  sync.Once
	maker maker
}

// get gives the dead server's pg_wal, and the commits that it alone has.
func (d *lazyDeath) get(t testing.TB) (wal string, marks []mark) {
	t.Helper()
	l := source.get(t)
	d.once.Do(func() { d.maker.die(l, "death") })
	if d.maker.err != nil {
		t.Fatalf("make a dead server: %v", d.maker.err)
	}
	return filepath.Join(d.maker.dir, "pg_wal"), d.maker.marks
}

// die lets a copy of the source live on without an archive, and kills it.
func (m *maker) die(l *live, name string) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(l.dir, name)
	m.live = &live{dir: dir, archive: "/nowhere", cluster: l.cluster, special: map[string]recovery.XID{}}
	m.ctx = ctx
	m.cluster.Data, m.cluster.Socket = filepath.Join(dir, "data"), ""
	m.fail(os.Mkdir(dir, 0o711))
	m.fail(ownFile(dir, m.cluster.Owner))
	m.run("/bin/cp", "-a", l.cluster.Data, m.cluster.Data)
	m.run("/bin/cp", "-a", l.spaces, filepath.Join(dir, "spaces"))
	links, err := filepath.Glob(filepath.Join(m.cluster.Data, "pg_tblspc", "*"))
	m.fail(err)
	for _, link := range links {
		m.run("/bin/ln", "-sfn", filepath.Join(dir, "spaces"), link)
	}
	m.start("60")
	defer func() { m.fail(postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource())) }()
	m.use("shop")
	m.order(201)
	m.bulk("unarchived", 5000)
	m.order(202)
	if m.err != nil {
		return
	}
	m.fail(syscall.Kill(m.server.PID(), syscall.SIGKILL))
	<-m.server.Exited()
	m.conn.Close(ctx)
	m.fail(os.Rename(filepath.Join(m.cluster.Data, "pg_wal"), filepath.Join(dir, "pg_wal")))
}

// saveTail saves a tail into a copy, with a temporary directory that must be
// empty afterwards.
func saveTail(t testing.TB, store storage.Store, dir string) (recovery.Tail, error) {
	t.Helper()
	temp := t.TempDir()
	e := New(Options{Temp: temp}).(nativeEngine)
	tail, err := e.SaveTail(t.Context(), recovery.TailOptions{Component: database, Copy: "nearby", Store: store, Dir: dir})
	leavesNothing(t, temp)
	return tail, err
}

// What a killed server had not archived is saved up to its last commit, and that
// can be restored; saving it again finds everything there.
func TestSaveTail(t *testing.T) {
	wal, marks := died.get(t)
	l := source.get(t)
	last := marks[len(marks)-1]
	for name, pack := range map[string]func(*copyOf){
		"raw":  func(*copyOf) {},
		"gzip": func(c *copyOf) { c.pack(t, ".gz", "gzip", "-1", "-c") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, "zstd")
			pack(c)
			before := survey(t, c.store, database)
			if p := mustResolve(t, c.store, before, "latest"); p.Kept.XID != l.mark(t, "order 20").xid {
				t.Fatalf("the archive ends with %+v already", p.Kept)
			}
			tail, err := saveTail(t, c.store, wal)
			if err != nil {
				t.Fatalf("%v (%s)", err, recovery.HintOf(err))
			}
			if tail.Last.XID != last.xid || !tail.Last.Time.Equal(last.time) || tail.End <= tail.Last.LSN || len(tail.Saved) < 3 || tail.There == 0 ||
				!strings.HasSuffix(tail.Partial, ".partial") || tail.Bytes != int64(len(tail.Saved))<<20 || !strings.Contains(tail.Says(), fmt.Sprint(last.xid)) {
				t.Errorf("%+v: %s", tail, tail.Says())
			}
			for _, key := range tail.Saved {
				ours, err := os.ReadFile(filepath.Join(wal, strings.TrimSuffix(filepath.Base(key), ".partial")))
				theirs, errCopy := os.ReadFile(c.path(key))
				if err := errors.Join(err, errCopy); err != nil || !bytes.Equal(ours, theirs) {
					t.Errorf("%s is not what the server had (%v)", key, err)
				}
			}
			after := survey(t, c.store, database)
			if w := after.Windows[len(after.Windows)-1]; !w.To.Time.Equal(last.time) {
				t.Errorf("the window ends at %s, want %s", w.To.Time, last.time)
			}
			again, err := saveTail(t, c.store, wal)
			if err != nil || len(again.Saved) > 0 || again.Bytes > 0 || again.There < tail.There+len(tail.Saved) || again.Partial != tail.Partial {
				t.Errorf("again: %+v, %v", again, err)
			}
			p := mustResolve(t, c.store, after, "latest")
			r := restore(t, c.store, p)
			r.passed(t)
			r.proven(t, p)
			if p.Kept.XID != last.xid || r.orders != last.orders {
				t.Errorf("xid %d is kept with the orders %s, want %d with %s", p.Kept.XID, r.orders, last.xid, last.orders)
			}
			loss, err := lossOf(t, c, "after-xid:"+fmt.Sprint(l.mark(t, "order 20").xid), nil)
			if err != nil || loss.From.XID != marks[0].xid || loss.To.XID != last.xid {
				t.Errorf("going back to what was archived loses %+v, %v", loss, err)
			}
		})
	}
}

// The step does the same; an interruption leaves whole objects and no gap, and
// the next attempt adds the others.
func TestSaveTail_Step(t *testing.T) {
	wal, marks := died.get(t)
	c := source.get(t).copy(t, "zstd")
	e := New(Options{Temp: t.TempDir()})
	step, err := e.(recovery.TailSaver).PlanTail(database, "nearby", wal)
	if err != nil || step.Kind != "pitr.tail" || step.Component != "database" {
		t.Fatalf("%+v, %v", step, err)
	}
	if _, err := e.(recovery.TailSaver).PlanTail(database, "nearby", "pg_wal"); recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("a relative path: %v", err)
	}
	kind := e.Kinds()[slices.IndexFunc(e.Kinds(), func(k recovery.Kind) bool { return k.Name() == step.Kind })]
	for after := 0; ; after++ {
		faulty := storagetest.NewFaulty(c.store, storagetest.Fault{Op: storagetest.OnPut, After: after, Times: 1, Err: storagetest.Unavailable})
		_, err := kind.Do(t.Context(), stores{store: faulty}, step)
		if err == nil && after == 0 {
			t.Fatal("nothing was put")
		}
		s := survey(t, c.store, database)
		p := mustResolve(t, c.store, s, "latest")
		if gaps := s.Windows[0].Gaps; len(gaps) > 0 {
			t.Fatalf("after %d objects there are gaps: %+v", after, gaps)
		}
		if err == nil {
			if last := marks[len(marks)-1]; p.Kept.XID != last.xid {
				t.Errorf("the last commit is %d, want %d", p.Kept.XID, last.xid)
			}
			break
		}
		if !errors.Is(err, storage.ErrUnavailable) || recovery.HintOf(err) == "" {
			t.Fatalf("%v (%s)", err, recovery.HintOf(err))
		}
	}
	o, err := kind.Do(t.Context(), stores{store: c.store}, step)
	if err != nil || o.Facts["saved"] != "0" || !strings.Contains(o.Says, "has all of the log already") {
		t.Errorf("again: %+v, %v", o, err)
	}
}

// stores is an Env that opens one store.
type stores struct {
	testEnv
	store storage.Store
}

func (s stores) Store(context.Context, string) (storage.Store, error) { return s.store, nil }

// What cannot be saved is refused, with what to do.
func TestSaveTail_Refused(t *testing.T) {
	wal, _ := died.get(t)
	l := source.get(t)
	for _, test := range []struct {
		name string
		// change makes what is wrong, and gives the directory to save.
		change func(t *testing.T, c *copyOf) string
		exit   recovery.Exit
		says   string
	}{
		{"no directory", func(*testing.T, *copyOf) string { return "/nowhere/pg_wal" }, recovery.Usage, "no such file"},
		{"no log", func(t *testing.T, _ *copyOf) string { return t.TempDir() }, recovery.Usage, "holds no segment"},
		{"of two clusters", func(t *testing.T, c *copyOf) string {
			dir := linked(t, wal)
			forge(t, wal, filepath.Join(dir, "0000000100000000000000FF"))
			return dir
		}, recovery.Refused, "two clusters"},
		{"of another cluster", func(t *testing.T, c *copyOf) string {
			dir := t.TempDir()
			forge(t, wal, filepath.Join(dir, "0000000100000000000000FF"))
			return dir
		}, recovery.Refused, "is of another cluster"},
		{"other bytes in the copy", func(t *testing.T, c *copyOf) string {
			names := c.segments(t)
			next, _ := ParseFileName(names[len(names)-1])
			key := "wal/" + walfile.SegmentName(1, next.Seg(1<<20)+1, 1<<20)
			if _, err := c.store.Put(t.Context(), key, strings.NewReader("not a segment"), storage.PutOptions{Size: -1}); err != nil {
				t.Fatal(err)
			}
			return wal
		}, recovery.Refused, "holds other bytes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := l.copy(t, "zstd")
			_, err := saveTail(t, c.store, test.change(t, c))
			if err == nil || recovery.ExitOf(err) != test.exit || recovery.HintOf(err) == "" || !strings.Contains(err.Error(), test.says) {
				t.Errorf("exit %d: %v (%s)", recovery.ExitOf(err), err, recovery.HintOf(err))
			}
		})
	}
}

// linked is a directory with links to the files of another.
func linked(t testing.TB, from string) string {
	t.Helper()
	dir := t.TempDir()
	entries, err := os.ReadDir(from)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() {
			if err := os.Link(filepath.Join(from, e.Name()), filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

// forge makes segment FF of another cluster, out of one of a server's.
func forge(t testing.TB, wal, path string) {
	t.Helper()
	d, err := readTail(wal)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(d.segments[1][0].path)
	if err != nil {
		t.Fatal(err)
	}
	binary.LittleEndian.PutUint64(b[8:], 0xFF<<20)
	binary.LittleEndian.PutUint64(b[24:], 42)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// What the server had recycled or made for later is not saved, nor what a torn
// write left behind the end.
func TestSaveTail_Recycled(t *testing.T) {
	wal, marks := died.get(t)
	c := source.get(t).copy(t, "zstd")
	dir := linked(t, wal)
	sound, err := saveTail(t, source.get(t).copy(t, "zstd").store, wal)
	if err != nil {
		t.Fatal(err)
	}
	partial, _ := ParseFileName(filepath.Base(sound.Partial))
	name := func(by uint64) string {
		return filepath.Join(dir, walfile.SegmentName(1, partial.Seg(1<<20)+by, 1<<20))
	}
	old, err := os.ReadFile(filepath.Join(wal, strings.TrimSuffix(filepath.Base(sound.Partial), ".partial")))
	if err != nil {
		t.Fatal(err)
	}
	for _, by := range []uint64{1, 2, 3} {
		if err := os.Remove(name(by)); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	torn := bytes.Clone(old)
	for i := int(sound.End % (1 << 20)); i < len(torn); i++ {
		torn[i] = byte(i * 31)
	}
	if err := errors.Join(os.WriteFile(name(1), old, 0o600), os.WriteFile(name(2), make([]byte, 1<<20), 0o600),
		os.Remove(name(0)), os.WriteFile(name(0), torn, 0o600), os.WriteFile(filepath.Join(dir, "00000002.history"), []byte("1\t0/1\tx\n"), 0o600)); err != nil {
		t.Fatal(err)
	}
	tail, err := saveTail(t, c.store, dir)
	if err != nil {
		t.Fatal(err)
	}
	if tail.End != sound.End || tail.Last != sound.Last || tail.Partial != sound.Partial || len(tail.Saved) != len(sound.Saved)+1 || !slices.Contains(tail.Saved, "wal/00000002.history") {
		t.Errorf("%+v, want %+v and a history", tail, sound)
	}
	if p := mustResolve(t, c.store, survey(t, c.store, inTimeline("1")), "latest"); p.Kept.XID != marks[len(marks)-1].xid {
		t.Errorf("the last commit is %d", p.Kept.XID)
	}
}
