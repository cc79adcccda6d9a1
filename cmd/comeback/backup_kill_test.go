package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"filippo.io/age"
	"github.com/jackc/pgx/v5"

	"comeback/enginetest/killat"
	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
	"comeback/storage/s3"
	"comeback/storagetest"
)

// dying is a furnished shop that is backed up into a directory and a bucket by a
// program that is killed.
type dying struct {
	*shop.Shop
	*rig
	server *storagetest.S3
	admin  *pgx.Conn
	place  string
	before []int32 // sessions of the shop itself
	// checks are the runbook's; books counts the runbooks.
	components, checks string
	books              int
}

func newDying(t *testing.T) *dying {
	t.Helper()
	d := &dying{Shop: shoptest.Open(t, shop.Options{Scale: 20, Seed: 4}), rig: newRig(t), server: storagetest.StartS3(t), place: shoptest.Dir(t)}
	d.server.Setenv(t)
	d.server.CreateBucket("offsite")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	d.environ["DATABASE_URL"], d.environ["ADMIN_URL"], d.environ["CONFIG_IDENTITY"] = d.URL(), d.Layout.URL("postgres", "postgres"), identity.String()
	if err := d.Furnish(t.Context()); err != nil {
		t.Fatal(err)
	}
	if d.admin, err = pgx.Connect(t.Context(), d.environ["ADMIN_URL"]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.admin.Close(context.Background()) })
	d.components = fmt.Sprintf("  uploads: {kind: files, path: %q, prefix: uploads/, retain: [1 daily]}\n  config: {kind: config, paths: [%q], prefix: config/, retain: [1 daily], recipients: [%s], identity: \"${CONFIG_IDENTITY}\"}\n  code: {kind: code, path: %q, prefix: code/, retain: [1 daily]}\n",
		d.Uploads(), d.Settings(), identity.Recipient(), d.App())
	d.checks = "```yaml\ncheck: every upload has its file\nrows: select path, sha256 from uploads\nfiles: uploads\n```\n\n" +
		"```yaml\ncheck: the configuration belongs to it\nrows: select path, sha256 from deployed where part = 'config'\nfiles: config\n```\n\n" +
		"```yaml\ncheck: the code belongs to it\nrows: select path, sha256 from deployed where part = 'code'\nfiles: code\n```\n"
	now, err := digests(t.Context(), d.URL())
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range now {
		d.checks += fmt.Sprintf("\n```sql\n-- check: %s is what it was\n-- on: database\n-- expect: = '%s'\n%s;\n```\n", one.table, one.value, one.query)
	}
	if d.before, err = d.sessions(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// sessions are the servers' processes of those who are connected, but for its own.
func (d *dying) sessions(ctx context.Context) ([]int32, error) {
	rows, err := d.admin.Query(ctx, "select pid from pg_stat_activity where backend_type in ('client backend', 'walsender', 'parallel worker') and pid <> pg_backend_pid()")
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowTo[int32])
}

// killed is one sort of backup, with copies of its own.
type killed struct {
	*dying
	t                 *testing.T
	book, component   string
	nearby            string
	seen              map[string]bool // by copy and backup
	directory, bucket storage.Store
}

// killing is a sort of backup of a component; more goes into the database's.
func (d *dying) killing(t *testing.T, component, more string) *killed {
	t.Helper()
	d.books++
	k := &killed{dying: d, t: t, component: component, book: filepath.Join(d.place, fmt.Sprintf("shop%d.md", d.books)), nearby: filepath.Join(d.place, fmt.Sprintf("nearby%d", d.books)), seen: map[string]bool{}}
	if err := os.Mkdir(k.nearby, 0o700); err != nil {
		t.Fatal(err)
	}
	bucket := d.server.Options("offsite", fmt.Sprintf("shop%d", d.books))
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\", ADMIN_URL: \"from the vault\", CONFIG_IDENTITY: \"from the vault\"}\n"+
		"copies:\n  nearby: {url: %q}\n  offsite: {url: %q, region: %s, endpoint: %q, path_style: true}\ncomponents:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", admin: \"${ADMIN_URL}\", retain: [1 daily]%s}\n%s---\n"+
		"# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: [database, uploads, config, code]\n```\n\n## Check\n\n%s",
		"file://"+k.nearby, bucket.URL, bucket.Region, bucket.Endpoint, more, d.components, d.checks)
	if err := os.WriteFile(k.book, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	k.run(t.Context(), "backup", k.book).has(t, recovery.CameBack, "in nearby, offsite")
	var err error
	if k.directory, err = storage.OpenDir(k.nearby); err != nil {
		t.Fatal(err)
	}
	if k.bucket, err = s3.Open(t.Context(), bucket); err != nil {
		t.Fatal(err)
	}
	k.listed(false)
	return k
}

