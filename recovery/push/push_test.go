package push_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/push"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// host is a server's pg_wal, and two copies, in directories.
type host struct {
	dir   string
	names []string
}

// newHost makes a pg_wal of so many segments, all of them ready.
func newHost(t *testing.T, segments int) host {
	t.Helper()
	h := host{dir: t.TempDir()}
	for _, d := range []string{"nearby", "offsite", "pg_wal/archive_status"} {
		if err := os.MkdirAll(filepath.Join(h.dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for i := range segments {
		name := walfile.SegmentName(1, uint64(i+1), 16<<20)
		content := bytes.Repeat(fmt.Appendf(nil, "segment %d ", i), 20_000)
		if err := errors.Join(os.WriteFile(h.wal(name), content, 0o600), os.WriteFile(h.wal("archive_status/"+name+".ready"), nil, 0o600)); err != nil {
			t.Fatal(err)
		}
		h.names = append(h.names, name)
	}
	return h
}

func (h host) wal(name string) string { return filepath.Join(h.dir, "pg_wal", name) }

// has fails the test unless a copy holds a segment as it is in pg_wal.
func (h host) has(t *testing.T, copy, name string) {
	t.Helper()
	want, err := os.ReadFile(h.wal(name))
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(filepath.Join(h.dir, copy, "wal", name+".zst"))
	if err != nil {
		t.Errorf("%s lacks %s: %v", copy, name, err)
		return
	}
	in, err := pitr.Unpacked(f, pitr.Zstd)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	if got, err := io.ReadAll(in); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%s in %s is not what was pushed: %v", name, copy, err)
	}
}

// lacks fails the test if a copy holds anything of a segment.
func (h host) lacks(t *testing.T, copy, name string) {
	t.Helper()
	if found, _ := filepath.Glob(filepath.Join(h.dir, copy, "wal", name+"*")); len(found) > 0 {
		t.Errorf("%s holds %v", copy, found)
	}
}

// What the server has ready goes along, both copies get it, and asking again is
// as good as asking once.
func TestPush(t *testing.T) {
	h := newHost(t, 12)
	o := dirOptions(h.dir)
	o.Wait = time.Hour // both copies answer
	p, err := push.Push(t.Context(), o, h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Copies) != 2 || len(p.Ahead) != 7 {
		t.Errorf("pushed %+v", p)
	}
	for _, name := range h.names[:8] {
		h.has(t, "nearby", name)
		h.has(t, "offsite", name)
	}
	h.lacks(t, "nearby", h.names[8])
	for _, name := range h.names { // eight of them are there already
		for range 2 {
			if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
				t.Fatal(err)
			}
		}
		h.has(t, "offsite", name)
	}
	left, err := push.Backlogs(o.Spool)
	if err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	if left, _ := filepath.Glob(filepath.Join(o.Spool, "out", "*")); len(left) > 0 {
		t.Errorf("left in the spool: %v", left)
	}
	label := h.names[3] + ".00000028.backup"
	if err := os.WriteFile(h.wal(label), []byte("START WAL LOCATION: 0/4000028 (file x)\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(label)); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(h.dir, "offsite", "wal", label)); err != nil {
		t.Error(err)
	}
}

// The same content under another packing is as good; other content is an error,
// in whichever copy, and stays what it is.
func TestPush_other(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	content, err := os.ReadFile(h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	place := filepath.Join(h.dir, "offsite", "wal")
	if err := errors.Join(os.MkdirAll(place, 0o700), os.WriteFile(filepath.Join(place, h.names[0]), content, 0o600),
		os.WriteFile(filepath.Join(place, h.names[1]), content, 0o600)); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Errorf("the same content: %v", err)
	}
	h.lacks(t, "offsite", h.names[0]+".zst")
	o.Wait = time.Hour
	_, err = push.Push(t.Context(), o, h.wal(h.names[1]))
	if !errors.Is(err, push.ErrOther) || recovery.ExitOf(err) != recovery.Refused {
		t.Errorf("other content: %v", err)
	}
	if now, err := os.ReadFile(filepath.Join(place, h.names[1])); err != nil || !bytes.Equal(now, content) {
		t.Errorf("it was overwritten: %v", err)
	}
}

// A copy that is not there is given what it lacks from the spool when it comes
// back; where the quorum needs it nothing is acknowledged.
func TestPush_copyAway(t *testing.T) {
	h := newHost(t, 3)
	o := dirOptions(h.dir)
	o.Ahead = -1
	away := filepath.Join(h.dir, "away")
	if err := os.Rename(filepath.Join(h.dir, "offsite"), away); err != nil {
		t.Fatal(err)
	}
	for _, name := range h.names {
		p, err := push.Push(t.Context(), o, h.wal(name))
		if err != nil || strings.Join(p.Spooled, " ") != "offsite" {
			t.Fatalf("%+v, %v", p, err)
		}
		if err := os.Remove(h.wal("archive_status/" + name + ".ready")); err != nil {
			t.Fatal(err)
		}
	}
	left, err := push.Backlogs(o.Spool)
	if err != nil || len(left) != 1 || left[0].Copy != "offsite" || left[0].Files != 3 || left[0].Oldest != h.names[0] {
		t.Errorf("backlogs: %+v, %v", left, err)
	}
	if n, err := push.CatchUp(t.Context(), o); n != 0 || err == nil || !strings.Contains(err.Error(), "offsite lacks "+h.names[0]) {
		t.Errorf("caught up %d, %v", n, err)
	}
	both := o
	both.Quorum = 2
	if _, err := push.Push(t.Context(), both, h.wal(h.names[0])); err == nil || !strings.Contains(err.Error(), "1 of 2 copies have it, and the quorum is 2") {
		t.Errorf("without a quorum: %v", err)
	}
	if err := os.Rename(away, filepath.Join(h.dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	if n, err := push.CatchUp(t.Context(), o); n != 3 || err != nil {
		t.Errorf("caught up %d, %v", n, err)
	}
	for _, name := range h.names {
		h.has(t, "offsite", name)
	}
}

// Pushers are killed at random. Whatever was acknowledged is in the copy that the
// quorum needs, and comes into the other.
func TestPush_killed(t *testing.T) {
	rounds := 12
	if os.Getenv("COMEBACK_SOAK") != "" {
		rounds = 400
	}
	random := rand.New(rand.NewPCG(8, 8))
	h := newHost(t, 24)
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]bool{}
	next := 0
	for range rounds {
		if random.IntN(2) == 0 { // the other copy comes and goes
			from, to := "offsite", "away"
			if _, err := os.Stat(filepath.Join(h.dir, to)); err == nil {
				from, to = to, from
			}
			if err := os.Rename(filepath.Join(h.dir, from), filepath.Join(h.dir, to)); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.Command(exe)
		cmd.Env = append(os.Environ(), "PUSH_TEST_DIR="+h.dir, "PUSH_TEST_NAMES="+strings.Join(h.names[next:], " "))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// It dies somewhere after one of its acknowledgements.
		lines, die := bufio.NewScanner(out), random.IntN(4)
		for n := 0; lines.Scan(); n++ {
			acknowledged[lines.Text()] = true
			if n == die {
				time.Sleep(time.Duration(random.IntN(4000)) * time.Microsecond) // where it dies, not whether the test holds
				cmd.Process.Signal(syscall.SIGKILL)
			}
		}
		cmd.Wait() // it was killed, or has ended
		for next < len(h.names) && acknowledged[h.names[next]] {
			next++
		}
		for name := range acknowledged {
			h.has(t, "nearby", name)
		}
	}
	if _, err := os.Stat(filepath.Join(h.dir, "away")); err == nil {
		if err := os.Rename(filepath.Join(h.dir, "away"), filepath.Join(h.dir, "offsite")); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := push.CatchUp(context.Background(), dirOptions(h.dir)); err != nil {
		t.Fatal(err)
	}
	if len(acknowledged) == 0 {
		t.Error("nothing was ever acknowledged")
	}
	if left, err := os.ReadDir(filepath.Join(h.dir, "spool", "out")); err != nil || len(left) > 0 {
		t.Errorf("left in the spool: %v, %v", left, err)
	}
	for name := range acknowledged {
		h.has(t, "offsite", name)
	}
}

// What is no file of a log is refused with the line that a server's setting has, letter by
// letter.
func TestPush_noFileOfALog(t *testing.T) {
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	_, errPush := push.Push(t.Context(), o, h.wal("shop.sql"))
	_, errFetch := push.Fetch(t.Context(), o, "shop.sql", filepath.Join(t.TempDir(), "shop.sql"))
	for err, want := range map[error]string{errPush: "comeback wal push RUNBOOK %p", errFetch: "comeback wal fetch RUNBOOK %f %p"} {
		if recovery.ExitOf(err) != recovery.Usage || !strings.HasSuffix(recovery.HintOf(err), want) {
			t.Errorf("%v; %s", err, recovery.HintOf(err))
		}
	}
}

// What was pushed is fetched as it was; absence is proven by every copy, or not at
// all.
func TestFetch(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), "RECOVERYXLOG")
	if err := os.WriteFile(filepath.Join(filepath.Dir(to), ".comeback-fetch-killed"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := push.Fetch(t.Context(), o, h.names[0], to); !found || err != nil {
		t.Fatalf("%v, %v", found, err)
	}
	want, err := os.ReadFile(h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
		t.Errorf("it is not what was pushed: %v", err)
	}
	if beside, err := os.ReadDir(filepath.Dir(to)); err != nil || len(beside) != 1 {
		t.Errorf("beside it lie %v, %v", beside, err)
	}
	if found, err := push.Fetch(t.Context(), o, h.names[1], to); found || err != nil {
		t.Errorf("what is nowhere: %v, %v", found, err)
	}
	if err := os.RemoveAll(filepath.Join(h.dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	if found, err := push.Fetch(t.Context(), o, h.names[1], to); found || err == nil {
		t.Errorf("a copy that is not there proves nothing: %v, %v", found, err)
	}
}

// Log that comeback has not brought there is found where a survey finds it, flat or as
// barman nests it, and that of the cluster that asks; where nobody has any log, or keeps it
// in another form, nothing is proven.
func TestFetch_elsewhere(t *testing.T) {
	const asking, older = 7_000_000_000_000_000_001, 7_000_000_000_000_000_002
	for name, place := range map[string]string{"flat": "archive/", "nested": "pg/wals/0000000100000000/"} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, 0)
			o := dirOptions(h.dir)
			data := t.TempDir()
			to := filepath.Join(data, "pg_wal", "RECOVERYXLOG")
			for _, dir := range []string{"global", "pg_wal"} {
				if err := os.Mkdir(filepath.Join(data, dir), 0o700); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(data, "global/pg_control"), binary.NativeEndian.AppendUint64(nil, asking), 0o600); err != nil {
				t.Fatal(err)
			}
			if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 5, 16<<20), to); found || err == nil || !strings.Contains(err.Error(), "no copy holds any log") {
				t.Errorf("copies without any log: %v, %v", found, err)
			}
			archived := func(place string, seg, system uint64) []byte {
				t.Helper()
				file := filepath.Join(h.dir, "nearby", filepath.FromSlash(place), walfile.SegmentName(1, seg, 16<<20))
				b := segmentOf(system, seg)
				if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, b, 0o600)); err != nil {
					t.Fatal(err)
				}
				return b
			}
			want := archived(place, 5, asking)
			archived("before/", 5, older)
			archived("before/", 6, older)
			for range 2 { // the second one asks where it was seen
				if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 5, 16<<20), to); !found || err != nil {
					t.Fatalf("what lies in %s: %v, %v", place, found, err)
				}
				if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, want) {
					t.Errorf("another file came: %v", err)
				}
			}
			if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 6, 16<<20), to); found || err != nil {
				t.Errorf("what only the older cluster has: %v, %v", found, err)
			}
			o.Component.With = "pgbackrest"
			if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 6, 16<<20), to); found || err == nil {
				t.Errorf("the log of another program: %v, %v", found, err)
			}
		})
	}
}

