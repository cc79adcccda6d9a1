package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/shop/shoptest"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// The whole way, on both database paths, from a directory and from S3: every
// table is what it was at the chosen commit, and stock tools accept the report.
func TestRehearse_bringsBackWhatWasThere(t *testing.T) {
	l := theShop(t)
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	upload(t, server, l.Copy())
	places := map[string]string{
		"file": fmt.Sprintf("{url: %q}", l.CopyURL()),
		"s3":   fmt.Sprintf("{url: \"s3://backups/shop\", region: %s, endpoint: %q, path_style: true}", storagetest.Region, server.Endpoint()),
	}
	for place, copyYAML := range places {
		for name, c := range map[string]struct {
			to   string
			want []digest
		}{
			"nightly dump":                 {l.dump, l.atDump},
			"just before the harm":         {fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), l.before},
			"just after the commit before": {fmt.Sprintf("after-xid:%d", l.incident.Before.After.XID), l.before},
		} {
			if place == "s3" && !sampled(name, "just before the harm") {
				continue
			}
			t.Run(place+"/"+name, func(t *testing.T) {
				r := newRig(t)
				key := filepath.Join(r.environ["HOME"], "key")
				if _, err := report.CreateKey(key, "ops1"); err != nil {
					t.Fatal(err)
				}
				got := r.run(t.Context(), "rehearse", runbook(t, copyYAML, c.want, ""), "--plain", "--to", c.to, "--key", key)
				if got.code != recovery.CameBack {
					t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
				}
				for _, table := range sorted(c.want) {
					if !strings.Contains(got.out, table+" is what it was: expected ") {
						t.Errorf("%s was not checked", table)
					}
				}
				verifiesWithStockTools(t, r.only(t), key)
			})
		}
	}
}

