package pitr

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
	"comeback/storagetest"
)

// Every form of base backup is found and described by what pg_basebackup and
// the archiver left, and has its window.
func TestSurvey_Forms(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "early", "plain", "tar", "gzip", "zstd")
	s := survey(t, c.store, database)
	if len(s.Findings) > 0 {
		t.Errorf("findings: %+v", s.Findings)
	}
	want := []struct{ id, form, tablespaces string }{
		{"base/early", "base backup, tar", ""},
		{"base/plain", "base backup, plain", "1"},
		{"base/tar", "base backup, tar", "1"},
		{"base/gzip", "base backup, tar, gzip", "1"},
		{"base/zstd", "base backup, tar, " + l.cluster.Tools.Packing().Name, "1"},
	}
	if len(s.Backups) != len(want) || len(s.Windows) != len(want) {
		t.Fatalf("%d backups and %d windows, want %d", len(s.Backups), len(s.Windows), len(want))
	}
	last := l.mark(t, "order 20").time
	for i, b := range s.Backups {
		w := want[i]
		if b.ID != w.id || b.Form != w.form || b.Problem != "" || b.Details["tablespaces"] != w.tablespaces {
			t.Errorf("backup %s, %s (%s): %v", b.ID, b.Form, b.Problem, b.Details)
		}
		if !b.Taken.Known() || b.Taken.To.Before(l.marks[0].time.Add(-timeOfFixture)) || b.Taken.To.After(last) {
			t.Errorf("%s was taken at %v", b.ID, b.Taken)
		}
		if b.Details["label"] != filepath.Base(w.id) || b.Details["server"] == "" || b.Details["system identifier"] == "" || b.Stop == 0 || b.Timeline != 1 || b.Size() == 0 {
			t.Errorf("%s: %+v", b.ID, b.Details)
		}
		win := s.Windows[i]
		if win.Backup != w.id || !win.To.Time.Equal(last) || win.From.LSN != b.Stop || win.Timeline != 1 || len(win.Gaps) > 0 {
			t.Errorf("the window of %s: %+v, want it to end at %s", b.ID, win, last)
		}
	}
}

const timeOfFixture = 60e9

// A tablespace of a copied data directory that was a link, and was not copied, is missed by
// the survey; what Barman keeps beside the data directory is not.
func TestSurvey_LostTablespace(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	inside, err := filepath.Glob(c.path("base/plain/pg_tblspc/*"))
	if err != nil || len(inside) != 1 {
		t.Fatalf("the tablespaces are %v, %v", inside, err)
	}
	oid := filepath.Base(inside[0])
	if err := errors.Join(os.MkdirAll(c.path("base/barman"), 0o700), os.Rename(inside[0], c.path("base/barman/"+oid)), os.Rename(c.path("base/plain"), c.path("base/barman/data"))); err != nil {
		t.Fatal(err)
	}
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.mark(t, "order 4").xid))
	r := restore(t, c.store, p)
	r.passed(t)
	r.proven(t, p)
	if !strings.Contains(r.copy.Says, "every checksum of its manifest holds") {
		t.Errorf("the copy says %q", r.copy.Says)
	}
	if err := os.Rename(c.path("base/barman/data"), c.path("base/plain")); err != nil {
		t.Fatal(err)
	}
	s := survey(t, c.store, database)
	if len(s.Backups) != 1 || !strings.Contains(s.Backups[0].Problem, "the tablespace "+oid+" is missing") || len(s.Windows) > 0 {
		t.Errorf("by its manifest: %+v", s.Backups)
	}
}

