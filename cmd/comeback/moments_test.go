package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/storagetest"

	"github.com/jackc/pgx/v5"
)

// momentsRig is a rig for the shop with its live server, and the shop's runbook.
func momentsRig(t *testing.T) (*lost, *rig, string) {
	t.Helper()
	l, r := theShop(t), newRig(t)
	r.environ["DATABASE_URL"] = l.URL()
	return l, r, runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), nil, "")
}

func (o output) has(t *testing.T, code recovery.Exit, parts ...string) {
	t.Helper()
	if o.code != code {
		t.Errorf("exit %d, want %d", o.code, code)
	}
	for _, part := range parts {
		if !strings.Contains(o.out+o.err, part) {
			t.Errorf("%q is not said", part)
		}
	}
	if t.Failed() {
		t.Logf("it says:\n%s\n%s", o.out, o.err)
	}
}

// The window, what the live server says, and what it costs that it is down.
func TestMoments_window(t *testing.T) {
	l, r, book := momentsRig(t)
	got := r.run(t.Context(), "moments", book, "--utc")
	got.has(t, recovery.CameBack, "times are in +00:00", l.base, l.dump, "window: any commit after ", "live       shop, PostgreSQL", "timeline 1, at LSN")
	// Where the archiver has taken segments without a commit since, it is a position.
	if until := regexp.MustCompile(`archived until (LSN [0-9A-F]+/[0-9A-F]+|\d{4}-\d\d-\d\d \d\d:\d\d)`); !until.MatchString(got.out) {
		t.Errorf("%s is not said:\n%s", until, got.out)
	}
	delete(r.environ, "DATABASE_URL")
	r.run(t.Context(), "moments", book).has(t, recovery.CameBack, "not asked: DATABASE_URL is not set; export DATABASE_URL", "how far the live server is, is not known", "window: ")
	r.environ["DATABASE_URL"] = "postgres://shop:very-secret@127.0.0.1:1/shop"
	down := r.run(t.Context(), "moments", book)
	down.has(t, recovery.CameBack, "not asked: the live server cannot be asked", "window: ")
	if strings.Contains(down.out+down.err, "very-secret") {
		t.Errorf("a password is shown: %s%s", down.out, down.err)
	}
	r.noRun(t)
}

// What did harm is listed with what it harmed, and the command that is printed
// for it goes to just before.
func TestMoments_harm(t *testing.T) {
	l, r, book := momentsRig(t)
	harm, drop := l.incident.Harm, l.incident.Drop
	got := r.run(t.Context(), "moments", book, "--around", harm.Time.Format(time.RFC3339Nano), "--span", "10m", "--utc")
	orders, items := thousands(l.incident.Before.After.Counts["orders"]), thousands(l.incident.Before.After.Counts["order_items"])
	got.has(t, recovery.CameBack,
		fmt.Sprintf("! %s  %d", harm.Time.UTC().Format(inTheDay), harm.XID), "delete orders "+orders, "delete order_items "+items,
		fmt.Sprintf("! %s  %d", drop.Time.UTC().Format(inTheDay), drop.XID), "drop ",
		fmt.Sprintf("KEPT  everything to xid %d of", l.incident.Before.After.XID), "LOST  this and ",
		"The log does not tell who did it", "2 harmful")
	only := r.run(t.Context(), "moments", book, "--around", fmt.Sprintf("xid:%d", harm.XID), "--harm")
	only.has(t, recovery.CameBack, "delete orders "+orders)
	if strings.Contains(only.out, "insert orders 1") {
		t.Errorf("--harm lists what did none:\n%s", only.out)
	}
	after := regexp.MustCompile(`LOST  this and (\d+) commits after it`).FindStringSubmatch(got.out)
	if after == nil {
		t.Fatalf("what is lost is not said:\n%s", got.out)
	}
	// The drop and 30 writes; the server's own come on top.
	if n, err := strconv.Atoi(after[1]); err != nil || n < 31 {
		t.Errorf("%s commits are lost", after[1])
	}
	m := regexp.MustCompile(`to just before it: comeback (.*)\n`).FindStringSubmatch(got.out)
	if m == nil {
		t.Fatalf("no command is printed:\n%s", got.out)
	}
	args := strings.Fields(m[1])
	args[1] = runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before, "")
	r.run(t.Context(), append(args, "--plain")...).has(t, recovery.CameBack, "EVERY CHECK HELD")
}