// A standby asks every few seconds for what is not there yet: a copy without log is listed as
// seldom as one with, and with `wal:` only where that says. Who opens where the log ends believes
// no note that it ends.
func TestFetch_notes(t *testing.T) {
	h := newHost(t, 0)
	data := t.TempDir()
	to := filepath.Join(data, "pg_wal", "RECOVERYXLOG")
	archived := func(copy, place string, seg uint64) {
		t.Helper()
		file := filepath.Join(h.dir, copy, place, walfile.SegmentName(1, seg, 16<<20))
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o700), os.WriteFile(file, segmentOf(7, seg), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Dir(to), 0o700); err != nil {
		t.Fatal(err)
	}
	archived("nearby", "archive", 5)
	o := dirOptions(h.dir)
	lists := make(chan string, 10_000)
	for i, c := range o.Copies {
		o.Copies[i].Open = func(ctx context.Context) (storage.Store, error) {
			s, err := c.Open(ctx)
			return listed{s, lists}, err
		}
	}
	misses := func() (all []string) {
		t.Helper()
		for range 10 {
			if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 6, 16<<20), to); found || err != nil {
				t.Fatalf("what is nowhere: %v, %v", found, err)
			}
		}
		for len(lists) > 0 {
			all = append(all, <-lists)
		}
		return all
	}
	whole := 0
	for _, prefix := range misses() {
		if prefix == "" {
			whole++
		}
	}
	if whole != len(o.Copies) {
		t.Errorf("whole copies were listed %d times", whole)
	}
	archived("offsite", "later", 6)
	misses() // a standby finds it some minutes later
	if err := os.WriteFile(filepath.Join(data, "recovery.signal"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if found, err := push.Fetch(t.Context(), o, walfile.SegmentName(1, 6, 16<<20), to); !found || err != nil {
		t.Errorf("what has come since, to who recovers: %v, %v", found, err)
	}
	o.Component.Settings = recovery.Settings{"wal": {"archive/"}}
	for len(lists) > 0 {
		<-lists
	}
	for _, prefix := range misses() {
		if !strings.HasPrefix(prefix, "archive/") {
			t.Errorf("%q was listed, where wal says archive/", prefix)
		}
	}
}

// listed tells what is listed, and what is asked for by its name.
type listed struct {
	storage.Store
	prefixes chan string
}

func (l listed) Unwrap() storage.Store { return l.Store }

func (l listed) List(ctx context.Context, prefix string) iter.Seq2[storage.Object, error] {
	l.prefixes <- prefix
	return l.Store.List(ctx, prefix)
}

func (l listed) Stat(ctx context.Context, key string) (storage.Object, error) {
	l.prefixes <- key
	return l.Store.Stat(ctx, key)
}

// segmentOf is the beginning of a segment of a cluster: the header of its first page.
func segmentOf(system, seg uint64) []byte {
	b := binary.NativeEndian.AppendUint16(nil, 0xD110) // of PostgreSQL 15
	b = binary.NativeEndian.AppendUint16(b, 2)         // a long header
	b = binary.NativeEndian.AppendUint32(b, 1)         // its timeline
	b = binary.NativeEndian.AppendUint64(b, seg*16<<20)
	b = binary.NativeEndian.AppendUint64(b, 0)
	b = binary.NativeEndian.AppendUint64(b, system)
	b = binary.NativeEndian.AppendUint32(b, 16<<20)
	b = binary.NativeEndian.AppendUint32(b, 8192)
	return append(b, make([]byte, 8192-len(b))...)
}

// settled counts what is made durable although it was there.
type settled struct {
	storage.Store
	keys chan string
}

func (s settled) Settle(_ context.Context, o storage.Object) error {
	s.keys <- o.Key
	return nil
}

// unlisted is a copy that nobody may list.
type unlisted struct{ storage.Store }

func (u unlisted) Unwrap() storage.Store { return u.Store }

func (u unlisted) List(_ context.Context, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		yield(storage.Object{}, fmt.Errorf("%q was listed", prefix))
	}
}

