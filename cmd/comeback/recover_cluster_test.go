package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/report"
	"comeback/shop/shoptest"
	"comeback/tui"

	"github.com/jackc/pgx/v5"
)

// clusterRunbook is liveRunbook for a whole cluster.
func clusterRunbook(t *testing.T, l *lost, want []digest, more string) string {
	t.Helper()
	path := liveRunbook(t, l, want)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	whole := strings.Replace(string(text), `url: "${DATABASE_URL}"}`, `url: "${DATABASE_URL}", into: cluster`+more+`}`, 1)
	if whole == string(text) {
		t.Fatalf("the runbook has no component to change:\n%s", text)
	}
	if err := os.WriteFile(path, []byte(whole), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// A whole cluster goes back to just before the harm: the restored data directory
// takes the place of the live one, which stays beside; the new timeline is archived;
// and the old one gets its place again.
func TestRecover_cluster(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	t.Cleanup(func() { halt(t, l) })
	after, err := digests(t.Context(), l.URL())
	if err != nil {
		t.Fatal(err)
	}
	r := newRig(t).live(l)
	path := clusterRunbook(t, l, l.before, "")
	name := clusterTarget(t, l)
	same := func(want []digest) {
		t.Helper()
		now, err := digests(t.Context(), l.URL())
		if err != nil {
			t.Fatal(err)
		}
		for i, d := range want {
			if now[i] != d {
				t.Errorf("live %s is %s, want %s", d.table, now[i].value, d.value)
			}
		}
	}
	to := fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)
	got := r.run(t.Context(), "recover", path, "--plain", "--to", to, "--confirm", target(t))
	if got.code != recovery.Refused && got.code != recovery.Usage {
		t.Errorf("the name of a database is taken for that of the cluster: exit %d\n%s", got.code, got.err)
	}
	same(after)
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"select pg_create_physical_replication_slot('standby1')", "create database neighbour"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	// A standby follows it, and it subscribes to another server.
	standby(t, l, "standby2")
	publisher := newProduction(t)
	publisher.exec(t, "create table news (id int primary key)", "create publication news for table news")
	for _, sql := range []string{"create table news (id int primary key)", "create subscription digest connection '" + publisher.conninfo() + "' publication news"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(t.Context())
	load := startBench(t, l)
	got = r.run(t.Context(), "recover", path, "--plain", "--to", to, "--confirm", name, "--outage", "1 minute ago")
	if got.code != recovery.CameBack {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	load.cutOff(t)
	same(l.before)
	for _, one := range rebuilt {
		if !strings.Contains(got.out, "to rebuild: "+one) {
			t.Errorf("the plan does not tell of %q\n%s", one, got.out)
		}
	}
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	for word, says := range map[string][]string{"goes back too: ": rep.Live.Effects.GoesBack, "not undone: ": rep.Live.Effects.NotUndone} {
		want := map[string]string{"goes back too: ": "database: database neighbour of the same server, ", "not undone: ": "database: what the system has done outside of it: e-mails sent, cards charged"}[word]
		if !strings.Contains(got.out, word+want) || !slices.ContainsFunc(says, func(text string) bool { return strings.HasPrefix(text, want) }) {
			t.Errorf("plan and report do not tell of %q: %q\n%s", word+want, says, got.out)
		}
	}
	if rep.Live == nil || len(rep.Live.Losses) != 1 || len(rep.Live.Old) != 1 {
		t.Fatalf("live in the report: %+v", rep.Live)
	}
	if _, err := os.Stat(filepath.Join(rep.Live.Old[0].Place, "PG_VERSION")); err != nil {
		t.Errorf("what was live: %v", err)
	}
	if _, err := os.Stat(filepath.Join(l.Archive(), "00000002.history")); err != nil {
		t.Errorf("the new timeline: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.Dir, "comeback-*")); err != nil || len(left) > 0 {
		t.Errorf("left beside live: %v, %v", left, err)
	}
	// It is protected again: a base backup of the new timeline is whole in the copy.
	// So the latest moment is one of it, although nobody has written anything yet, and
	// the old timeline went on for longer.
	protected(t, r, l, "00000002.history")
	latest := func() (recovery.Point, []string) {
		t.Helper()
		dry := r.run(t.Context(), "rehearse", path, "--plain", "--to", "latest", "--dry-run")
		p, err := plan.Decode([]byte(dry.out))
		if err != nil {
			t.Fatalf("%v\n%s\n%s", err, dry.out, dry.err)
		}
		point, _ := p.Moment.Point("database")
		return point, p.Warnings
	}
	ended := r.lastState(t)
	if point, warnings := latest(); point.Timeline != 2 || point.Backup.ID != ended.Step("database.base").Outcome.Facts["backup"] {
		t.Errorf("protected again, the latest moment is on timeline %d, from %s; warnings: %q", point.Timeline, point.Backup.ID, warnings)
	}
	mergesOld(t, r, newRig(t).live(l), path, ended.Losses[0].Loss)
	// And back, after a look at what that loses.
	if conn, err = pgx.Connect(t.Context(), l.Layout.URL("postgres", "shop")); err != nil {
		t.Fatal(err)
	}
	for _, sql := range []string{"create table since (id int)", "insert into since values (1), (2)", "insert into since values (3)"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	conn.Close(t.Context())
	if err := l.Archived(t.Context()); err != nil {
		t.Fatal(err)
	}
	dry := r.leaping(t, meterPlain+time.Second, "switch-back", filepath.Base(r.only(t)), "--dry-run")
	dry.has(t, recovery.CameBack, "looking for database in ", "counting what was written since the switch of run "+filepath.Base(r.only(t)))
	back, err := plan.Decode([]byte(dry.out))
	if err != nil {
		t.Fatalf("%v\n%s\n%s", err, dry.out, dry.err)
	}
	if since := back.Loses()[0]; since.Loss == nil || since.Loss.Only("shop").Commits != 3 || !slices.ContainsFunc(since.Loss.Tables, func(l recovery.TableLoss) bool {
		return strings.HasSuffix(l.Table, "since") && l.Inserted == 3
	}) {
		t.Errorf("the switch back loses %q", since.Says())
	}
	if got := r.run(t.Context(), "switch-back", filepath.Base(r.only(t)), "--plain", "--confirm", name); got.code != recovery.CameBack {
		t.Fatalf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	same(after)
	benchedIn(t, l).loses(t, l, rep)
	// The timeline that was left is dead: the latest moment is one of the old system.
	if got := r.run(t.Context(), "moments", path); !strings.Contains(got.out+got.err, "timeline 2 was left with run") {
		t.Errorf("the moments do not say that timeline 2 is dead\n%s\n%s", got.out, got.err)
	}
	if point, warnings := latest(); point.Timeline != 1 {
		t.Errorf("switched back, the latest moment is on timeline %d; warnings: %q", point.Timeline, warnings)
	}
	// What had come back goes when its time has come, and live stays.
	gone := r.lastState(t)
	if len(gone.Old) != 1 {
		t.Fatalf("old data of the switch back: %+v", gone.Old)
	}
	expires(t, r, gone.Run, gone.Old[0].Place, func() bool { _, err := os.Stat(gone.Old[0].Place); return err == nil })
	same(after)
}

// mergesOld asks for what the old system had taken down after the moment of the only run,
// on a timeline that nobody follows by itself any more: the console goes there, and
// whoever asks for it otherwise is told how to. Other runs than that are another rig's.
func mergesOld(t *testing.T, r, other *rig, path string, lost recovery.Loss) {
	t.Helper()
	d := &desk{app: r.app(io.Discard, io.Discard)}
	merge, _, err := d.follow(t.Context(), tui.FollowUp{Kind: tui.MergeBack, Run: filepath.Base(r.only(t))})
	if err != nil {
		t.Fatal(err)
	}
	if p, _ := merge.Moment.Point("database.before"); p.Timeline != 1 || p.Kept.XID != lost.To.XID {
		t.Errorf("the console's merge goes to %d on timeline %d, want %d on timeline 1", p.Kept.XID, p.Timeline, lost.To.XID)
	}
	refused := func(since, until string) {
		t.Helper()
		got := other.run(t.Context(), "rescue", path, "--plain", "--preview", "--since", since, "--until", until)
		if got.code != recovery.Refused || !strings.Contains(got.err, "set timeline: ") || !strings.Contains(got.err, "timeline: 1") || !strings.Contains(got.err, "timeline 2, which is followed") {
			t.Errorf("since %s until %s: exit %d\n%s\n%s", since, until, got.code, got.out, got.err)
		}
	}
	after, to := fmt.Sprintf("after-xid:%d", lost.From.XID), fmt.Sprintf("after-xid:%d", lost.To.XID)
	refused(after, to)
	refused("lsn:"+lost.From.LSN.String(), "latest")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	old := strings.TrimSuffix(path, ".md") + "-old.md"
	if err := os.WriteFile(old, []byte(strings.Replace(string(text), ", into: cluster", ", into: cluster, timeline: 1", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	got := other.run(t.Context(), "rescue", old, "--plain", "--preview", "--since", after, "--until", to, "--table", "orders")
	if got.code != recovery.CameBack || !strings.Contains(got.out, "to insert") {
		t.Errorf("on the old timeline: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// rebuilt is what depends on the live cluster of TestRecover_cluster and has to be made
// anew.
var rebuilt = []string{
	"database: standby standby2 follows a timeline that ends: make it anew",
	"database: physical slot standby1 is not restored: its reader needs a new one",
	"database: subscription digest of database postgres goes back with it: its publisher has sent more since",
}

// standby is a server that follows the shop's; it streams when this returns, and is gone
// when the test ends.
func standby(t *testing.T, l *lost, name string) (socket string) {
	t.Helper()
	dir := shoptest.Dir(t)
	data := filepath.Join(dir, "standby")
	if l.Owner.UID >= 0 {
		if err := os.Chown(dir, l.Owner.UID, l.Owner.GID); err != nil {
			t.Fatal(err)
		}
	}
	run := func(program string, args ...string) {
		t.Helper()
		cmd := exec.CommandContext(context.WithoutCancel(t.Context()), l.Tools.Program(program), args...)
		cmd.Dir = "/"
		if l.Owner.UID >= 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(l.Owner.UID), Gid: uint32(l.Owner.GID)}}
		}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", program, err, out)
		}
	}
	run("pg_basebackup", "--pgdata", data, "--write-recovery-conf", "--checkpoint=fast", "--no-sync",
		"--dbname", fmt.Sprintf("host=%s user=postgres application_name=%s", l.Socket(), name))
	t.Cleanup(func() {
		if err := (postgres.Cluster{Data: data, Owner: l.Owner, Tools: l.Tools}).Halt(context.Background()); err != nil {
			t.Error(err)
		}
	})
	run("pg_ctl", "--pgdata", data, "--wait", "--log", filepath.Join(dir, "log"), "--options", "-c listen_addresses='' -c archive_mode=off -k "+dir, "start")
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for streams := false; !streams; {
		if err := conn.QueryRow(t.Context(), "select exists (select from pg_stat_replication where application_name = $1 and state = 'streaming')", name).Scan(&streams); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// protected holds what a run says of protecting again to what is in the copy.
func protected(t *testing.T, r *rig, l *lost, history string) {
	t.Helper()
	s := r.lastState(t)
	if len(s.Unprotected()) > 0 {
		t.Errorf("not protected: %v", s.Unprotected())
	}
	if !slices.Equal(s.ToDos(), rebuilt) {
		t.Errorf("to do %q, want %q", s.ToDos(), rebuilt)
	}
	prove, base := s.Step("database.protect"), s.Step("database.base")
	if prove == nil || base == nil || base.State != recovery.Done {
		t.Fatalf("the plan proves nothing (%v), or takes no base backup (%v)", prove, base)
	}
	for _, file := range []string{prove.Outcome.Facts["history"], prove.Outcome.Facts["first segment"]} {
		if _, err := os.Stat(filepath.Join(l.Archive(), file)); file == "" || err != nil {
			t.Errorf("of the new timeline %q: %v", file, err)
		}
	}
	if prove.Outcome.Facts["history"] != history {
		t.Errorf("the history is %q, want %q", prove.Outcome.Facts["history"], history)
	}
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(l.Copy(), base.Outcome.Facts["backup"], "base.tar"+tools.Packing().Suffix)); err != nil {
		t.Errorf("the base backup: %v", err)
	}
	if left, err := filepath.Glob(filepath.Join(l.Copy(), "comeback", "unfinished", "*", "*")); err != nil || len(left) > 0 {
		t.Errorf("marks of backups under way: %v, %v", left, err)
	}
}

// A switch that is given back when its server has run leaves a timeline in the copies, history
// and all. It is marked dead there, as a switch back marks it: the next recovery goes from the
// one that goes on, and is not asked which of two it is.
func TestRecover_clusterGivenBack(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	t.Cleanup(func() { halt(t, l) })
	args := []string{"recover", clusterRunbook(t, l, l.before, ""), "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", clusterTarget(t, l)}
	r := newRig(t).live(l)
	defer r.runnersEnd(t)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 database.start"
	r.run(t.Context(), args...)
	delete(r.environ, "COMEBACK_TEST_KILL")
	run := filepath.Base(r.only(t))
	stopped := r.run(t.Context(), "stop", run)
	if state := r.stateOf(t, run); len(state.Old) > 0 || slices.ContainsFunc(state.Held(), func(c recovery.ClaimState) bool { return c.Kind == "started timeline" }) {
		t.Fatalf("stopped: %s\n%s%s; old %v, held %v", state.Says, stopped.out, stopped.err, state.Old, state.Held())
	}
	for timeline, dead := range map[string]string{"00000002": "true", "00000001": "false"} {
		marks, err := filepath.Glob(filepath.Join(l.Archive(), timeline+".comeback-"+run))
		if err != nil || len(marks) != 1 {
			t.Fatalf("the marks of timeline %s are %v, %v\n%s%s", timeline, marks, err, stopped.out, stopped.err)
		}
		if b, err := os.ReadFile(marks[0]); err != nil || !strings.Contains(string(b), `"dead":`+dead) {
			t.Errorf("timeline %s is marked %s, %v; want dead %s", timeline, b, err, dead)
		}
	}
	next := newRig(t).live(l)
	defer next.runnersEnd(t)
	next.run(t.Context(), args...).has(t, recovery.CameBack)
}

// A recovery of a cluster whose runner is killed anywhere ends as that of a database
// does.
func TestRecover_clusterAfterKill(t *testing.T) {
	t.Parallel()
	l := ownShop(t)
	t.Cleanup(func() { halt(t, l) })
	l.killing(t, clusterRunbook(t, l, l.before, ""), clusterTarget(t, l)).anywhere(t, "database.prepare", 0, "before:step.finished/1 database.exchange")
}

// halt ends the server of a shop, whoever has started it.
func halt(t *testing.T, l *lost) {
	t.Helper()
	c := postgres.Cluster{Data: l.Cluster(), Socket: l.Socket(), Owner: l.Owner, Tools: l.Tools}
	if err := c.Halt(context.Background()); err != nil {
		t.Error(err)
	}
}

// clusterTarget is what a person types for the shop's whole cluster.
func clusterTarget(t *testing.T, l *lost) string {
	t.Helper()
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return host + ":" + l.Cluster()
}