// Each transaction of the shop changes the numbers of rows by what is listed,
// whatever the copy is and its segments are packed with.
func TestMoments_counts(t *testing.T) {
	l, r, _ := momentsRig(t)
	server := storagetest.StartS3(t)
	server.Setenv(t)
	server.CreateBucket("backups")
	upload(t, server, l.Copy())
	for name, copyYAML := range map[string]string{
		"raw":  fmt.Sprintf("{url: %q}", l.CopyURL()),
		"gzip": fmt.Sprintf("{url: %q}", "file://"+packedCopy(t, l, ".gz", gzipped)),
		"zstd": fmt.Sprintf("{url: %q}", "file://"+packedCopy(t, l, ".zst", zstded)),
		"s3":   fmt.Sprintf("{url: \"s3://backups/shop\", region: %s, endpoint: %q, path_style: true}", storagetest.Region, server.Endpoint()),
	} {
		t.Run(name, func(t *testing.T) {
			got := r.run(t.Context(), "moments", runbook(t, copyYAML, nil, ""), "--around", "latest", "--span", "48h", "--limit", "100000", "--json")
			got.has(t, recovery.CameBack)
			listed := map[recovery.XID]recovery.Transaction{}
			for line := range strings.Lines(got.out) {
				var tx recovery.Transaction
				if err := json.Unmarshal([]byte(line), &tx); err != nil {
					t.Fatalf("%q: %v", line, err)
				}
				listed[tx.XID] = tx
			}
			l.judge(t, listed)
		})
	}
}

// judge compares what is listed with the shop's truth, from the base backup on.
func (l *lost) judge(t *testing.T, listed map[recovery.XID]recovery.Transaction) {
	t.Helper()
	commits := l.Commits()
	from := slices.IndexFunc(commits, func(c shop.Commit) bool { return c.XID == l.incident.Before.After.XID }) - 150
	for i := from; i < len(commits); i++ {
		c := commits[i]
		tx, ok := listed[c.XID]
		if !ok || !tx.Time.Equal(c.Time) || tx.How != recovery.Committed {
			t.Errorf("xid %d of %s: %+v", c.XID, c.Time, tx)
			continue
		}
		for _, table := range []string{"orders", "order_items", "uploads"} {
			var net int64
			for _, change := range tx.Tables {
				if change.Name == table {
					net += change.Inserted - change.Deleted
				}
			}
			if want := c.Counts[table] - commits[i-1].Counts[table]; net != want {
				t.Errorf("xid %d changes %s by %d, want %d (%s)", c.XID, table, net, want, c.Does)
			}
		}
	}
}

// A gap inside the span: what is on both sides is listed, the gap is named with
// what it costs.
func TestMoments_gap(t *testing.T) {
	l, r, _ := momentsRig(t)
	from, last := l.writeLog(t)
	dir := packedCopy(t, l, "", nil)
	segments := walSegments(t, dir)
	// The first after that of the position holds neither what was there before
	// nor the last commits.
	i := slices.IndexFunc(segments, func(path string) bool {
		f, _ := pitr.ParseFileName(filepath.Base(path))
		return recovery.LSN(f.Seg(1<<20))<<20 > from
	})
	name := filepath.Base(segments[i])
	if err := os.Remove(segments[i]); err != nil {
		t.Fatal(err)
	}
	book := runbook(t, fmt.Sprintf("{url: %q}", "file://"+dir), nil, "")
	r.run(t.Context(), "moments", book).has(t, recovery.CameBack, "GAP at ", name+" is missing", "costs every moment after it")
	got := r.run(t.Context(), "moments", book, "--around", l.incident.Harm.Time.Format(time.RFC3339Nano), "--span", "48h", "--limit", "100000")
	got.has(t, recovery.WithExceptions, "a part of the log was not read: segment "+name+" is missing", "next: ",
		fmt.Sprintf("  %d  HARM", l.incident.Harm.XID), fmt.Sprintf("  %d  no rows", last))
}