// A tablespace map also names tablespaces in which nothing lay, of which a copy holds nothing:
// it can be restored, and the log may bring something into them.
func TestSurvey_EmptyTablespace(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	c.remove(t, "base/plain/backup_manifest")
	inside, err := filepath.Glob(c.path("base/plain/pg_tblspc/*"))
	if err != nil || len(inside) != 1 {
		t.Fatalf("the tablespaces are %v, %v", inside, err)
	}
	if err := os.WriteFile(c.path("base/plain/tablespace_map"), []byte(filepath.Base(inside[0])+" /somewhere\n59999 /some where/else\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s := survey(t, c.store, database)
	if len(s.Backups) != 1 || s.Backups[0].Problem != "" || len(s.Windows) != 1 {
		t.Fatalf("%+v, %+v", s.Backups, s.Windows)
	}
	p := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", l.mark(t, "order 4").xid))
	if said := strings.Join(p.Warnings, "; "); !strings.Contains(said, "tablespace 59999 was empty, or what lay in it is missing") {
		t.Errorf("it warns %q", said)
	}
	linked := ""
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		probe := o.Probe
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			b, _ := env.Binding("database")
			conn, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			var at string
			if err := conn.QueryRow(ctx, "select current_setting('data_directory')").Scan(&at); err != nil {
				return err
			}
			if linked, err = os.Readlink(filepath.Join(at, "pg_tblspc/59999")); err != nil {
				return err
			}
			return probe(ctx, env)
		}
	})
	r.passed(t)
	r.proven(t, p)
	if filepath.Base(linked) != "59999" {
		t.Errorf("the tablespace is linked to %q", linked)
	}
}

