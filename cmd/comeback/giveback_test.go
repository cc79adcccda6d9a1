package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/exclusive"
	"comeback/recovery/journal"
	"comeback/shop/shoptest"
)

// What a rehearsal was asked to keep are files: its server has ended with it, and is
// started on them as `look` says. `comeback stop` removes all of it, also where the run
// that does so is killed in between; the record of the rehearsal stays as it was.
func TestStop_removesWhatWasKept(t *testing.T) {
	l, r := theShop(t), newRig(t)
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.atDump, "")
	if got := r.run(t.Context(), "rehearse", book, "--plain", "--keep", "--to", l.dump); got.code != recovery.WithExceptions {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	dir := r.only(t)
	id := filepath.Base(dir)
	r.runnersEnd(t)
	record := map[string][]byte{}
	for _, name := range []string{journal.Name, "report.json", "report.md"} {
		record[name] = read(t, filepath.Join(dir, name))
	}
	cluster := ""
	kept := r.stateOf(t, id)
	for _, c := range kept.Held() {
		if c.Kind == recovery.Cluster {
			cluster = c.ID
		}
	}
	says := func(want string, args ...string) {
		t.Helper()
		if got := r.run(t.Context(), args...); got.code != recovery.CameBack || !strings.Contains(got.out, want) {
			t.Errorf("%v does not say %q: exit %d\n%s%s", args, want, got.code, got.out, got.err)
		}
	}
	says("claims not given back; comeback stop "+id, "runs")
	says("LEFT    cluster "+cluster+": kept as asked; remove it with: comeback stop "+id, "status", id)

	for len(shoptest.Processes(t, r.scratch)) > 0 { // it is being shut down
		if t.Context().Err() != nil {
			t.Fatal("its server does not end")
		}
		runtime.Gosched()
	}
	count := []string{"look", id, "select count(*) as n from customers"}
	got := r.run(t.Context(), count...)
	_, command, said := strings.Cut(got.err, "as their owner: ")
	command, _, _ = strings.Cut(command, ", then")
	if got.code != recovery.Refused || !said {
		t.Fatalf("look at it: exit %d\n%s", got.code, got.err)
	}
	start := exec.CommandContext(t.Context(), l.Tools.Program("pg_ctl"), append(strings.Fields(command)[1:], "-l", "/dev/null")...)
	if info, err := os.Stat(cluster); err != nil {
		t.Fatal(err)
	} else if owner := info.Sys().(*syscall.Stat_t); int(owner.Uid) != os.Getuid() {
		start.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: owner.Uid, Gid: owner.Gid}}
	}
	start.Dir = "/"
	if out, err := start.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", command, err, out)
	}
	says("n", count...)

	r.environ["COMEBACK_TEST_KILL"] = "after:5" // one of the two is claimed, or both
	child := filepath.Base(r.begun(t, func() { r.run(t.Context(), "stop", id) }))
	delete(r.environ, "COMEBACK_TEST_KILL")
	if got := r.run(t.Context(), "stop", id); got.code != recovery.Refused || !strings.Contains(got.err, "comeback resume "+child) {
		t.Errorf("another one is under way: exit %d\n%s%s", got.code, got.out, got.err)
	}
	says("GIVEN BACK: everything that run "+id+" still held is given back", "resume", child, "--plain", "--unattended")
	// It proves nothing of the backups, and says so.
	given := string(read(t, filepath.Join(r.state, "runs", child, "report.md")))
	if !strings.Contains(given, "GIVEN BACK") || !strings.Contains(given, "as before: this run restores nothing") {
		t.Errorf("the report of the run that gave back:\n%s", given)
	}
	if left := shoptest.Processes(t, r.scratch); len(left) > 0 {
		t.Errorf("still running: %v", left)
	}
	if left, err := os.ReadDir(r.scratch); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
	for name, before := range record {
		if !bytes.Equal(read(t, filepath.Join(dir, name)), before) {
			t.Errorf("%s of the rehearsal was changed", name)
		}
	}
	says("GONE    cluster "+cluster+", given back ", "status", id)
	says("given back, unsigned", "runs")
	if got := r.run(t.Context(), "runs"); strings.Contains(got.out, "not given back") {
		t.Errorf("runs: %s", got.out)
	}
	if got := r.run(t.Context(), "stop", id); got.code != recovery.Usage || !strings.Contains(got.err, "run "+child+" gave back what it had left") {
		t.Errorf("again: exit %d\n%s%s", got.code, got.out, got.err)
	}
	says("Everything that the run made is proven gone", "report", "show", child)
}

