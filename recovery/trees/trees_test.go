package trees

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

func tree(t *testing.T, dir, says string) string {
	t.Helper()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "says"), []byte(says), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func says(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, "says"))
	if err != nil {
		return ""
	}
	return string(b)
}

// At any point of an exchange the live path names one of the two, both directions
// can be taken up again, and the record of the claim is enough.
func TestRecord(t *testing.T) {
	for name, cut := range map[string]func(r record) error{
		"before":                    func(record) error { return nil },
		"between exchange and name": func(r record) error { return r.pair.Exchange() },
		"after":                     record.exchange,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
			pair, err := exchange.Look(live, beside)
			if err != nil {
				t.Fatal(err)
			}
			rec := record{pair: pair, aside: aside}
			if err := cut(rec); err != nil {
				t.Fatal(err)
			}
			r, err := rec.resource(live)
			if err != nil {
				t.Fatal(err)
			}
			again, err := recordOf(r)
			if err != nil || again != rec {
				t.Fatalf("its record reads as %+v, %v", again, err)
			}
			for range 2 {
				if err := again.exchange(); err != nil || says(live) != "new" || says(aside) != "old" {
					t.Errorf("gone on: %v; live is %q, aside %q", err, says(live), says(aside))
				}
			}
			giveBack(t, r, live, beside, aside)
		})
	}
}

// giveBack gives an exchange back: the old tree is live, and the restored one, to which
// somebody may have written while it was live, is kept out of scratch and told of.
func giveBack(t *testing.T, r recovery.Resource, live, beside, aside string) {
	t.Helper()
	kept := recovery.Resource{Kind: restoredTree, ID: aside, Details: r.Details}
	for range 2 {
		if err := (undo{}).Release(t.Context(), r); err != nil || says(live) != "old" || says(beside) != "" || says(aside) != "new" {
			t.Errorf("given back: %v; live is %q, beside %q, aside %q", err, says(live), says(beside), says(aside))
		}
		if err := (keepRestored{}).Release(t.Context(), kept); err == nil || !strings.Contains(err.Error(), aside+" was open to its users") || recovery.HintOf(err) == "" {
			t.Errorf("it is not told what is kept: %v", err)
		}
	}
}

// An exchange is given back from wherever it was cut off; a tree that was never live
// stays in scratch, and goes with it.
func TestRecord_cutOff(t *testing.T) {
	for _, exchanged := range []bool{false, true} {
		dir := t.TempDir()
		live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
		pair, err := exchange.Look(live, beside)
		if err != nil {
			t.Fatal(err)
		}
		r, err := record{pair: pair, aside: aside}.resource(live)
		if err != nil {
			t.Fatal(err)
		}
		if exchanged {
			if err := pair.Exchange(); err != nil {
				t.Fatal(err)
			}
			giveBack(t, r, live, beside, aside)
			continue
		}
		kept := recovery.Resource{Kind: restoredTree, ID: aside, Details: r.Details}
		if err := errors.Join((undo{}).Release(t.Context(), r), (keepRestored{}).Release(t.Context(), kept)); err != nil || says(live) != "old" || says(beside) != "new" || says(aside) != "" {
			t.Errorf("not exchanged yet: %v; live is %q, beside %q, aside %q", err, says(live), says(beside), says(aside))
		}
	}
	// Of a fresh host there was none.
	dir := t.TempDir()
	live, beside, aside := filepath.Join(dir, "uploads"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
	pair, err := exchange.Look(live, beside)
	if err != nil {
		t.Fatal(err)
	}
	rec := record{pair: pair, aside: aside}
	for range 2 {
		if err := rec.exchange(); err != nil || says(live) != "new" {
			t.Fatalf("%v; live is %q", err, says(live))
		}
	}
	for range 2 {
		if err := rec.undo(); err != nil || says(live) != "" || says(aside) != "new" {
			t.Errorf("%v; live is %q, aside %q", err, says(live), says(aside))
		}
	}
}

func TestRecord_refuses(t *testing.T) {
	dir := t.TempDir()
	live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "scratch", "tree"), "new"), tree(t, filepath.Join(dir, "uploads.old-7c31"), "another")
	pair, err := exchange.Look(live, beside)
	if err != nil {
		t.Fatal(err)
	}
	rec := record{pair: pair, aside: aside}
	for name, do := range map[string]func() error{"exchange": rec.exchange, "undo": rec.undo} {
		if err := do(); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "something else at "+aside) || says(live) != "old" {
			t.Errorf("%s: %v; live is %q", name, err, says(live))
		}
	}
	if err := (undo{}).Release(t.Context(), recovery.Resource{Kind: exchangedTree, ID: live, Details: map[string]string{"pair": "{"}}); recovery.HintOf(err) == "" {
		t.Errorf("a record that cannot be read: %v", err)
	}
}