// writeLog writes some segments of log, in transactions that change nothing, and
// waits until they are archived. It returns where they begin, and the last
// transaction.
func (l *lost) writeLog(t *testing.T) (from recovery.LSN, last recovery.XID) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var lsn string
	if err := conn.QueryRow(t.Context(), "select pg_current_wal_insert_lsn()::text").Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	if from, err = recovery.ParseLSN(lsn); err != nil {
		t.Fatal(err)
	}
	for range 8 {
		var xid int64
		if err := conn.QueryRow(t.Context(), "select pg_current_xact_id()::text::int8 from pg_logical_emit_message(true, 'test', repeat('x', 400000))").Scan(&xid); err != nil {
			t.Fatal(err)
		}
		last = recovery.XID(xid)
	}
	if err := l.Archived(t.Context()); err != nil {
		t.Fatal(err)
	}
	return from, last
}

// What lies behind a gap is listed, and not offered.
func TestHappening_unreachable(t *testing.T) {
	h := happening{survey: recovery.Survey{Copy: "nearby", Windows: []recovery.Window{
		{From: recovery.Instant{LSN: 100}, To: recovery.Instant{LSN: 200}}, {From: recovery.Instant{LSN: 300}, To: recovery.Instant{LSN: 400}}}}}
	for lsn, reachable := range map[recovery.LSN]bool{99: false, 100: true, 199: true, 200: false, 350: true, 400: false} {
		why := h.unreachable(recovery.Transaction{Commit: recovery.Commit{LSN: lsn}})
		if (why == "") != reachable {
			t.Errorf("%d: %q", lsn, why)
		}
	}
}

// Without the live server there are numbers, and the way to names.
func TestMoments_numbers(t *testing.T) {
	l, r, _ := momentsRig(t)
	delete(r.environ, "DATABASE_URL")
	dir := t.TempDir()
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", l.Copy()+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(filepath.Join(dir, "wal", "names")); err != nil {
		t.Fatal(err)
	}
	book := runbook(t, fmt.Sprintf("{url: %q}", "file://"+dir), nil, "")
	got := r.run(t.Context(), "moments", book, "--around", fmt.Sprintf("xid:%d", l.incident.Harm.XID))
	got.has(t, recovery.CameBack, "HARM  delete table ", "NUMBERS ", "let the live server answer: export DATABASE_URL", thousands(l.incident.Before.After.Counts["orders"]))
	number := regexp.MustCompile(`HARM  delete table (\d+)`).FindStringSubmatch(got.out)
	if number == nil {
		t.FailNow()
	}
	r.run(t.Context(), "moments", book, "--around", "latest", "--table", number[1], "--harm").has(t, recovery.CameBack, "delete table "+number[1], "2 harmful")
	r.run(t.Context(), "moments", book, "--around", "latest", "--table", "1").has(t, recovery.CameBack, "touched 1")
	// A table that nobody can name any more may be the one.
	r.run(t.Context(), "moments", book, "--around", "latest", "--table", "carts").has(t, recovery.CameBack, "HARM  drop table ", "1 table without a name")
}

// What was saved beside the backup names the tables, those that were dropped too,
// although no live server is asked.
func TestMoments_savedNames(t *testing.T) {
	l, r, book := momentsRig(t)
	delete(r.environ, "DATABASE_URL")
	got := r.run(t.Context(), "moments", book, "--around", fmt.Sprintf("xid:%d", l.incident.Harm.XID))
	got.has(t, recovery.CameBack, "delete orders "+thousands(l.incident.Before.After.Counts["orders"])+" (about ", "HARM  drop carts", "2 harmful")
	if strings.Contains(got.out, "NUMBERS") || strings.Contains(got.out, "usual") {
		t.Errorf("it says:\n%s", got.out)
	}
}

// A limit keeps what is nearest to the time that was asked for.
func TestMoments_limit(t *testing.T) {
	l, r, book := momentsRig(t)
	harm := l.incident.Harm
	got := r.run(t.Context(), "moments", book, "--around", fmt.Sprintf("xid:%d", harm.XID), "--limit", "3")
	got.has(t, recovery.CameBack, "NOT LISTED", fmt.Sprintf("  %d  ", harm.XID), "LOST  this and ")
	if n := len(regexp.MustCompile(`(?m)^[ !] \d\d:`).FindAllString(got.out, -1)); n != 3 {
		t.Errorf("%d transactions are listed:\n%s", n, got.out)
	}
}

// cutting ends a context with the first line that is written.
type cutting struct {
	bytes.Buffer
	cancel context.CancelCauseFunc
}

func (c *cutting) Write(b []byte) (int, error) {
	c.cancel(errors.New("interrupted by ctrl-c"))
	return c.Buffer.Write(b)
}

