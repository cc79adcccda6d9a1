package main

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/shop/shoptest"
)

// pages is a live directory whose archive lies in a copy.
type pages struct {
	live, book, packed string
	taken              time.Time // packed, the archive
}

func newPages(t *testing.T) pages {
	t.Helper()
	dir := shoptest.Dir(t)
	p := pages{live: filepath.Join(dir, "pages"), book: filepath.Join(dir, "pages.md"), taken: time.Now().Add(-time.Hour).Truncate(time.Second)}
	copied := filepath.Join(dir, "copy")
	p.packed = filepath.Join(copied, "pages-"+p.taken.UTC().Format("2006-01-02T15-04-05Z")+".tar")
	for name, b := range map[string][]byte{
		filepath.Join(p.live, "index.html"):       []byte("DEFACED"),
		filepath.Join(p.live, "blog", "new.html"): []byte("written since"),
		p.book: []byte(fmt.Sprintf("---\ncomeback: 1\nsystem: pages\nrpo: 24h\nrto: 30m\ncopies:\n  nearby: {url: \"file://%s\"}\ncomponents:\n  pages: {kind: files, path: %q}\n---\n"+
			"# Pages\n\n## Restore\n\n```yaml\nrestore: pages\n```\n\n## Switch\n\n```yaml\nswitch: pages\n```\n", copied, p.live)),
	} {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(copied, 0o755); err != nil {
		t.Fatal(err)
	}
	p.pack(t, 0, 0)
	return p
}

// pack makes the only backup, of files of a user and a group.
func (p pages) pack(t *testing.T, uid, gid int) {
	t.Helper()
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	for name, says := range map[string]string{"index.html": "<h1>shop</h1>", "about/us.html": "we sell"} {
		if err := w.WriteHeader(&tar.Header{Name: "pages/" + name, Mode: 0o644, Uid: uid, Gid: gid, Size: int64(len(says)), ModTime: p.taken}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(says)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), os.WriteFile(p.packed, archive.Bytes(), 0o644), os.Chtimes(p.packed, p.taken, p.taken)); err != nil {
		t.Fatal(err)
	}
}

func (p pages) name(t *testing.T) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host + ":" + p.live
}

