package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/files"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// capture stores a snapshot with packs so small that there are several.
func capture(t testing.TB, dir string, store storage.Store, now time.Time) files.Captured {
	t.Helper()
	c, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: store, Prefix: "uploads/", Temp: t.TempDir(),
		PackSize: 200 << 10, Large: 60 << 10, Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// later is a time at which everything that was changed until now is settled.
func later(n int) time.Time {
	return time.Now().Add(time.Duration(n) * time.Minute).Truncate(time.Microsecond)
}

// liveAt is a component whose live directory is dir.
func liveAt(dir string) recovery.Component {
	c := component
	c.Settings = recovery.Settings{"path": {dir}}
	return c
}

func TestSnapshot(t *testing.T) {
	dir := oddTree(t)
	want := describe(t, dir)
	store := directory(t, nil)
	first := capture(t, dir, store, later(1))
	if first.New != first.Bytes || first.Files < 10 {
		t.Errorf("the first snapshot is %+v", first)
	}
	end, restored := restore(t, options(t, engine(), component, store))
	passed(t, end)
	if says := end.Steps[0].Outcome.Exceptions; len(says) != 1 || !strings.Contains(says[0], `"program" (mode 4755`) {
		t.Errorf("the exceptions are %q", says)
	}
	if diff := cmp.Diff(want, restored); diff != "" {
		t.Error(diff)
	}
	// Nothing has changed: nothing is stored anew.
	if second := capture(t, dir, store, later(2)); second.New != 0 || second.Bytes != first.Bytes {
		t.Errorf("the second snapshot is %+v", second)
	}
	// What has changed is; each snapshot stays what it was.
	harm(t, dir)
	changed := describe(t, dir)
	third := capture(t, dir, store, later(3))
	if third.New == 0 || third.New > first.Bytes/10 {
		t.Errorf("the third snapshot is %+v", third)
	}
	s := survey(t, engine(), component, store)
	if len(s.Backups) != 3 {
		t.Fatalf("the survey has %+v", s.Backups)
	}
	for i, c := range []files.Captured{first, first, third} { // and not how large its .snapshot is
		if b := s.Backups[i]; b.Holds.Files != c.Files || b.Amount() != c.Bytes || b.Size() >= c.Bytes || b.Holds.Series != "snapshot of "+dir {
			t.Errorf("%s holds %+v, %d bytes are read, want %d", b.ID, b.Holds, b.Size(), c.Bytes)
		}
	}
	for at, want := range map[time.Time]string{later(1).Add(30 * time.Second): want, later(2).Add(30 * time.Second): want, later(3).Add(30 * time.Second): changed} {
		p, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: at, Text: "then"}, store)
		if err != nil {
			t.Fatal(err)
		}
		o := options(t, engine(), component, store)
		o.Point = p
		end, restored := restore(t, o)
		passed(t, end)
		if diff := cmp.Diff(want, restored); diff != "" {
			t.Errorf("%s: %s", p.Says, diff)
		}
		if out := end.Steps[0].Outcome; out.Reached == nil || !strings.Contains(out.Says, "every SHA-256 holds") {
			t.Errorf("the outcome is %+v", out)
		}
	}
}

// What of a snapshot lies in an archive of the service is counted, by its packs; restoring it
// says what to do.
func TestSnapshot_archived(t *testing.T) {
	store := directory(t, nil)
	capture(t, oddTree(t), store, later(1))
	packs := int64(len(storagetest.Keys(t, store, "uploads/packs/"))) // not all of which are read
	cold := storagetest.Archive(store, func(key string) bool { return strings.HasPrefix(key, "uploads/packs/") })
	s := survey(t, engine(), component, cold)
	in := s.Backups[0].InArchive()
	if in.Objects > packs || in.Objects < 2 || in.Class != "GLACIER" {
		t.Errorf("of %d packs the survey has %+v in an archive", packs, in)
	}
	p, err := engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantLatest, Text: "latest"}, cold)
	if err != nil || p.Backup.InArchive() != in {
		t.Errorf("the survey has %+v in an archive, the point %+v, %v", in, p.Backup.InArchive(), err)
	}
	o := options(t, engine(), component, store)
	o.Point, o.Stores["nearby"] = p, cold
	o.Answer = func(recovery.StepState) recovery.Choice { return recovery.ChooseStop }
	if says, hint := enginetest.Failure(enginetest.Restore(t, o)); !strings.Contains(says, "in an archive") || !strings.Contains(hint, "aws s3api restore-object") {
		t.Errorf("it failed with %s (%s)", says, hint)
	}
	// What tells of a snapshot may lie there, too: the others are seen.
	s = survey(t, engine(), component, storagetest.Archive(store, func(key string) bool { return strings.HasSuffix(key, ".snapshot") }))
	if len(s.Backups) != 1 || !strings.Contains(s.Backups[0].Problem, "in an archive") {
		t.Errorf("%+v", s.Backups)
	}
}

