package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// backedUp is a furnished shop whose runbook names two empty copies, and whose
// server archives into them with this program.
type backedUp struct {
	*shop.Shop
	*rig
	book   string
	copies map[string]string // directories by name
	spool  string
}

// openBackedUp opens it; more goes into the database's component.
func openBackedUp(t *testing.T, more string) *backedUp {
	t.Helper()
	ctx := t.Context()
	// The server's user stores there, too. It goes after the rig's last runs have ended,
	// which file their heads in it.
	place := shoptest.Dir(t)
	b := &backedUp{Shop: shoptest.Open(t, shop.Options{Scale: 50, Seed: 8}), rig: newRig(t), copies: map[string]string{}}
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	b.environ["DATABASE_URL"], b.environ["ADMIN_URL"], b.environ["CONFIG_IDENTITY"] = b.URL(), b.Layout.URL("postgres", "postgres"), identity.String()
	if err := b.Furnish(ctx); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"nearby", "offsite", "spool"} {
		dir := filepath.Join(place, name)
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		b.own(t, dir)
		b.copies[name] = dir
	}
	b.spool = b.copies["spool"]
	delete(b.copies, "spool")
	b.book = filepath.Join(place, "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nrehearse: 90d\nneeds: {DATABASE_URL: \"from the vault\", ADMIN_URL: \"from the vault\", CONFIG_IDENTITY: \"from the vault\"}\n"+
		"people: [{role: platform on-call, reach: \"#incidents\"}]\ncopies:\n  nearby: {url: %q}\n  offsite: {url: %q}\ncomponents:\n"+
		"  database: {kind: postgres, url: \"${DATABASE_URL}\", admin: \"${ADMIN_URL}\"%s}\n  uploads: {kind: files, path: %q, prefix: uploads/}\n"+
		"  config: {kind: config, paths: [%q], prefix: config/, recipients: [%s], identity: \"${CONFIG_IDENTITY}\"}\n  code: {kind: code, path: %q, prefix: code/}\n---\n# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: [database, uploads, config, code]\n```\n\n## Check\n\n"+
		"```yaml\ncheck: every upload has its file\nrows: select path, sha256 from uploads\nfiles: uploads\n```\n\n"+
		"```yaml\ncheck: the configuration belongs to it\nrows: select path, sha256 from deployed where part = 'config'\nfiles: config\n```\n\n"+
		"```yaml\ncheck: the code belongs to it\nrows: select path, sha256 from deployed where part = 'code'\nfiles: code\n```\n",
		"file://"+b.copies["nearby"], "file://"+b.copies["offsite"], more, b.Uploads(), b.Settings(), identity.Recipient(), b.App())
	if err := os.WriteFile(b.book, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	b.archive(t, place)
	return b
}

func (b *backedUp) own(t *testing.T, path string) {
	t.Helper()
	if b.Owner.UID >= 0 {
		if err := os.Chown(path, b.Owner.UID, b.Owner.GID); err != nil {
			t.Fatal(err)
		}
	}
}

