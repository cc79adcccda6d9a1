package main

import (
	"bytes"
	"fmt"
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
	auto().has(t, recovery.CameBack, "every copy was proven; by chance uploads/")

	// Another host, which has nothing but the runbook.
	other := newRig(t)
	got := other.run(ctx, "check", book, "--no-canary")
	if strings.Contains(got.out, "never: a hope") || !strings.Contains(got.out, "proven") {
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
	for _, want := range []string{"The numbers of the runs have no gap", "NOT SIGNED", "REHEARSED, BUT THE RUNBOOK HAS NO CHECK", "Trends over rehearsals", "intact, signer unknown", "<td>Restore</td>"} {
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
