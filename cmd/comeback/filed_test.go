package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/report"
	"comeback/recovery/runner"
)

// pictures is a runbook of a tree of files that is backed up into one copy, "nearby"
// beside it.
func pictures(t *testing.T) string {
	t.Helper()
	place := t.TempDir()
	book := filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: \"file://%[1]s/nearby\"}\n"+
		"components:\n  uploads: {kind: files, path: %[1]s/tree, prefix: \"uploads/\"}\n---\n# Shop\n\n## Restore\n\n```yaml\nrestore: uploads\n```\n", place)
	err := errors.Join(os.Mkdir(filepath.Join(place, "tree"), 0o700), os.Mkdir(filepath.Join(place, "nearby"), 0o700),
		os.WriteFile(filepath.Join(place, "tree", "a.jpg"), []byte("a picture"), 0o600), os.WriteFile(book, []byte(text), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	return book
}

// Two hosts give a run of one system the same number and ID. Both are filed, and a
// third host, as each of the two, has both of them, with all that is theirs.
func TestFiled_sameRun(t *testing.T) {
	t.Parallel()
	ctx, book := t.Context(), pictures(t)
	rigs, sums := []*rig{newRig(t), newRig(t), newRig(t)}, map[string]bool{}
	rigs[0].run(ctx, "backup", book).has(t, recovery.CameBack)
	for _, r := range rigs[:2] {
		key := filepath.Join(r.environ["HOME"], "key")
		if _, err := report.CreateKey(key, "nobody"); err != nil {
			t.Fatal(err)
		}
		r.nextID = "7c31"
		if got := r.run(ctx, "rehearse", book, "--plain", "--key", key); !strings.Contains(got.out, "filed in nearby") {
			t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
		}
		r.runnersEnd(t) // each keeps its head once it has ended
		sum, err := backup.Sums(r.only(t))
		if err != nil {
			t.Fatal(err)
		}
		sums[sum] = true
	}
	if len(sums) != 2 {
		t.Fatalf("the two runs are the same: %v", sums)
	}
	for i, r := range rigs {
		for range 2 { // what is here is not fetched again
			if got := strings.Join(strings.Fields(r.run(ctx, "check", book, "--no-canary").out), " "); strings.Contains(got, "journals") || strings.Contains(got, "as they were signed") || strings.Contains(got, "on this host only") {
				t.Errorf("host %d: %s", i, got)
			}
		}
		dirs, err := filepath.Glob(filepath.Join(r.state, "filed", "runs", "*"))
		if own := 1; err != nil || len(dirs) != 2-min(own, max(0, 2-i)) {
			t.Fatalf("host %d has fetched %q, %v", i, dirs, err)
		}
		if i < 2 {
			dirs = append(dirs, r.only(t))
		}
		here := map[string]bool{}
		for _, dir := range dirs {
			sum, err := backup.Sums(dir)
			if _, errVerify := report.Verify(dir, report.VerifyOptions{Now: time.Now()}); err != nil || errVerify != nil || !sums[sum] || here[sum] {
				t.Errorf("host %d: %s, %s: %v, %v", i, dir, sum, err, errVerify)
			}
			here[sum] = true
		}
		for _, dir := range dirs { // by the names that findings and pages give them
			r.run(ctx, "report", "show", filepath.Base(dir)).has(t, recovery.CameBack, "How to verify")
		}
		page := filepath.Join(r.state, "page.html")
		r.run(ctx, "report", "export", book, "--since", time.Now().AddDate(0, 0, -1).Format(time.DateOnly), "--html", page, "--no-check").has(t, recovery.CameBack, "2 runs of shop")
		html, err := os.ReadFile(page)
		if err != nil || !strings.Contains(string(html), "have no gap") {
			t.Errorf("host %d: %v", i, err)
		}
		for _, dir := range dirs {
			if want := fmt.Sprintf("<td>1</td><td><a href=\"#run-%[1]s\">%[1]s</a></td>", filepath.Base(dir)); strings.Count(string(html), want) != 1 {
				t.Errorf("host %d: the page has %q %d times", i, want, strings.Count(string(html), want))
			}
		}
	}
}

// A run of this host in whose place another one is put, whole and signed with the host's
// own key, is told from the one that ended, which the copy has as it was signed.
func TestHeads_signedAnew(t *testing.T) {
	t.Parallel()
	ctx, book, r := t.Context(), pictures(t), newRig(t)
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "nobody"); err != nil {
		t.Fatal(err)
	}
	r.nextID = "7c31"
	for i, want := range []bool{false, true} {
		if i > 0 { // out of the state, so that the number and the ID are free again
			if err := os.Rename(filepath.Join(r.state, "runs", r.nextID), filepath.Join(t.TempDir(), r.nextID)); err != nil {
				t.Fatal(err)
			}
		}
		if got := r.run(ctx, "rehearse", book, "--plain", "--key", key); !strings.Contains(got.out, "filed in nearby") {
			t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
		}
		r.runnersEnd(t) // each keeps its head once it has ended
		got := strings.Join(strings.Fields(r.run(ctx, "check", book, "--no-canary").out), " ")
		if strings.Contains(got, "not those that ended, as a copy knows them: 7c31") != want {
			t.Errorf("run %d: %s", i+1, got)
		}
	}
}