// upload puts a directory into the bucket, byte for byte.
func upload(t *testing.T, server *storagetest.S3, dir string) {
	t.Helper()
	to, err := s3.Open(t.Context(), server.Options("backups", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	from, err := storage.OpenDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for o, err := range from.List(t.Context(), "") {
		if err != nil {
			t.Fatal(err)
		}
		f, err := from.Open(t.Context(), o, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := to.Put(t.Context(), o.Key, f, storage.PutOptions{Size: o.Size}); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
}

// verifiesWithStockTools checks a report with ssh-keygen and sha256sum, and that
// one changed byte anywhere makes them fail.
func verifiesWithStockTools(t *testing.T, dir, key string) {
	t.Helper()
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	signers := filepath.Join(t.TempDir(), "allowed_signers")
	if err := os.WriteFile(signers, append([]byte("ops1@example.com "), public...), 0o600); err != nil {
		t.Fatal(err)
	}
	script := strings.Join(report.Commands(dir, signers, "ops1@example.com"), " && ")
	verify := func() (string, error) {
		out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput()
		return string(out), err
	}
	if out, err := verify(); err != nil {
		t.Fatalf("%s\n%v\n%s", script, err, out)
	}
	for _, name := range []string{"report.json", "report.md", "journal.jsonl", "plan.json", "runbook.md"} {
		path := filepath.Join(dir, name)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		changed := append([]byte(nil), b...)
		changed[len(changed)/2] ^= 1
		if err := os.WriteFile(path, changed, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := verify(); err == nil {
			t.Errorf("a changed byte in %s is accepted", name)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRehearse_failedCheck(t *testing.T) {
	l, r := theShop(t), newRig(t)
	wrong := append([]digest(nil), l.atDump...)
	wrong[0].value = strings.Repeat("0", 32)
	got := r.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), wrong, ""), "--plain", "--to", l.dump)
	if got.code != recovery.Failed || !strings.Contains(got.out, "FAILED: ") || strings.Contains(got.out, "EVERY CHECK HELD") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	// The other checks were made nevertheless.
	if n := strings.Count(got.out, "is what it was: expected "); n != len(wrong)-1 {
		t.Errorf("%d of the other %d checks were made", n, len(wrong)-1)
	}
}

func TestRehearse_json(t *testing.T) {
	r := newRig(t)
	got := r.run(t.Context(), "rehearse", filesBook(t, ""), "--json", "--to", "pages.tar")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s", got.code, got.err)
	}
	var last recovery.Event
	lines := strings.Split(strings.TrimSuffix(got.out, "\n"), "\n")
	for _, line := range lines {
		if err := json.Unmarshal([]byte(line), &last); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
	}
	if last.Type != "run.ended/1" || int(last.Seq) != len(lines) {
		t.Errorf("the last of %d lines is %d, %s", len(lines), last.Seq, last.Type)
	}
}

// Without anybody, too, standard output has events or a plan and nothing else.
func TestRehearse_autoJSON(t *testing.T) {
	r, book := newRig(t), pictures(t)
	r.run(t.Context(), "backup", book).has(t, recovery.CameBack)
	planned := r.run(t.Context(), "rehearse", book, "--auto", "--dry-run", "--json")
	if _, err := plan.Decode([]byte(planned.out)); err != nil || !strings.Contains(planned.err, "chosen: nearby") {
		t.Errorf("%v\n%s\n%s", err, planned.out, planned.err)
	}
	r.noRun(t)
	got := r.run(t.Context(), "rehearse", book, "--auto", "--json")
	for line := range strings.Lines(got.out) {
		var e recovery.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Type == "" {
			t.Errorf("%q: %v", line, err)
		}
	}
	if got.code != recovery.CameBack || !strings.Contains(got.err, "chosen: nearby") {
		t.Errorf("exit %d\n%s", got.code, got.err)
	}
	// It is restored and not signed, and listed as just that.
	r.run(t.Context(), "moments", book).has(t, recovery.CameBack, "not proven: restored on ", " by run "+filepath.Base(r.only(t))+", which nobody has signed")
}

func TestRehearse_dryRun(t *testing.T) {
	l, r := theShop(t), newRig(t)
	got := r.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, ""), "--dry-run", "--to", l.dump)
	var p recovery.Plan
	if err := json.Unmarshal([]byte(got.out), &p); err != nil || got.code != recovery.CameBack || len(p.Steps) < len(l.atDump)+2 {
		t.Errorf("exit %d, %d steps, %v\n%s", got.code, len(p.Steps), err, got.err)
	}
	r.noRun(t)
}

// An interruption in the middle of a restore gives everything back.
func TestRehearse_interrupted(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	book := filesBook(t, "\n## Wait\n\n```sh\n# run: take long\n# in: both\n# timeout: 5m\nsleep 300\n```\n")
	got := r.seen(ctx, "] run: take long", func() { cancel(errors.New("interrupted by ctrl-c")) }, "rehearse", book, "--plain", "--to", "pages.tar")
	if got.code != recovery.Interrupted || !strings.Contains(got.out, "asked to stop: interrupted by ctrl-c") {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if _, err := os.Stat(filepath.Join(r.only(t), "report.md")); err != nil {
		t.Errorf("an interrupted run has no report: %v", err)
	}
}

// An interruption before anybody is attached to a run that has begun reaches it, too.
func TestRehearse_interruptedAtOnce(t *testing.T) {
	r := newRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	var out, told bytes.Buffer
	a := r.app(&out, &told)
	a.spawned = func() { cancel(errors.New("interrupted by ctrl-c")) }
	book := filesBook(t, "\n## Wait\n\n```sh\n# run: take long\n# in: both\n# timeout: 5m\nsleep 300\n```\n")
	code := a.run(ctx, []string{"rehearse", book, "--plain", "--to", "pages.tar"})
	if code != recovery.Interrupted || !strings.Contains(out.String(), "asked to stop: interrupted by ctrl-c") {
		t.Errorf("exit %d\n%s%s", code, out.String(), told.String())
	}
	if _, err := os.Stat(filepath.Join(r.only(t), "report.md")); err != nil {
		t.Errorf("an interrupted run has no report: %v", err)
	}
}

// A runner that is killed takes everything that it has started with it, and
// `comeback stop` gives back the rest. Its front end says what to do.
func TestRehearse_killed(t *testing.T) {
	l, r := theShop(t), newRig(t)
	more := "\n## Wait\n\n```sh\n# run: take long\n# in: both\n# timeout: 5m\nsleep 300 &\necho here\nsleep 301\n```\n"
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, more)
	front := r.process(t, "rehearse", book, "--json", "--to", l.dump)
	front.until(`"step":"3.1.run"`)
	ours := func() []string { return shoptest.Processes(t, r.scratch) }
	if len(ours()) == 0 {
		t.Error("no server runs in the scratch directory: the test sees nothing")
	}
	id := filepath.Base(r.only(t))
	pid := r.stateOf(t, id).PID
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	children := childrenOf(t, pid)
	for !slices.ContainsFunc(children, func(pid int) bool { return commandOf(pid) == "sleep 300" }) {
		if ctx.Err() != nil {
			t.Fatalf("the block's background process never came: %v", children)
		}
		runtime.Gosched()
		children = childrenOf(t, pid)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if code, said := front.ends(); code != int(recovery.NotEnded) || !strings.Contains(said, "comeback resume "+id) {
		t.Errorf("its front end: exit %d, %s", code, said)
	}
	for len(ours()) > 0 || alive(children) {
		if ctx.Err() != nil {
			t.Fatalf("still there: %v %v", ours(), children)
		}
		runtime.Gosched()
	}
	if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, "DIED; comeback resume "+id) {
		t.Errorf("runs: %s", got.out)
	}
	if got := r.run(t.Context(), "stop", id); got.code != recovery.CameBack || !strings.Contains(got.out, "gone: cluster") {
		t.Errorf("stop: exit %d %s%s", got.code, got.out, got.err)
	}
}

// childrenOf lists a process's descendants.
func childrenOf(t *testing.T, pid int) []int {
	t.Helper()
	var all []int
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range strings.Fields(string(b)) {
			if child, err := strconv.Atoi(f); err == nil {
				all = append(append(all, child), childrenOf(t, child)...)
			}
		}
	}
	return all
}

// commandOf is a process's command line; "" where it is gone.
func commandOf(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(strings.ReplaceAll(string(b), "\x00", " "))
}

func alive(pids []int) bool {
	return slices.ContainsFunc(pids, func(pid int) bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err == nil && !strings.Contains(string(b), ") Z ")
	})
}