// A directory comes back and goes back; what was live stays beside until its time has
// come and everything that the run has left to do is done.
func TestRecover_tree(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	harmed := treeOf(t, p.live)
	if err := os.Chmod(p.live, 0o775); err != nil {
		t.Fatal(err)
	}
	newest := time.Time{}
	for name := range harmed {
		if info, err := os.Stat(filepath.Join(p.live, name)); err == nil && info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	got := r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t))
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if !strings.Contains(got.out, "gone from live: pages: all since ") || !strings.Contains(got.out, "files 2 changed, 20 B, the last "+newest.UTC().Format("2006-01-02 15:04:05Z")+"; MORE EACH SECOND") {
		t.Errorf("it does not say what is lost\n%s", got.out)
	}
	// The report's loss is the truth: the backup is of an hour before.
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if rep.Live == nil || len(rep.Live.Losses) != 1 || rep.Live.Losses[0].Files == nil {
		t.Fatalf("live in the report: %+v", rep.Live)
	}
	loss := rep.Live.Losses[0]
	if f := *loss.Files; !loss.Final || f.Changed != 1 || f.Added != 1 || f.Removed != 1 || f.Bytes != 20 || !f.Since.Equal(p.taken) || f.Newest.Before(newest) {
		t.Errorf("lost by the report %+v (final %v), the newest is of %s", f, loss.Final, newest)
	}
	if rpo := rep.Objectives.RPO; rpo.Achieved == nil || time.Duration(*rpo.Achieved) != loss.Files.Newest.Sub(p.taken) || rpo.Verdict != report.Met {
		t.Errorf("the RPO: %+v", rpo)
	}
	if now := treeOf(t, p.live); now["index.html"] != "<h1>shop</h1>" || now["blog/new.html"] != "" {
		t.Errorf("live holds %v", now)
	}
	// The archive does not describe its directories: whoever could use live still can.
	for name, mode := range map[string]fs.FileMode{".": 0o775, "about": 0o775} {
		if info, err := os.Stat(filepath.Join(p.live, name)); err != nil || info.Mode().Perm() != mode {
			t.Errorf("%s is %v, %v", name, info.Mode(), err)
		}
	}
	run := filepath.Base(r.only(t))
	state := r.stateOf(t, run)
	if len(state.Old) != 1 || len(state.ToDos()) != 1 {
		t.Fatalf("old data %+v, to do %q", state.Old, state.ToDos())
	}
	old := state.Old[0].Place
	there := func() bool { return maps.Equal(treeOf(t, old), harmed) }
	refuses := func(says string, args ...string) {
		t.Helper()
		got := r.run(t.Context(), append([]string{"expire", run, "--plain", "--confirm", old}, args...)...)
		if got.code != recovery.Refused || !strings.Contains(got.err, says) || !there() {
			t.Errorf("expire %v: exit %d, old data there %v\n%s", args, got.code, there(), got.err)
		}
	}
	refuses("kept until " + state.Old[0].Until.UTC().Format("2 Jan 2006 15:04Z"))
	refuses("kept until", "--dry-run", "--done", "all") // and remembers nothing
	r.ahead = 8 * 24 * time.Hour
	refuses("1 to-do of the run is open")
	if got := r.run(t.Context(), "expire"); !strings.Contains(got.out, "to do 1: pages: decide about 2 files") || !strings.Contains(got.out, "1 to-do of the run is open") {
		t.Errorf("the list:\n%s%s", got.out, got.err)
	}
	var lines []leftLine
	asJSON := json.NewDecoder(strings.NewReader(r.run(t.Context(), "expire", "--json").out))
	for asJSON.More() {
		var l leftLine
		if err := asJSON.Decode(&l); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, l)
	}
	if len(lines) != 2 || lines[0].Place != old || !lines[0].Until.Equal(state.Old[0].Until) || !strings.Contains(lines[0].Keeps, "1 to-do") ||
		lines[1].ToDo != 1 || lines[1].Run != run || !strings.HasPrefix(lines[1].Says, "pages: decide about 2 files") {
		t.Errorf("the list as JSON: %+v", lines)
	}
	if got := r.run(t.Context(), "expire", run, "--plain", "--done", "1", "--confirm", p.name(t)); got.code != recovery.Refused || !there() {
		t.Errorf("with the name of live: exit %d, %s", got.code, got.err)
	}
	// What was said to be done is remembered, and is no to-do any more.
	if got := r.run(t.Context(), "expire"); strings.Contains(got.out, "to do") || !strings.Contains(got.out, "may go: comeback expire "+run) {
		t.Errorf("the list after --done 1:\n%s%s", got.out, got.err)
	}
	// Somebody kept hold of the old directory, and went on in it.
	late := filepath.Join(old, "blog", "late.html")
	if err := os.WriteFile(late, []byte("written since the switch"), 0o644); err != nil {
		t.Fatal(err)
	}
	got = r.run(t.Context(), "expire", run, "--plain", "--confirm", old)
	if got.code != recovery.Refused || !strings.Contains(got.out+got.err, `the newest "blog/late.html"`) {
		t.Errorf("with what was written since: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if err := os.Rename(late, filepath.Join(p.live, "late.html")); err != nil {
		t.Fatal(err)
	}
	expires(t, r, run, old, func() bool { _, err := os.Stat(old); return err == nil })
	expired := r.lastState(t)
	if says := expired.LiveSays(time.UTC); says != "as run "+run+" left it; what was put aside is removed" {
		t.Errorf("after an expiry live is %s", says)
	}
	if now := treeOf(t, p.live); now["index.html"] != "<h1>shop</h1>" {
		t.Errorf("live holds %v", now)
	}
	if got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", p.name(t)); got.code != recovery.Refused {
		t.Errorf("switched back to what is gone: exit %d\n%s%s", got.code, got.out, got.err)
	}
}