// The archive may be anywhere in the copy, nested, packed or beside another
// cluster's.
func TestSurvey_Places(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	last := l.mark(t, "order 20").xid
	latest := func(t *testing.T, c *copyOf, component recovery.Component) {
		t.Helper()
		if p := mustResolve(t, c.store, survey(t, c.store, component), "latest"); p.Kept.XID != last {
			t.Errorf("latest keeps %d, want %d", p.Kept.XID, last)
		}
	}
	t.Run("nested", func(t *testing.T) {
		c := l.copy(t, "zstd")
		for _, name := range c.segments(t) {
			dir := c.path("wal/" + name[:16])
			if err := errors.Join(os.MkdirAll(dir, 0o700), os.Rename(c.path("wal/"+name), dir+"/"+name)); err != nil {
				t.Fatal(err)
			}
		}
		latest(t, c, database)
		f := feeding(t, c, nil)
		if code := f.fetch(walfile.SegmentName(1, walfile.Number(l.mark(t, "order 20").before, 1<<20), 1<<20), restoring); code != walfetch.Fetched {
			t.Errorf("exit code %d: %v", code, f.failure())
		}
		if code := f.fetch("00000001000000000000FFFF", restoring); code != walfetch.Absent {
			t.Errorf("what is not there: exit code %d: %v", code, f.failure())
		}
	})
	t.Run("at the root", func(t *testing.T) {
		c := l.copy(t, "zstd")
		for _, name := range c.segments(t) {
			if err := os.Rename(c.path("wal/"+name), c.path(name)); err != nil {
				t.Fatal(err)
			}
		}
		latest(t, c, database)
	})
	t.Run("raw and packed", func(t *testing.T) {
		c := l.copy(t, "zstd")
		names := c.segments(t)
		c.pack(t, ".zst", "zstd", "-1c")
		// The same names again, all of them broken: the good ones count.
		for i, name := range names {
			if err := os.WriteFile(c.path("wal/"+name), make([]byte, i%2), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		latest(t, c, database)
	})
	t.Run("beside another cluster", func(t *testing.T) {
		c := l.copy(t, "zstd")
		c.add(t, l.archive, "another/wal")
		for _, name := range c.segments(t) {
			c.replace(t, "another/wal/"+name, func(b []byte) []byte { b[24]++; return b })
		}
		latest(t, c, database)
		named := database
		named.Settings = recovery.Settings{"database": {"shop"}, "backups": {"base"}, "wal": {"/wal/"}}
		latest(t, c, named)
		named.Settings = recovery.Settings{"wal": {"another"}, "backups": {"base"}}
		s := survey(t, c.store, named)
		if len(s.Windows) != 1 || s.Windows[0].To.LSN != walfile.Start(walfile.Number(s.Windows[0].From.LSN, 1<<20)+1, 1<<20) {
			t.Errorf("with another cluster's log the windows are %+v", s.Windows)
		}
		refused(t, c.store, s, l.mark(t, "order 20").time.Format(timeFormat), "after the end of the archive")
	})
	t.Run("prefix", func(t *testing.T) {
		c := l.copy(t, "zstd")
		elsewhere := database
		elsewhere.Settings = recovery.Settings{"prefix": {"elsewhere"}}
		if s := survey(t, c.store, elsewhere); len(s.Backups) > 0 {
			t.Errorf("under another prefix there are %+v", s.Backups)
		}
	})
}

// Gaps are data: each names its object, and windows end before it.
func TestSurvey_Gaps(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain", "zstd")
	names := c.segments(t)
	at := func(mark string) string {
		return walfile.SegmentName(1, walfile.Number(l.mark(t, mark).before, 1<<20), 1<<20)
	}
	c.remove(t, "wal/"+at("order 5"))
	c.replace(t, "wal/"+at("order 8"), func([]byte) []byte { return nil })
	c.replace(t, "wal/"+names[len(names)-1], func(b []byte) []byte { return b[:1000] })
	s := survey(t, c.store, database)
	var got []string
	for _, w := range s.Windows {
		for _, g := range w.Gaps {
			got = append(got, fmt.Sprintf("%s %s %s", w.Backup, g.Object, g.Why))
		}
	}
	want := []string{
		"base/plain " + at("order 5") + " missing", "base/plain wal/" + at("order 8") + " empty",
		"base/plain wal/" + names[len(names)-1] + " wrong size", "base/zstd wal/" + names[len(names)-1] + " wrong size",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("the gaps are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s.Windows[0].To.LSN != walfile.Start(walfile.Number(l.mark(t, "order 5").before, 1<<20), 1<<20) {
		t.Errorf("the first window ends at %s", s.Windows[0].To.LSN)
	}
	var found []string
	for _, f := range s.Findings {
		found = append(found, f.Says)
	}
	if all := strings.Join(found, "\n"); !strings.Contains(all, "(empty)") || !strings.Contains(all, "(wrong size)") {
		t.Errorf("the findings are %s", all)
	}
}

// What a base backup and its log have in an archive of the service is counted.
func TestSurvey_archived(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	for under, want := range map[string]func(recovery.Backup) int64{
		"base/plain/base/": func(b recovery.Backup) int64 { return int64(len(b.Objects)) },
		"wal/":             func(recovery.Backup) int64 { return int64(len(c.segments(t))) },
	} {
		cold := storagetest.Archive(c.store, func(key string) bool { return strings.HasPrefix(key, under) })
		s := survey(t, cold, database)
		if in := s.Backups[0].InArchive(); s.Backups[0].Problem != "" || in.Objects < 3 || in.Objects > want(s.Backups[0]) || !strings.HasPrefix(in.First, under) {
			t.Errorf("%s: %+v in an archive, %s", under, in, s.Backups[0].Problem)
		}
		p, err := resolve(t, cold, s, "latest")
		if under == "wal/" { // which is read to find its last commit
			if !errors.Is(err, storage.ErrArchived) {
				t.Errorf("%s: %v", under, err)
			}
			continue
		}
		if err != nil || p.Backup.InArchive() != s.Backups[0].InArchive() {
			t.Errorf("%s: %+v in an archive by the point, %v", under, p.Backup.InArchive(), err)
		}
	}
}

// What cannot be restored says why, in one sentence.
func TestSurvey_Problems(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	for _, test := range []struct {
		name, base string
		damage     func(t *testing.T, c *copyOf)
		problem    string
	}{
		{"no base.tar", "tar", func(t *testing.T, c *copyOf) { c.remove(t, "base/tar/base.tar") }, "base.tar is missing"},
		{"no tablespace", "tar", func(t *testing.T, c *copyOf) {
			spaces, err := filepath.Glob(c.path("base/tar/1*.tar"))
			if err != nil || len(spaces) != 1 {
				t.Fatal(spaces, err)
			}
			c.remove(t, "base/tar/"+filepath.Base(spaces[0]))
		}, "a tablespace, is missing"},
		{"cut manifest", "tar", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/tar/backup_manifest", func(b []byte) []byte { return b[:len(b)/2] })
		}, "backup_manifest is not complete"},
		{"empty base.tar", "tar", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/tar/base.tar", func([]byte) []byte { return nil })
		}, "base.tar cannot be read"},
		{"not gzip", "gzip", func(t *testing.T, c *copyOf) {
			c.replace(t, "base/gzip/base.tar.gz", func(b []byte) []byte { return []byte("<html>Access denied</html>") })
		}, "base.tar.gz cannot be read"},
		{"no log at all", "tar", func(t *testing.T, c *copyOf) {
			c.remove(t, "base/tar/pg_wal.tar")
			c.remove(t, "wal")
		}, "there is no WAL archive"},
		{"its segment is missing", "tar", func(t *testing.T, c *copyOf) {
			c.remove(t, "base/tar/pg_wal.tar")
			c.remove(t, "wal/"+walfile.SegmentName(1, walfile.Number(l.mark(t, "order 5").before, 1<<20)-1, 1<<20))
			c.remove(t, "wal/"+walfile.SegmentName(1, walfile.Number(l.mark(t, "order 5").before, 1<<20), 1<<20))
		}, "the log that it needs is missing"},
		{"an end that nobody tells", "plain", func(t *testing.T, c *copyOf) {
			c.remove(t, "base/plain/backup_manifest")
			labels, err := filepath.Glob(c.path("wal/*.backup"))
			if err != nil {
				t.Fatal(err)
			}
			for _, label := range labels {
				c.remove(t, "wal/"+filepath.Base(label))
			}
		}, "its end is not known"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := l.copy(t, test.base)
			test.damage(t, c)
			s := survey(t, c.store, database)
			if len(s.Backups) != 1 || !strings.Contains(s.Backups[0].Problem, test.problem) || len(s.Windows) > 0 {
				t.Fatalf("the survey is %+v, want the problem %q and no window", s.Backups, test.problem)
			}
			refused(t, c.store, s, "latest", test.problem)
		})
	}
}

