package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/report"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storagetest"
)

// tended is a shop that is backed up for weeks on a calendar: a real server archives
// into a directory and into buckets of two accounts, one of which locks.
type tended struct {
	*backedUp
	t   *testing.T
	s3  *storagetest.S3
	cal calendar
	// every is the time between two nights, after how long after a night is looked.
	every, after time.Duration
	text         string // of the runbook
	command      string // that archives
	// quiet says that nothing goes wrong in some nights.
	quiet   bool
	random  *rand.Rand
	uploads int
	lost    string // a segment that was taken away
	lasting bool   // something of last night ends with this night's backups
	whole   int    // nights in a row whose backups are all in every copy
}

// The accounts, and the bucket of each.
var accounts = []string{"offsite", "vault"}

// lockDays is how long the offsite bucket locks what is stored there.
const lockDays = 20

func openTended(t *testing.T, seed uint64, every time.Duration) *tended {
	t.Helper()
	y := &tended{t: t, s3: storagetest.StartS3(t), every: every, after: every * 3 / 8, random: rand.New(rand.NewPCG(seed, 1))}
	y.s3.Setenv(t)
	place := shoptest.Dir(t)
	var keys strings.Builder
	for _, name := range accounts {
		a := y.s3.CreateUser(name)
		fmt.Fprintf(&keys, "[%s]\naws_access_key_id = %s\naws_secret_access_key = %s\n", name, a.AccessKey, a.SecretKey)
		if y.s3.CreateLocking(name); name == "vault" {
			y.s3.SetLocking(name, 0)
		}
		y.s3.Allow(name, a, "s3:*")
	}
	// The server's user stores there, too.
	profiles := filepath.Join(place, "credentials")
	if err := os.WriteFile(profiles, []byte(keys.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", profiles)
	y.backedUp = &backedUp{Shop: shoptest.Open(t, shop.Options{Scale: 20, Seed: 8}), rig: newRig(t), copies: map[string]string{}}
	if err := y.Furnish(t.Context()); err != nil {
		t.Fatal(err)
	}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	y.environ["DATABASE_URL"], y.environ["ADMIN_URL"], y.environ["CONFIG_IDENTITY"] = y.URL(), y.Layout.URL("postgres", "postgres"), identity.String()
	for _, name := range []string{"nearby", "spool"} {
		dir := filepath.Join(place, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		y.own(t, dir)
		y.copies[name] = dir
	}
	y.spool = y.copies["spool"]
	delete(y.copies, "spool")
	bucket := func(name string) string {
		return fmt.Sprintf("  %[1]s: {url: \"s3://%[1]s/shop\", region: %s, endpoint: %q, path_style: true, profile: %[1]s}\n", name, storagetest.Region, y.s3.Endpoint())
	}
	retain := ", retain: [6 daily, 3 weekly]"
	y.book = filepath.Join(place, "shop.md")
	y.text = fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 15m\nrto: 2h\nrehearse: 90d\nneeds: {DATABASE_URL: \"from the vault\", ADMIN_URL: \"from the vault\", CONFIG_IDENTITY: \"from the vault\"}\n"+
		"people: [{role: platform on-call, reach: \"#incidents\"}]\ncopies:\n  nearby: {url: %q}\n"+bucket("offsite")+bucket("vault")+"components:\n"+
		"  database: {kind: postgres, url: \"${DATABASE_URL}\", admin: \"${ADMIN_URL}\""+retain+"}\n  uploads: {kind: files, path: %q, prefix: uploads/"+retain+"}\n"+
		"  config: {kind: config, paths: [%q], prefix: config/, recipients: [%s], identity: \"${CONFIG_IDENTITY}\""+retain+"}\n  code: {kind: code, path: %q, prefix: code/"+retain+"}\n---\n# Shop\n\n"+
		"## Restore\nBudget: 5m.\n\n```yaml\nrestore: [database, uploads, config, code]\n```\n\n## Check\n\n```sql\n-- check: there are orders\n-- on: database\n-- expect: > 0\nselect count(*) from orders;\n```\n",
		"file://"+y.copies["nearby"], y.Uploads(), y.Settings(), identity.Recipient(), y.App())
	y.write(y.text)
	// All of it is done by itself, as far as check sees.
	cron := y.run(t.Context(), "schedule", y.book, "--cron")
	cron.has(t, recovery.CameBack, "# "+cronDir+"/comeback-shop\n")
	_, crontab, _ := strings.Cut(cron.out, "\n")
	if err := errors.Join(os.Mkdir(filepath.Join(y.state, "cron"), 0o700), os.WriteFile(filepath.Join(y.state, "cron", "comeback-shop"), []byte(crontab), 0o600)); err != nil {
		t.Fatal(err)
	}
	y.command = y.archive(t, place, "AWS_SHARED_CREDENTIALS_FILE="+profiles, "AWS_CONFIG_FILE=/dev/null", "AWS_EC2_METADATA_DISABLED=true")
	y.sql("alter system set archive_timeout = '300s'", "alter system set max_slot_wal_keep_size = '2MB'", "select pg_reload_conf()")
	return y
}

func (y *tended) write(text string) {
	y.t.Helper()
	if err := os.WriteFile(y.book, []byte(text), 0o644); err != nil {
		y.t.Fatal(err)
	}
}

// sql is what an administrator does.
func (y *tended) sql(statements ...string) {
	y.t.Helper()
	y.sqlAt(y.Layout.URL("postgres", "postgres"), statements...)
}

func (y *tended) sqlAt(url string, statements ...string) {
	y.t.Helper()
	conn, err := pgx.Connect(y.t.Context(), url)
	if err != nil {
		y.t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(y.t.Context()))
	for _, sql := range statements {
		if _, err := conn.Exec(y.t.Context(), sql); err != nil {
			y.t.Fatalf("%s: %v", sql, err)
		}
	}
}

// show moves the calendar, and all that follows it.
func (y *tended) show(to time.Time) {
	y.t.Helper()
	y.moveTimes()
	y.ahead = y.cal.show(to)
	y.lockFor(lockDays)
}

// lockFor sets for how many days of the calendar the offsite bucket locks: those that
// the calendar is ahead of the server are added.
func (y *tended) lockFor(days int) {
	y.t.Helper()
	if days > 0 {
		days += int(y.ahead / (24 * time.Hour))
	}
	y.s3.SetLocking("offsite", days)
}

// moveTimes takes what was stored since the last time to the calendar.
func (y *tended) moveTimes() {
	y.t.Helper()
	if len(y.cal.marks) == 0 {
		return
	}
	y.cal.files(y.t, y.copies["nearby"])
	for _, name := range accounts {
		y.s3.MoveTimes(name, y.cal.moved, y.cal.now())
	}
	y.s3.LockNew("offsite", y.cal.now().AddDate(0, 0, lockDays))
}

// people lets people work: they order, upload, and now and then deploy.
func (y *tended) people(deploys bool) {
	y.t.Helper()
	ctx := y.t.Context()
	if err := y.Write(ctx, 3); err != nil {
		y.t.Fatal(err)
	}
	y.uploads++
	if err := os.WriteFile(filepath.Join(y.Uploads(), fmt.Sprintf("of-night-%d.txt", y.uploads)), []byte(y.cal.now().String()), 0o644); err != nil {
		y.t.Fatal(err)
	}
	if deploys {
		if _, err := y.Deploy(ctx, "another version"); err != nil {
			y.t.Fatal(err)
		}
	}
}

// commit commits something that is in no backup and no tree.
func (y *tended) commit() {
	y.t.Helper()
	y.sqlAt(y.URL(), "comment on table orders is '"+y.cal.now().String()+"'")
}

// archived waits until the log is in the copies: what a push has not waited for is
// brought to them as the timer does.
func (y *tended) archived() {
	y.t.Helper()
	if err := y.Archived(y.t.Context()); err != nil {
		y.t.Fatal(err)
	}
	y.run(y.t.Context(), "wal", "push", y.book, "--catch-up", "--spool", y.spool) // a copy that is denied gets it later
}

// check is what comeback check says, by the ids of what it finds.
func (y *tended) check() (ids []string, says map[string]string, text string) {
	y.t.Helper()
	y.moveTimes()
	y.surveyed, y.gathered, y.skewed = y.cal.surveys, y.cal.evidence, y.cal.skew
	defer func() { y.surveyed, y.gathered, y.skewed = nil, nil, nil }()
	got := y.run(y.t.Context(), "check", y.book, "--json")
	var a recovery.Assessment
	if err := json.Unmarshal([]byte(got.out), &a); err != nil {
		y.t.Fatalf("exit %d: %v\n%s%s", got.code, err, got.out, got.err)
	}
	says = map[string]string{}
	for _, f := range a.Findings {
		ids = append(ids, f.ID)
		says[f.ID] = f.Says
	}
	slices.Sort(ids)
	want := recovery.CheckWarning
	if len(ids) == 0 {
		want = recovery.CheckOK
	}
	if got.code != want {
		y.t.Errorf("%s: exit %d, want %d", y.cal.now().Format(time.DateOnly), got.code, want)
	}
	return ids, says, strings.Join(a.Lines(checkWidth, time.UTC), "\n")
}

// listed is what the copies hold by the calendar, with when it was stored.
func (y *tended) listed() string {
	y.t.Helper()
	var b strings.Builder
	y.surveyed = func(cat *catalogue.Catalogue) {
		for _, s := range cat.Surveys {
			real := slices.Clone(s.Backups)
			y.cal.surveys(&catalogue.Catalogue{Surveys: []recovery.Survey{s}})
			for i, is := range s.Backups {
				fmt.Fprintf(&b, "%s  %s  %s  of %s (told %s), stored %s  %s\n", s.Copy, s.Engine, is.ID, is.Taken, real[i].Taken, is.Stored().UTC().Format(time.RFC3339Nano), is.Problem)
			}
		}
		for _, r := range cat.Refusals {
			fmt.Fprintf(&b, "%s  %s  %s  refused: %v\n", r.Copy, r.Engine, r.Component, r.Err)
		}
	}
	defer func() { y.surveyed = nil }()
	y.run(y.t.Context(), "moments", y.book)
	for _, m := range y.cal.marks {
		fmt.Fprintf(&b, "from %s on it is %s\n", m.from.UTC().Format(time.RFC3339Nano), m.from.Add(m.ahead).UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

// retain removes what may go.
func (y *tended) retain(want recovery.Exit) {
	y.t.Helper()
	y.moveTimes()
	y.surveyed, y.skewed = y.cal.surveys, y.cal.skew
	defer func() { y.surveyed, y.skewed = nil, nil }()
	y.run(y.t.Context(), "retain", y.book, "--remove").has(y.t, want)
}

// TestMonth lets a real shop be backed up, archived, retained, deployed and checked for
// weeks on a calendar, while one thing after another goes wrong. Each is found when it
// is there, and nothing else ever is. In a soak it is a year of nights.
func TestMonth(t *testing.T) {
	if plainly(t) {
		return
	}
	nights, every, rehearsals := 8, 96*time.Hour, 1
	always := []string{"3-2-1-1-0/1 elsewhere", "3-2-1-1-0/3 copies", "proof/copy/offsite", "proof/copy/vault"}
	if os.Getenv("COMEBACK_SOAK") != "" {
		nights, every, rehearsals = 365, 24*time.Hour, 3
		always = always[:2] // all copies are on the host of the test
	}
	y := openTended(t, 2026, every)
	y.quiet = nights > 31
	ctx, began := t.Context(), time.Now()
	key := filepath.Join(y.environ["HOME"], "key")
	if _, err := report.CreateKey(key, "nobody"); err != nil {
		t.Fatal(err)
	}
	// A clock that is ahead of every real one, so that what it shows is known.
	first := time.Date(began.Year()+1, 1, 5, 3, 0, 0, 0, time.UTC)
	var queue []mishap
	happened, proven := map[string]bool{}, time.Time{}
	for night := range nights {
		at := first.Add(time.Duration(night) * every)
		y.show(at)
		var tonight mishaps
		rehearses := at.Sub(proven) > 80*24*time.Hour
		if !rehearses {
			tonight = y.choose(&queue, night > 4 && (!y.quiet || y.whole > 6))
		}
		y.lasting = slices.ContainsFunc(tonight, func(m mishap) bool { return m.lasting })
		still, ends := tonight.is()
		if y.whole++; still || ends != recovery.CameBack {
			y.whole = 0
		}
		for _, m := range tonight {
			happened[m.name] = true
		}
		if !still {
			y.people(night%4 == 1)
		}
		tonight.do(y, func(m mishap) func(*tended) { return m.before })
		if !still {
			y.run(ctx, "backup", y.book).has(t, ends)
		}
		y.archived()
		tonight.do(y, func(m mishap) func(*tended) { return m.after })
		if rehearses {
			// The log has the times of the server, and cannot be moved: what is restored is
			// the newest dump, with the files of surely before.
			y.show(at.Add(10 * time.Minute))
			y.run(ctx, "backup", y.book, "database").has(t, ends)
			y.moveTimes()
			y.surveyed = y.cal.surveys
			for range rehearsals {
				y.run(ctx, "rehearse", y.book, "--auto", "--plain", "--key", key).has(t, recovery.CameBack, "filed in nearby, offsite, vault")
			}
			proven, y.surveyed = at, nil
		}
		y.retain(ends)
		y.show(at.Add(y.after))
		y.archived() // as archive_timeout lets the server
		tonight.do(y, func(m mishap) func(*tended) { return m.noon })
		found, says, text := y.check()
		want := slices.Clone(always)
		for _, m := range tonight {
			for id, word := range m.found {
				want = append(want, id)
				if !strings.Contains(says[id], word) {
					t.Errorf("night %d, %s: %s says %q, not %q", night, m.name, id, says[id], word)
				}
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if !slices.Equal(found, want) {
			t.Errorf("night %d, %s: found %q, want %q\n%s\n%s", night, tonight, found, want, text, y.listed())
		}
		tonight.do(y, func(m mishap) func(*tended) { return m.mend })
		if night%10 == 9 {
			for _, name := range accounts {
				y.s3.Expire(name, at.AddDate(0, 0, -30))
			}
		}
		if y.quiet {
			t.Logf("night %d: %s", night, tonight)
		}
		if t.Failed() {
			t.FailNow() // what is not as it should be will not be tomorrow
		}
	}
	if len(happened) != len(allMishaps()) {
		t.Errorf("%d of %d mishaps happened", len(happened), len(allMishaps()))
	}
	t.Logf("%d nights in %s", nights, time.Since(began).Round(time.Second))
}