// A recovery that died when it had closed live, and could not open it at its end because
// the server could not be reached, is given back when it can: people are let in again.
func TestStop_liftsFence(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	r := newRig(t).live(l)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.fence"
	run := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "recover", liveRunbook(t, l, l.atDump), "--plain", "--to", l.dump, "--confirm", target(t))
	}))
	delete(r.environ, "COMEBACK_TEST_KILL")
	address := r.environ["DATABASE_URL"]
	stop := func(code recovery.Exit, says string) { t.Helper(); r.stop(t, run, code, says) }
	open := func(want bool) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), address)
		if err == nil {
			err = conn.Close(t.Context())
		}
		if (err == nil) != want {
			t.Errorf("let in: %v, want %v", err, want)
		}
	}
	open(false)
	r.environ["DATABASE_URL"] = "postgres:///shop?host=/nowhere"
	stop(recovery.WithExceptions, "when the cause is gone, try again with: comeback stop "+run)
	ended := r.stateOf(t, run)
	if !slices.ContainsFunc(ended.Held(), func(c recovery.ClaimState) bool { return c.Kind == recovery.Fenced }) {
		t.Fatalf("the fence is not held: %v", ended.Claims)
	}
	live := func(want string) {
		t.Helper()
		if got := r.run(t.Context(), "status", run); !strings.Contains(got.out, "LIVE    "+want+"\n") {
			t.Errorf("live is not said to be %q:\n%s", want, got.out)
		}
	}
	live("NOT GIVEN BACK: CLOSED to users, data untouched")
	open(false)
	r.environ["DATABASE_URL"] = address
	// Nobody is let into what another run is at work on.
	var p recovery.Plan
	host, err := os.Hostname()
	if err == nil {
		err = json.Unmarshal(read(t, filepath.Join(r.state, "runs", run, "plan.json")), &p)
	}
	if err != nil {
		t.Fatal(err)
	}
	hold, err := exclusive.Take(t.Context(), exclusive.Targets(&p, host), exclusive.Options{Dir: filepath.Join(r.state, "locks"), Now: time.Now, Holder: exclusive.Holder{Run: "b0b0", PID: os.Getpid(), Host: host}})
	if err != nil {
		t.Fatal(err)
	}
	stop(recovery.Refused, "b0b0")
	open(false)
	if err := hold.Release(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop(recovery.CameBack, "everything that run "+run+" still held is given back")
	open(true)
	live("given back as it was: nothing was switched")
	if left, err := filepath.Glob(filepath.Join(r.scratch, "*")); err != nil || len(left) > 0 {
		t.Errorf("scratch holds %v, %v", left, err)
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// stop stops a run, or gives back what it still holds, and waits for the runners' end.
func (r *rig) stop(t *testing.T, run string, code recovery.Exit, says string) {
	t.Helper()
	got := r.run(t.Context(), "stop", run)
	if got.code != code || !strings.Contains(got.out+got.err, says) {
		t.Fatalf("stop %s: exit %d, want %d and %q\n%s%s", run, got.code, code, says, got.out, got.err)
	}
	r.runnersEnd(t)
}

// A recovery whose runner died in its exchange is not ended without what giving back
// needs. Where the server could not be reached it ends with live not given back, and nothing
// of it is given back later by itself: people may have gone on there.
func TestStop_leavesLive(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	r := newRig(t).live(l)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.swap"
	run := filepath.Base(r.begun(t, func() {
		r.run(t.Context(), "recover", liveRunbook(t, l, l.atDump), "--plain", "--to", l.dump, "--confirm", target(t))
	}))
	delete(r.environ, "COMEBACK_TEST_KILL")
	address := r.environ["DATABASE_URL"]
	stop := func(code recovery.Exit, says string) { t.Helper(); r.stop(t, run, code, says) }

	delete(r.environ, "DATABASE_URL")
	stop(recovery.Usage, "export DATABASE_URL (from the vault)")
	if s := r.stateOf(t, run); s.Result != "" || s.Stop != nil {
		t.Fatalf("it was ended: %s, %s", s.Result, s.Says)
	}
	r.environ["DATABASE_URL"] = "postgres:///shop?host=/nowhere"
	stop(recovery.WithExceptions, "has to be put right by hand; see: comeback status "+run)
	ended := r.stateOf(t, run)
	held := ended.Held()
	if !slices.ContainsFunc(held, func(c recovery.ClaimState) bool { return c.Kind.Exchanges() }) {
		t.Fatalf("the exchange is not held: %v", held)
	}
	if says := ended.LiveSays(time.UTC); says != "NOT GIVEN BACK: it may be switched, CLOSED to users" {
		t.Errorf("live is %s", says)
	}

	r.environ["DATABASE_URL"] = address
	stop(recovery.Refused, "which was made of what is live") // people may have gone on there since
	if got := r.run(t.Context(), "status", run); !strings.Contains(got.out, "LEFT    exchange ") || !strings.Contains(got.out, "was made of what is live, and is put right by hand") || strings.Contains(got.out, "remove it with") {
		t.Errorf("the status of what is left of live:\n%s", got.out)
	}
	if got := r.run(t.Context(), "runs"); !strings.Contains(got.out, "NOT ALL GIVEN BACK; comeback status "+run) {
		t.Errorf("the list of runs:\n%s", got.out)
	}
	if last := r.lastState(t).Run; last != run {
		t.Errorf("run %s was begun", last)
	}
	left, err := filepath.Glob(filepath.Join(r.scratch, "*"))
	if err != nil || len(left) == 0 {
		t.Errorf("scratch holds %v, %v: what was live may have been in it", left, err)
	}
	for _, dir := range left { // as who has put it right by hand
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	}
}