// A run that is gone from this host is missing on an auditor's page also where a stranger
// has filed one of its number.
func TestExport_stranger(t *testing.T) {
	t.Parallel()
	ctx, book, r, forger := t.Context(), pictures(t), newRig(t), newRig(t)
	r.run(ctx, "backup", book).has(t, recovery.CameBack)
	key := filepath.Join(forger.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "nobody"); err != nil {
		t.Fatal(err)
	}
	second := ""
	for n, more := range [][]string{nil, {"--key", key}, nil} {
		dir := r.begun(t, func() { r.run(ctx, "rehearse", book, "--plain").has(t, recovery.CameBack) })
		if n == 1 {
			second = dir
		}
		if n < 2 {
			forger.run(ctx, append([]string{"rehearse", book, "--plain"}, more...)...)
		}
	}
	r.runnersEnd(t)
	if err := os.RemoveAll(second); err != nil {
		t.Fatal(err)
	}
	got := r.run(ctx, "report", "export", book, "--since", time.Now().AddDate(0, 0, -1).Format(time.DateOnly))
	if !strings.Contains(got.out, "Not among the runs that were found: number 2 (only a run of an unknown signer has it).") || !strings.Contains(got.out, "intact, signer unknown") {
		t.Errorf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}

	// Whom an auditor's own list does not name is not known, also with a key of the host.
	public, err := os.ReadFile(key + ".pub")
	list, own := filepath.Join(t.TempDir(), "signers"), filepath.Join(r.environ["HOME"], "own")
	if _, errOwn := report.CreateKey(own, "own"); errors.Join(err, errOwn, os.WriteFile(list, append([]byte("forger "), public...), 0o600)) != nil {
		t.Fatal(err, errOwn)
	}
	r.run(ctx, "rehearse", book, "--plain", "--key", own)
	page := []string{"report", "export", book, "--since", time.Now().AddDate(0, 0, -1).Format(time.DateOnly), "--no-check"}
	r.run(ctx, page...).has(t, recovery.CameBack, "intact, signed with a key of this host")
	got = r.run(ctx, append(page, "--signers", list)...)
	if strings.Contains(got.out, "a key of this host") || !strings.Contains(got.out, "intact, signer unknown") || !strings.Contains(got.out, "intact, signed by forger") {
		t.Errorf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// A recovery that is refused because of another, one that somebody stops and a rehearsal
// that is interrupted are on an auditor's page, with their numbers; a command that is
// refused before there is a run takes no number.
func TestExport_ended(t *testing.T) {
	t.Parallel()
	p, r := newPages(t), newRig(t)
	text, err := os.ReadFile(p.book)
	if err != nil {
		t.Fatal(err)
	}
	waits := strings.NewReplacer("## Restore\n", "## Stop the writes\n\n- [ ] The page is up\n\n## Restore\n",
		"## Switch\n", "## Wait\n\n```sh\n# run: take long\n# in: rehearsal\n# timeout: 5m\nsleep 300\n```\n\n## Switch\n").Replace(string(text))
	if err := os.WriteFile(p.book, []byte(waits), 0o600); err != nil {
		t.Fatal(err)
	}
	a := r.app(nil, nil)
	opened, _, err := a.open(t.Context(), p.book)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	first, err := a.plan(t.Context(), opened, cat, choices{mode: recovery.Recovery, to: "latest"})
	if err != nil {
		t.Fatal(err)
	}
	run, err := a.start(t.Context(), opened, first, "test", runner.Launch{Confirm: p.name(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	untilState(t, run, waitsFor("1.1.ticks", recovery.WaitTicks))
	refused := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t)).has(t, recovery.Refused)
	}))
	r.runnersEnd(t)
	if heads, err := filepath.Glob(filepath.Join(filepath.Dir(p.book), "*", "comeback", "heads", "*", "*-"+refused+"-*.json")); err != nil || len(heads) == 0 {
		t.Errorf("no copy knows that run %s was refused: %v", refused, err)
	}
	r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", "another").has(t, recovery.Refused)
	r.run(t.Context(), "stop", first.Run).has(t, recovery.CameBack)
	untilEnd(t, run)

	ctx, cancel := context.WithCancelCause(t.Context())
	interrupted := filepath.Base(r.begun(t, func() {
		interrupt := func() { cancel(errors.New("interrupted by ctrl-c")) }
		if got := r.seen(ctx, "] run: take long", interrupt, "rehearse", p.book, "--plain"); got.code != recovery.Interrupted {
			t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
		}
	}))
	got := r.run(t.Context(), "report", "export", p.book, "--since", time.Now().AddDate(0, 0, -1).Format(time.DateOnly), "--no-check")
	if got.code != recovery.CameBack || !strings.Contains(got.out, "have no gap") {
		t.Errorf("exit %d\n%s", got.code, got.err)
	}
	for n, want := range []struct{ run, says string }{{first.Run, "INTERRUPTED"}, {refused, "REFUSED"}, {interrupted, "INTERRUPTED"}} {
		_, row, _ := strings.Cut(got.out, fmt.Sprintf("<td>%d</td><td><a href=\"#run-%[2]s\">%[2]s</a></td>", n+1, want.run))
		if row, _, _ = strings.Cut(row, "</tr>"); !strings.Contains(row, want.says) || !strings.Contains(row, "NOT SIGNED") {
			t.Errorf("number %d, run %s, is not told as %s: %s", n+1, want.run, want.says, row)
		}
	}
	if t.Failed() {
		t.Log(got.out)
	}
}