// Whatever is refused before a run begins says so in two lines, with a code,
// and leaves nothing.
func TestRehearse_refusals(t *testing.T) {
	l := theShop(t)
	file := fmt.Sprintf("{url: %q}", l.CopyURL())
	for name, c := range map[string]struct {
		copyYAML string
		args     []string
		change   func(t *testing.T, r *rig)
		code     recovery.Exit
		says     string
		next     string
	}{
		"missing reference":    {copyYAML: `{url: "file://${BACKUPS}"}`, code: recovery.Usage, says: "BACKUPS is not set", next: "export BACKUPS"},
		"missing directory":    {copyYAML: `{url: "file:///nowhere/at/all"}`, code: recovery.Failed, says: "does not exist", next: "url of the copy nearby"},
		"missing runbook":      {args: []string{"rehearse", "nowhere.md"}, code: recovery.Usage, says: "nowhere.md", next: "runbook new"},
		"moment without zone":  {copyYAML: file, args: []string{"--to", "2026-11-23T02:41:07"}, code: recovery.Usage, says: "offset", next: "offset"},
		"moment before all":    {copyYAML: file, args: []string{"--to", "2001-01-01T00:00:00Z"}, code: recovery.Refused, says: "2001", next: "first moment of the window"},
		"moment after all":     {copyYAML: file, args: []string{"--to", "lsn:FFF/0"}, code: recovery.Refused, says: "FFF/0", next: "latest"},
		"unknown transaction":  {copyYAML: file, args: []string{"--to", "before-xid:4000000000"}, code: recovery.Refused, says: "4000000000", next: ""},
		"unknown backup":       {copyYAML: file, args: []string{"--to", "db/1999-01-01.sql.gz"}, code: recovery.Usage, says: "db/1999-01-01.sql.gz", next: "comeback moments"},
		"unknown copy":         {copyYAML: file, args: []string{"--copy", "moon"}, code: recovery.Usage, says: "moon", next: "copies"},
		"unknown flag":         {copyYAML: file, args: []string{"--tow", "latest"}, code: recovery.Usage, says: "--tow", next: "--help"},
		"no PostgreSQL":        {copyYAML: file, change: func(t *testing.T, r *rig) { t.Setenv("COMEBACK_PG_BIN", t.TempDir()) }, code: recovery.Usage, says: "there is no PostgreSQL in it", next: "COMEBACK_PG_BIN"},
		"no scratch directory": {copyYAML: file, args: []string{"--scratch", "/nowhere/at/all"}, code: recovery.Usage, says: "/nowhere", next: "--scratch"},
		"auto with cards":      {copyYAML: file, args: []string{"--auto", "--scenario", "cards.md"}, code: recovery.Usage, says: "--auto chooses the moment and asks nobody", next: "leave out one"},
		"a limit of disk":      {copyYAML: file, args: []string{"--to", l.dump, "--max-disk", "1B"}, code: recovery.Refused, says: "may take 1 B", next: "raise --max-disk"},
		"a limit of memory":    {copyYAML: file, args: []string{"--to", l.dump, "--min-memory", "1000TB"}, code: recovery.Refused, says: "memory", next: "--min-memory"},
		"a limit with people":  {copyYAML: file, args: []string{"--ask", "--max-disk", "1GB"}, code: recovery.Usage, says: "limits of a rehearsal that nobody watches", next: "add --auto or --json"},
		"no key":               {copyYAML: file, args: []string{"--to", l.dump, "--key", "/nowhere/key"}, code: recovery.Usage, says: "/nowhere/key", next: "SSH private key"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			if c.change != nil {
				c.change(t, r)
			}
			args := c.args
			if c.copyYAML != "" {
				args = append([]string{"rehearse", runbook(t, c.copyYAML, nil, ""), "--plain"}, c.args...)
			}
			got := r.run(t.Context(), args...)
			if !strings.Contains(got.err, c.says) || c.next != "" && !strings.Contains(got.err, "next: ") || !strings.Contains(got.err, c.next) {
				t.Errorf("exit %d, says\n%s%s\nwant %q, next %q", got.code, got.out, got.err, c.says, c.next)
			}
			if c.code != got.code {
				t.Errorf("exit %d, want %d: %s", got.code, c.code, got.err)
			}
			r.noRun(t)
		})
	}
}