func TestSwitcher_Look(t *testing.T) {
	dir := t.TempDir()
	live := tree(t, filepath.Join(dir, "uploads"), "old")
	link := filepath.Join(dir, "link")
	if err := os.Symlink(live, link); err != nil {
		t.Fatal(err)
	}
	plain := func(s string) (string, error) { return s, nil }
	look := func(path string) (recovery.Live, error) {
		return New().Look(t.Context(), recovery.Component{Name: "uploads", Kind: recovery.Files, Settings: recovery.Settings{"path": {path}}}, nil, plain)
	}
	l, err := look(live)
	if err != nil || l.Beside != dir || l.Target.Place != live || l.Target.Identity["inode"] == nothing || !l.Target.Changes() {
		t.Errorf("%+v, %v", l, err)
	}
	again, err := New().Identify(t.Context(), l.Target, plain)
	if err != nil || l.Target.Identity.Differences(again) != nil {
		t.Errorf("%v, %v", again, err)
	}
	fresh, err := look(filepath.Join(dir, "none"))
	if err != nil || fresh.Target.Identity["inode"] != nothing {
		t.Errorf("a fresh host: %+v, %v", fresh, err)
	}
	if _, err := look(link); err == nil || !strings.Contains(err.Error(), ", but a symbolic link to "+live) || !strings.Contains(recovery.HintOf(err), "`path:`") {
		t.Errorf("%v, next: %s", err, recovery.HintOf(err))
	}
	// A mount point is refused without a word of what files have no key for.
	if _, err := look("/proc"); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "is a mount point") ||
		!strings.Contains(recovery.HintOf(err), "leave the component out of the `switch:`") || strings.Contains(recovery.HintOf(err), "hand the restored one over") {
		t.Errorf("%v, next: %s", err, recovery.HintOf(err))
	}
	for path, words := range map[string]string{"": "does not tell where", "uploads": "does not tell where", link: "is not a directory", filepath.Join(live, "says"): "is not a directory"} {
		if _, err := look(path); err == nil || !strings.Contains(err.Error(), words) || recovery.HintOf(err) == "" {
			t.Errorf("%q: %v", path, err)
		}
	}
}