// What is older than the moment and not in the backup is told, and does not expire before
// somebody has decided about it: the old tree alone has it.
func TestRecover_treeNotInBackup(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	r.ahead = time.Hour
	taken := time.Now().Add(time.Minute).Truncate(time.Second) // after all that the kernel says of live
	old, err := filepath.Glob(filepath.Join(filepath.Dir(p.live), "copy", "*.tar"))
	if err != nil || len(old) != 1 {
		t.Fatal(old, err)
	}
	anew := filepath.Join(filepath.Dir(old[0]), "pages-"+taken.UTC().Format("2006-01-02T15-04-05Z")+".tar")
	index := filepath.Join(p.live, "index.html")
	if err := errors.Join(os.Rename(old[0], anew), os.Chtimes(anew, taken, taken), os.WriteFile(index, []byte("<h1>shop</h1>"), 0o644), os.Chtimes(index, p.taken, p.taken)); err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t))
	if got.code != recovery.WithExceptions || !strings.Contains(got.out, "the backup lacks 1 file in "+p.live+", 13 B") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if f := rep.Live.Losses[0].Files; f.Unsaved != 1 || f.UnsavedBytes != 13 || f.Changed+f.Added != 0 {
		t.Errorf("lost by the report: %+v", f)
	}
	run := filepath.Base(r.only(t))
	put := r.stateOf(t, run).Old[0].Place
	list, err := os.ReadFile(filepath.Join(r.only(t), "artifacts", "pages-newer.txt"))
	if err != nil || !strings.HasSuffix(string(list), ` 13 "blog/new.html" not in the backup`+"\n") {
		t.Errorf("listed %q, %v", list, err)
	}
	r.ahead = 9 * 24 * time.Hour
	if got := r.run(t.Context(), "expire", run, "--plain", "--confirm", put); got.code != recovery.Refused || !strings.Contains(got.err, "1 to-do of the run is open") || treeOf(t, put)["blog/new.html"] == "" {
		t.Errorf("it expires: exit %d\n%s%s", got.code, got.out, got.err)
	}
	r.ahead = 0
	expires(t, r, run, put, func() bool { _, err := os.Stat(put); return err == nil }, "--done", "all")
}