// A snapshot that was taken by a clock which was a year ahead is not the latest when another
// came after it, and surely of no time before what it says.
func TestSnapshot_wrongClock(t *testing.T) {
	dir := oddTree(t)
	store := directory(t, nil)
	wrong := capture(t, dir, store, later(365*24*60))
	harm(t, dir)
	want := describe(t, dir)
	right := capture(t, dir, store, later(1))
	s := survey(t, engine(), liveAt(dir), store)
	if len(s.Backups) != 2 || s.Backups[1].ID != wrong.Key || s.Backups[0].ID != right.Key || s.Backups[1].Fresh().After(time.Now()) {
		t.Fatalf("the survey has %+v", s.Backups)
	}
	o := options(t, engine(), liveAt(dir), store)
	p, err := engine().Resolve(t.Context(), s, latest, store)
	if err != nil {
		t.Fatal(err)
	}
	o.Point = p
	end, restored := restore(t, o)
	passed(t, end)
	if diff := cmp.Diff(want, restored); diff != "" {
		t.Errorf("%s: %s", p.Says, diff)
	}
	if says := strings.Join(p.Warnings, "; "); !strings.Contains(says, "passed over "+wrong.Key) {
		t.Errorf("it warns of %q", says)
	}
	// Chosen by its name it says that its time is not known.
	p, err = engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantBackup, Backup: wrong.Key, Text: wrong.Key}, store)
	if err != nil || len(p.Warnings) != 1 || !strings.Contains(p.Warnings[0], "one of the clocks was wrong") {
		t.Errorf("%q, %v", p.Warnings, err)
	}
}

