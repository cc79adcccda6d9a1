package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

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
	d := &dying{server: storagetest.StartS3(t), place: shoptest.Dir(t)}
	d.Shop, d.rig = shoptest.Open(t, shop.Options{Scale: 20, Seed: 4}), newRig(t) // after those, which its last runs still use
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

// copies are a directory and a place in the bucket with nothing in them, and a runbook
// that is still to be written.
func (d *dying) copies(t *testing.T, component string) *killed {
	t.Helper()
	d.books++
	k := &killed{dying: d, t: t, component: component, book: filepath.Join(d.place, fmt.Sprintf("shop%d.md", d.books)), nearby: filepath.Join(d.place, fmt.Sprintf("nearby%d", d.books)), seen: map[string]bool{}}
	err := os.Mkdir(k.nearby, 0o700)
	if err == nil {
		k.directory, err = storage.OpenDir(k.nearby)
	}
	if err == nil {
		k.bucket, err = s3.Open(t.Context(), d.server.Options("offsite", fmt.Sprintf("shop%d", d.books)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// write writes the runbook, from what it needs and its components on.
func (k *killed) write(text string) {
	k.t.Helper()
	bucket := k.server.Options("offsite", fmt.Sprintf("shop%d", k.books))
	head := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\ncopies:\n  nearby: {url: %q}\n  offsite: {url: %q, region: %s, endpoint: %q, path_style: true}\n",
		"file://"+k.nearby, bucket.URL, bucket.Region, bucket.Endpoint)
	if err := os.WriteFile(k.book, []byte(head+text), 0o644); err != nil {
		k.t.Fatal(err)
	}
}

// stores are the copies by their names.
func (k *killed) stores() map[string]storage.Store {
	return map[string]storage.Store{"nearby": k.directory, "offsite": k.bucket}
}

// killing is a sort of backup of a component; more goes into the database's.
func (d *dying) killing(t *testing.T, component, more string) *killed {
	t.Helper()
	k := d.copies(t, component)
	k.write(fmt.Sprintf("needs: {DATABASE_URL: \"from the vault\", ADMIN_URL: \"from the vault\", CONFIG_IDENTITY: \"from the vault\"}\n"+
		"components:\n  database: {kind: postgres, url: \"${DATABASE_URL}\", admin: \"${ADMIN_URL}\", retain: [1 daily]%s}\n%s---\n"+
		"# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: [database, uploads, config, code]\n```\n\n## Check\n\n%s", more, d.components, d.checks))
	k.run(t.Context(), "backup", k.book).has(t, recovery.CameBack, "in nearby, offsite")
	if component == "database" {
		k.newer("uploads", "config", "code")
	}
	k.listed(false)
	return k
}

// newer backs the database up until there is one in each copy that is surely newer than
// all of other components: some times are known to the second only.
func (k *killed) newer(components ...string) {
	k.t.Helper()
	newest := func(name string, store storage.Store, component string) (at time.Time) {
		for _, s := range k.surveys(name, store, component) {
			for _, b := range s.Backups {
				taken := b.Taken.To
				if taken.IsZero() { // a base backup without its log tells when it was begun
					taken = b.Taken.From
				}
				if b.Problem == "" && taken.After(at) {
					at = taken
				}
			}
		}
		return at
	}
	for older := true; older; {
		k.run(k.t.Context(), "backup", k.book, "database").has(k.t, recovery.CameBack)
		older = false
		for name, store := range k.stores() {
			database := newest(name, store, "database")
			for _, c := range components {
				older = older || database.Before(newest(name, store, c))
			}
		}
	}
}

// summarize lets the server take incremental backups.
func (d *dying) summarize(t *testing.T) {
	t.Helper()
	for _, sql := range []string{"alter system set summarize_wal = on", "select pg_reload_conf()"} {
		if _, err := d.admin.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
}

// kill runs a command for the component that gets a signal at its n-th call.
func (k *killed) kill(command string, n int, signal syscall.Signal, more ...string) killat.Result {
	k.t.Helper()
	said, err := os.Create(filepath.Join(k.t.TempDir(), "said"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer said.Close()
	cmd := exec.Command(executable(), append([]string{command, k.book, k.component}, more...)...)
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
	k.kill("backup", n, signal)
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
	for name, store := range k.stores() {
		under, err := backup.Unfinished(k.t.Context(), store)
		if err != nil {
			k.t.Fatal(err)
		}
		for _, survey := range k.surveys(name, store, k.component) {
			for _, b := range survey.Backups {
				if b.Problem != "" { // of its files, those that make it whole are not there
					if !slices.ContainsFunc(under, func(u backup.Begun) bool { return strings.HasPrefix(b.ID+"/", u.Prefix) }) {
						k.t.Errorf("%s lists %s, and: %s", name, b.ID, b.Problem)
					}
					continue
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
	k.newer(k.component)
	for _, f := range fresh {
		k.run(k.t.Context(), "rehearse", k.book, "--to", "latest", "--copy", f[1], "--plain").has(k.t, recovery.CameBack, "EVERY CHECK HELD", f[0])
	}
}

// asked is a component as engines are asked for it.
func asked(component string) recovery.Component {
	return recovery.Component{Name: component, Kind: kindOf(component), Settings: recovery.Settings{"prefix": {component + "/"}, "backups": {"base/"}, "wal": {"wal/"}}}
}

// surveys are what the engines that take backups of a component see in a copy.
func (k *killed) surveys(name string, store storage.Store, component string) (all []recovery.Survey) {
	k.t.Helper()
	for _, e := range engines() {
		schema := e.Schema()
		if _, takes := e.(recovery.Capturer); !takes || schema.Kind != kindOf(component) {
			continue
		}
		survey, err := e.Survey(k.t.Context(), asked(component), recovery.Copy{Name: name}, store)
		if err != nil {
			k.t.Fatal(err)
		}
		survey.Engine = schema.Engine
		all = append(all, survey)
	}
	return all
}

func kindOf(component string) recovery.ComponentKind {
	return map[string]recovery.ComponentKind{"database": recovery.Postgres, "uploads": recovery.Files, "config": recovery.Config, "code": recovery.Code}[component]
}

// nothingSpare fails where a copy, or this host, has more than what a backup needs and
// what is known of it.
func (k *killed) nothingSpare() {
	k.t.Helper()
	for name, store := range k.stores() {
		known, err := backup.Manifests(k.t.Context(), store, "")
		if err != nil {
			k.t.Fatal(err)
		}
		needed := map[string]bool{}
		start := recovery.LSN(math.MaxUint64)
		for _, m := range known {
			start = min(start, m.Start)
			for _, o := range m.Objects {
				needed[o.Key] = true
			}
		}
		var before []string // the oldest backup: of these maps of names, the log that stays may be read by the last
		for _, key := range storagetest.Keys(k.t, store, "") {
			if dir, file := path.Split(key); strings.HasPrefix(dir, "wal/names/") {
				_, at, _ := strings.Cut(strings.TrimSuffix(file, ".json"), "-")
				n, err := strconv.ParseUint(at, 16, 64)
				if err != nil {
					k.t.Fatal(err)
				}
				if recovery.LSN(n) <= start {
					before = append(before, key)
				}
				continue
			}
			if !needed[key] && !strings.HasPrefix(key, "comeback/backups/") && !strings.HasPrefix(key, "comeback/runbooks/") && !strings.HasPrefix(key, "comeback/heads/") {
				k.t.Errorf("%s holds %s, which nobody needs", name, key)
			}
		}
		if len(before) > 1 {
			k.t.Errorf("%s holds %v, and no log that is read by more than one of them", name, before)
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

// killsOf are the calls, of so many, at which a program is killed: one of them, or, where
// it is soaked, each; or as many as COMEBACK_KILLS says, spread evenly.
func killsOf(t *testing.T, calls int) []int {
	t.Helper()
	n := 1
	if soaking() {
		n = calls
	}
	if text := os.Getenv("COMEBACK_KILLS"); text != "" {
		var err error
		if n, err = strconv.Atoi(text); err != nil || n < 1 {
			t.Fatalf("COMEBACK_KILLS is %q, and not how many", text)
		}
	}
	n = min(n, calls)
	points := make([]int, n)
	for i := range points {
		points[i] = (2*i + 1) * calls / (2 * n)
	}
	return points
}

// atCalls lets a program be killed at as many of its calls as are asked for, by SIGKILL
// and by SIGTERM in turn.
func (k *killed) atCalls(t *testing.T, calls []string, at func(n int, signal syscall.Signal)) {
	t.Logf("%d calls", len(calls))
	for i, n := range killsOf(t, len(calls)) {
		signal := []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM}[i%2]
		t.Run(fmt.Sprintf("%d %s %s", n+1, calls[n], signal), func(t *testing.T) {
			k.t = t
			at(n+1, signal)
		})
	}
	k.t = t
}

// Backups of every kind are killed at each call by which they change anything, by
// SIGKILL and by SIGTERM: what is listed in either copy comes back as it was, nobody is
// left at work in the server, and the next backup leaves nothing that nobody needs.
func TestBackup_killed(t *testing.T) {
	if plainly(t) {
		return
	}
	d := newDying(t)
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
		d.summarize(t)
		cases = append(cases, struct{ name, component, more string }{"incremental base backup", "database", ", backup: base, incremental: 2, record: no"})
	}
	if !soaking() { // one of them
		cases = cases[1:2]
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			k := d.killing(t, c.component, c.more)
			calls := k.kill("backup", killat.Never, syscall.SIGKILL).Calls
			if len(calls) < 20 || !slices.Contains(calls, "send") || !slices.Contains(calls, "name a file") {
				t.Fatalf("it makes the calls %q", calls)
			}
			k.atCalls(t, calls, k.at)
			if published := lastOf(calls); c.name == "directory dump" && published > 0 {
				k.at(published+1, syscall.SIGKILL)
			}
		})
	}
}

// lastOf is the call after that which gave the last of a backup's own objects its name in
// the directory, and before that which takes its first name away; the very last is the
// manifest's.
func lastOf(calls []string) int {
	var published []int
	for i := range calls[:len(calls)-2] {
		if slices.Equal(calls[i:i+3], []string{"name a file", "fsync", "remove a file"}) {
			published = append(published, i+1)
		}
	}
	if len(published) < 2 {
		return 0
	}
	return published[len(published)-2]
}