// archive lets the server archive with this program, which its user can run, in an
// environment of its own, and gives the command.
func (b *backedUp) archive(t *testing.T, place string, env ...string) (command string) {
	t.Helper()
	exe := filepath.Join(place, "comeback")
	in, err := os.Open(executable())
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out, err := os.OpenFile(exe, os.O_CREATE|os.O_WRONLY, 0o755)
	if err == nil {
		_, err = io.Copy(out, in)
	}
	if err == nil {
		err = out.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	command = fmt.Sprintf("env %s %q wal push %q %%p --spool %q", strings.Join(env, " "), exe, b.book, b.spool)
	conn, err := pgx.Connect(t.Context(), b.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	for _, sql := range []string{"alter system set archive_timeout = 0", "alter system set archive_command = '" + command + "'", "select pg_reload_conf()"} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Archived(t.Context()); err != nil {
		t.Fatal(err)
	}
	return command
}

// Backups that comeback takes into two copies are restored from either of them:
// the whole system at its latest moment by base backup and log, and by dump.
func TestBackup(t *testing.T) {
	t.Parallel()
	b, ctx := openBackedUp(t, ", incremental: 6"), t.Context()
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(b.book, append(text, "\n```yaml\ncheck: it is what the log made of what was recorded\non: database\nsound: [record]\n```\n"...), 0o644); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "create table parcels (id int, state text) partition by list (state); create table parcels_open partition of parcels for values in ('open'); "+
		"create table parcels_closed partition of parcels for values in ('closed'); insert into parcels select i, 'open' from generate_series(1, 9) i"); err != nil {
		t.Fatal(err)
	}
	got := b.run(ctx, "backup", b.book)
	got.has(t, recovery.CameBack, "database   dump     database/shop-", "database   base     base/", "uploads    snapshot uploads/snapshots/", "config     snapshot config/snapshots/",
		"code       bundle   code/code-", "in nearby, offsite", "each with its digest",
		"a full backup was taken, not an incremental one: the server") // it is too old, or does not summarize its log
	if strings.Contains(got.out+got.err, "FAILED") || strings.Contains(got.out, "NOT in") {
		t.Fatalf("%s%s", got.out, got.err)
	}
	// The latest moment is a commit after the backup that no file belongs to.
	for _, sql := range []string{
		"create table since_the_backup (n int)", "insert into since_the_backup select generate_series(1, 70)",
		"insert into sessions (token, customer_id, expires_at) select 'since ' || i, 1, now() from generate_series(1, 90) i; delete from sessions where token like 'since 1%'",
		"begin; delete from sessions; savepoint a; delete from carts; rollback to a; rollback",
		"begin; savepoint a; delete from carts; rollback to a; delete from carts where id = (select min(id::text)::uuid from carts); commit",
		"update products set name = name || '!' where id % 2 = 0",
		"update parcels set state = 'closed' where id <= 4",
		"alter table customers add touched int default 7",
		"alter table sessions rename to visits; insert into visits (token, customer_id, expires_at) select 'later ' || i, 1, now() from generate_series(1, 9) i",
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	b.run(ctx, "rehearse", b.book, "--to", "latest", "--copy", "offsite", "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", "base backup base/", "nothing wrong with record")
	manifests := b.manifests(t, "nearby")
	var dump *recovery.Manifest
	for i, m := range manifests {
		if m.Engine == "dump" {
			dump = &manifests[i]
		}
		if m.System != "shop" || m.Runbook == "" || m.Ended.Before(m.Begun) || len(m.Objects) == 0 {
			t.Errorf("the manifest of %s: %+v", m.ID, m)
		}
	}
	if len(manifests) != 5 || dump == nil {
		t.Fatalf("%d manifests are in nearby", len(manifests))
	}
	// What the manifest says of the tables holds in what is restored.
	if len(dump.Tables) < 7 || dump.Source["system identifier"] == "" && dump.Source["role"] == "" {
		t.Errorf("the manifest of the dump: %+v", dump)
	}
	b.run(ctx, "rehearse", b.recorded(t), "--to", dump.ID, "--copy", "nearby", "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", dump.ID, "nothing wrong with record")
	for name, dir := range b.copies {
		found, err := filepath.Glob(filepath.Join(dir, "comeback", "*", "*", "*"))
		if err != nil {
			t.Fatal(err)
		}
		books := 0
		for _, file := range found {
			if strings.Contains(file, "/unfinished/") {
				t.Errorf("%s holds %s", name, file)
			}
			if strings.HasSuffix(file, ".md") {
				books++
			}
		}
		if books != 1 { // a rehearsal with another one adds none
			t.Errorf("%s holds %d runbooks", name, books)
		}
	}
}

// recorded is a runbook that restores the database alone, and holds its tables
// against what was recorded with its backup.
func (b *backedUp) recorded(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(b.book)
	if err != nil {
		t.Fatal(err)
	}
	head, _, ok := strings.Cut(string(text), "## Check")
	if !ok {
		t.Fatal("the runbook has no checks")
	}
	head = strings.Replace(head, "[database, uploads, config, code]\n```", "database\n```", 1) +
		"## Check\n\n```yaml\ncheck: it is as it was recorded\non: database\nsound: [record]\n```\n"
	path := filepath.Join(filepath.Dir(b.book), "database.md")
	if err := os.WriteFile(path, []byte(head), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func (b *backedUp) manifests(t *testing.T, copy string) []recovery.Manifest {
	t.Helper()
	store, err := storage.OpenDir(b.copies[copy])
	if err != nil {
		t.Fatal(err)
	}
	all, err := backup.Manifests(t.Context(), store, "")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// A copy that is not there keeps the other from nothing, and is told of.
func TestBackup_copyMissing(t *testing.T) {
	b, ctx := openBackedUp(t, ", backup: dump, dump_format: directory"), t.Context()
	if err := os.Rename(b.copies["offsite"], b.copies["offsite"]+".gone"); err != nil {
		t.Fatal(err)
	}
	got := b.run(ctx, "backup", b.book, "database")
	got.has(t, recovery.WithExceptions, "database   dump", "in nearby", "NOT in offsite", "does not exist")
	// The server goes on archiving, and the copy that comes back gets what it lacks.
	if err := b.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(b.copies["offsite"]+".gone", b.copies["offsite"]); err != nil {
		t.Fatal(err)
	}
	b.run(ctx, "wal", "push", b.book, "--catch-up", "--spool", b.spool).has(t, recovery.CameBack, "brought")
	near, off := segments(t, b.copies["nearby"]), segments(t, b.copies["offsite"])
	if near != off {
		t.Errorf("nearby has %s and offsite %s", near, off)
	}
	for _, test := range []struct {
		args []string
		exit recovery.Exit
		says string
	}{
		{[]string{"backup"}, recovery.Usage, "needs RUNBOOK"},
		{[]string{"backup", b.book, "none"}, recovery.Usage, `no component "none"`},
		{[]string{"backup", b.book, "--copy", "other"}, recovery.Usage, `no copy "other"`},
		{[]string{"wal", "push", b.book}, recovery.Usage, "needs RUNBOOK and PATH"},
		{[]string{"wal", "push", b.book, "/etc/passwd", "--spool", b.spool}, recovery.Usage, "is not a file of a server's log"},
		{[]string{"wal", "push", b.book, "/nowhere/000000010000000000000001", "--spool", b.spool}, recovery.Usage, "is not there"},
		{[]string{"rescue", b.book, "--xid", "abc"}, recovery.Usage, `--xid: "abc" is not a whole number`},
		{[]string{"rescue", b.book, "--xid", "99999999999999999999999"}, recovery.Usage, "is too large"},
	} {
		b.run(ctx, test.args...).has(t, test.exit, test.says, "next:")
	}
}

// segments lists the log in a copy.
func segments(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Join(dir, "wal"))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return strings.Join(names, " ")
}

// Incremental backups are taken, listed, restored and kept with all that they are
// incremental to. `make test-majors` runs this on PostgreSQL 17 and 18; what is said
// where a server gives none, TestBackup shows.
func TestBackup_incremental(t *testing.T) {
	tools, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	if !postgres.TakesIncremental(tools.Major) {
		return
	}
	b, ctx := openBackedUp(t, ", backup: base, incremental: 2, record: no, retain: [1 daily]"), t.Context()
	admin, err := pgx.Connect(ctx, b.Layout.URL("postgres", "postgres"))
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{"alter system set summarize_wal = on", "select pg_reload_conf()"} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	take := func(parts ...string) recovery.Manifest {
		t.Helper()
		before := b.manifests(t, "nearby")
		b.run(ctx, "backup", b.book, "database").has(t, recovery.CameBack, append(parts, "in nearby, offsite")...)
		for _, m := range b.manifests(t, "nearby") {
			if !slices.ContainsFunc(before, func(o recovery.Manifest) bool { return o.ID == m.ID }) {
				return m
			}
		}
		t.Fatal("no backup was recorded")
		return recovery.Manifest{}
	}
	space := filepath.Join(filepath.Dir(b.book), "space")
	if err := os.Mkdir(space, 0o700); err != nil {
		t.Fatal(err)
	}
	b.own(t, space)
	shop, err := pgx.Connect(ctx, b.URL())
	if err != nil {
		t.Fatal(err)
	}
	defer shop.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{"create tablespace apart location '" + space + "'", "grant create on tablespace apart to public"} {
		if _, err := admin.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	live := func(sql string) {
		t.Helper()
		if _, err := shop.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	live("create table entries (n int) tablespace apart; insert into entries select generate_series(1, 5000)")
	full := take("database   base")
	var chain []recovery.Manifest
	for i := range 2 {
		live("insert into entries select generate_series(1, 70); delete from entries where n = 5")
		if err := b.Write(ctx, 5); err != nil {
			t.Fatal(err)
		}
		m := take("database   base")
		if want := append([]recovery.Manifest{full}, chain...)[i].ID; m.Source["incremental to"] != want || !strings.HasPrefix(m.Form, "incremental base backup") {
			t.Fatalf("%s is %q to %q, want to %s; %q", m.ID, m.Form, m.Source["incremental to"], want, m.Remarks)
		}
		chain = append(chain, m)
	}
	newest := chain[1].ID
	if listed := b.run(ctx, "moments", b.book, "--copy", "nearby").out; !strings.Contains(listed, newest) || !strings.Contains(listed, "incremental base backup, tar, zstd, with the 2 before it") {
		t.Errorf("moments lists %s", listed)
	}
	if err := b.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	if err := b.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	var want string
	rows := "select count(*) || ' ' || md5(string_agg(o::text, '' order by o::text)) || (select count(*) || ' ' || sum(n) from entries) from orders o"
	if err := shop.QueryRow(ctx, rows).Scan(&want); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(b.recorded(t))
	if err != nil {
		t.Fatal(err)
	}
	book := strings.Split(string(text), "## Check")[0] + "## Check\n\n```sql\n-- check: the rows are those of live\n-- on: database\n-- expect: = '" + want + "'\n" + rows + ";\n```\n"
	restores := filepath.Join(filepath.Dir(b.book), "rows.md")
	if err := os.WriteFile(restores, []byte(book), 0o644); err != nil {
		t.Fatal(err)
	}
	b.run(ctx, "rehearse", restores, "--to", "latest", "--plain").has(t, recovery.CameBack, "EVERY CHECK HELD", "base backup "+newest+" copied with the 2 before it", "combined by pg_combinebackup")

	// Nothing goes that a kept one is incremental to; without it, the chain is of no use.
	b.run(ctx, "retain", b.book, "database", "--copy", "nearby", "--remove").has(t, recovery.CameBack, "a backup that stays needs it")
	first := filepath.Join(b.copies["nearby"], full.ID, "base.tar.zst")
	if err := os.Rename(first, first+".gone"); err != nil {
		t.Fatal(err)
	}
	got := b.run(ctx, "check", b.book)
	if said := strings.Join(strings.Fields(got.out+got.err), " "); !strings.Contains(said, newest+", cannot be restored: it is incremental to "+chain[0].ID) || !strings.Contains(said, "base.tar is missing") {
		t.Errorf("check says: %s", said)
	}
	if err := os.Rename(first+".gone", first); err != nil {
		t.Fatal(err)
	}
	// The turn of a full one, after which the chain may go.
	if last := take("database   base"); last.Source["incremental to"] != "" {
		t.Errorf("the fourth is incremental to %s", last.Source["incremental to"])
	}
	b.run(ctx, "retain", b.book, "database", "--copy", "nearby", "--remove").has(t, recovery.CameBack, "goes   "+full.ID, "goes   "+newest)
	if left := b.manifests(t, "nearby"); len(left) != 1 {
		t.Errorf("%d backups are left", len(left))
	}
}

// A backup that does not hold everything as it was is one with exceptions.
func TestBackupEnding(t *testing.T) {
	t.Parallel()
	whole, lacking := backup.Taken{}, backup.Taken{Manifest: recovery.Manifest{Exceptions: []string{"a file is missing"}}}
	for name, test := range map[string]struct {
		taken []backup.Taken
		want  recovery.Exit
	}{
		"whole":      {[]backup.Taken{whole, whole}, recovery.CameBack},
		"exceptions": {[]backup.Taken{lacking, whole}, recovery.WithExceptions},
		"failed":     {[]backup.Taken{lacking, {Err: errors.New("no")}}, recovery.Failed},
	} {
		code := recovery.CameBack
		if exit := (*exitError)(nil); errors.As(backupEnding(test.taken), &exit) {
			code = exit.code
		}
		if code != test.want {
			t.Errorf("%s: exit %d", name, code)
		}
	}
}
