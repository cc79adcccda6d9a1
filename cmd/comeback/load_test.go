package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"

	"github.com/jackc/pgx/v5"
)

// pgbench is a load of PostgreSQL's own on a live shop: each of its transactions
// leaves a row with the time at which it was made.
type pgbench struct {
	cmd   *exec.Cmd
	ended chan error
	says  *bytes.Buffer
}

// benched is what a load has committed, as the system that it wrote to tells.
type benched struct {
	rows int64
	last time.Time // commit
}

// startBench lets several clients write until their server goes away, and returns
// when they do.
func startBench(t *testing.T, l *lost) *pgbench {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, l.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	// One transaction that is lost, too.
	if _, err := conn.Exec(ctx, "create schema bench; create table bench.load (id bigserial primary key, says text)"); err != nil {
		t.Fatal(err)
	}
	script := filepath.Join(t.TempDir(), "load.sql")
	if err := os.WriteFile(script, []byte("\\set n random(1, 1000)\nbegin;\ninsert into bench.load (says) values ('row :n');\nupdate bench.load set says = says || '!' where id = currval('bench.load_id_seq');\ncommit;\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &pgbench{ended: make(chan error, 1), says: &bytes.Buffer{}}
	b.cmd = exec.CommandContext(ctx, l.Tools.Program("pgbench"), "--no-vacuum", "--client", "3", "--rate", "60", "--time", "600", "--file", script,
		"--host", l.Socket(), "--username", "postgres", "shop")
	b.cmd.Stdout, b.cmd.Stderr = b.says, b.says
	if err := b.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { b.ended <- b.cmd.Wait() }()
	t.Cleanup(func() { b.cmd.Process.Kill() })
	for n := 0; n < 20; {
		if err := conn.QueryRow(ctx, "select count(*) from bench.load").Scan(&n); err != nil {
			t.Fatal(err)
		}
		select {
		case err := <-b.ended:
			t.Fatalf("the load has ended: %v\n%s", err, b.says)
		default:
		}
	}
	// What is lost is counted from the copies when the plan is made: a table that came
	// up only later would not have been agreed to.
	if err := l.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	return b
}

// cutOff waits for the end of a load whose server was taken away.
func (b *pgbench) cutOff(t *testing.T) {
	t.Helper()
	select {
	case err := <-b.ended:
		if err == nil {
			t.Errorf("nobody ended the load's sessions\n%s", b.says)
		}
	case <-time.After(10 * time.Minute):
		t.Fatal("the load goes on")
	}
}

// benchedIn asks the system that was live, and is again, what a load left there.
func benchedIn(t *testing.T, l *lost) benched {
	t.Helper()
	return benchedBy(t, l.Layout.URL("postgres", "shop"))
}

func benchedBy(t *testing.T, url string) (b benched) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "select count(*), max(pg_xact_commit_timestamp(xmin)) from bench.load").Scan(&b.rows, &b.last); err != nil {
		t.Fatal(err)
	}
	return b
}

// collation is the one of a database.
func collation(t *testing.T, url string) (name string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	if err := conn.QueryRow(t.Context(), "select datcollate::text from pg_database where datname = current_database()").Scan(&name); err != nil {
		t.Fatal(err)
	}
	return name
}

// loses holds what a report says was lost to the truth: the shop's own commits from
// the harm on, what the load had committed, and the transaction that made its table.
func (b benched) loses(t *testing.T, l *lost, rep *report.Report) {
	t.Helper()
	if len(rep.Live.Losses) != 1 || !rep.Live.Losses[0].Final {
		t.Fatalf("losses by the report: %+v", rep.Live.Losses)
	}
	loss := rep.Live.Losses[0].Only("shop")
	if want := l.lostCommits(t) + b.rows + 1; loss.Commits != want {
		t.Errorf("lost by the report %d commits, in truth %d, of which %d of the load", loss.Commits, want, b.rows)
	}
	var of recovery.TableLoss
	for _, table := range loss.Tables {
		if table.Table == "bench.load" {
			of = table
		}
	}
	if of.Inserted != b.rows || of.Updated != b.rows || of.Deleted != 0 {
		t.Errorf("lost by the report of the load's table %+v, in truth %d rows", of, b.rows)
	}
	if !loss.To.Time.Equal(b.last) {
		t.Errorf("the last commit was at %s by the report, in truth at %s", loss.To.Time, b.last)
	}
	// The moment is just before the harm. Where a cluster goes back, what the server
	// did by itself counts, too.
	last := rep.Live.Losses[0].To.Time
	if last.Before(b.last) || rep.Live.Losses[0].Commits == loss.Commits && !last.Equal(b.last) {
		t.Errorf("the last commit of all was at %s by the report, and the load's at %s", last, b.last)
	}
	want := last.Sub(l.incident.Harm.Time)
	if rpo := rep.Objectives.RPO.Achieved; rpo == nil || time.Duration(*rpo) != want {
		t.Errorf("achieved RPO %v, in truth %s from the harm (%s) to the last commit", rep.Objectives.RPO, want, l.incident.Harm.Time)
	}
}

