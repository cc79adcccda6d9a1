package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/report"
	"comeback/recovery/runner"
)

// Rehearsals that need nobody take what most needs a proof, within their limits; what
// they have signed is filed in the copies, is a proof on a host that has never seen
// the run, and can be checked there with stock tools.
func TestRehearse_auto(t *testing.T) {
	r, ctx := newRig(t), t.Context()
	place := t.TempDir()
	for _, dir := range []string{"tree", "nearby", "offsite"} {
		if err := os.Mkdir(filepath.Join(place, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(place, "tree", "a.jpg"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	book := filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nrehearse: 90d\ncopies:\n  nearby: {url: \"file://%[1]s/nearby\"}\n  offsite: {url: \"file://%[1]s/offsite\"}\n"+
		"components:\n  uploads: {kind: files, path: %[1]s/tree, prefix: \"uploads/\"}\n---\n# Shop\n\n## Stop\n\n- [ ] The page is up\n\n## Restore\n\n```yaml\nrestore: uploads\n```\n", place)
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "nobody"); err != nil {
		t.Fatal(err)
	}
	auto := func(more ...string) output {
		return r.run(ctx, append([]string{"rehearse", book, "--auto", "--plain", "--key", key}, more...)...)
	}
	auto().has(t, recovery.Refused, "no copy holds anything")
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	auto("--max-disk", "1B").has(t, recovery.Refused, "may take 1 B")
	auto("--min-memory", "900TB").has(t, recovery.Refused, "are to stay free for the host")
	auto("--to", "latest").has(t, recovery.Usage, "--auto chooses the moment")
	r.noRun(t)
	auto().has(t, recovery.CameBack, "chosen: nearby, because nearby was never proven", "talked through", "signed by", "filed in nearby, offsite")
	auto().has(t, recovery.CameBack, "chosen: offsite, because offsite was never proven")
	if got := r.run(ctx, "moments", book); strings.Count(got.out, "not proven: restored on ") != 2 || strings.Contains(got.out, "never restored") {
		t.Errorf("the one backup, in both copies: %s", got.out)
	}
	r.run(ctx, "check", book, "--no-canary").has(t, recovery.CheckWarning, "no checks\n", "PROOF   uploads, nearby         not proven: restored on ", "Restore                 not proven: exercised on ",
		"that it comes back right is not proven.", "Stop                    never exercised", "0 errors  unknown", "NEXT    a rehearsal: none has proven anything yet")
	// Nothing was checked, so nothing is proven: what was restored longest ago comes next.
	auto().has(t, recovery.CameBack, "chosen: nearby, because nearby was never proven: it was restored by run ", ", with no checks")
	r.comparesThree(t)

	// Another host, which has nothing but the runbook, shows what was filed by a key that it
	// does not know, and lets it prove nothing before somebody lists the key.
	other := newRig(t)
	got := other.run(ctx, "check", book, "--no-canary", "--json")
	list, line := strangersLine(t, got)
	if list != filepath.Join(other.state, "allowed_signers") {
		t.Errorf("the list is %s", list)
	}
	got = other.run(ctx, "check", book, "--no-canary")
	if !strings.Contains(got.out, "signer unknown\n") || !strings.Contains(got.out, "nothing was ever restored with a signed report") || !strings.Contains(got.out, "\n  "+line+"\n") || !strings.Contains(got.out, "never measured") {
		t.Errorf("by an unknown signer:\n%s%s", got.out, got.err)
	}
	other.run(ctx, "rehearse", book, "--auto", "--dry-run").has(t, recovery.CameBack, "chosen: nearby, because nearby was never proven")
	other.run(ctx, "check", book, "--no-canary", "--signers", filepath.Join(place, "none")).has(t, recovery.CheckUnknown, "read the list of signers")
	if err := os.WriteFile(list, []byte(line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	other.run(ctx, "rehearse", book, "--auto", "--dry-run").has(t, recovery.CameBack, "chosen: offsite, because offsite was never proven: it was restored by run ")
	got = other.run(ctx, "check", book, "--no-canary")
	if strings.Contains(got.out, "never: a hope") || strings.Contains(got.out, "never measured") || strings.Contains(got.out, "signer unknown") {
		t.Errorf("on another host:\n%s%s", got.out, got.err)
	}
	fetched, err := filepath.Glob(filepath.Join(other.state, "filed", "runs", "*"))
	if err != nil || len(fetched) != 3 {
		t.Fatalf("fetched: %v, %v", fetched, err)
	}
	own, err := filepath.Glob(filepath.Join(r.state, "runs", "*"))
	if err != nil || len(own) != 3 {
		t.Fatalf("own: %v, %v", own, err)
	}
	for _, dir := range own {
		if out, err := exec.Command("diff", "-r", dir, filepath.Join(other.state, "filed", "runs", filepath.Base(dir))).CombinedOutput(); err != nil {
			t.Errorf("what was filed is not what was signed: %v\n%s", err, out)
		}
	}
	check := exec.Command("sha256sum", "--strict", "-c", report.SumsFile)
	check.Dir = fetched[0]
	if out, err := check.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	atHome(t, book, list, 3)

	// What was changed in the copies proves nothing, and is found.
	altered := filepath.Base(own[0])
	tars, err := filepath.Glob(filepath.Join(place, "*", "comeback", "runs", "shop", "*-"+altered+"-*.tar"))
	if err != nil || len(tars) != 2 {
		t.Fatalf("filed: %q, %v", tars, err)
	}
	for _, name := range tars {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, bytes.ReplaceAll(b, []byte("passed"), []byte("Passed")), 0o600); err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := os.WriteFile(name, b, 0o600); err != nil {
				t.Error(err)
			}
		}()
	}
	deceived := atHome(t, book, list, 2)
	if got := strings.Join(strings.Fields(deceived.run(ctx, "check", book, "--no-canary").out), " "); !strings.Contains(got, "these runs are not as they were signed, and prove nothing: "+altered+" in nearby, "+altered+" in offsite") {
		t.Errorf("a run that was changed: %s", got)
	}
	if left, err := filepath.Glob(filepath.Join(deceived.state, "filed", "runs", ".*")); err != nil || len(left) > 0 {
		t.Errorf("left of it: %q, %v", left, err)
	}

	// An auditor's page has every run, from wherever, and the refused and the unsigned, too.
	r.run(ctx, "rehearse", book, "--plain").has(t, recovery.CameBack)
	page := filepath.Join(place, "page.html")
	since := time.Now().AddDate(0, 0, -1).Format(time.DateOnly)
	r.run(ctx, "report", "export", book, "--since", since, "--html", page).has(t, recovery.CameBack, "4 runs of shop")
	other.run(ctx, "report", "export", book, "--since", since, "--html", page+".2").has(t, recovery.CameBack, "3 runs of shop")
	r.run(ctx, "report", "export", book, "--since", "yesterday").has(t, recovery.Usage, "--since is not a day")
	html, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"The numbers of the runs have no gap", "NOT SIGNED", "REHEARSED, BUT NOTHING WAS CHECKED", "Trends over rehearsals", "intact, signed with a key of this host", "<td>Restore</td>"} {
		if !strings.Contains(string(html), want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, foreign := range []string{"<script", "<link", "<img", "src="} {
		if strings.Contains(string(html), foreign) {
			t.Errorf("the page needs something else: %s", foreign)
		}
	}

	// A journal that somebody has written anew, and one that is gone, are found.
	journals := filepath.Join(own[0], journal.Name)
	whole, err := os.ReadFile(journals)
	if err != nil {
		t.Fatal(err)
	}
	r.runnersEnd(t) // each keeps its head once it has ended
	checked := func() string {
		return strings.Join(strings.Fields(r.run(ctx, "check", book, "--no-canary").out), " ") // it is wrapped
	}
	if got := checked(); strings.Contains(got, "journals of these runs") || strings.Contains(got, "journals are gone") {
		t.Error(got)
	}
	if err := os.WriteFile(journals, whole[:bytes.LastIndexByte(whole[:len(whole)-1], '\n')+1], 0o600); err != nil {
		t.Fatal(err)
	}
	if got := checked(); !strings.Contains(got, "not those that ended, as a copy knows them: "+filepath.Base(own[0])) {
		t.Error(got)
	}
	if err := os.WriteFile(journals, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := filepath.Glob(filepath.Join(r.state, "runs", "*"))
	if err != nil {
		t.Fatal(err)
	}
	unsigned := all[slices.IndexFunc(all, func(dir string) bool { return !slices.Contains(own, dir) })]
	if err := os.Rename(unsigned, unsigned+".away"); err != nil {
		t.Fatal(err)
	}
	if got := checked(); !strings.Contains(got, "their journals are gone: "+filepath.Base(unsigned)) {
		t.Error(got)
	}
	if err := os.Rename(unsigned+".away", unsigned); err != nil {
		t.Fatal(err)
	}

	// A report that no copy has is found.
	for _, name := range []string{"nearby", "offsite"} {
		if err := os.RemoveAll(filepath.Join(place, name, "comeback", "runs")); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.run(ctx, "check", book, "--no-canary"); !strings.Contains(got.out, "signed reports are on this host only") {
		t.Errorf("%s%s", got.out, got.err)
	}
	r.run(ctx, "report", "file", filepath.Base(own[0])).has(t, recovery.CameBack, "filed in nearby, offsite")
}

// strangersLine is the line that a check wants in the list of signers, and that list.
func strangersLine(t *testing.T, checked output) (list, line string) {
	t.Helper()
	var a recovery.Assessment
	if err := json.Unmarshal([]byte(checked.out), &a); err != nil {
		t.Fatalf("%v\n%s%s", err, checked.out, checked.err)
	}
	for _, f := range a.Findings {
		if strings.HasPrefix(f.ID, "signer/SHA256:") {
			does, line, _ := strings.Cut(f.Do, "\n")
			_, list, _ := strings.Cut(strings.TrimSuffix(does, ":"), " to ")
			return list, line
		}
	}
	t.Fatalf("nobody is unknown: %+v", a.Findings)
	return "", ""
}

// atHome is a new host with a console, whose home fetches so many runs of others, and
// lets them count once it has a list of whose signatures do: of those the newest comes
// closest to a proof, and lacks checks.
func atHome(t *testing.T, book, list string, n int) *rig {
	t.Helper()
	r, ctx := newRig(t), t.Context()
	d := &desk{app: r.app(io.Discard, io.Discard), named: book}
	proof := func() (string, string) {
		systems, err := d.Systems(ctx)
		if err != nil || len(systems) != 1 {
			t.Fatalf("%+v, %v", systems, err)
		}
		return systems[0].Proof, systems[0].Unproven
	}
	if got, unknown := proof(); got != "" || unknown != "" {
		t.Errorf("before anything was fetched: %q, %q", got, unknown)
	}
	for _, want := range []bool{true, false} {
		if news, err := d.Fetch(ctx, book); err != nil || news != want {
			t.Errorf("news %v, want %v: %v", news, want, err)
		}
	}
	runs, err := d.Runs(ctx)
	if err != nil || len(runs) != n {
		t.Fatalf("%+v, %v", runs, err)
	}
	for _, run := range runs {
		if !strings.Contains(run.State, "report signed, on ") || !strings.HasSuffix(run.State, ", signer unknown") || run.Alive || run.Died {
			t.Errorf("%+v", run)
		}
	}
	if got, unknown := proof(); got != "" || !strings.HasPrefix(unknown, "signer unknown: ") || !strings.HasSuffix(unknown, ", run "+runs[0].ID) {
		t.Errorf("the newest run is %s, by an unknown signer, the proof %q, %q", runs[0].ID, got, unknown)
	}
	r.environ[signersEnv] = list
	if runs, err = d.Runs(ctx); err != nil || strings.Contains(runs[0].State, "unknown") {
		t.Errorf("%+v, %v", runs, err)
	}
	if got, unknown := proof(); got != "" || !strings.HasPrefix(unknown, "no checks: ") || !strings.HasSuffix(unknown, ", run "+runs[0].ID) {
		t.Errorf("the newest run is %s, which checked nothing, the proof %q, %q", runs[0].ID, got, unknown)
	}
	session, err := d.Attach(ctx, runs[0])
	if err != nil {
		t.Fatal(err)
	}
	events := 0
	for _, err := range session.Events(ctx, 0) {
		if err != nil {
			t.Fatal(err)
		}
		events++
	}
	if events == 0 {
		t.Error("its journal tells nothing")
	}
	return r
}

// comparesThree fails where the report of the third rehearsal does not stand beside the
// two before it, stage by stage, and is what its journal and plan tell.
func (r *rig) comparesThree(t *testing.T) {
	t.Helper()
	runs, err := runner.Home{Dir: r.state}.List()
	if err != nil || len(runs) != 3 {
		t.Fatalf("%d runs, %v", len(runs), err)
	}
	text, err := os.ReadFile(filepath.Join(runs[0].Dir, report.MarkdownFile))
	_, table, _ := strings.Cut(string(text), "## Beside earlier rehearsals\n")
	table, _, _ = strings.Cut(table, "\n## ")
	for _, want := range []string{"| `" + runs[2].ID + "` |", "| `" + runs[0].ID + "`, this one |", "% of 30m00", "| Restore | ", "| stage | `" + runs[2].ID + "` | `" + runs[1].ID + "` | `" + runs[0].ID + "` |"} {
		if !strings.Contains(table, want) {
			t.Errorf("%v: its report lacks %q beside the others: %s", err, want, table)
		}
	}
	r.run(t.Context(), "report", "verify", runs[0].ID).has(t, recovery.WithExceptions, "intact, signer unknown")
}

// A rehearsal that nobody waits for does not begin beside a recovery that has not ended, be it
// one that waits for somebody to take it up.
func TestRehearse_autoBesideRecovery(t *testing.T) {
	r, book := newRig(t), pictures(t)
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	r.environ["COMEBACK_TEST_KILL"] = "after:step.started/1 uploads.restore"
	died := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "recover", book, "--plain", "--to", "latest") // it hears of its runner, or does not, before that is killed
	}))
	delete(r.environ, "COMEBACK_TEST_KILL")
	auto := []string{"rehearse", book, "--auto", "--plain"}
	r.run(t.Context(), auto...).has(t, recovery.Refused, "refused: run "+died+", a recovery of shop, has not ended", "next: its runner died: comeback resume "+died+", or comeback stop "+died)
	if only := filepath.Base(r.only(t)); only != died {
		t.Errorf("run %s was prepared", only)
	}
	r.stop(t, died, recovery.CameBack, "report: ")
	r.run(t.Context(), auto...).has(t, recovery.CameBack, "chosen: nearby")
}

// The threads of a process that gives way, and so what they start, go last.
func TestGiveWay(t *testing.T) {
	if os.Getenv("COMEBACK_TEST_GIVE_WAY") == "" {
		cmd := exec.Command("/proc/self/exe", "-test.run=^TestGiveWay$", "-test.v")
		cmd.Env = append(os.Environ(), "COMEBACK_TEST_GIVE_WAY=1")
		if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestGiveWay") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	if err := giveWay(); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("/bin/sh", "-c", "nice").Output()
	if err != nil || strings.TrimSpace(string(out)) != fmt.Sprint(lowPriority) {
		t.Errorf("a program that was started has the niceness %q, %v", out, err)
	}
}

// A rehearsal that takes more than it was to need is stopped, and nothing of it is left.
func TestRehearse_limits(t *testing.T) {
	t.Parallel()
	r, ctx := newRig(t), t.Context()
	place := t.TempDir()
	for _, dir := range []string{"tree", "nearby"} {
		if err := os.Mkdir(filepath.Join(place, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(place, "tree", "a.jpg"), []byte("a picture"), 0o600); err != nil {
		t.Fatal(err)
	}
	book := filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: \"file://%[1]s/nearby\"}\n"+
		"components:\n  uploads: {kind: files, path: %[1]s/tree, prefix: \"uploads/\"}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: uploads\n```\n\n## Unpack\n\n"+
		"```sh\n# run: unpack\n# in: rehearsal\n# timeout: 5m\n# env: COMEBACK_UPLOADS\nfallocate -l 50000000 \"$COMEBACK_UPLOADS/much\"\nexec sleep 300\n```\n", place)
	if err := os.WriteFile(book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	r.run(ctx, "rehearse", book, "--auto", "--plain", "--max-disk", "40MB").has(t, recovery.Interrupted, "the rehearsal takes 50.0 MB of disk, and may take 40.0 MB")
	if runs, err := (runner.Home{Dir: r.state}).List(); err != nil || len(runs) != 1 || runs[0].State.Result != recovery.ResultInterrupted {
		t.Errorf("%+v, %v", runs, err)
	}
}