// A directory with a year of log is not listed for each segment that comes to it or from it.
func TestPush_unlisted(t *testing.T) {
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	for i, c := range o.Copies {
		o.Copies[i].Open = func(ctx context.Context) (storage.Store, error) {
			s, err := c.Open(ctx)
			return unlisted{s}, err
		}
	}
	o.Quorum, o.Wait = len(o.Copies), time.Hour
	for range 2 { // it is found the second time
		if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := push.Fetch(t.Context(), o, h.names[0], filepath.Join(t.TempDir(), "RECOVERYXLOG")); !found || err != nil {
		t.Errorf("fetched: %v, %v", found, err)
	}
}

// A segment that a killed push has given its name is made durable before it is
// acknowledged: its name may not have been.
func TestPush_found(t *testing.T) {
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	keys := make(chan string, 10)
	for i, c := range o.Copies {
		o.Copies[i].Open = func(ctx context.Context) (storage.Store, error) {
			s, err := c.Open(ctx)
			return settled{s, keys}, err
		}
	}
	o.Quorum, o.Wait = 2, time.Hour
	for range 2 {
		if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
			t.Fatal(err)
		}
	}
	close(keys)
	var found []string
	for k := range keys {
		found = append(found, k)
	}
	want := "wal/" + h.names[0] + ".zst"
	if !slices.Equal(found, []string{want, want}) {
		t.Errorf("made durable again: %q", found)
	}
}