// A tree that lies in another component's path, and in what production owns, takes its place
// there; one in another tree that is switched, too, is refused with what to write instead.
func TestRecover_nestedTree(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	around := filepath.Dir(p.live)
	was := fmt.Sprintf("  pages: {kind: files, path: %q}\n---", p.live)
	book := copyBook(t, p.book, was, fmt.Sprintf("  pages: {kind: files, path: %q}\n  site: {kind: files, path: %q}\nproduction: [%q]\n---", p.live, around, around))
	if got := r.run(t.Context(), "recover", book, "--plain", "--to", "latest", "--confirm", p.name(t)); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if now := treeOf(t, p.live); now["index.html"] != "<h1>shop</h1>" {
		t.Errorf("live holds %v", now)
	}
	both := copyBook(t, book, "switch: pages", "switch: [pages, site]")
	both = copyBook(t, both, "restore: pages", "restore: [pages, site]")
	got := r.run(t.Context(), "recover", both, "--plain", "--dry-run", "--to", "latest")
	if got.code != recovery.Refused || !strings.Contains(got.err, "would lie inside of "+around+", where site lives") || !strings.Contains(got.err, "leave one of them out of the `switch:`") {
		t.Errorf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// expires removes what a run has put aside, whose time has come.
func expires(t *testing.T, r *rig, run, place string, there func() bool, args ...string) {
	t.Helper()
	if !there() {
		t.Fatalf("%s is not there", place)
	}
	r.ahead = 8 * 24 * time.Hour
	got := r.run(t.Context(), append([]string{"expire", run, "--plain", "--confirm", place}, args...)...)
	r.ahead = 0
	if got.code != recovery.CameBack || there() {
		t.Errorf("expire %s: exit %d, still there %v\n%s\n%s", place, got.code, there(), got.out, got.err)
	}
	status := r.statusIs(t, run)
	if says := " of " + place + ": removed by run " + r.lastState(t).Run + "\n"; !strings.Contains(status, says) || strings.Contains(status, "OLD     "+place) {
		t.Errorf("the status does not tell that %s is removed:\n%s", place, status)
	}
}

// statusIs is the status of a run that has ended, which the console tells in the same words.
func (r *rig) statusIs(t *testing.T, run string) string {
	t.Helper()
	status := r.run(t.Context(), "status", run).out
	d := &desk{app: r.app(io.Discard, io.Discard)}
	since, err := d.Since(t.Context(), filepath.Join(r.state, "runs", run))
	if err != nil || since.Status != status {
		t.Errorf("the console says of run %s, %v:\n%s\nand the command:\n%s", run, err, since.Status, status)
	}
	return status
}

// A recovery of a directory whose runner is killed anywhere ends as that of a database
// does.
func TestRecover_treeAfterKill(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	k := killing{rig: func() *rig { return newRig(t) }, name: p.name(t), now: func() (string, error) { return fmt.Sprint(treeOf(t, p.live)), nil },
		args: []string{"recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t)}}
	k.old, _ = k.now()
	k.new = fmt.Sprint(map[string]string{"index.html": "<h1>shop</h1>", "about/us.html": "we sell"})
	k.back = func(t *testing.T, r *rig, run string) {
		t.Helper()
		got := r.run(t.Context(), "switch-back", run, "--plain", "--confirm", k.name)
		if got.code != recovery.CameBack {
			t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
		}
		undoneIs(t, r, run)
		// Nobody wrote to what came back: what the run has restored is no loss.
		if !strings.Contains(got.out, "gone from live: pages: nothing so far") {
			t.Errorf("what a switch back loses:\n%s", got.out)
		}
		// What had come back would be in the way of nothing, but there would be many.
		state := r.lastState(t)
		if err := os.RemoveAll(state.Old[0].Place); err != nil {
			t.Fatal(err)
		}
	}
	k.anywhere(t, "pages.newer", 3)
	// Done, and not noted; noted, and not kept.
	for _, at := range []string{"before:step.finished/1 pages.newer", "before:step.finished/1 pages.swap", "after:step.finished/1 pages.swap"} {
		for _, resume := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, resumed %v", at, resume), func(t *testing.T) { k.at(t, at, resume) })
		}
	}
	// A switch back that is stopped has had people in the old tree.
	r := newRig(t)
	if got := r.run(t.Context(), k.args...); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	parent := r.lastState(t)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 pages.swap-back"
	back := filepath.Base(r.begun(t, func() { r.run(t.Context(), "switch-back", parent.Run, "--plain", "--confirm", k.name) }))
	delete(r.environ, "COMEBACK_TEST_KILL")
	if now, _ := k.now(); now != k.old {
		t.Errorf("switched back, live holds %s", now)
	}
	if err := os.WriteFile(filepath.Join(p.live, "theirs"), []byte("an upload"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(t.Context(), "stop", back)
	if now, _ := k.now(); now != k.new {
		t.Errorf("stopped, live holds %s", now)
	}
	if got := r.run(t.Context(), "status", back); !strings.Contains(got.out, "LIVE    as run "+parent.Run+" left it: nothing was switched back\n") {
		t.Errorf("the status of a switch back that was stopped:\n%s", got.out)
	}
	r.ahead = 8 * 24 * time.Hour
	if got := r.run(t.Context(), "expire", parent.Run, "--plain", "--done", "all", "--confirm", parent.Old[0].Place); got.code != recovery.Refused || !strings.Contains(got.err, "run "+back+" let people into it") {
		t.Errorf("what people wrote expires: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if treeOf(t, parent.Old[0].Place)["theirs"] == "" {
		t.Error("what people wrote is gone")
	}
}

// undoneIs says that a run was switched back by the newest, wherever the run is told of.
func undoneIs(t *testing.T, r *rig, run string) {
	t.Helper()
	by := r.lastState(t)
	if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, ", switched back by "+by.Run+"\n") {
		t.Errorf("the runs do not tell that %s was switched back:\n%s", run, got.out)
	}
	if got := r.run(t.Context(), "status", run); !strings.Contains(got.out, "LIVE    switched back by run "+by.Run+": as it was before this run\n") || !strings.Contains(got.out, "OLD     "+by.Old[0].Place+", until ") {
		t.Errorf("the status of a run that was switched back:\n%s", got.out)
	}
	if got := r.run(t.Context(), "expire"); strings.Contains(got.out, run+"  to do ") {
		t.Errorf("what is live again is still to be decided about:\n%s", got.out)
	}
}

// While people go on uploading, no upload is lost sight of: each is in what was live or
// in what is, and the report's loss is what is in the first alone.
func TestRecover_treeUnderLoad(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	uploads, stop := 0, make(chan struct{})
	coming := filepath.Join(filepath.Dir(p.live), "coming")
	var uploading sync.WaitGroup
	uploading.Go(func() {
		pace := time.NewTicker(2 * time.Millisecond)
		defer pace.Stop()
		for ; ; uploads++ {
			select {
			case <-stop:
				return
			case <-pace.C:
			}
			// Whole or not at all: the tree may be exchanged between two calls.
			path := filepath.Join(p.live, "blog", fmt.Sprintf("upload %d", uploads))
			err := os.WriteFile(coming, []byte("an upload"), 0o600)
			if err == nil {
				err = os.Rename(coming, path)
			}
			if errors.Is(err, fs.ErrNotExist) { // what came back has no such directory
				err = errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Rename(coming, path))
			}
			if err != nil {
				t.Errorf("an upload meanwhile: %v", err)
				return
			}
		}
	})
	got := r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t))
	close(stop)
	uploading.Wait()
	if got.code != recovery.CameBack && got.code != recovery.WithExceptions {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Live.Losses) != 1 || len(rep.Live.Old) != 1 || !rep.Live.Losses[0].Final {
		t.Fatalf("live in the report: %+v", rep.Live)
	}
	was, now := treeOf(t, rep.Live.Old[0].Place), treeOf(t, p.live)
	for n := range uploads {
		name := fmt.Sprintf("blog/upload %d", n)
		if (was[name] == "") == (now[name] == "") {
			t.Errorf("%s is in what was live %v, in what is %v", name, was[name] != "", now[name] != "")
		}
	}
	var newest time.Time
	var bytes int64
	for name, says := range was {
		info, err := os.Stat(filepath.Join(rep.Live.Old[0].Place, name))
		if err != nil {
			t.Fatal(err)
		}
		if bytes += int64(len(says)); info.ModTime().After(newest) {
			newest = info.ModTime()
		}
	}
	loss := rep.Live.Losses[0].Files
	if lost := int64(len(was) - 1); loss.Changed != 1 || loss.Added != lost || loss.Removed != 1 || loss.Bytes != bytes || !loss.Newest.Equal(newest) {
		t.Errorf("lost by the report %+v; in truth 1 changed, %d new, 1 deleted, %d bytes, the newest of %s", loss, lost, bytes, newest)
	}
	if rpo := rep.Objectives.RPO.Achieved; rpo == nil || time.Duration(*rpo) != newest.Sub(p.taken) {
		t.Errorf("the RPO: %+v, in truth %s", rep.Objectives.RPO, newest.Sub(p.taken))
	}
}
