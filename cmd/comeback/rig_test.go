package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/isolation"
	"comeback/recovery/neighbours"
	"comeback/recovery/pitr/walg/walgtest"
	"comeback/recovery/runner"
	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
	"github.com/rogpeppe/go-internal/testscript"
)

// TestMain lets the test binary be comeback: for the scripts, and for the
// restore_command of the servers that it starts itself.
func TestMain(m *testing.M) {
	isolation.Init()
	walgtest.Main()
	if os.Getenv(bindEnv) != "" || os.Getenv(hostEnv) != "" {
		fmt.Fprintln(os.Stderr, inAnotherPlace())
		os.Exit(1)
	}
	if file := os.Getenv(bootEnv); file != "" {
		fmt.Fprintln(os.Stderr, inAnotherBoot(file))
		os.Exit(1)
	}
	if os.Getenv(unheardEnv) != "" {
		fmt.Fprintln(os.Stderr, asUnheard())
		os.Exit(1)
	}
	if os.Getenv("COMEBACK_TEST_MAIN") != "" || len(os.Args) > 1 && slices.Contains([]string{"wal", "runner"}, os.Args[1]) {
		asComeback()
	}
	endWithParent()
	listings = nil
	testscript.Main(closing{m}, map[string]func(){"comeback": carriedOut})
}

// asComeback is the program, with what tests add to it: a runner does not
// outlive the test process, and dies where a test wants it to.
func asComeback() {
	if len(os.Args) < 2 || os.Args[1] != "wal" && os.Args[1] != "runner" || len(os.Args) > 2 && os.Args[2] == "receive" {
		carriedOut()
	}
	a := newApp()
	if os.Args[1] == "wal" {
		// Not os.Exit: under the race detector it waits for a second, and a
		// server calls this for every segment.
		syscall.Exit(int(a.run(context.Background(), os.Args[1:])))
	}
	endWithParent()
	a.intent, a.event = killer(os.Getenv("COMEBACK_TEST_KILL"))
	if ahead, err := time.ParseDuration(os.Getenv(aheadEnv)); err == nil {
		a.now = func() time.Time { return time.Now().Add(ahead) }
	}
	ctx, stop := interruptible()
	code := a.run(ctx, os.Args[1:])
	stop()
	os.Exit(int(code))
}

// endWithParent ends this process with the test that has started it, also where that is
// killed.
func endWithParent() {
	pid, err := strconv.Atoi(os.Getenv("COMEBACK_TEST_PARENT"))
	if err != nil {
		return
	}
	ended, err := afterProcess(pid)
	if err != nil {
		panic(err)
	}
	go func() {
		<-ended
		syscall.Kill(os.Getpid(), syscall.SIGTERM)
	}()
}

// aheadEnv moves the clock of a runner as that of the rig that started it.
const aheadEnv = "COMEBACK_TEST_AHEAD"

