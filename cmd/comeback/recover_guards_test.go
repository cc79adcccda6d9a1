package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/runner"

	"github.com/jackc/pgx/v5"
)

// While a run waits for its people, somebody makes the database anew under its
// name, another operator starts a second run, and somebody types the name of the
// first plan for a changed one: nothing of it reaches live.
func TestRecover_meanwhile(t *testing.T) {
	l := ownShop(t)
	r := newRig(t).live(l)
	path := liveRunbook(t, l, l.before)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(strings.Replace(string(b), "## Switch\nBudget: 2m.\n", "## Switch\nBudget: 2m.\n\n- [ ] Everybody agrees\n", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	a := r.app(nil, nil)
	opened, _, err := a.open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	cat, err := a.survey(t.Context(), opened, nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.plan(t.Context(), opened, cat, choices{mode: recovery.Recovery, to: fmt.Sprintf("before-xid:%d", l.incident.Harm.XID)})
	if err != nil {
		t.Fatal(err)
	}
	run, err := a.start(t.Context(), opened, p, "test", runner.Launch{Confirm: target(t)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(run.Close)
	ticks := "3.1.ticks"
	untilState(t, run, func(s *recovery.State) bool {
		return waitsFor(ticks, recovery.WaitTicks)(s) && s.Step("database.load").State == recovery.Done
	})
	second := r.run(t.Context(), "recover", path, "--plain", "--to", l.dump, "--confirm", target(t))
	if second.code != recovery.Refused || !strings.Contains(second.err, "run "+p.Run) {
		t.Errorf("a second run: exit %d: %s", second.code, second.err)
	}
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, sql := range []string{"alter database shop rename to shop_aside", "create database shop"} {
		if _, err := conn.Exec(t.Context(), "select pg_terminate_backend(pid) from pg_stat_activity where datname = 'shop'"); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	aside := l.Layout.URL("postgres", "shop_aside")
	harmed := rowsOf(t, aside)
	do(t, run, recovery.Command{Kind: recovery.DoTick, Step: ticks, How: recovery.TickDone})
	state := untilState(t, run, waitsFor("database.fence", recovery.WaitDecision))
	if st := state.Step("database.fence"); st.ExitCode != recovery.Refused || !strings.Contains(st.Error, "database oid was") {
		t.Errorf("the fence says %q (exit %d)", st.Error, st.ExitCode)
	}
	do(t, run, recovery.Command{Kind: recovery.DoStop, Text: "enough"})
	if state = untilEnd(t, run); state.Result != recovery.ResultInterrupted || len(state.Old) > 0 {
		t.Errorf("ended as %s: %s", state.Result, state.Says)
	}
	if !slices.Equal(rowsOf(t, aside), harmed) {
		t.Error("the database that was live was changed")
	}
	var n int
	if err := conn.QueryRow(t.Context(), "select count(*) from pg_database where datname like 'shop\\_%' and datname <> 'shop_aside'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d databases of the run are left, %v", n, err)
	}
	if got := r.run(t.Context(), "switch-back", filepath.Base(run.Dir()), "--plain", "--confirm", target(t)); got.code != recovery.Refused || !strings.Contains(got.err, "has put nothing aside") {
		t.Errorf("switched back: exit %d: %s", got.code, got.err)
	}
}

// A dump that reaches for the live server, or for the host, is refused, and neither is
// changed: it is executed nowhere but in scratch, and not that.
func TestRecover_hostileDump(t *testing.T) {
	l := theShop(t)
	before := rowsOf(t, l.URL())
	whole := pgDump(t, "pg_dump", "--create", "--clean", "--dbname", l.Layout.URL("postgres", "shop"))
	end := bytes.LastIndex(whole, []byte("--\n-- PostgreSQL database dump complete"))
	if end < 0 {
		t.Fatal("the dump has no end")
	}
	touched := filepath.Join(t.TempDir(), "touched")
	for name, says := range map[string]string{
		"a shell":        `\! touch ` + touched,
		"another server": `\connect "host=` + l.Socket() + ` user=postgres dbname=shop"` + "\ndelete from order_items;",
		"a program":      "COPY public.orders FROM PROGRAM 'touch " + touched + "';",
	} {
		t.Run(name, func(t *testing.T) {
			copied := t.TempDir()
			hostile := slices.Concat(whole[:end], []byte(says+"\n"), whole[end:])
			if err := os.WriteFile(filepath.Join(copied, "shop.sql"), hostile, 0o600); err != nil {
				t.Fatal(err)
			}
			r := newRig(t).live(l)
			book := runbook(t, fmt.Sprintf("{url: %q}", "file://"+copied), nil, "\n## Switch\n\n```yaml\nswitch: database\n```\n")
			got := r.run(t.Context(), "recover", book, "--plain", "--to", "shop.sql", "--confirm", target(t))
			if got.code != recovery.Refused || !strings.Contains(got.out+got.err, "refused") {
				t.Errorf("exit %d\n%s%s", got.code, got.out, got.err)
			}
		})
	}
	if _, err := os.Lstat(touched); err == nil {
		t.Error("the host was reached")
	}
	if !slices.Equal(rowsOf(t, l.URL()), before) {
		t.Error("live was changed")
	}
}

// Where both copies do not fit the plan is refused before anything runs, with the other
// ways: another directory, another host, single tables.
func TestRecover_tooSmall(t *testing.T) {
	l := theShop(t)
	ways := []string{"into another directory with --scratch", "on another host", "only some tables or rows back: comeback rescue"}
	pages := newPages(t)
	for name, c := range map[string]struct {
		book, to, step string
		says           []string
	}{
		"database":    {liveRunbook(t, l, l.before), l.dump, "database.load", ways},
		"cluster":     {clusterRunbook(t, l, l.before, ""), l.base, "database.copy", ways},
		"a directory": {pages.book, "latest", "pages.restore", []string{"another directory as its `path:`", "on another host"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t).live(l)
			p := r.planned(t, "recover", c.book, "--to", c.to)
			i := slices.IndexFunc(p.Steps, func(s recovery.Step) bool { return s.ID == c.step })
			if i < 0 || len(p.Steps[i].Guards) == 0 {
				t.Fatalf("no step %s looks for room", c.step)
			}
			p.Steps[i].Guards[0].Bytes = 1 << 60 // as if what comes back were that large
			_, err := execute.CheckPlan(p)
			if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), "1.15 EB") {
				t.Fatalf("exit %d: %v", recovery.ExitOf(err), err)
			}
			for _, way := range c.says {
				if !strings.Contains(recovery.HintOf(err), way) {
					t.Errorf("%q is not told in %q", way, recovery.HintOf(err))
				}
			}
		})
	}
}

// What a shell block needs is missed before anything runs, not after the switch.
func TestRecover_needs(t *testing.T) {
	l := theShop(t)
	r := newRig(t).live(l)
	path := liveRunbook(t, l, l.before)
	b, err := os.ReadFile(path)
	if err == nil {
		err = os.WriteFile(path, append(b, "\n```sh\n# run: smoke test\n# in: recovery\ncurl -fsS \"$APP_URL/health\"\n```\n"...), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "recover", path, "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t))
	if got.code != recovery.Usage || !strings.Contains(got.err, `"run: smoke test" needs APP_URL`) {
		t.Errorf("exit %d: %s", got.code, got.err)
	}
	r.noRun(t)
}

// Somebody lets users in again between the fence and the exchange, while no runner
// lives: the run that is taken up shuts them out anew, and counts what they wrote.
func TestRecover_openedMeanwhile(t *testing.T) {
	if plainly(t) {
		return
	}
	l := ownShop(t)
	harmed := rowsOf(t, l.URL())
	r := newRig(t).live(l)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.started/1 database.swap"
	r.run(t.Context(), "recover", liveRunbook(t, l, l.before), "--plain", "--to", fmt.Sprintf("before-xid:%d", l.incident.Harm.XID), "--confirm", target(t))
	delete(r.environ, "COMEBACK_TEST_KILL")
	run := filepath.Base(r.only(t))
	if state := r.stateOf(t, run); state.Step("database.loss").State != recovery.Done || len(state.Old) > 0 {
		t.Fatalf("it was not killed between the count and the exchange: %v", state.Step("database.swap").State)
	}
	// The log has the closed database by now, and an open one that was loaded beside it:
	// a copy of this moment is still one of the first.
	closed := newRig(t).live(l)
	if got := closed.run(t.Context(), "rehearse", runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), harmed, ""), "--plain", "--to", "latest"); got.code != recovery.CameBack || !strings.Contains(got.out, "database shop let nobody in at the moment") {
		t.Errorf("rehearsed to a moment within a switch: exit %d\n%s%s", got.code, got.out, got.err)
	}
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "alter database shop allow_connections true"); err != nil {
		t.Fatal(err)
	}
	if err := l.Write(t.Context(), 1); err == nil {
		t.Error("the session that the fence ended goes on")
	}
	if err := l.Write(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if got := r.run(t.Context(), "resume", run, "--plain", "--unattended"); got.code != recovery.CameBack {
		t.Fatalf("resumed: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	state := r.stateOf(t, run)
	if len(state.Losses) != 1 || state.Losses[0].Commits != l.lostCommits(t) {
		t.Errorf("lost by the journal: %+v; in truth %d commits", state.Losses, l.lostCommits(t))
	}
	if !slices.Equal(rowsOf(t, l.URL()), l.before) {
		t.Error("live is not what it was before the harm")
	}
	recoverFromWholeServer(t, l)
}

// A script of pg_dumpall speaks of the whole server: of every database, which it drops
// first, of roles and their rights. A recovery from it switches its own database, and
// does nothing to the others, nor to a role.
func recoverFromWholeServer(t *testing.T, l *lost) {
	super := l.Layout.URL("postgres", "postgres")
	ask := func(url string, sql ...string) (answer string) {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close(t.Context())
		for _, one := range sql[:len(sql)-1] {
			if _, err := conn.Exec(t.Context(), one); err != nil {
				t.Fatal(err)
			}
		}
		if err := conn.QueryRow(t.Context(), sql[len(sql)-1]).Scan(&answer); err != nil {
			t.Fatal(err)
		}
		return answer
	}
	neighbour := l.Layout.URL("postgres", "neighbour")
	ask(super, `create database neighbour`, `alter database neighbour set work_mem = '9MB'`, `select ''`)
	ask(neighbour, `create table theirs as select generate_series(1, 10) n`, `select ''`)
	copied := t.TempDir()
	all := pgDump(t, "pg_dumpall", "--clean", "--if-exists", "--dbname", super)
	if !bytes.Contains(all, []byte("DROP DATABASE IF EXISTS neighbour;")) {
		t.Fatal("the script drops nothing")
	}
	if err := os.WriteFile(filepath.Join(copied, "all.sql"), bytes.Replace(all, []byte("\n\\connect "), []byte("\nALTER ROLE shop SUPERUSER;\nALTER ROLE postgres PASSWORD 'theirs';\n\\connect "), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	ask(neighbour, `insert into theirs values (11)`, `select ''`)
	server := func() string {
		return ask(neighbour, `select (select string_agg(a::text, ' ' order by oid) from pg_authid a) || (select string_agg(m::text, ' ' order by m::text) from pg_auth_members m)
			|| (select string_agg(oid || datname || coalesce(datacl::text, ''), ' ' order by oid) from pg_database where datname not like 'shop%')
			|| (select string_agg(setconfig::text, ' ' order by setdatabase, setrole) from pg_db_role_setting where setdatabase not in (select oid from pg_database where datname like 'shop%'))
			|| (select string_agg(spcname || coalesce(spcacl::text, ''), ' ' order by oid) from pg_tablespace) || (select md5(string_agg(n::text, ' ' order by n)) from theirs)
			|| (select md5(string_agg(f::text, ' ' order by seqno)) from pg_file_settings f)`)
	}
	was, rows := server(), rowsOf(t, l.URL())
	l.do(t, "delete from order_items where order_id = (select min(id) from orders)")
	r := newRig(t).live(l)
	book := runbook(t, fmt.Sprintf("{url: %q}", "file://"+copied), rows, "\n## Switch\n\n```yaml\nswitch: database\n```\n")
	recovers := func() output {
		return r.run(t.Context(), "recover", book, "--plain", "--to", "all.sql", "--confirm", target(t))
	}
	harmed := rowsOf(t, l.URL())
	if got := recovers(); got.code != recovery.Failed && got.code != recovery.Usage || !strings.Contains(got.out+got.err, "all.sql holds several databases: neighbour, shop") {
		t.Errorf("without the database's name: exit %d\n%s%s", got.code, got.out, got.err)
	}
	if now := server(); now != was || !slices.Equal(rowsOf(t, l.URL()), harmed) {
		t.Errorf("a refusal has changed live\n%s\n%s", was, now)
	}
	text, err := os.ReadFile(book)
	if err == nil {
		err = os.WriteFile(book, []byte(strings.Replace(string(text), `url: "${DATABASE_URL}"}`, `url: "${DATABASE_URL}", database: shop}`, 1)), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	got := recovers()
	if got.code != recovery.CameBack && got.code != recovery.WithExceptions {
		t.Fatalf("exit %d\n%s%s", got.code, got.out, got.err)
	}
	if !slices.Equal(rowsOf(t, l.URL()), rows) {
		t.Error("the database is not what it was in the script")
	}
	if now := server(); now != was {
		t.Errorf("the server was\n%s\nand is\n%s", was, now)
	}
}

// A recovery that nobody is asked about does not begin where a step cannot go on without
// somebody.
func TestRecover_needsPeople(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	text, err := os.ReadFile(p.book)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct{ front, block, says string }{
		"approval": {"people: [{role: lead, reach: \"#lead\", key: \"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHUPFqfhx0ZIMLhsXw1MBV5l3mTNQrWb9nJZnHqQWqlH\"}]\n", "```yaml\napprove: lead\n```\n", "waits for a person's signature"},
		"terminal": {"", "```sh\n# run: ask\n# terminal: yes\nread name\n```\n", `"run: ask" talks with a person`},
	} {
		t.Run(name, func(t *testing.T) {
			r, book := newRig(t), filepath.Join(t.TempDir(), "pages.md")
			asks := strings.NewReplacer("rto: 30m\n", "rto: 30m\n"+c.front, "## Switch\n\n", "## Switch\n\n"+c.block+"\n").Replace(string(text))
			if err := os.WriteFile(book, []byte(asks), 0o600); err != nil {
				t.Fatal(err)
			}
			r.run(t.Context(), "recover", book, "--plain", "--to", "latest", "--confirm", p.name(t)).has(t, recovery.Refused, c.says, "without --confirm")
			r.noRun(t)
		})
	}
}

// Where a runbook switches nothing, a block that a recovery runs may change what is live all
// the same: it needs the system's name, and what it did is not told as nothing.
func TestRecover_blocksNeedTheName(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	r := newRig(t)
	mark := filepath.Join(t.TempDir(), "ran")
	book := copyBook(t, p.book, "## Switch\n\n```yaml\nswitch: pages\n```\n", fmt.Sprintf("## Tell\n\n```sh\n# run: tell it\n# in: recovery\ntouch %s\n```\n", mark))
	r.run(t.Context(), "recover", book, "--plain", "--to", "latest").has(t, recovery.Refused, "runs blocks that may change what is live of pages", "--confirm pages")
	r.noRun(t)
	if _, err := os.Stat(mark); err == nil {
		t.Error("the block ran")
	}
	r.run(t.Context(), "recover", book, "--plain", "--to", "latest", "--confirm", "pages").has(t, recovery.CameBack, "live: 1 block of the runbook will run", "live: its data untouched")
	if _, err := os.Stat(mark); err != nil {
		t.Error(err)
	}
	state := r.stateOf(t, filepath.Base(r.only(t)))
	if says := state.LiveSays(time.UTC); says != "data untouched, 1 block has run; what came back lies beside it" {
		t.Errorf("live is %q", says)
	}
	for _, h := range state.HandedOver {
		if err := os.RemoveAll(h.Place); err != nil {
			t.Error(err)
		}
	}
}