// A service in the operator's shell is another server's address.
func TestRehearse_pgService(t *testing.T) {
	l, r := theShop(t), newRig(t)
	r.environ["PGSERVICE"] = "nowhere"
	if got := r.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, ""), "--plain", "--to", l.dump); got.code != recovery.CameBack {
		t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
	}
}

// What can be asked about a run that has ended, and that it can be signed later.
func TestRun_afterwards(t *testing.T) {
	l, r := theShop(t), newRig(t)
	if got := r.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, ""), "--plain", "--to", l.dump); got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	id := filepath.Base(r.only(t))
	if got := r.run(t.Context(), "stop", id); got.code != recovery.Usage || !strings.Contains(got.err, "ended already") {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, id) || !strings.Contains(got.out, "every check held, unsigned") {
		t.Errorf("runs: %s", got.out)
	}
	if got := r.run(t.Context(), "status", id); !strings.Contains(got.out, "RESULT  passed: ") || !strings.Contains(got.out, "LIVE    untouched") {
		t.Errorf("status: %s%s", got.out, got.err)
	}
	if got := r.run(t.Context(), "report", "verify", id); got.code != recovery.Failed || !strings.Contains(got.err, "not signed") || !strings.Contains(got.err, "report sign "+id) {
		t.Errorf("verify unsigned: exit %d %s%s", got.code, got.out, got.err)
	}
	key := filepath.Join(r.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "ops1"); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "report", "sign", id, "--key", key); got.code != recovery.CameBack || !strings.Contains(got.out, "ssh-keygen -Y verify") {
		t.Errorf("sign later: exit %d %s%s", got.code, got.out, got.err)
	}
	if got := r.run(t.Context(), "report", "verify", id); got.code != recovery.WithExceptions || !strings.Contains(got.out, "signer unknown") {
		t.Errorf("verify without a list: exit %d %s%s", got.code, got.out, got.err)
	}
	second := filepath.Join(r.environ["HOME"], "second")
	if _, err := report.CreateKey(second, "lead"); err != nil {
		t.Fatal(err)
	}
	r.run(t.Context(), "report", "review", id, "--key", second).has(t, recovery.Refused, "nobody can be asked")
	r.run(t.Context(), "report", "review", id, "--key", second, "--accept", "1").has(t, recovery.Usage, "no exception 1")
	r.run(t.Context(), "report", "review", id, "--key", key, "--accept", "none").has(t, recovery.Refused, "a second person")
	r.run(t.Context(), "report", "review", id, "--key", second, "--accept", "none").has(t, recovery.CameBack, "reviewed with", "filed in", report.ReviewNamespace)
	r.run(t.Context(), "report", "verify", id).has(t, recovery.WithExceptions, "reviewed by an unknown key")
	if got := r.run(t.Context(), "report", "show", id); !strings.Contains(got.out, "REHEARSED, EVERY CHECK HELD") {
		t.Errorf("show: %s%s", got.out, got.err)
	}
	if _, err := os.Stat(filepath.Join(r.only(t), journal.Name)); errors.Is(err, fs.ErrNotExist) {
		t.Error("no journal")
	}
}

// A rehearsal's report lists how each restored server was shut off, and counts as done on a
// stand-in what a recovery would restore in the place of what is live.
func TestRehearse_tellsIsolation(t *testing.T) {
	l := theShop(t)
	for name, to := range map[string]string{"a dump": l.dump, "a base backup": fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for more, how := range map[string]string{"": "exercised", "\n## Switch\n\n```yaml\nswitch: database\n```\n": "on a stand-in"} {
				book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, more)
				r.run(t.Context(), "rehearse", book, "--plain", "--to", to).has(t, recovery.CameBack)
				dir := r.only(t)
				b, err := os.ReadFile(filepath.Join(dir, "report.json"))
				var made report.Report
				if err == nil {
					err = json.Unmarshal(b, &made)
				}
				if err == nil {
					err = os.RemoveAll(dir)
				}
				if err != nil {
					t.Fatal(err)
				}
				evidence := strings.Join(made.Isolation.Evidence, "\n")
				if !made.Isolation.ScratchOnly || !strings.Contains(evidence, ": no network but loopback, its own socket and no port, archiving off") {
					t.Errorf("the evidence of isolation is\n%s", evidence)
				}
				if made.Stages[0].How != how {
					t.Errorf("the restore was done as %q, want %q", made.Stages[0].How, how)
				}
			}
		})
	}
}