// killer kills this process with SIGKILL at one event, "before:17" or
// "after:17", counted in this process; or "before:step.finished/1 database.copy",
// of one type and step.
func killer(at string) (intent func(recovery.Payload), event func(recovery.Event)) {
	when, number, ok := strings.Cut(at, ":")
	n, err := strconv.Atoi(number)
	if !ok {
		return nil, nil
	}
	if err != nil {
		return killerOf(when, number)
	}
	left := n
	die := func() {
		if left--; left == 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if when == "before" {
		return func(recovery.Payload) { die() }, nil
	}
	return nil, func(recovery.Event) { die() }
}

// killerOf kills this process at an event of a type and a step.
func killerOf(when, which string) (intent func(recovery.Payload), event func(recovery.Event)) {
	kind, step, _ := strings.Cut(which, " ")
	dieIf := func(typ string, data []byte) {
		if typ == kind && bytes.Contains(data, []byte(`"step":"`+step+`"`)) {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	if when == "before" {
		return func(p recovery.Payload) {
			if e, err := recovery.NewEvent(time.Time{}, p); err == nil {
				dieIf(e.Type, e.Data)
			}
		}, nil
	}
	return nil, func(e recovery.Event) { dieIf(e.Type, e.Data) }
}

// closing closes what the tests share when all of them have ended.
type closing struct{ m *testing.M }

func (c closing) Run() int {
	code := c.m.Run()
	if err := closeShared(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// lost is a shop with backups and an incident, and what it held before it.
type lost struct {
	*shop.Shop
	dump, base string // keys in the copy
	incident   shop.Incident
	// middle is a commit between the base backup and the incident, with an end
	// of a segment between it and either.
	middle shop.Commit
	// atDump and before are the digests of all tables when the dump was made
	// and just before the incident, in the tables' order.
	atDump, before []digest
}

type digest struct{ table, query, value string }

var shared struct {
	once sync.Once
	lost *lost
	dir  string
	err  error
}

// theShop is built once for all tests that only read it.
func theShop(t testing.TB) *lost {
	t.Helper()
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
		defer cancel()
		shared.lost, shared.err = buildShop(ctx)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.lost
}

func buildShop(ctx context.Context) (*lost, error) {
	dir, err := os.MkdirTemp("", "shop-")
	if err != nil {
		return nil, err
	}
	shared.dir = dir
	if err := os.Chmod(dir, 0o711); err != nil {
		return nil, err
	}
	s, err := shop.Open(ctx, shop.Options{Dir: dir, Scale: 400, Seed: 1})
	if err != nil {
		return nil, err
	}
	l := &lost{Shop: s}
	steps := []func() error{
		func() error { return s.Write(ctx, 50) },
		func() (err error) { l.dump, err = s.Dump(ctx); return },
		func() (err error) { l.atDump, err = digests(ctx, s.URL()); return },
		func() error { return s.Write(ctx, 20) },
		func() (err error) { l.base, err = s.Backup(ctx, shop.BackupOptions{}); return },
		func() error { return s.Write(ctx, 150) },
		func() error { l.middle = s.Commits()[len(s.Commits())-1]; return s.Archived(ctx) },
		func() error { return s.Write(ctx, 50) },
		func() (err error) { l.before, err = digests(ctx, s.URL()); return },
		func() (err error) { l.incident, err = s.Incident(ctx); return },
		func() error { return s.Write(ctx, 30) },
		func() error { return s.Archived(ctx) },
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return l, err
		}
	}
	return l, nil
}

func closeShared() error {
	if shared.lost != nil {
		if err := shared.lost.Close(); err != nil {
			return err
		}
	}
	if shared.dir == "" {
		return nil
	}
	return os.RemoveAll(shared.dir)
}

// digests asks each table for one digest of all its rows.
func digests(ctx context.Context, url string) ([]digest, error) {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return nil, err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select relname::text from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' and relpersistence = 'p' order by 1`)
	if err != nil {
		return nil, err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, err
	}
	var all []digest
	for _, t := range tables {
		d := digest{table: t, query: fmt.Sprintf(`select md5(coalesce(string_agg(r::text, E'\n' order by r::text collate "C"), '')) from %s r`, pgx.Identifier{t}.Sanitize())}
		if err := conn.QueryRow(ctx, d.query).Scan(&d.value); err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

// runbook writes a runbook for the shop whose checks are the digests.
func runbook(t testing.TB, copyYAML string, want []digest, more string) string {
	t.Helper()
	var b strings.Builder
	fmt.Fprintf(&b, "---\ncomeback: 1\nsystem: shop\nrpo: 5m\nrto: 30m\nneeds: {DATABASE_URL: \"from the vault\"}\ncopies:\n  nearby: %s\ncomponents:\n  database: {kind: postgres, url: \"${DATABASE_URL}\"}\n---\n# Shop\n\n## Restore\nBudget: 5m.\n\n```yaml\nrestore: database\n```\n\n## Check\n", copyYAML)
	for _, d := range want {
		fmt.Fprintf(&b, "\n```sql\n-- check: %s is what it was\n-- on: database\n-- expect: = '%s'\n%s;\n```\n", d.table, d.value, d.query)
	}
	b.WriteString(more)
	path := filepath.Join(t.TempDir(), "shop.md")
	if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// rig runs command lines in this process, with a state directory of its own.
type rig struct {
	t              testing.TB
	state, scratch string
	environ        map[string]string
	// ahead is how far the clock of its command lines goes ahead.
	ahead time.Duration
	// surveyed, gathered and skewed are those of its programs.
	surveyed func(*catalogue.Catalogue)
	gathered func(*check.Evidence)
	skewed   func(time.Duration) time.Duration
	// nextID is the ID of the next run; empty lets the program choose.
	nextID string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t, state: t.TempDir(), scratch: shoptest.Dir(t), environ: map[string]string{}}
	for _, name := range []string{"PATH", "COMEBACK_PG_BIN", "COMEBACK_TOOLS"} {
		if v, ok := os.LookupEnv(name); ok {
			r.environ[name] = v
		}
	}
	r.environ["COMEBACK_STATE"], r.environ["COMEBACK_SCRATCH"] = r.state, r.scratch
	r.environ["HOME"], r.environ["USER"] = t.TempDir(), "ops1"
	r.environ["COMEBACK_TEST_PARENT"] = strconv.Itoa(os.Getpid())
	t.Cleanup(func() {
		r.runnersEnd(t)
		if left, err := os.ReadDir(r.scratch); err != nil || len(left) > 0 {
			t.Errorf("left in the scratch directory: %v, %v", left, err)
		}
	})
	return r
}

// runnersEnd waits for the processes of runs that have ended: the last that they
// write comes after what a front end waits for.
func (r *rig) runnersEnd(t testing.TB) {
	t.Helper()
	runs, err := (runner.Home{Dir: r.state}).List()
	if err != nil {
		t.Fatal(err)
	}
	for _, run := range runs {
		line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", run.State.PID))
		if err != nil || run.State.Result == "" || !bytes.Contains(line, []byte("\x00runner\x00")) || !bytes.Contains(line, []byte(run.ID)) {
			continue
		}
		ended, err := afterProcess(run.State.PID)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(3 * time.Minute):
			t.Errorf("the runner of run %s does not end", run.ID)
		}
	}
}

// env is the environment of a process of the rig: the credentials of the test's
// S3 server come from the test's own.
func (r *rig) env() []string {
	var env []string
	for _, kv := range os.Environ() {
		if strings.HasPrefix(kv, "AWS_") {
			env = append(env, kv)
		}
	}
	for name, v := range r.environ {
		env = append(env, name+"="+v)
	}
	if r.ahead != 0 {
		env = append(env, aheadEnv+"="+r.ahead.String())
	}
	return env
}

type output struct {
	code     recovery.Exit
	out, err string
}

func (r *rig) run(ctx context.Context, args ...string) output {
	return r.seen(ctx, "", nil, args...)
}

// seen is run that calls a function as soon as a text stands in what is printed.
func (r *rig) seen(ctx context.Context, text string, seen func(), args ...string) output {
	stdout, stderr := &screen{watch: text, seen: seen}, &bytes.Buffer{}
	code := r.app(stdout, stderr).run(ctx, args)
	if err := exitNamed(args, code); err != nil {
		r.t.Error(err)
	}
	return output{code, stdout.text.String(), stderr.String()}
}

// app is the program in this process, in the rig's surroundings.
func (r *rig) app(stdout, stderr io.Writer) *app {
	lookup := func(name string) (string, bool) { v, ok := r.environ[name]; return v, ok }
	return &app{
		streams: streams{in: strings.NewReader(""), out: stdout, err: stderr},
		host: host{lookup: lookup, now: func() time.Time { return time.Now().Add(r.ahead) }, environ: r.env(), secrets: execute.NewSecrets(lookup, nil, execute.KnownSecrets...),
			unitDir: filepath.Join(r.state, "units"), cronDir: filepath.Join(r.state, "cron")},
		readOnce: readOnce{books: &copiedBooks{}, manifests: &neighbours.Cache{}},
		probes:   probes{nextID: r.nextID, surveyed: r.surveyed, gathered: r.gathered, skewed: r.skewed},
	}
}

// only is the single run of the rig's state.
func (r *rig) only(t testing.TB) string {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs: %v, %v", runs, err)
	}
	return runs[0]
}

// noRun fails where a run was recorded.
func (r *rig) noRun(t testing.TB) {
	t.Helper()
	if runs, err := filepath.Glob(filepath.Join(r.state, "runs", "*")); err != nil || len(runs) != 0 {
		t.Errorf("a refusal left runs: %v, %v", runs, err)
	}
}

func sorted(d []digest) []string {
	var s []string
	for _, d := range d {
		s = append(s, d.table)
	}
	slices.Sort(s)
	return s
}