// What a tree loses is counted: what is not in the restored one as it is, whatever its
// times say; and when the newest of that was written or deleted.
func TestCounting(t *testing.T) {
	dir := t.TempDir()
	live, restored := filepath.Join(dir, "live"), filepath.Join(dir, "restored")
	// The kernel's own time of change cannot be set: this moment is before all of it.
	began := time.Now().Add(time.Minute)
	moment := time.Now().Add(-time.Hour).Truncate(time.Second)
	write := func(dir, name, says string, at time.Time) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(says), 0o600), os.Chtimes(path, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	before := moment.Add(-time.Hour)
	for _, d := range []string{live, restored} {
		write(d, "same", "same", before.Add(123*time.Millisecond))
		write(d, "rewritten", "old", before)
		write(d, "in whole seconds", "same", before)
	}
	write(live, "in whole seconds", "same", before.Add(400*time.Millisecond))
	for _, d := range []string{live, restored} { // whose times say nothing
		if err := os.Symlink("same", filepath.Join(d, "link")); err != nil {
			t.Fatal(err)
		}
	}
	old := []unix.Timespec{{Sec: 1}, {Sec: 1}}
	if err := unix.UtimesNanoAt(unix.AT_FDCWD, filepath.Join(live, "link"), old, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		t.Fatal(err)
	}
	write(live, "rewritten", "new!", moment.Add(10*time.Minute))
	write(live, "d/new", "new", moment.Add(20*time.Minute))
	write(restored, "gone/with its directory", "came back", before)
	newest := moment.Add(30 * time.Minute)
	if err := os.Chtimes(live, newest, newest); err != nil { // from where it was deleted
		t.Fatal(err)
	}
	count := func(moment, began time.Time, restored string) recovery.Loss {
		t.Helper()
		c := counting{live: live, restored: restored, moment: moment, began: began, list: io.Discard, count: func() {}}
		if err := c.walk(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.loss("uploads")
	}
	loss := count(moment, began, restored)
	if want := (recovery.FilesLoss{Since: moment.UTC(), Newest: newest.UTC(), Changed: 1, Added: 1, Removed: 1, Bytes: 7}); *loss.Files != want || !loss.Final {
		t.Errorf("lost %+v (final %v), want %+v", *loss.Files, loss.Final, want)
	}
	if span, known := loss.Span(); span != 30*time.Minute || !known {
		t.Errorf("from the moment to the newest change %s, known %v", span, known)
	}
	if says := loss.Says()[0]; !strings.Contains(says, "files 1 changed, 1 new, 1 deleted, 7 B, the last "+newest.UTC().Format("2006-01-02 15:04:05Z")) {
		t.Errorf("it says %q", says)
	}
	// Somebody gives what he writes the time of long ago, or of one to come.
	for _, at := range []time.Time{before, time.Now().Add(1000 * time.Hour)} {
		write(live, "d/new", "newer", at)
		forged := count(moment, began, restored)
		if since := time.Since(forged.Files.Newest); forged.Files.Added != 1 || since < 0 || since > time.Hour/2 || !forged.Final {
			t.Errorf("with a time that was set: %+v, final %v", *forged.Files, forged.Final)
		}
	}
	if busy := count(moment, moment, restored); busy.Final {
		t.Error("it is written to, and the count is final")
	}
	if before := count(moment, began, ""); before.Final || before.Files.Changed == 0 {
		t.Errorf("by times alone: %+v, final %v", *before.Files, before.Final)
	}
	link := filepath.Join(live, "link")
	if err := errors.Join(os.Remove(link), os.Symlink("d/new", link)); err != nil {
		t.Fatal(err)
	}
	if elsewhere := count(moment, began, restored); elsewhere.Files.Changed != 2 {
		t.Errorf("a link leads elsewhere: %+v", *elsewhere.Files)
	}
	unknown, err := switcher{}.LiveLoss(t.Context(), recovery.Live{Component: "uploads", Target: recovery.Target{Place: live}}, recovery.Point{})
	if _, known := unknown.Span(); err != nil || known || !strings.Contains(unknown.Says()[0], "not known") {
		t.Errorf("of a backup of no moment: %v, %v", unknown.Says(), err)
	}
	if soFar, err := (switcher{}).LiveLoss(t.Context(), recovery.Live{Component: "uploads", Target: recovery.Target{Place: live}}, recovery.Point{Time: moment}); err != nil || !strings.Contains(soFar.Says()[0], "MORE EACH SECOND") {
		t.Errorf("so far: %v, %v", soFar.Says(), err)
	}
}

// What is older than the moment and not in the backup is listed, counted, an exception and
// something to do, whatever else was lost: the old tree alone has it.
func TestNewer_notInBackup(t *testing.T) {
	dir := t.TempDir()
	live, restored := tree(t, filepath.Join(dir, "uploads"), "the same"), tree(t, filepath.Join(dir, "tree"), "the same")
	moment := time.Now().Add(time.Minute) // the kernel's own times cannot be set: it is after all of them
	then := moment.Add(-time.Hour)
	only := filepath.Join(live, "cache", "only \nhere")
	if err := errors.Join(os.Chtimes(filepath.Join(live, "says"), then, then), os.Chtimes(filepath.Join(restored, "says"), then, then),
		os.Mkdir(filepath.Dir(only), 0o755), unix.Mknod(filepath.Join(live, "cache", "socket"), unix.S_IFSOCK|0o600, 0)); err != nil {
		t.Fatal(err)
	}
	env := listing{restoredAt: restoredAt{url: (&url.URL{Scheme: "file", Path: restored}).String()}, dir: dir}
	a := args{Component: "uploads", Path: live, Aside: live + ".old-7c31", Moment: moment}
	list := func() recovery.Outcome {
		t.Helper()
		o, err := newer{}.Do(t.Context(), env, recovery.NewStep("newer", newerName, "list it", a))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := list(); o.Loss.Files.Unsaved != 0 || len(o.Exceptions)+len(o.ToDo) > 0 || len(o.Loss.Says()) != 1 {
		t.Errorf("of a backup that lacks nothing but a socket: %+v, exceptions %q, to do %q", o.Loss.Files, o.Exceptions, o.ToDo)
	}
	if err := errors.Join(os.WriteFile(only, []byte("12345"), 0o600), os.Chtimes(only, then, then)); err != nil {
		t.Fatal(err)
	}
	o := list()
	if f := o.Loss.Files; f.Unsaved != 1 || f.UnsavedBytes != 5 || f.Added+f.Changed+f.Removed != 0 || !o.Loss.Final {
		t.Errorf("lost %+v, final %v", f, o.Loss.Final)
	}
	if says := strings.Join(o.Loss.Says(), "\n"); !strings.Contains(says, "nothing was written after the moment\nuploads: not in the backup, though older than the moment: 1 file, 5 B") {
		t.Errorf("the loss in words: %q", says)
	}
	if len(o.Exceptions) != 1 || !strings.Contains(o.Exceptions[0], `lacks 1 file in `+live+`, 5 B, older than the moment, the first "cache/only \nhere"`) ||
		len(o.ToDo) != 1 || !strings.Contains(o.ToDo[0], "only "+a.Aside+" holds what artifacts/uploads-newer.2.txt lists") || !strings.Contains(o.Says, "1 file that the backup lacks") {
		t.Errorf("it says %q, exceptions %q, to do %q", o.Says, o.Exceptions, o.ToDo)
	}
	if lines, err := os.ReadFile(filepath.Join(dir, "uploads-newer.2.txt")); err != nil || string(lines) != then.UTC().Format(listed)+` 5 "cache/only \nhere" not in the backup`+"\n" {
		t.Errorf("listed %q, %v", lines, err)
	}
	// Of what people have written over since it came back nobody knows whether the backup had it.
	if err := errors.Join(os.Rename(live, a.Aside), os.Rename(restored, live), os.WriteFile(filepath.Join(live, "says"), []byte("theirs"), 0o600),
		os.Chtimes(filepath.Join(live, "says"), moment.Add(time.Second), moment.Add(time.Second))); err != nil {
		t.Fatal(err)
	}
	kept, err := open{}.Do(t.Context(), env, recovery.NewStep("open", openName, "keep it", a))
	if err != nil || kept.Loss == nil || kept.Loss.Files.Unsaved != 1 || kept.Loss.Files.UnsavedBytes != 5 {
		t.Errorf("counted again: %+v, %v", kept.Loss, err)
	}
}

// listing is the env of a step with a restored tree that writes artifacts into a directory.
type listing struct {
	restoredAt
	dir string
}

func (l listing) Artifact(name string) (io.WriteCloser, error) {
	return os.OpenFile(filepath.Join(l.dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
}

// holdsNothing is the env of a step that holds nothing.
type holdsNothing struct{ recovery.Env }

func (holdsNothing) Meter() recovery.Meter                          { return unseen{} }
func (holdsNothing) Held() []recovery.Resource                      { return nil }
func (holdsNothing) Claim(context.Context, recovery.Resource) error { return nil }
func (holdsNothing) Target(context.Context, recovery.TargetID) (h recovery.Handle, err error) {
	return h, nil
}

type unseen struct{ recovery.Meter }

func (unseen) Phase(string, int64, recovery.Unit) {}
func (unseen) Add(int64)                          {}

// What came into the tree that was live after it was counted, and before the exchange,
// is counted when the exchange is kept.
func TestOpen_countsAgain(t *testing.T) {
	dir := t.TempDir()
	live, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "uploads.old-7c31"), "old")
	moment := time.Now().Add(-time.Hour)
	before := moment.Add(-time.Hour)
	if err := errors.Join(os.Chtimes(filepath.Join(live, "says"), before, before), os.Chtimes(filepath.Join(aside, "says"), before, before),
		os.WriteFile(filepath.Join(aside, "late"), []byte("written late"), 0o600)); err != nil {
		t.Fatal(err)
	}
	a := args{Component: "uploads", Path: live, Aside: aside, Moment: moment}
	keep := func() recovery.Outcome {
		t.Helper()
		o, err := open{}.Do(t.Context(), holdsNothing{}, recovery.NewStep("open", openName, "keep it", a))
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	if o := keep(); o.Loss == nil || o.Loss.Files.Added != 1 || o.Loss.Files.Bytes != 12 || !o.Loss.Final || len(o.Remarks) > 0 {
		t.Errorf("%+v, %q", o.Loss, o.Remarks)
	}
	if err := os.RemoveAll(aside); err != nil { // of a fresh host there was none
		t.Fatal(err)
	}
	if o := keep(); o.Loss != nil {
		t.Errorf("%+v", o.Loss)
	}
}

// What a program wrote to the old tree when it was live no more is not removed with it,
// whatever time it gave to that; what people have taken out of it is in nobody's way.
func TestExpire_writtenSince(t *testing.T) {
	dir := t.TempDir()
	live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
	held, err := os.OpenRoot(live)
	if err != nil {
		t.Fatal(err)
	}
	defer held.Close()
	for written := time.Now(); time.Since(written) < 2*tick; { // what is claimed now comes after what was written
		runtime.Gosched()
	}
	o, err := swap{}.Do(t.Context(), holdsNothing{}, recovery.NewStep("swap", swapName, "make it live", args{Component: "uploads", Path: live, Beside: beside, Aside: aside}))
	if err != nil || len(o.Old) != 1 {
		t.Fatalf("%+v, %v", o, err)
	}
	expires := func(old recovery.Old) error {
		t.Helper()
		_, steps, err := New().(recovery.Expirer).Expire(recovery.SwitchContext{}, old)
		if err != nil {
			return err
		}
		_, err = expire{}.Do(t.Context(), holdsNothing{}, steps[0])
		return err
	}
	unknown := o.Old[0]
	unknown.Since = time.Time{}
	if err := expires(unknown); err == nil || recovery.HintOf(err) == "" || says(aside) != "old" {
		t.Errorf("where it is not known since when it is not live: %v", err)
	}
	if err := errors.Join(held.Mkdir("d", 0o755), held.WriteFile("d/upload", []byte("only here"), 0o600), held.Chtimes("d/upload", time.Unix(0, 0), time.Unix(0, 0))); err != nil {
		t.Fatal(err)
	}
	if err := expires(o.Old[0]); recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), `1 file in `+aside) || !strings.Contains(err.Error(), `"d/upload"`) ||
		!strings.Contains(recovery.HintOf(err), "restart") || says(aside) != "old" {
		t.Errorf("with an upload of since then: %v, next: %s", err, recovery.HintOf(err))
	}
	if err := os.Rename(filepath.Join(aside, "d", "upload"), filepath.Join(live, "upload")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := expires(o.Old[0]); err != nil || says(aside) != "" {
			t.Errorf("after it was taken out: %v", err)
		}
	}
}

// otherDevice is an identity as it was kept, where a device has another number by now.
func otherDevice(id exchange.Identity) exchange.Identity {
	id.Device++
	return id
}

// What was kept before a reboot is of the same directories after it, whatever their device
// is called then: it is gone on with, given back, removed.
func TestSwap_afterReboot(t *testing.T) {
	for name, acts := range map[string]func(t *testing.T, old recovery.Old, r recovery.Resource, live, aside string){
		"gone on with": func(t *testing.T, _ recovery.Old, r recovery.Resource, live, aside string) {
			rec, err := recordOf(r)
			if err == nil {
				err = rec.exchange()
			}
			if err != nil || says(live) != "new" || says(aside) != "old" {
				t.Errorf("%v; live is %q, aside %q", err, says(live), says(aside))
			}
		},
		"given back": func(t *testing.T, _ recovery.Old, r recovery.Resource, live, aside string) {
			if err := (undo{}).Release(t.Context(), r); err != nil || says(live) != "old" || says(aside) != "new" {
				t.Errorf("%v; live is %q, aside %q", err, says(live), says(aside))
			}
			if err := (keepRestored{}).Release(t.Context(), r); err == nil || !strings.Contains(err.Error(), aside+" was open to its users") {
				t.Errorf("it is not told what is kept: %v", err)
			}
		},
		"removed": func(t *testing.T, old recovery.Old, _ recovery.Resource, live, aside string) {
			target, steps, err := New().(recovery.Expirer).Expire(recovery.SwitchContext{}, old)
			if err != nil {
				t.Fatal(err)
			}
			now, err := New().Identify(t.Context(), target, nil)
			if differs := old.Identity.Differences(now); err != nil || len(differs) > 0 {
				t.Errorf("it is another one: %q, %v", differs, err)
			}
			if _, err := (expire{}).Do(t.Context(), holdsNothing{}, steps[0]); err != nil || says(live) != "new" || says(aside) != "" {
				t.Errorf("%v; live is %q, aside %q", err, says(live), says(aside))
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			live, beside, aside := tree(t, filepath.Join(dir, "uploads"), "old"), tree(t, filepath.Join(dir, "tree"), "new"), filepath.Join(dir, "uploads.old-7c31")
			for written := time.Now(); time.Since(written) < 2*tick; { // what is claimed now comes after what was written
				runtime.Gosched()
			}
			pair, err := exchange.Look(live, beside)
			if err != nil {
				t.Fatal(err)
			}
			pair.Old, pair.New = otherDevice(pair.Old), otherDevice(pair.New)
			r, err := record{pair: pair, aside: aside}.resource(live)
			if err != nil {
				t.Fatal(err)
			}
			o, err := swap{}.Do(t.Context(), holdsNothing{}, recovery.NewStep("swap", swapName, "make it live", args{Component: "uploads", Path: live, Beside: beside, Aside: aside}))
			if err != nil || len(o.Old) != 1 {
				t.Fatalf("%+v, %v", o, err)
			}
			inode, err := pair.Old.MarshalText()
			if err != nil {
				t.Fatal(err)
			}
			old := o.Old[0]
			old.Identity = maps.Clone(old.Identity)
			old.Identity["inode"] = string(inode)
			r.ID = live
			acts(t, old, r, live, aside)
		})
	}
}

// Programs that go on in the old tree are named: by a directory that they are in, a file
// that they have open, and a mount of it in a container.
func TestOpen_namesUsers(t *testing.T) {
	dir := t.TempDir()
	live, aside := tree(t, filepath.Join(dir, "uploads"), "new"), tree(t, filepath.Join(dir, "uploads before"), "old")
	mnt := filepath.Join(dir, "in a container")
	if err := errors.Join(os.Mkdir(mnt, 0o755), os.Mkdir(filepath.Join(aside, "d"), 0o755)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(aside, "says"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	begin := func(in string, script string, with *os.File) int {
		t.Helper()
		cmd := exec.Command("sh", "-c", script+"echo; exec cat <&3", "sh", aside, mnt)
		cmd.Dir = in
		wait, end, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		cmd.ExtraFiles = []*os.File{wait}
		if with != nil {
			cmd.ExtraFiles = append(cmd.ExtraFiles, with)
		}
		if script != "" {
			cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
			if os.Geteuid() != 0 {
				cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
				cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
			}
		}
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := errors.Join(wait.Close(), end.Close(), cmd.Wait()); err != nil {
				t.Error(err)
			}
		})
		if _, err := out.Read(make([]byte, 1)); err != nil {
			t.Fatalf("the program does not begin: %v", err)
		}
		return cmd.Process.Pid
	}
	begin(live, "", nil) // one that uses what is live
	a := args{Component: "uploads", Path: live, Aside: aside}
	keep := func() []string {
		t.Helper()
		o, err := open{}.Do(t.Context(), holdsNothing{}, recovery.NewStep("open", openName, "keep it", a))
		if err != nil {
			t.Fatal(err)
		}
		return o.ToDo
	}
	if todo := keep(); len(todo) > 0 {
		t.Errorf("nobody uses it: %q", todo)
	}
	pids := []int{begin(filepath.Join(aside, "d"), "", nil), begin(dir, "", file),
		begin(dir, `mount --make-rprivate / && mount --bind "$1" "$2" && `, nil)}
	todo := keep()
	if len(todo) != 1 || !strings.HasPrefix(todo[0], "uploads: restart what still uses "+aside) || !strings.Contains(todo[0], "mounted at "+mnt) {
		t.Fatalf("to do %q", todo)
	}
	for _, pid := range pids {
		if !strings.Contains(todo[0], fmt.Sprintf("(%d)", pid)) {
			t.Errorf("%d is not named in %q", pid, todo)
		}
	}
	// Of a switch back, too.
	a.Beside, a.Aside = a.Aside, ""
	if back := keep(); len(back) != 1 || back[0] != todo[0] {
		t.Errorf("of a switch back %q", back)
	}
}

// Directories that the backup does not describe are as those that were live when they
// take their place, or else as the one above.
func TestSwap_dresses(t *testing.T) {
	dir := t.TempDir()
	live, scratch := filepath.Join(dir, "uploads"), filepath.Join(dir, "scratch")
	beside := filepath.Join(scratch, "tree")
	for _, d := range []string{live, filepath.Join(live, "a"), filepath.Join(live, "outside")} {
		if err := errors.Join(os.Mkdir(d, 0o700), os.Chmod(d, 0o770|fs.ModeSetgid)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Remove(filepath.Join(live, "outside")), os.Symlink(dir, filepath.Join(live, "outside")), os.Mkdir(filepath.Join(dir, "b"), 0o777),
		os.MkdirAll(filepath.Join(beside, "a", "new"), 0o700), os.MkdirAll(filepath.Join(beside, "outside", "b"), 0o700), os.Mkdir(filepath.Join(beside, "described"), 0o700),
		os.WriteFile(filepath.Join(scratch, recovery.UndescribedFile), []byte(".\x00a\x00a/new\x00outside\x00outside/b\x00"), 0o600)); err != nil {
		t.Fatal(err)
	}
	uid := os.Getuid()
	if uid == 0 {
		uid = 33
		if err := errors.Join(os.Chown(live, uid, uid), os.Chmod(live, 0o770|fs.ModeSetgid), os.Chown(filepath.Join(live, "a"), uid, uid), os.Chmod(filepath.Join(live, "a"), 0o770|fs.ModeSetgid)); err != nil {
			t.Fatal(err)
		}
	}
	env := restoredAt{url: (&url.URL{Scheme: "file", Path: beside}).String()}
	o, err := swap{}.Do(t.Context(), env, recovery.NewStep("swap", swapName, "make it live", args{Component: "uploads", Path: live, Aside: live + ".old-7c31"}))
	if err != nil {
		t.Fatal(err)
	}
	if says := strings.Join(o.Remarks, "; "); !strings.Contains(says, "2 directories that the backup does not describe got owner and mode") || !strings.Contains(says, `3 directories that neither the backup describes nor live has, "a/new" the first`) || len(o.ToDo) > 0 {
		t.Errorf("it says %q", says)
	}
	for name, mode := range map[string]fs.FileMode{".": 0o770 | fs.ModeSetgid, "a": 0o770 | fs.ModeSetgid, "a/new": 0o770 | fs.ModeSetgid, "outside": 0o770 | fs.ModeSetgid, "outside/b": 0o770 | fs.ModeSetgid, "described": 0o700} {
		info, err := os.Lstat(filepath.Join(live, name))
		if err != nil {
			t.Fatal(err)
		}
		want := uid
		if name == "described" {
			want = os.Getuid()
		}
		if got := info.Sys().(*syscall.Stat_t).Uid; info.Mode() != mode|fs.ModeDir || int(got) != want {
			t.Errorf("%s is %s of %d", name, info.Mode(), got)
		}
	}
}

// They have the attributes of those, too.
func TestSwap_dressesAttributes(t *testing.T) {
	dir := t.TempDir()
	live, scratch := filepath.Join(dir, "uploads"), filepath.Join(dir, "scratch")
	beside := filepath.Join(scratch, "tree")
	if err := errors.Join(os.MkdirAll(filepath.Join(live, "a"), 0o700), os.MkdirAll(filepath.Join(beside, "a", "new"), 0o700), os.Mkdir(filepath.Join(beside, "described"), 0o700),
		os.WriteFile(filepath.Join(scratch, recovery.UndescribedFile), []byte("a\x00a/new\x00"), 0o600)); err != nil {
		t.Fatal(err)
	}
	if err := unix.Setxattr(filepath.Join(live, "a"), "user.x", []byte("as live"), 0); errors.Is(err, unix.ENOTSUP) {
		t.Fatalf("the file system of %s has no attributes of users: set TMPDIR to a directory of one that has", dir)
	} else if err != nil {
		t.Fatal(err)
	}
	env := restoredAt{url: (&url.URL{Scheme: "file", Path: beside}).String()}
	o, err := swap{}.Do(t.Context(), env, recovery.NewStep("swap", swapName, "make it live", args{Component: "uploads", Path: live, Aside: live + ".old-7c31"}))
	if err != nil || len(o.ToDo) > 0 {
		t.Fatal(o.ToDo, err)
	}
	for name, want := range map[string]string{"a": "as live", "a/new": "as live", "described": ""} {
		value := make([]byte, 100)
		n, err := unix.Getxattr(filepath.Join(live, name), "user.x", value)
		if errors.Is(err, unix.ENODATA) {
			n, err = 0, nil
		}
		if err != nil || string(value[:n]) != want {
			t.Errorf("%s has %q, %v", name, value[:max(n, 0)], err)
		}
	}
}

// Where nothing is live, a tree of which the backup does not describe the top stays private,
// and somebody is to decide.
func TestSwap_dressesAlone(t *testing.T) {
	dir := t.TempDir()
	live, scratch := filepath.Join(dir, "uploads"), filepath.Join(dir, "scratch")
	beside := filepath.Join(scratch, "tree")
	if err := errors.Join(os.Chmod(dir, 0o755), os.MkdirAll(filepath.Join(beside, "a"), 0o700), os.WriteFile(filepath.Join(scratch, recovery.UndescribedFile), []byte(".\x00a\x00"), 0o600)); err != nil {
		t.Fatal(err)
	}
	env := restoredAt{url: (&url.URL{Scheme: "file", Path: beside}).String()}
	o, err := swap{}.Do(t.Context(), env, recovery.NewStep("swap", swapName, "make it live", args{Component: "uploads", Path: live, Aside: live + ".old-7c31"}))
	if err != nil || len(o.ToDo) != 1 || !strings.Contains(o.ToDo[0], "they are private") {
		t.Errorf("to do %q, %v", o.ToDo, err)
	}
	for _, name := range []string{".", "a"} {
		if info, err := os.Stat(filepath.Join(live, name)); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("%s is %v, %v", name, info.Mode(), err)
		}
	}
}

// restoredAt is the env of a step with a restored tree.
type restoredAt struct {
	holdsNothing
	url string
}

func (r restoredAt) Binding(component string) (recovery.Binding, bool) {
	return recovery.Binding{Component: component, URL: r.url, Scratch: true}, true
}