// What a killed push has left in the spool goes: files in the making, and those of which
// no record tells. The spool's path may hold anything.
func TestPush_spoolLeft(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Spool, o.Ahead = filepath.Join(h.dir, "spool [1]*"), -1
	if err := os.Rename(filepath.Join(h.dir, "offsite"), filepath.Join(h.dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	left := func() (names []string) {
		t.Helper()
		for _, dir := range []string{"out", "done"} {
			entries, err := os.ReadDir(filepath.Join(o.Spool, dir))
			if err != nil {
				t.Fatal(err)
			}
			for _, e := range entries {
				names = append(names, e.Name())
			}
		}
		return names
	}
	kept := left()
	if len(kept) != 2 {
		t.Fatalf("the spool holds %q", kept)
	}
	for _, name := range []string{"out/" + h.names[1] + ".zst", "out/00000002.history", "out/.packing-" + h.names[1] + "-1", "out/.packing-2", "done/.packing-3"} {
		if err := os.WriteFile(filepath.Join(o.Spool, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := push.CatchUp(t.Context(), o); err == nil {
		t.Error("the other copy is away, and has caught up")
	}
	if now := left(); !slices.Equal(now, kept) {
		t.Errorf("left are %q, want %q", now, kept)
	}
	if err := os.Rename(filepath.Join(h.dir, "away"), filepath.Join(h.dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	if n, err := push.CatchUp(t.Context(), o); n != 1 || err != nil || len(left()) > 0 {
		t.Errorf("brought %d, %v; left are %q", n, err, left())
	}
	h.has(t, "offsite", h.names[0])
}

// The spool keeps what was acknowledged: other content under the same name is refused
// although no copy that could tell is there, and a file that has rotted goes nowhere, and holds
// nothing up.
func TestPush_spoolKeeps(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(h.dir, from), filepath.Join(h.dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	move("offsite", "away")
	for _, name := range h.names {
		if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
			t.Fatal(err)
		}
	}
	move("nearby", "gone")
	move("away", "offsite")
	was, err := os.ReadFile(h.wal(h.names[0]))
	if err != nil {
		t.Fatal(err)
	}
	other := bytes.Clone(was)
	other[len(other)-1] ^= 1
	if err := os.WriteFile(h.wal(h.names[0]), other, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); !errors.Is(err, push.ErrOther) || recovery.HintOf(err) == "" {
		t.Errorf("other content is pushed: %v", err)
	}
	if err := os.WriteFile(h.wal(h.names[0]), was, 0o600); err != nil {
		t.Fatal(err)
	}
	spooled := filepath.Join(h.dir, "spool", "out", h.names[0]+".zst")
	sound, err := os.ReadFile(spooled)
	if err != nil {
		t.Fatal(err)
	}
	rotten := bytes.Clone(sound)
	rotten[len(rotten)/2] ^= 1
	if err := os.WriteFile(spooled, rotten, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := push.CatchUp(t.Context(), o); err == nil || !strings.Contains(err.Error(), "in the spool") || recovery.HintOf(err) == "" {
		t.Errorf("of what has rotted it says: %v", err)
	}
	h.lacks(t, "offsite", h.names[0])
	h.has(t, "offsite", h.names[1]) // which came after it
	if err := os.WriteFile(spooled, sound, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := push.CatchUp(t.Context(), o); err != nil {
		t.Error(err)
	}
	h.has(t, "offsite", h.names[0])
}

// What a copy lacks stays in the spool when a runbook does not name it, because it is
// called otherwise now or is another's runbook, and goes only when somebody says so.
func TestPush_copyUnnamed(t *testing.T) {
	h := newHost(t, 2)
	o := dirOptions(h.dir)
	o.Ahead = -1
	if err := os.Rename(filepath.Join(h.dir, "offsite"), filepath.Join(h.dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(h.dir, "away"), filepath.Join(h.dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	one := o
	one.Copies = o.Copies[:1]
	n, err := push.CatchUp(t.Context(), one)
	if n != 0 || err == nil || !strings.Contains(err.Error(), "holds 1 files for the copy offsite, which the runbook does not name") || !strings.Contains(recovery.HintOf(err), "--forget offsite") {
		t.Errorf("without it: brought %d, %v", n, err)
	}
	if _, err := push.Push(t.Context(), one, h.wal(h.names[1])); err != nil {
		t.Errorf("a push is held up: %v", err)
	}
	spooled := func() int {
		left, err := push.Backlogs(o.Spool)
		if err != nil || len(left) > 1 {
			t.Fatalf("%+v, %v", left, err)
		}
		return len(left)
	}
	if spooled() != 1 {
		t.Fatal("the spool holds nothing for it any more")
	}
	forgetting := o
	forgetting.Forget = []string{"offsite"} // which is named
	if n, err := push.CatchUp(t.Context(), forgetting); n != 1 || err != nil {
		t.Errorf("named again: brought %d, %v", n, err)
	}
	h.has(t, "offsite", h.names[0])
	if err := os.Rename(filepath.Join(h.dir, "offsite"), filepath.Join(h.dir, "away")); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[1])); err != nil || spooled() != 1 {
		t.Fatalf("%v, %d", err, spooled())
	}
	one.Forget = []string{"offsite"}
	if n, err := push.CatchUp(t.Context(), one); n != 0 || err != nil || spooled() != 0 {
		t.Errorf("given up: brought %d, %v, left %d", n, err, spooled())
	}
}

// A record that is damaged is told of, and hides and holds up nothing else of the spool.
func TestPush_recordDamaged(t *testing.T) {
	h := newHost(t, 3)
	o := dirOptions(h.dir)
	o.Ahead = -1
	if err := os.Rename(filepath.Join(h.dir, "offsite"), filepath.Join(h.dir, "away")); err != nil {
		t.Fatal(err)
	}
	for _, name := range h.names {
		if _, err := push.Push(t.Context(), o, h.wal(name)); err != nil {
			t.Fatal(err)
		}
	}
	damaged := filepath.Join(o.Spool, "out", h.names[0]+".json")
	if err := errors.Join(os.WriteFile(damaged, nil, 0o600), os.Rename(filepath.Join(o.Spool, "out", h.names[1]+".zst"), filepath.Join(h.dir, "lost"))); err != nil {
		t.Fatal(err)
	}
	left, err := push.Backlogs(o.Spool)
	if len(left) != 1 || left[0].Files != 1 || left[0].Oldest != h.names[2] {
		t.Errorf("backlogs %+v", left)
	}
	for _, name := range h.names[:2] {
		if err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("of %s it says %v", name, err)
		}
	}
	if err := os.Rename(filepath.Join(h.dir, "away"), filepath.Join(h.dir, "offsite")); err != nil {
		t.Fatal(err)
	}
	if n, err := push.CatchUp(t.Context(), o); n != 1 || err == nil || !strings.Contains(err.Error(), h.names[0]) || !strings.Contains(err.Error(), h.names[1]) {
		t.Errorf("brought %d, %v", n, err)
	}
	h.has(t, "offsite", h.names[2])
	if _, err := os.Stat(filepath.Join(o.Spool, "out", h.names[0]+".zst")); err != nil {
		t.Errorf("what it tells of is gone: %v", err)
	}
}

// late is a copy that is at work until nobody waits for it any more.
type late struct {
	storage.Store
	asked chan struct{}
}

func (l late) List(context.Context, string) iter.Seq2[storage.Object, error] {
	return func(func(storage.Object, error) bool) { close(l.asked) }
}

func (l late) Put(ctx context.Context, key string, _ io.Reader, _ storage.PutOptions) (storage.Object, error) {
	<-ctx.Done()
	return storage.Object{}, ctx.Err()
}

// A copy that is late gets the segment from the spool, and what it is still at disturbs
// nothing.
func TestPush_late(t *testing.T) {
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	o.Wait, o.Ahead = time.Nanosecond, -1
	asked := make(chan struct{})
	nearby, offsite := o.Copies[0].Open, o.Copies[1].Open
	o.Copies[0].Open = func(ctx context.Context) (storage.Store, error) {
		s, err := nearby(ctx)
		return waiting{s, asked}, err
	}
	o.Copies[1].Open = func(ctx context.Context) (storage.Store, error) {
		s, err := offsite(ctx)
		return late{s, asked}, err
	}
	pushed, err := push.Push(t.Context(), o, h.wal(h.names[0]))
	if err != nil || !slices.Equal(pushed.Spooled, []string{"offsite"}) {
		t.Fatalf("%+v, %v", pushed, err)
	}
	h.lacks(t, "offsite", h.names[0])
	if _, err := push.CatchUp(t.Context(), dirOptions(h.dir)); err != nil {
		t.Error(err)
	}
	h.has(t, "offsite", h.names[0])
}

// waiting is a copy that waits for another one to be asked.
type waiting struct {
	storage.Store
	asked chan struct{}
}

func (w waiting) Put(ctx context.Context, key string, body io.Reader, o storage.PutOptions) (storage.Object, error) {
	<-w.asked
	return w.Store.Put(ctx, key, body, o)
}

// What the upload of a killed push has left in a bucket goes with the next one.
func TestPush_parts(t *testing.T) {
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("log")
	h := newHost(t, 1)
	o := dirOptions(h.dir)
	o.Copies[1].Open = func(ctx context.Context) (storage.Store, error) { return s3.Open(ctx, server.Options("log", "shop")) }
	o.Quorum = 2
	key := aws.String("shop/wal/" + h.names[0] + ".zst")
	up, err := server.Client().CreateMultipartUpload(t.Context(), &awss3.CreateMultipartUploadInput{Bucket: aws.String("log"), Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := server.Client().UploadPart(t.Context(), &awss3.UploadPartInput{Bucket: aws.String("log"), Key: key, UploadId: up.UploadId, PartNumber: aws.Int32(1),
		Body: bytes.NewReader(make([]byte, 5<<20))}); err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(filepath.Join(h.dir, "spool", "out"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(h.dir, "spool", "out", ".packing-"+h.names[0]+"-1"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := push.Push(t.Context(), o, h.wal(h.names[0])); err != nil || server.Parts("log") != 0 {
		t.Errorf("%v; %d parts are left", err, server.Parts("log"))
	}
}