// A snapshot of another directory than the one that it will replace says so before it is chosen:
// the path of the component was another one when it was taken.
func TestSnapshot_elsewhere(t *testing.T) {
	dir := t.TempDir()
	etc := filepath.Join(dir, "etc")
	if err := errors.Join(os.Mkdir(etc, 0o755), os.WriteFile(filepath.Join(etc, "shop.conf"), nil, 0o600)); err != nil {
		t.Fatal(err)
	}
	t.Setenv("UPLOADS", dir)
	expand := func(text string) (string, error) { return os.ExpandEnv(text), nil }
	inClear, sealed := files.New(files.Options{Expand: expand}), files.NewConfig(files.Options{Expand: expand})
	for name, test := range map[string]struct {
		engine recovery.Engine
		dir    string   // of the snapshot
		paths  []string // of today
		warns  bool
	}{
		"the same":              {inClear, dir, []string{dir + "/"}, false},
		"narrowed":              {inClear, dir, []string{filepath.Join(dir, "uploads")}, true},
		"moved":                 {inClear, dir, []string{"/srv/elsewhere"}, true},
		"the same by reference": {inClear, dir, []string{"${UPLOADS}"}, false},
		"narrowed by reference": {inClear, dir, []string{"${UPLOADS}/uploads"}, true},
		"not resolved":          {files.New(files.Options{}), dir, []string{"${UPLOADS}/uploads"}, false},
		"no path":               {inClear, dir, nil, false},
		"a configuration":       {sealed, etc, []string{etc}, false},
		"one of two":            {sealed, dir, []string{etc}, true},
		"a file":                {sealed, etc, []string{filepath.Join(etc, "shop.conf")}, false},
		"a file that is gone":   {sealed, etc, []string{filepath.Join(etc, "web.conf")}, false},
		"two":                   {sealed, etc, []string{filepath.Join(etc, "a"), filepath.Join(etc, "b/c")}, false},
		"another two":           {sealed, etc, []string{filepath.Join(dir, "a"), filepath.Join(etc, "b")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			store := directory(t, nil)
			o := files.CaptureOptions{Dir: test.dir, Store: store, Prefix: "uploads/", Temp: t.TempDir(), Now: func() time.Time { return later(1) }}
			c := recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": test.paths}}
			if test.engine.Schema().Kind == recovery.Config {
				var err error
				if o.Seal, err = files.Sealer(nil, "x"); err != nil {
					t.Fatal(err)
				}
				c.Kind, c.Settings = recovery.Config, recovery.Settings{"paths": test.paths}
			}
			if _, err := files.Capture(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			p, err := test.engine.Resolve(t.Context(), survey(t, test.engine, c, store), latest, store)
			if err != nil {
				t.Fatal(err)
			}
			says := strings.Join(p.Warnings, "; ")
			if strings.Contains(says, "it is a snapshot of "+fmt.Sprintf("%q", test.dir)+", and the runbook names "+strings.Join(test.paths, ", ")+" now") != test.warns || !test.warns && says != "" {
				t.Errorf("it warns of %q", says)
			}
		})
	}
}

// What a store whose clock is slow holds is not surely from before a time that its clock
// says, and nothing is of 1970 because a store says so.
func TestSnapshot_slowStore(t *testing.T) {
	dir := oddTree(t)
	store := directory(t, nil)
	begun := later(1)
	c := capture(t, dir, store, begun)
	for _, slow := range []time.Time{begun.Add(-time.Hour), time.Unix(0, 0)} {
		if err := storagetest.MoveTimes(strings.TrimPrefix(store.URL(), "file://"), func(time.Time) time.Time { return slow }); err != nil {
			t.Fatal(err)
		}
		s := survey(t, engine(), component, store)
		if b := s.Backups[0]; !b.Taken.To.Equal(begun) || !b.Contradicts.Equal(slow) {
			t.Errorf("the survey has %+v, contradicted at %s", b.Taken, b.Contradicts)
		}
		at := func(moment time.Time) (recovery.Point, error) {
			return engine().Resolve(t.Context(), s, recovery.Want{Kind: recovery.WantTime, Time: moment, Text: moment.String()}, store)
		}
		if p, err := at(begun.Add(-time.Minute)); err == nil {
			t.Errorf("what was taken at %s is chosen for the minute before: %s", begun, p.Says)
		}
		if p, err := at(begun.Add(time.Minute)); err != nil || p.Backup.ID != c.Key || len(p.Warnings) == 0 {
			t.Errorf("%+v, %v", p, err)
		}
	}
}

// harm changes, removes, renames and adds.
func harm(t testing.TB, dir string) {
	t.Helper()
	photo := filepath.Join(dir, "2026/01/photo-1.jpg")
	info, err := os.Stat(photo)
	if err == nil {
		err = os.WriteFile(photo, bytes.Repeat([]byte{9}, int(info.Size())), 0o644)
	}
	for _, err := range []error{err,
		os.Chtimes(photo, info.ModTime(), info.ModTime()), // as if nothing had happened
		os.Remove(filepath.Join(dir, "a")),
		os.Rename(filepath.Join(dir, "a.b"), filepath.Join(dir, "moved")),
		os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o600),
		os.Remove(filepath.Join(dir, "dangling")),
		os.Chmod(filepath.Join(dir, "2026/02/empty"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Anyone can restore a snapshot with zstd and tar, as the package says.
func TestSnapshot_byHand(t *testing.T) {
	dir := oddTree(t)
	store := directory(t, nil)
	capture(t, dir, store, later(1))
	harm(t, dir)
	c := capture(t, dir, store, later(2))
	copy := filepath.Join(strings.TrimPrefix(store.URL(), "file://"), "uploads")
	id := strings.TrimSuffix(filepath.Base(c.Key), ".snapshot")
	tree := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	// The commands of the package's documentation.
	const script = `set -eu
M=$1/snapshots/$2.manifest.zst
grep '^pack ' "$1/snapshots/$2.snapshot" | while read -r _ N PACK _ _ FILES; do
	case $PACK in *-tree*) continue ;; esac
	zstd -dc "$M" | LC_ALL=C grep -az "^f $N " | LC_ALL=C cut -z -d' ' -f11- > "$3/names"
	zstd -dc "$1/$PACK" | tar -C "$4" -xp --numeric-owner --null --verbatim-files-from -T "$3/names"
done
zstd -dc "$1/packs/$2-tree.tar.zst" | tar -C "$4" -xp --numeric-owner
`
	out, err := exec.Command("sh", "-c", script, "-", copy, id, t.TempDir(), tree).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if diff := cmp.Diff(describe(t, dir), describe(t, tree)); diff != "" {
		t.Error(diff)
	}
}

func TestSnapshot_survive(t *testing.T) {
	dir := plainTree(t)
	store := directory(t, nil)
	capture(t, dir, store, later(1))
	harm(t, dir)
	capture(t, dir, store, later(2))
	enginetest.Survive(t, crashingIn(t, engine(), component, store))
}

// What is in the tree is not fetched again.
func TestSnapshot_goesOn(t *testing.T) {
	dir := manyFiles(t, 600, 4000)
	store := directory(t, nil)
	c := capture(t, dir, store, later(1))
	crash := crashingIn(t, engine(), component, store)
	want := crash.Run(t)
	crash.Cuts = []enginetest.Cut{{Bytes: want.Read / 2}, {Bytes: want.Read / 4}}
	end := crash.Whole(t, want.Restored)
	// Each of four packs may lose the frame that it was in, twice.
	if most := want.Read/4 + 8*(300<<10); end.Read > most {
		t.Errorf("%d of %d bytes were read again", end.Read, c.Bytes)
	}
}

// manyFiles makes a tree of small files that cannot be compressed.
func manyFiles(t testing.TB, n, size int) string {
	t.Helper()
	dir := t.TempDir()
	random := rand.NewChaCha8([32]byte{1})
	b := make([]byte, size)
	for i := range n {
		_, _ = random.Read(b) // never fails
		path := filepath.Join(dir, fmt.Sprintf("%02d", i%37), fmt.Sprintf("file-%d", i))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, b, 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// Out of a bucket, over connections that break.
func TestSnapshot_S3(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	store, err := s3.Open(t.Context(), server.Options("backups", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	dir := oddTree(t)
	capture(t, dir, store, later(1))
	harm(t, dir)
	capture(t, dir, store, later(2))
	o := options(t, engine(), component, store)
	server.Proxy.CutEvery(50_000)
	end, restored := restore(t, o)
	passed(t, end)
	if diff := cmp.Diff(describe(t, dir), restored); diff != "" || server.Proxy.Cuts() == 0 {
		t.Errorf("after %d cuts: %s", server.Proxy.Cuts(), diff)
	}
}

// A snapshot whose parts are not all there is passed over, and one whose bytes
// are not what was recorded is refused.
func TestSnapshot_damaged(t *testing.T) {
	dir := oddTree(t)
	for name, test := range map[string]struct {
		harm func(path string, content []byte) error
		of   string // a part of the names of what is harmed
		// says is in the refusal or, where seen is not set, in the failure.
		says string
		seen bool
	}{
		"a pack is missing": {func(path string, _ []byte) error { return os.Remove(path) }, "-0001.tar", "-0001.tar.zst is missing", true},
		"a pack is cut off": {func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)-1], 0o600) }, "-0001.tar", "bytes instead of", true},
		"a bit of a pack": {func(path string, b []byte) error {
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		}, "-0001.tar", "damaged", false},
		"the manifest is missing": {func(path string, _ []byte) error { return os.Remove(path) }, ".manifest", ".manifest.zst is missing", true},
		"a bit of the manifest": {func(path string, b []byte) error {
			b[len(b)/2] ^= 1
			return os.WriteFile(path, b, 0o600)
		}, ".manifest", "manifest's SHA-256", false},
		"a torn .snapshot": {func(path string, b []byte) error { return os.WriteFile(path, b[:len(b)/2], 0o600) }, ".snapshot", "is damaged", true},
	} {
		t.Run(name, func(t *testing.T) {
			store := directory(t, nil)
			capture(t, dir, store, later(1))
			err := filepath.WalkDir(strings.TrimPrefix(store.URL(), "file://"), func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() || !strings.Contains(e.Name(), test.of) {
					return err
				}
				b, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				return test.harm(path, b)
			})
			if err != nil {
				t.Fatal(err)
			}
			s := survey(t, engine(), component, store)
			if b := s.Backups[0]; (b.Problem != "") != test.seen || test.seen && !strings.Contains(b.Problem, test.says) || b.Damaged != (test.seen && test.of != ".snapshot") {
				t.Errorf("the survey says of it: %q, damaged %v", b.Problem, b.Damaged)
			}
			p, err := engine().Resolve(t.Context(), s, latest, store)
			if test.seen {
				if err == nil || !strings.Contains(err.Error(), test.says) || recovery.HintOf(err) == "" {
					t.Errorf("%v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			end, _ := restore(t, enginetest.Options{Engine: engine(), Component: component, Point: p, Owner: recovery.User{UID: -1},
				Stores: map[string]storage.Store{"nearby": store}})
			if says, hint := enginetest.Failure(end); end.Result != recovery.ResultFailed || !strings.Contains(says, test.says) || hint == "" {
				t.Errorf("the run ended as %s: %s (%s)", end.Result, says, hint)
			}
		})
	}
}

// A store that fails leaves no snapshot, and packs that are lost are not built
// upon.
func TestCapture_faults(t *testing.T) {
	dir := oddTree(t)
	store := directory(t, nil)
	for n := 1; ; n++ {
		faulty := storagetest.NewFaulty(store)
		faulty.Inject(storagetest.Fault{Op: storagetest.OnPut, After: n - 1, Err: storagetest.Expired})
		_, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: faulty, Prefix: "uploads/", Temp: t.TempDir(),
			PackSize: 200 << 10, Large: 60 << 10, Now: func() time.Time { return later(n) }})
		if err == nil {
			if n < 5 {
				t.Errorf("only %d objects were stored", n-1)
			}
			break
		}
		if !errors.Is(err, storage.ErrExpired) {
			t.Fatalf("at put %d: %v", n, err)
		}
		if s := survey(t, engine(), component, store); len(s.Backups) != 0 {
			t.Fatalf("after a failure at put %d there is %+v", n, s.Backups)
		}
	}
	packs, err := filepath.Glob(filepath.Join(strings.TrimPrefix(store.URL(), "file://"), "uploads/packs/*-0*.tar.zst"))
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range packs {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if c := capture(t, dir, store, later(100)); c.New != c.Bytes {
		t.Errorf("it builds on packs that are gone: %+v", c)
	}
	end, restored := restore(t, options(t, engine(), component, store))
	passed(t, end)
	if diff := cmp.Diff(describe(t, dir), restored); diff != "" {
		t.Error(diff)
	}
}

// putting tells when a Put has ended.
type putting struct {
	storage.Store
	ended chan struct{}
}

func (p *putting) Put(ctx context.Context, key string, r io.Reader, o storage.PutOptions) (storage.Object, error) {
	defer close(p.ended)
	return p.Store.Put(ctx, key, r, o)
}

// What is read for a pack has ended when its store has failed: its file is closed
// and its record used then.
func TestCapture_ends(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "large"), make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	faulty := storagetest.NewFaulty(directory(t, nil), storagetest.Fault{Op: storagetest.OnPut, Err: storagetest.Expired})
	store := &putting{faulty, make(chan struct{})}
	ended := false
	_, err := files.Capture(t.Context(), files.CaptureOptions{Dir: dir, Store: store, Prefix: "uploads/", Temp: t.TempDir(), Large: 1 << 10,
		Seal: func(w io.Writer) (io.WriteCloser, error) {
			<-store.ended
			for range 1000 {
				runtime.Gosched() // who does not wait has gone on by now
			}
			ended = true
			return nil, storagetest.Dropped
		}})
	if !errors.Is(err, storage.ErrExpired) {
		t.Errorf("it ended with %v", err)
	}
	if !ended {
		t.Error("it is still read when the snapshot has ended")
	}
}