// A store that cannot be read is an error, whatever was read when it failed.
func TestSurvey_StoreFails(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain", "gzip")
	for _, fault := range []storagetest.Fault{
		{Op: storagetest.OnList, Err: storagetest.Unavailable},
		{Op: storagetest.OnList, At: 100, Err: storagetest.Unavailable},
		{Op: storagetest.OnOpen, Err: storagetest.Denied},
		{Op: storagetest.OnOpen, Err: storagetest.Expired, After: 3},
		{Op: storagetest.OnOpen, Err: storagetest.Unavailable, After: 7},
	} {
		s, err := impatient(t).Survey(t.Context(), database, recovery.Copy{Name: "nearby"}, storagetest.NewFaulty(c.store, fault))
		if !errors.Is(err, fault.Err.(*storage.Error).Kind) {
			t.Errorf("%s fails with %v after %d: the survey says %v and %d backups", fault.Op, fault.Err, fault.After, err, len(s.Backups))
		}
	}
}

// A base backup may be one tar file under a name of its own, as pg_basebackup
// writes it to its standard output.
func TestSurvey_OneFile(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t)
	one := oneFile(t, filepath.Join(l.dir, "base", "early"))
	if err := os.WriteFile(c.path("nightly-2026-11-22.tar"), one, 0o600); err != nil {
		t.Fatal(err)
	}
	other := bytes.NewBuffer(nil)
	w := tar.NewWriter(other)
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: "toc.dat", Size: 1, Mode: 0o600}), w.Close()); err == nil {
		t.Fatal("a tar file without its content is written")
	}
	if err := os.WriteFile(c.path("dump.tar"), other.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	s := survey(t, c.store, database)
	if len(s.Backups) != 1 || s.Backups[0].ID != "nightly-2026-11-22.tar" || s.Backups[0].Problem != "" {
		t.Fatalf("the backups are %+v", s.Backups)
	}
	p := mustResolve(t, c.store, s, "nightly-2026-11-22.tar")
	r := restore(t, c.store, p, func(o *enginetest.Options) { o.Probe = nil })
	r.passed(t)
	if !strings.Contains(r.copy.Says, "every checksum of its manifest holds") {
		t.Errorf("the copy says %q", r.copy.Says)
	}
}

