package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"filippo.io/age"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/shop/shoptest"
)

// unswitched is a system of which nothing is switched: a tree of each kind, each in the
// copy as its engine takes or finds it, and what each holds.
type unswitched struct {
	book string
	want map[string]map[string]string
}

func newUnswitched(t *testing.T, r *rig) unswitched {
	t.Helper()
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	r.environ["CONFIG_IDENTITY"], r.environ["RESTIC_PASSWORD"] = identity.String(), "correct horse battery"
	t.Setenv("RESTIC_PASSWORD", r.environ["RESTIC_PASSWORD"]) // a survey asks this process
	dir := shoptest.Dir(t)
	at := func(names ...string) string { return filepath.Join(append([]string{dir}, names...)...) }
	u := unswitched{book: at("site.md"), want: map[string]map[string]string{}}
	for path, says := range map[string]string{"uploads/2026/bag.jpg": "a bag", "config/site.conf": "password = secret\n", "app/index.html": "<h1>site</h1>", "photos/one.jpg": "one"} {
		if err := os.MkdirAll(filepath.Dir(at(path)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at(path), []byte(says), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	command := func(name string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), name, args...)
		cmd.Env = append(os.Environ(), "RESTIC_REPOSITORY="+at("copy", "restic"), "RESTIC_PASSWORD=correct horse battery",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s %v: %v: %s", name, args, err, out)
		}
	}
	if err := os.MkdirAll(at("copy", "archive"), 0o755); err != nil {
		t.Fatal(err)
	}
	command("restic", "--quiet", "--no-cache", "init")
	command("restic", "--quiet", "--no-cache", "backup", at("photos"))
	command("git", "-C", at("app"), "init", "--quiet")
	command("git", "-C", at("app"), "add", ".")
	command("git", "-C", at("app"), "commit", "--quiet", "-m", "the site")
	if err := os.WriteFile(at("app", ".env"), []byte("KEY=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	const page = "we sell"
	taken := time.Now().Add(-time.Hour)
	err = w.WriteHeader(&tar.Header{Name: "pages/us.html", Mode: 0o644, Size: int64(len(page)), ModTime: taken})
	if err == nil {
		_, err = w.Write([]byte(page))
	}
	if err == nil {
		err = w.Close()
	}
	packed := at("copy", "archive", "pages-"+taken.UTC().Format("2006-01-02T15-04-05Z")+".tar")
	if err == nil {
		err = os.WriteFile(packed, archive.Bytes(), 0o600)
	}
	if err == nil {
		err = os.WriteFile(u.book, fmt.Appendf(nil, "---\ncomeback: 1\nsystem: site\nrpo: 24h\nrto: 30m\nneeds: {CONFIG_IDENTITY: vault, RESTIC_PASSWORD: vault}\ncopies:\n  nearby: {url: \"file://%[1]s/copy\"}\ncomponents:\n"+
			"  uploads: {kind: files, with: files, path: \"%[1]s/uploads\", prefix: uploads/}\n"+
			"  pages: {kind: files, with: files, path: \"%[1]s/pages\", prefix: archive/, backup: none}\n"+
			"  photos: {kind: files, with: restic, path: \"%[1]s/photos\", prefix: restic/, password: \"${RESTIC_PASSWORD}\"}\n"+
			"  config: {kind: config, paths: [\"%[1]s/config\"], prefix: config/, identity: \"${CONFIG_IDENTITY}\", recipients: [%[2]s]}\n"+
			"  code: {kind: code, path: \"%[1]s/app\", prefix: code/}\n---\n# Site\n\n## Restore\n\n```yaml\nrestore: [uploads, pages, photos, config, code]\n```\n", dir, identity.Recipient()), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "backup", u.book); got.code != recovery.CameBack {
		t.Fatalf("backup: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	u.want["uploads"] = map[string]string{"2026/bag.jpg": "a bag"}
	u.want["pages"] = map[string]string{"us.html": page}
	u.want["photos"] = map[string]string{"one.jpg": "one"}
	u.want["config"] = map[string]string{"site.conf": "password = secret\n"}
	u.want["code"] = map[string]string{"index.html": "<h1>site</h1>"}
	return u
}

// What a recovery restores and nothing switches is what came back: a tree of any kind
// stays, in a directory that only the user of the run may enter, and the ending, the
// journal, the report and the status say where. A rehearsal removes all of it.
func TestRecover_unswitchedTrees(t *testing.T) {
	r := newRig(t)
	u := newUnswitched(t, r)
	if got := r.run(t.Context(), "rehearse", u.book, "--plain"); got.code != recovery.CameBack || strings.Contains(got.out, "lies in") {
		t.Fatalf("rehearsed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if left, err := os.ReadDir(r.scratch); err != nil || len(left) > 0 {
		t.Errorf("a rehearsal left %v, %v", left, err)
	}
	got := r.run(t.Context(), "recover", u.book, "--to", "latest", "--plain")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.lastState(t)
	if len(state.HandedOver) != len(u.want) || len(state.Held()) != 0 || len(state.Old) != 0 {
		t.Fatalf("handed over %+v, held %v", state.HandedOver, state.Held())
	}
	rep, err := report.Make(r.stateDir(state.Run))
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]string{"the ending": state.Says, "plain": got.out, "the report": r.run(t.Context(), "report", "show", state.Run).out,
		"the status": r.run(t.Context(), "status", state.Run).out, "the list": r.run(t.Context(), "expire").out, "the steps": says(state)}
	for _, h := range state.HandedOver {
		if now := treeOf(t, h.Tree); !maps.Equal(now, u.want[h.Component]) {
			t.Errorf("%s holds %v, want %v", h.Tree, now, u.want[h.Component])
		}
		if info, err := os.Stat(h.Place); err != nil || info.Mode() != os.ModeDir|0o700 || !strings.HasPrefix(h.Tree, h.Place+"/") {
			t.Errorf("%s (of %s) is %v, %v", h.Place, h.Tree, info.Mode(), err)
		}
		for name, text := range told {
			where := h.Tree
			if name == "the list" {
				where = h.Place
			}
			if !strings.Contains(text, where) {
				t.Errorf("%s does not tell of %s\n%s", name, where, text)
			}
		}
		secret := strings.Contains(h.Says, "OPEN SECRETS ON DISK")
		if secret != (h.Component == "config") {
			t.Errorf("of %s it is said: %s", h.Component, h.Says)
		}
	}
	if rep.Live == nil || len(rep.Live.HandedOver) != len(u.want) || !strings.Contains(told["the report"], "OPEN SECRETS ON DISK") {
		t.Errorf("the report's live: %+v", rep.Live)
	}
	if !strings.Contains(state.Says, "came back, nothing was checked; ") || !strings.Contains(got.out, "CAME BACK, BUT NOTHING WAS CHECKED: ") {
		t.Errorf("it ended: %s", state.Says)
	}
	if live := state.LiveSays(time.UTC); live != "untouched; what came back lies beside it" {
		t.Errorf("live is %s", live)
	}
	if text := told["the report"]; strings.Contains(text, "proven gone.") || !strings.Contains(text, fmt.Sprintf(" proven gone, %d handed over and kept.", len(u.want))) ||
		strings.Contains(text, "live since") || strings.Count(text, "| handed over and kept since ") != len(u.want) || strings.Contains(text, "system open") {
		t.Errorf("the report takes what stays for gone, for live or for open:\n%s", text)
	}
	u.takesPlace(t, r, state)
	u.goes(t, r, state)
}

// takesPlace puts what was handed over in live's place, by the commands that the steps, the
// status and the report tell. Of code they tell none, and what an exchange would take away.
func (u unswitched) takesPlace(t *testing.T, r *rig, s recovery.State) {
	t.Helper()
	status, shown := r.run(t.Context(), "status", s.Run).out, r.run(t.Context(), "report", "show", s.Run).out
	for _, st := range s.Steps {
		if len(st.Outcome.HandedOver) == 0 {
			continue
		}
		component := st.Outcome.HandedOver[0].Component
		commands := st.Outcome.InPlace()
		if component == "code" {
			app := filepath.Join(filepath.Dir(u.book), "app")
			if says := st.Outcome.HandedOver[0].Says; len(commands) > 0 || !strings.Contains(says, app+` has what this commit has not, and an exchange would take away: ".env", ".git/", listed in`) ||
				!strings.Contains(says, "git -C "+app+" checkout --detach ") || !strings.Contains(shown, "has what this commit has not") {
				t.Errorf("of code it says %q, %q", says, commands)
			}
			continue
		}
		if len(commands) == 0 {
			t.Errorf("nothing tells how %s is put in live's place", component)
		}
		for _, command := range commands {
			if !strings.Contains(status, ": "+command+"\n") || !strings.Contains(shown, "`"+command+"`") {
				t.Errorf("%s is not told:\n%s\n%s", command, status, shown)
			}
			if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
				t.Errorf("%s: %v: %s", command, err, out)
			}
		}
		if now := treeOf(t, filepath.Join(filepath.Dir(u.book), component)); !maps.Equal(now, u.want[component]) {
			t.Errorf("in live's place %s holds %v", component, now)
		}
	}
}

// says is what the finished steps of a run say.
func says(s recovery.State) string {
	var b strings.Builder
	for _, st := range s.Steps {
		b.WriteString(st.Outcome.Says + "\n")
	}
	return b.String()
}

// everything names all that a run has handed over and is there, as it is typed where that is
// removed.
func everything(s recovery.State) string {
	var places []string
	for _, h := range s.HandedOver {
		if _, err := os.Lstat(h.Place); err == nil {
			places = append(places, h.Place)
		}
	}
	return strings.Join(places, ", ")
}

// goes removes what was handed over, by all its names, and not while a program uses it. What it
// says is true of trees that were never live.
func (u unswitched) goes(t *testing.T, r *rig, s recovery.State) {
	t.Helper()
	first := s.HandedOver[0]
	holds := exec.CommandContext(t.Context(), "sleep", "3600")
	holds.Dir = first.Tree
	if err := holds.Start(); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "expire", s.Run, "--plain"); got.code != recovery.Refused || !strings.Contains(got.err, "--confirm '"+everything(s)+"'") ||
		!strings.Contains(got.err, "the expiry removes "+everything(s)+" for good, and nobody has named them") {
		t.Errorf("unnamed: exit %d\n%s", got.code, got.err)
	}
	if got := r.run(t.Context(), "expire", s.Run, "--plain", "--confirm", first.Place); got.code != recovery.Refused || !strings.Contains(got.err, "does not name what is removed, so nothing is") {
		t.Errorf("one of them named: exit %d\n%s", got.code, got.err)
	}
	got := r.run(t.Context(), "expire", s.Run, "--plain", "--confirm", everything(s))
	if got.code != recovery.Refused || !strings.Contains(got.out, first.Place+" is in use: sleep (") {
		t.Errorf("in use: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if strings.Contains(got.out, "gone from live") || strings.Contains(got.out, "nothing brings it back") {
		t.Errorf("trees that were never live go from live, or the copies are no way back:\n%s", got.out)
	}
	for _, h := range s.HandedOver {
		if want := "removed for good: " + h.Place + ": restored by run " + s.Run + " and left beside live\n"; !strings.Contains(got.out, want) {
			t.Errorf("it lacks %q:\n%s", want, got.out)
		}
	}
	expire := []string{"expire", s.Run, "--plain", "--confirm", everything(s)} // some may be gone
	if err := holds.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = holds.Wait() // it was killed
	// What people have written there is theirs to remove, directories of nobody's too.
	if err := os.Mkdir(filepath.Join(first.Tree, "mine"), 0o500); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), expire...); got.code != recovery.CameBack || !strings.Contains(got.out, "REMOVED: ") {
		t.Fatalf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	runs, err := runner.Home{Dir: r.state}.List()
	if err != nil {
		t.Fatal(err)
	}
	if live := runs[0].State.LiveSays(time.UTC); live != "untouched; what was left beside it is removed" {
		t.Errorf("live is %s", live)
	}
	status := r.statusIs(t, s.Run)
	for _, h := range s.HandedOver {
		if _, err := os.Lstat(h.Place); err == nil {
			t.Errorf("%s is still there", h.Place)
		}
		if strings.Contains(status, h.Where()) || !strings.Contains(status, "GONE    "+h.Component+" of "+h.Place+": ") ||
			h.Place == s.HandedOver[0].Place && !strings.Contains(status, h.Place+": removed by run ") {
			t.Errorf("the status does not tell that %s is removed:\n%s", h.Place, status)
		}
	}
	if got := r.run(t.Context(), expire...); got.code != recovery.Refused {
		t.Errorf("removed twice: exit %d", got.code)
	}
}

// A hand-over of trees whose runner is killed anywhere is resumed, and they lie there,
// restored once; or stopped, and nothing of them is left.
func TestRecover_unswitchedTreesAfterKill(t *testing.T) {
	seed := newRig(t)
	u := newUnswitched(t, seed)
	var handed *rig
	k := killing{args: []string{"recover", u.book, "--plain", "--to", "latest"}, did: func(s recovery.State) bool { return len(s.HandedOver) > 0 }, old: "0 trees", new: fmt.Sprintf("%d trees", len(u.want))}
	k.rig = func() *rig {
		handed = newRig(t)
		maps.Copy(handed.environ, map[string]string{"CONFIG_IDENTITY": seed.environ["CONFIG_IDENTITY"], "RESTIC_PASSWORD": seed.environ["RESTIC_PASSWORD"]})
		return handed
	}
	k.now = func() (string, error) {
		left, err := filepath.Glob(filepath.Join(handed.scratch, "comeback-*.*", "*"))
		return fmt.Sprintf("%d trees", len(left)), err
	}
	k.back = func(t *testing.T, r *rig, run string) {
		t.Helper()
		s := r.stateOf(t, run)
		for _, h := range s.HandedOver {
			if now := treeOf(t, h.Tree); !maps.Equal(now, u.want[h.Component]) {
				t.Errorf("%s holds %v", h.Tree, now)
			}
		}
		for _, st := range s.Steps {
			if strings.Contains(st.Gone, "on disk") || strings.HasSuffix(st.ID, ".restore") && st.Attempts > 1 && !st.Interrupted && len(s.Interruptions) == 0 {
				t.Errorf("%s was done again: %s", st.ID, st.Gone)
			}
		}
		if got := r.run(t.Context(), "expire", run, "--plain", "--confirm", everything(s)); got.code != recovery.CameBack {
			t.Fatalf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
		}
	}
	undisturbed := k.rig()
	if got := undisturbed.run(t.Context(), k.args...); got.code != recovery.CameBack {
		t.Fatalf("undisturbed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	k.back(t, undisturbed, filepath.Base(undisturbed.only(t)))
	for _, at := range []string{"before:step.finished/1 code.hand-over", "after:claim.made/1 code.hand-over", "before:step.started/1 code.hand-over"} {
		t.Run(at, func(t *testing.T) { k.at(t, at, true) })
	}
	t.Run("noted", func(t *testing.T) { k.at(t, "after:step.finished/1 code.hand-over", true) })
}

// takeAway removes the trees that recoveries of the rig have handed over, as people do.
func (r *rig) takeAway(t *testing.T) {
	t.Helper()
	runs, err := os.ReadDir(filepath.Join(r.state, "runs"))
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		for _, h := range r.stateOf(t, run.Name()).HandedOver {
			if err := os.RemoveAll(h.Place); h.Tree == "" || err != nil {
				t.Errorf("%s: %v", h.Place, err)
			}
		}
	}
}