// backup takes a backup that gets a signal at its n-th call.
func (k *killed) backup(n int, signal syscall.Signal) killat.Result {
	k.t.Helper()
	said, err := os.Create(filepath.Join(k.t.TempDir(), "said"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command(executable(), "backup", k.book, k.component)
	cmd.Env, cmd.Stdout, cmd.Stderr = append(k.env(), "COMEBACK_TEST_MAIN=1"), said, said
	r, err := killat.Run(cmd, n, signal)
	if err != nil {
		k.t.Fatal(err)
	}
	if text, _ := os.ReadFile(said.Name()); n == killat.Never && r.Status.ExitStatus() != 0 || signal == syscall.SIGTERM && !r.Status.Exited() {
		k.t.Fatalf("it ended with %v:\n%s", r.Status, text)
	}
	return r
}

// at kills a backup at a call, and looks what that leaves, for now and for good.
func (k *killed) at(n int, signal syscall.Signal) {
	k.t.Helper()
	k.backup(n, signal)
	k.ended()
	k.listed(true)
	k.run(k.t.Context(), "backup", k.book, k.component).has(k.t, recovery.CameBack, "in nearby, offsite")
	k.listed(!soaking())
	k.run(k.t.Context(), "retain", k.book, k.component, "--remove").has(k.t, recovery.CameBack, "")
	k.listed(false)
	k.nothingSpare()
}

// ended waits until nobody else is at work in the server, and looks for slots.
func (k *killed) ended() {
	k.t.Helper()
	var err error
	for left := []int32{0}; err == nil && len(left) > 0; {
		if left, err = k.sessions(k.t.Context()); err == nil {
			left = slices.DeleteFunc(left, func(pid int32) bool { return slices.Contains(k.before, pid) })
		}
	}
	var slots int
	if err == nil {
		err = k.admin.QueryRow(k.t.Context(), "select count(*) from pg_replication_slots").Scan(&slots)
	}
	if err != nil || slots > 0 {
		k.t.Fatalf("%d slots are left, %v", slots, err)
	}
}

// listed looks at what the copies list, and restores what was not there before. What
// was there when the killing began is older than what belongs to it.
func (k *killed) listed(restore bool) {
	k.t.Helper()
	var fresh [][2]string // backup and copy
	for name, store := range map[string]storage.Store{"nearby": k.directory, "offsite": k.bucket} {
		for _, e := range engines() {
			kind, c := e.Schema().Kind, recovery.Component{Name: k.component, Settings: recovery.Settings{"prefix": {k.component + "/"}, "backups": {"base/"}, "wal": {"wal/"}}}
			if _, takes := e.(recovery.Capturer); !takes || kind != kindOf(k.component) {
				continue
			}
			c.Kind = kind
			survey, err := e.Survey(k.t.Context(), c, recovery.Copy{Name: name}, store)
			if err != nil {
				k.t.Fatal(err)
			}
			for _, b := range survey.Backups {
				if b.Problem != "" {
					k.t.Errorf("%s lists %s, and: %s", name, b.ID, b.Problem)
				}
				if !k.seen[name+" "+b.ID] {
					fresh = append(fresh, [2]string{b.ID, name})
				}
				k.seen[name+" "+b.ID] = true
			}
		}
	}
	if !restore || len(fresh) == 0 {
		return
	}
	if k.component == "database" {
		for _, f := range fresh {
			k.run(k.t.Context(), "rehearse", k.book, "--to", f[0], "--copy", f[1], "--plain").has(k.t, recovery.CameBack, "EVERY CHECK HELD", f[0])
		}
		return
	}
	// It comes back with a database that is newer.
	k.run(k.t.Context(), "backup", k.book, "database").has(k.t, recovery.CameBack)
	for _, f := range fresh {
		k.run(k.t.Context(), "rehearse", k.book, "--to", "latest", "--copy", f[1], "--plain").has(k.t, recovery.CameBack, "EVERY CHECK HELD", f[0])
	}
}

func kindOf(component string) recovery.ComponentKind {
	return map[string]recovery.ComponentKind{"database": recovery.Postgres, "uploads": recovery.Files, "config": recovery.Config, "code": recovery.Code}[component]
}

// nothingSpare fails where a copy, or this host, has more than what a backup needs and
// what is known of it.
func (k *killed) nothingSpare() {
	k.t.Helper()
	for name, store := range map[string]storage.Store{"nearby": k.directory, "offsite": k.bucket} {
		known, err := backup.Manifests(k.t.Context(), store, "")
		if err != nil {
			k.t.Fatal(err)
		}
		needed := map[string]bool{}
		for _, m := range known {
			needed[m.Names] = true
			for _, o := range m.Objects {
				needed[o.Key] = true
			}
		}
		for _, key := range storagetest.Keys(k.t, store, "") {
			if !needed[key] && !strings.HasPrefix(key, "comeback/backups/") && !strings.HasPrefix(key, "comeback/runbooks/") && !strings.HasPrefix(key, "comeback/heads/") {
				k.t.Errorf("%s holds %s, which nobody needs", name, key)
			}
		}
	}
	if n := k.server.Parts("offsite"); n > 0 {
		k.t.Errorf("%d parts of uploads are left", n)
	}
	err := filepath.WalkDir(k.nearby, func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.HasPrefix(e.Name(), ".comeback-") {
			k.t.Errorf("left is %s", path)
		}
		return err
	})
	if err != nil {
		k.t.Fatal(err)
	}
	if left, err := os.ReadDir(k.scratch); err != nil || len(left) > 0 {
		k.t.Errorf("left in the scratch directory: %v, %v", left, err)
	}
}

// Backups of every kind are killed at each call by which they change anything, by
// SIGKILL and by SIGTERM: what is listed in either copy comes back as it was, nobody is
// left at work in the server, and the next backup leaves nothing that nobody needs.
func TestBackup_killed(t *testing.T) {
	if plainly(t) {
		return
	}
	d := newDying(t)
	sample := rand.New(rand.NewPCG(7, 3))
	cases := []struct{ name, component, more string }{
		{"custom dump", "database", ", backup: dump, record: no"},
		{"directory dump", "database", ", backup: dump, dump_format: directory, dump_jobs: 2, record: no"},
		{"base backup", "database", ", backup: base, record: no"},
		{"snapshot", "uploads", ", backup: dump, record: no"},
		{"encrypted snapshot", "config", ", backup: dump, record: no"},
		{"bundle", "code", ", backup: dump, record: no"},
	}
	if tools, err := postgres.FindTools(0); err != nil {
		t.Fatal(err)
	} else if postgres.TakesIncremental(tools.Major) {
		for _, sql := range []string{"alter system set summarize_wal = on", "select pg_reload_conf()"} {
			if _, err := d.admin.Exec(t.Context(), sql); err != nil {
				t.Fatal(err)
			}
		}
		cases = append(cases, struct{ name, component, more string }{"incremental base backup", "database", ", backup: base, incremental: 2, record: no"})
	}
	if !soaking() { // one of them
		cases = cases[1:2]
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := d.killing(t, c.component, c.more)
			calls := k.backup(killat.Never, syscall.SIGKILL).Calls
			if len(calls) < 20 || !slices.Contains(calls, "send") || !slices.Contains(calls, "name a file") {
				t.Fatalf("it makes the calls %q", calls)
			}
			t.Logf("%d calls", len(calls))
			points := sample.Perm(len(calls))
			if !soaking() {
				points = points[:1]
			}
			for i, n := range points {
				signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[i%2]
				t.Run(fmt.Sprintf("%d %s %s", n+1, calls[n], signal), func(t *testing.T) {
					k.t = t
					k.at(n+1, signal)
				})
			}
		})
	}
}