// dumpUnderLoad hands a dump over while clients write, and then makes it live. The first
// takes nothing from anybody, and says so. Of the second no log tells what is lost, and
// that is said, before and after: since when, and until when; all of it is in the database
// that was live.
func dumpUnderLoad(t *testing.T, l *lost) {
	load := startBench(t, l)
	r := newRig(t).live(l)
	got := r.run(t.Context(), "recover", handOverRunbook(t, l, l.atDump), "--plain", "--to", l.dump)
	if got.code != recovery.CameBack {
		t.Fatalf("hand-over: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	select {
	case err := <-load.ended:
		t.Fatalf("a hand-over has ended the load: %v\n%s", err, load.says)
	default:
	}
	rep, err := report.Make(r.only(t))
	if err != nil {
		t.Fatal(err)
	}
	if len(rep.Live.Losses) > 0 || rep.Objectives.RPO.Says != "nothing live was replaced, so nothing was lost" {
		t.Errorf("lost by a hand-over: %+v, %s", rep.Live.Losses, rep.Objectives.RPO.Says)
	}
	h := r.lastState(t).HandedOver[0]
	if now := rowsOf(t, h.Local); !slices.Equal(now, l.atDump) {
		t.Errorf("handed over: %v, in the dump: %v", now, l.atDump)
	}
	if got := r.removes(t, filepath.Base(r.only(t)), h.Place); got.code != recovery.CameBack {
		t.Errorf("removed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	r = newRig(t).live(l)
	sorted := collation(t, l.URL()) // of which the dump tells nothing
	began := time.Now()
	got = r.run(t.Context(), "recover", liveRunbook(t, l, l.atDump), "--plain", "--to", l.dump, "--confirm", target(t))
	if got.code != recovery.CameBack || !strings.Contains(got.out, "; nothing here counts it") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	load.cutOff(t)
	if rep, err = report.Make(r.only(t)); err != nil {
		t.Fatal(err)
	}
	// From the dump until nobody could write any more: that much is known.
	if len(rep.Live.Losses) != 1 {
		t.Fatalf("lost: %+v", rep.Live.Losses)
	}
	loss := rep.Live.Losses[0]
	if !loss.Final || loss.Until.Before(began) || loss.Until.After(time.Now()) || loss.Since != r.lastState(t).Moment.Points[0].Backup.Taken {
		t.Errorf("lost since %+v until %s (final %v)", loss.Since, loss.Until, loss.Final)
	}
	switch rpo := rep.Objectives.RPO; {
	case loss.Since.Known() && (rpo.Achieved == nil || time.Duration(*rpo.Achieved) != loss.Until.Sub(loss.Since.To)),
		!loss.Since.Known() && rpo.Achieved != nil && time.Duration(*rpo.Achieved) > loss.Until.Sub(loss.Since.From):
		t.Errorf("the RPO of a recovery from a dump: %+v, since %+v", rpo, loss.Since)
	case !strings.Contains(rpo.Says, "when the writes had stopped; no log tells how much that is"):
		t.Errorf("it says %q", rpo.Says)
	}
	if !slices.Equal(rowsOf(t, l.URL()), l.atDump) {
		t.Error("live is not what is in the dump")
	}
	if now := collation(t, l.URL()); now != sorted {
		t.Errorf("text in live sorted by %s and sorts by %s", sorted, now)
	}
	// pgbench tells what it was told to be committed.
	var processed int64
	for line := range strings.Lines(load.says.String()) {
		if n, ok := strings.CutPrefix(line, "number of transactions actually processed: "); ok {
			fmt.Sscan(n, &processed)
		}
	}
	old := rep.Live.Old[0].Place
	statements(t, l.Layout.URL("postgres", "postgres"), fmt.Sprintf("alter database %s allow_connections true", old))
	b := benchedBy(t, l.Layout.URL("postgres", old))
	if processed == 0 || b.rows < processed {
		t.Errorf("%d transactions were told to be committed, and %s has %d rows of them", processed, old, b.rows)
	}
}