// oneFile puts the parts of a backup without tablespaces into one tar file,
// with the manifest last, as `pg_basebackup -D - -X fetch` does.
func oneFile(t *testing.T, dir string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, part := range []struct{ file, under string }{{"base.tar", ""}, {"pg_wal.tar", "pg_wal/"}} {
		in, err := os.Open(filepath.Join(dir, part.file))
		if err != nil {
			t.Fatal(err)
		}
		defer in.Close()
		r := tar.NewReader(in)
		for {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			h.Name = part.under + h.Name
			if err := w.WriteHeader(h); err != nil {
				t.Fatal(err)
			}
			if _, err := io.Copy(w, r); err != nil {
				t.Fatal(err)
			}
		}
	}
	manifest, err := os.ReadFile(filepath.Join(dir, manifestName))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.WriteHeader(&tar.Header{Name: manifestName, Size: int64(len(manifest)), Mode: 0o600})); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(manifest); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// largeArchive lists very many segments beside a real copy.
type largeArchive struct {
	storage.Store
	segments int
	missing  map[int]bool
	one      storage.Object // what every segment is
}

func (s largeArchive) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	from, to := 0, s.segments
	if digits, ok := strings.CutPrefix(prefix, "wal/"); ok && len(digits) == 22 {
		f, _ := ParseFileName(digits + "00")
		from = min(int(f.Seg(1<<20)), s.segments)
		to = min(from+groupSize, s.segments)
	}
	return func(yield func(storage.Object, error) bool) {
		for i := from; i < to; i++ {
			o := s.one
			o.Key = "wal/" + walfile.SegmentName(1, uint64(i), 1<<20)
			if !s.missing[i] && strings.HasPrefix(o.Key, prefix) && !yield(o, nil) {
				return
			}
		}
	}
}

// Two hundred thousand segments are judged from their names and sizes.
func TestSurvey_LargeArchive(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t)
	first := c.segments(t)[0]
	one, err := c.store.Stat(t.Context(), "wal/"+first)
	if err != nil {
		t.Fatal(err)
	}
	const n = 20_000
	store := largeArchive{c.store, n, map[int]bool{7_000: true, 7_001: true, 15_000: true}, one}
	repo := &native{store: store, wal: "wal/"}
	found, err := repo.list(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	x, _, err := newIndex(t.Context(), repo, Archive{Files: found.wal[Place{Dir: "wal/"}].files()})
	if err != nil {
		t.Fatal(err)
	}
	if x.SegmentSize != 1<<20 {
		t.Errorf("segments of %d bytes", x.SegmentSize)
	}
	log := x.along(newBranch(1, nil))
	for _, test := range []struct {
		start, next uint64
		gaps        int
	}{{5, 7_000, 2}, {7_002, 15_000, 1}, {15_001, n, 0}, {7_000, 7_000, 2}} {
		b := Base{Start: walfile.Start(test.start, 1<<20) + 0x28, Stop: walfile.Start(test.start, 1<<20) + 0x100, Timeline: 1}
		chain := log.after(b, lineage{SegmentSize: 1 << 20})
		if chain.next() != test.next || len(chain.gaps) != test.gaps {
			t.Errorf("from segment %d the log goes to %d with %d gaps, want %d and %d", test.start, chain.next(), len(chain.gaps), test.next, test.gaps)
		}
	}
	// Resolving lists the part that it needs, not everything.
	near, err := listLog(t.Context(), &native{store: store, places: []Place{{Dir: "wal/"}}}, newBranch(1, nil), lineage{SegmentSize: 1 << 20}, 14_900, walfile.Start(14_950, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if len(near.files) > n-14_800 || near.files[0].Seg(1<<20) > 14_900 || near.files[len(near.files)-1].Seg(1<<20) != n-1 {
		t.Errorf("%d segments from %d", len(near.files), near.files[0].Seg(1<<20))
	}
}