// Whoever interrupts it has what was found until then.
func TestMoments_interrupted(t *testing.T) {
	_, r, book := momentsRig(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out := &cutting{cancel: cancel}
	var said bytes.Buffer
	code := r.app(out, &said).run(ctx, []string{"moments", book, "--around", "latest", "--json"})
	if code != recovery.Interrupted || strings.Count(out.String(), "\n") != 1 || !strings.Contains(said.String(), "interrupted by ctrl-c; read back to") {
		t.Errorf("exit %d\n%s\n%s", code, out.String(), said.String())
	}
}

// What the live server has not archived is told, pushed out, and then in the copy.
func TestMoments_switchWAL(t *testing.T) {
	l, r, book := momentsRig(t)
	r.run(t.Context(), "moments", book, "--switch-wal").has(t, recovery.Refused, "permission denied for function pg_switch_wal", "grant execute on function pg_switch_wal() to shop")
	r.environ["DATABASE_URL"] = l.Layout.URL("postgres", "shop")
	conn, err := pgx.Connect(t.Context(), l.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var lsn string
	// Log that changes nothing.
	if err := conn.QueryRow(t.Context(), "select pg_logical_emit_message(false, 'test', repeat('x', 1000))::text").Scan(&lsn); err != nil {
		t.Fatal(err)
	}
	got := r.run(t.Context(), "moments", book, "--switch-wal")
	got.has(t, recovery.CameBack, "pg_switch_wal() closed segment", "is in nearby", "archived until")
	m := regexp.MustCompile(`up to .*LSN ([0-9A-F/]+), timeline 1`).FindStringSubmatch(got.out)
	if m == nil {
		t.Fatalf("no end of a window:\n%s", got.out)
	}
	end, err := recovery.ParseLSN(m[1])
	at, errAt := recovery.ParseLSN(lsn)
	if err != nil || errAt != nil || end < at {
		t.Errorf("the copy ends at %s, and %s was pushed out", m[1], lsn)
	}
}

// A time without log says where there is some.
func TestMoments_nothing(t *testing.T) {
	_, r, book := momentsRig(t)
	r.run(t.Context(), "moments", book, "--around", "2020-01-01T00:00:00Z").has(t, recovery.CameBack, "nothing ended there", "the first window of nearby begins at ", "nearby is archived until ")
}

// What a server says is not compared with the backups of another cluster.
func TestLiveServer_sameCluster(t *testing.T) {
	s := recovery.Survey{Copy: "nearby", Backups: []recovery.Backup{{Details: map[string]string{"system identifier": "7301448812"}}}}
	l := &liveServer{Archiver: postgres.Archiver{SystemIdentifier: "7301448812"}}
	if err := l.sameCluster(s); err != nil {
		t.Error(err)
	}
	l.SystemIdentifier = "1"
	if _, err := l.names(t.Context(), s); err == nil || !strings.Contains(err.Error(), "another cluster") || recovery.HintOf(err) == "" {
		t.Errorf("%v (%s)", err, recovery.HintOf(err))
	}
}

// What is wrong with a command line is said with what to write instead, before
// anything is read.
func TestMoments_refusals(t *testing.T) {
	_, r, book := momentsRig(t)
	for name, c := range map[string]struct {
		args       []string
		code       recovery.Exit
		says, next string
	}{
		"no time":             {[]string{"--around", "soon"}, recovery.Usage, "--around \"soon\"", "14:30"},
		"no offset":           {[]string{"--around", "2026-11-23T02:41:07"}, recovery.Usage, "offset", "14:30"},
		"nothing":             {[]string{"--around", ""}, recovery.Usage, "empty", "give it, or leave it out"},
		"no such hour":        {[]string{"--around", "25:00"}, recovery.Usage, "25:00", "14:30"},
		"the future":          {[]string{"--around", "2999-01-01T00:00:00Z"}, recovery.Usage, "has not come yet", "passed"},
		"no xid":              {[]string{"--around", "xid:1"}, recovery.Usage, "xid:1", "xid:81214"},
		"unknown xid":         {[]string{"--around", "xid:4000000000"}, recovery.Refused, "4000000000", "next: "},
		"too long":            {[]string{"--around", "latest", "--span", "100h"}, recovery.Usage, "100h", "48h"},
		"negative":            {[]string{"--around", "latest", "--span", "-1m"}, recovery.Usage, "-1m", "48h"},
		"no limit":            {[]string{"--around", "latest", "--limit", "0"}, recovery.Usage, "--limit 0", "500"},
		"harm without around": {[]string{"--harm"}, recovery.Usage, "--harm needs --around", "--around"},
		"unknown engine":      {[]string{"--engine", "ptir"}, recovery.Usage, "there is no engine \"ptir\"", "pitr"},
		"unknown copy":        {[]string{"--copy", "moon"}, recovery.Usage, "moon", "copies"},
		"no log":              {[]string{"--around", "latest", "--engine", "dump"}, recovery.Refused, "no copy holds a log", "dumps have none"},
		"wait for nothing":    {[]string{"--wait", "1s"}, recovery.Usage, "--switch-wal", "--switch-wal"},
	} {
		t.Run(name, func(t *testing.T) {
			r.run(t.Context(), append([]string{"moments", book}, c.args...)...).has(t, c.code, c.says, "next: ", c.next)
		})
	}
	r.environ["DATABASE_URL"] = "postgres://127.0.0.1:1/shop"
	r.run(t.Context(), "moments", book, "--switch-wal").has(t, recovery.Failed, "push out the log of database", "next: start the server")
}

func TestParseAround(t *testing.T) {
	berlin := time.FixedZone("", 3600)
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, berlin)
	for text, want := range map[string]time.Time{
		"14:30":                     time.Date(2026, 11, 23, 14, 30, 0, 0, berlin),
		"2:05":                      time.Date(2026, 11, 23, 2, 5, 0, 0, berlin),
		"02:41:07":                  time.Date(2026, 11, 23, 2, 41, 7, 0, berlin),
		"10 minutes ago":            now.Add(-10 * time.Minute),
		"2026-11-23T02:41:07+01:00": time.Date(2026, 11, 23, 2, 41, 7, 0, berlin),
		"2026-11-23 02:41:07Z":      time.Date(2026, 11, 23, 2, 41, 7, 0, time.UTC),
	} {
		if got, err := parseAround(text, now, zone{at: berlin}); err != nil || !got.time.Equal(want) {
			t.Errorf("%q is %s, %v; want %s", text, got.time, err, want)
		}
	}
	_, err := parseAround("16:00", now, zone{at: berlin})
	if recovery.ExitOf(err) != recovery.Usage || !strings.Contains(recovery.HintOf(err), "2026-11-22T16:00:00+01:00") {
		t.Errorf("a time of this evening: %v (%s)", err, recovery.HintOf(err))
	}
}

// A time of the day that clocks showed twice, or never, is not guessed, and a list says where
// they were changed.
func TestParseAround_clocksChange(t *testing.T) {
	for _, c := range []struct{ zone, now, around, want, hint string }{
		{"Europe/Berlin", "2026-10-25T02:50:00+01:00", "02:43", "", "2026-10-25T02:43:00+02:00 or 2026-10-25T02:43:00+01:00"},
		{"Europe/Berlin", "2026-10-25T02:50:00+02:00", "02:43", "2026-10-25T02:43:00+02:00", ""},
		{"Europe/Berlin", "2026-10-26T02:10:00+01:00", "02:43", "", "yesterday, write 2026-10-25T02:43:00+02:00 or 2026-10-25T02:43:00+01:00"},
		{"Europe/Berlin", "2026-03-29T04:00:00+02:00", "02:30", "", "2026-03-29T01:30:00+01:00 or 2026-03-29T03:30:00+02:00"},
		{"Europe/London", "2026-10-25T09:00:00Z", "01:43:10", "", "2026-10-25T01:43:10+01:00 or 2026-10-25T01:43:10Z"},
		{"America/New_York", "2026-11-01T09:00:00-05:00", "01:50", "", "2026-11-01T01:50:00-04:00 or 2026-11-01T01:50:00-05:00"},
		{"America/New_York", "2026-11-01T09:00:00-05:00", "02:50", "2026-11-01T02:50:00-05:00", ""},
	} {
		at, err := time.LoadLocation(c.zone)
		if err != nil {
			t.Fatal(err)
		}
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		switch got, err := parseAround(c.around, now, zone{at: at}); {
		case c.want == "" && (recovery.ExitOf(err) != recovery.Usage || !strings.Contains(recovery.HintOf(err), c.hint)):
			t.Errorf("%s at %s in %s: %s, %v (%s)", c.around, c.now, c.zone, got.time, err, recovery.HintOf(err))
		case c.want != "" && (err != nil || got.time.In(at).Format(time.RFC3339) != c.want):
			t.Errorf("%s at %s in %s: %s, %v; want %s", c.around, c.now, c.zone, got.time, err, c.want)
		}
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := func(utc string) time.Time {
		t, err := time.Parse(time.RFC3339, utc)
		if err != nil {
			panic(err)
		}
		return t.In(berlin)
	}
	for _, c := range []struct{ before, at, want string }{
		{"2026-10-24T23:00:00Z", "2026-10-25T00:59:59Z", ""}, {"2026-10-24T21:00:00Z", "2026-10-24T22:00:00Z", "2026-10-25"},
		{"2026-10-25T00:59:59Z", "2026-10-25T01:00:00Z", "2026-10-25, times are in +01:00 from here on"},
		{"2026-10-25T12:00:00Z", "2026-10-24T12:00:00Z", "2026-10-24, times are in +02:00 from here on"},
	} {
		if got := turns(at(c.before), at(c.at)); got != c.want {
			t.Errorf("after %s, %s: %q, want %q", c.before, c.at, got, c.want)
		}
	}
}

// Whatever is typed is a time that has passed, a transaction, or refused with a
// hint.
func FuzzParseAround(f *testing.F) {
	for _, text := range []string{"14:30", "2:05:07.5", "25:61", "latest", "xid:81214", "xid:-1", "10 minutes ago", "99999999999 days ago",
		"2026-11-23T02:41:07+01:00", "2999-01-01T00:00:00Z", "2026-11-23T02:41:07", "", "\x00", "db/2026-11-22.sql.gz"} {
		f.Add(text)
	}
	now := time.Date(2026, 11, 23, 15, 0, 0, 0, time.FixedZone("", 3600))
	f.Fuzz(func(t *testing.T, text string) {
		got, err := parseAround(text, now, zone{at: now.Location()})
		switch {
		case err != nil:
			if recovery.ExitOf(err) != recovery.Usage || recovery.HintOf(err) == "" {
				t.Errorf("%q: %v (%s)", text, err, recovery.HintOf(err))
			}
		case got.latest || got.xid >= 3:
		case got.time.IsZero() || got.time.After(now):
			t.Errorf("%q is %s", text, got.time)
		}
	})
}

// Times are in one zone; the database's own stands beside it where it differs.
func TestZone(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 41, 7, 221e6, time.UTC)
	here := zone{at: time.FixedZone("", 3600)}
	far := here.with(postgres.Archiver{Zone: "Nowhere/Known", Now: at.In(time.FixedZone("Nowhere/Known", 9*3600))})
	for want, got := range map[string]string{
		"2026-11-23 02:41:07+01:00":                                                 here.time(at),
		"2026-11-23 02:41:07.221+01:00":                                             here.exact(at),
		"2026-11-23 02:41:07+01:00 (10:41:07 Nowhere/Known)":                        far.time(at),
		"2026-11-23 02:41:07+01:00 (01:41:07 UTC)":                                  here.with(postgres.Archiver{Zone: "UTC", Now: at}).time(at),
		"times are in +01:00":                                                       here.explain(at),
		"times are in +01:00; the database's own zone is UTC, where 02:41 is 01:41": here.with(postgres.Archiver{Zone: "UTC", Now: at}).explain(at),
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// walSegments are the segments of a copy, in order.
func walSegments(t *testing.T, dir string) []string {
	t.Helper()
	all, err := filepath.Glob(filepath.Join(dir, "wal", strings.Repeat("?", 24)))
	if err != nil || len(all) < 3 {
		t.Fatalf("segments: %v, %v", all, err)
	}
	slices.Sort(all)
	return all
}

// packedCopy is a copy of the shop's copy, its segments packed.
func packedCopy(t *testing.T, l *lost, suffix string, pack func(t testing.TB, b []byte) []byte) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(l.Copy())); err != nil {
		t.Fatal(err)
	}
	for _, path := range walSegments(t, dir) {
		f, ok := pitr.ParseFileName(filepath.Base(path))
		if pack == nil || !ok || f.Kind != walfile.Segment {
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(os.WriteFile(path+suffix, pack(t, b), 0o600), os.Remove(path)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func zstded(t testing.TB, b []byte) []byte {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "zstd", "-1", "-q", "-c")
	cmd.Stdin, cmd.Stderr = bytes.NewReader(b), os.Stderr
	packed, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return packed
}
