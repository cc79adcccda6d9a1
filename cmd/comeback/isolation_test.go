package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/shop"
	"comeback/shop/shoptest"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sys/unix"
)

// way is one way to reach production: a command of bash that ends well where it
// got there.
type way struct {
	name, command string
	root          bool // it is one for root only
}

func (p *production) ways() []way {
	psql := func(host string) string {
		return fmt.Sprintf(`psql -X -c 'select 1' "host=%s port=%s user=postgres dbname=postgres connect_timeout=5"`, host, p.port)
	}
	get := func(host string) string {
		return fmt.Sprintf(`bash -c 'exec 3<>/dev/tcp/%s/%s && printf "GET / HTTP/1.0\r\n\r\n" >&3 && grep -q production <&3'`, host, p.web)
	}
	local := func(statements ...string) string {
		c := `psql -X -v ON_ERROR_STOP=1`
		for _, s := range statements {
			c += ` -c "` + s + `"`
		}
		return c + ` "$DATABASE_URL"`
	}
	precious := filepath.Join(p.files, "precious")
	ways := []way{
		{name: "the cluster by its socket", command: psql(p.socket)},
		{name: "a file read", command: "cat " + precious},
		{name: "a file written", command: "touch " + filepath.Join(p.files, "new")},
		{name: "a process signalled", command: fmt.Sprintf("kill -0 %d", p.pid)},
		{name: "a file by way of a process", command: fmt.Sprintf("cat /proc/%d/root%s", p.pid, precious)},
		{name: "the network of a process", root: true, command: fmt.Sprintf("nsenter --net=/proc/%d/ns/net %s", p.pid, psql("127.0.0.1"))},
		{name: "the files uncovered", root: true, command: fmt.Sprintf("unshare -m sh -c 'umount %s; cat %s'", p.files, precious)},
		{name: "dblink in the server, by the socket", command: local(fmt.Sprintf("select * from dblink('%s', 'select 1') as t(i int)", p.conninfo()))},
		{name: "postgres_fdw in the server, by TCP", command: local(
			"create server production foreign data wrapper postgres_fdw options (host '127.0.0.1', port '"+p.port+"', dbname 'postgres')",
			"create user mapping for current_user server production options (user 'postgres')",
			"create foreign table far (i int) server production options (table_name 'orders')",
			"select count(*) from far",
			"drop server production cascade")},
		{name: "a file written by the server", command: local("copy (select 1) to '" + filepath.Join(p.files, "by-server") + "'")},
		{name: "a program of the server", command: local("copy (select 1) to program 'cat - " + precious + "'")},
	}
	if p.abstract != "" {
		ways = append(ways, way{name: "the cluster by its abstract socket", command: psql("@" + p.abstract)})
	}
	// The host's own, but where the test itself runs in a container.
	first, errFirst := os.Readlink("/proc/1/ns/net")
	if own, err := os.Readlink("/proc/self/ns/net"); errFirst == nil && err == nil && first == own {
		ways = append(ways, way{name: "the network of the first process", root: true, command: "nsenter --net=/proc/1/ns/net " + psql("127.0.0.1")})
	}
	// What the server's user may do to others of the same user is up to Landlock.
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno == 0 && version >= 2 {
		ways = append(ways, way{name: "a file by way of a process, by the server", command: local(fmt.Sprintf("copy (select 1) to program 'cat - /proc/%d/root%s'", p.pid, precious))})
	}
	if errno == 0 && version >= 6 {
		ways = append(ways, way{name: "a process signalled by the server", command: local(fmt.Sprintf("copy (select 1) to program 'cat && kill -0 %d'", p.pid))})
	}
	for _, h := range p.hosts {
		ways = append(ways, way{name: "the cluster on " + h, command: psql(h)}, way{name: "the web server on " + h, command: get(h)})
	}
	return ways
}

// script tries every way and says which led there. The datagram is heard, or is
// not: nobody answers it.
func (p *production) script(user *syscall.Credential) (text string, names []string) {
	var b strings.Builder
	b.WriteString("#!/bin/bash\n# run: try every way out\n# in: both\n# timeout: 10m\n")
	b.WriteString("try() { if timeout 20 bash -c \"$2\" >/dev/null 2>&1; then echo \"REACHED $1\"; else echo \"tried $1\"; fi; }\n")
	b.WriteString("psql -X -c 'select 1' \"$DATABASE_URL\" # the restored one is reached\n")
	for _, w := range p.ways() {
		if w.root && (user != nil || os.Geteuid() != 0) {
			continue
		}
		fmt.Fprintf(&b, "try '%s' '%s'\n", w.name, strings.ReplaceAll(w.command, "'", `'\''`))
		names = append(names, w.name)
	}
	fmt.Fprintf(&b, "echo escaped >/dev/udp/127.0.0.1/%s\n", p.udp)
	return b.String(), names
}

// subscriber opens a shop that subscribes to production, takes its backup, and
// closes it. alive is called while its server runs.
func (p *production) subscriber(t *testing.T, alive func(*shop.Shop)) *shop.Shop {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	s := shoptest.Open(t, shop.Options{Scale: 50, Seed: 2})
	super := s.Layout.URL("postgres", "shop")
	p.exec(t, "create table orders (i int)", "create table news (i int)", "create publication news for table news", "insert into orders values (1)")
	statements(t, super, "create extension dblink", "create extension postgres_fdw", "create table news (i int)",
		fmt.Sprintf("create subscription news connection '%s application_name=subscriber' publication news", p.conninfo()))
	p.exec(t, "insert into news values (1)")
	conn, err := pgx.Connect(ctx, super)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	for n := 0; n == 0; { // until what production publishes has arrived
		if err := conn.QueryRow(ctx, "select count(*) from news").Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	p.visits(t)
	alive(s)
	if _, err := s.Backup(ctx, shop.BackupOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := s.Write(ctx, 20); err != nil {
		t.Fatal(err)
	}
	if err := s.Archived(ctx); err != nil {
		t.Fatal(err)
	}
	conn.Close(ctx)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Promise 1: a rehearsal cannot reach production. Each way is first gone
// outside of a rehearsal, where it leads there; then a restored cluster with an
// enabled subscription and a shell block of its runbook go them all.
func TestRehearse_cannotReachProduction(t *testing.T) {
	t.Parallel()
	p := newProduction(t)
	users := map[string]*syscall.Credential{"of our own user": nil}
	s := p.subscriber(t, func(s *shop.Shop) {
		if os.Geteuid() == 0 {
			users["of an ordinary user"] = &syscall.Credential{Uid: uint32(s.Owner.UID), Gid: uint32(s.Owner.GID)}
		}
		for name, user := range users {
			t.Run("outside of a rehearsal "+name, func(t *testing.T) { p.reached(t, s, user) })
		}
	})
	p.visits(t) // whoever came by now came from outside
	for name, user := range users {
		t.Run("in a rehearsal "+name, func(t *testing.T) { p.unreached(t, s, user) })
	}
}

// reached goes every way outside of a rehearsal.
func (p *production) reached(t *testing.T, s *shop.Shop, user *syscall.Credential) {
	text, names := p.script(user)
	if len(names) < 10 {
		t.Errorf("only %d ways: %q", len(names), names)
	}
	cmd := exec.CommandContext(t.Context(), "/bin/bash", "-c", text)
	cmd.Dir, cmd.Env = "/", append(os.Environ(), "DATABASE_URL="+s.Layout.URL("postgres", "shop"))
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := cmd.CombinedOutput()
	for _, name := range names {
		if !strings.Contains(string(out), "REACHED "+name+"\n") {
			t.Errorf("%s is not reached: %v\n%s", name, err, out)
		}
	}
	sessions, datagrams, requests := p.visits(t)
	if len(sessions) == 0 || !slices.Equal(datagrams, []string{"escaped"}) || requests == 0 {
		t.Errorf("production saw the sessions %q, the datagrams %q and %d requests", sessions, datagrams, requests)
	}
	for _, f := range p.written {
		if err := os.Remove(filepath.Join(p.files, f)); err != nil {
			t.Error(err)
		}
	}
}

// unreached rehearses as a user, nil being ours.
func (p *production) unreached(t *testing.T, s *shop.Shop, user *syscall.Credential) {
	r := newRig(t)
	if user != nil {
		r.give(t, user, s.Copy())
	}
	text, names := p.script(user)
	book := fmt.Sprintf(`---
comeback: 1
system: shop
rpo: 5m
rto: 30m
production: [db1, %q]
needs: {DATABASE_URL: "from the vault"}
copies:
  nearby: {url: %q}
components:
  database: {kind: postgres, url: "${DATABASE_URL}"}
---
# Shop

## Restore
Budget: 5m.

`+"```yaml\nrestore: database\n```\n\n## Escape\n\n```sh\n%s```\n", p.files, s.CopyURL(), text)
	path := filepath.Join(r.state, "shop.md")
	if err := os.WriteFile(path, []byte(book), 0o644); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), everybodys(t), "rehearse", path, "--plain", "--to", "latest")
	cmd.Dir, cmd.Env = "/", append(r.env(), "COMEBACK_TEST_MAIN=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: user}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	logs, globErr := filepath.Glob(filepath.Join(r.only(t), "artifacts", "2.1.run*.log"))
	if globErr != nil || len(logs) != 1 {
		t.Fatalf("logs of the block: %q, %v\n%s", logs, globErr, out)
	}
	log, err := os.ReadFile(logs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !regexp.MustCompile(`(?m) tried ` + regexp.QuoteMeta(name) + `$`).Match(log) {
			t.Errorf("%s:\n%s", name, log)
		}
	}
	sessions, datagrams, requests := p.visits(t)
	if len(sessions)+len(datagrams) != 0 || requests != 0 {
		t.Errorf("production saw the sessions %q, the datagrams %q and %d requests", sessions, datagrams, requests)
	}
	for _, f := range p.written {
		if _, err := os.Lstat(filepath.Join(p.files, f)); err == nil {
			t.Errorf("production has the file %s", f)
		}
	}
}

// give makes the rig, and a copy, another user's.
func (r *rig) give(t *testing.T, user *syscall.Credential, copy string) {
	t.Helper()
	r.state, r.environ["HOME"] = shoptest.Dir(t), shoptest.Dir(t) // t.TempDir is closed to others
	r.environ["COMEBACK_STATE"] = r.state
	for _, dir := range []string{r.state, r.scratch, r.environ["HOME"], copy} {
		err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, int(user.Uid), int(user.Gid)))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// everybodys is this program where every user can execute it.
func everybodys(t *testing.T) string {
	t.Helper()
	path := filepath.Join(shoptest.Dir(t), "comeback")
	// By another process: what this one has open for writing, a child that is forked
	// meanwhile has open, too, and the kernel executes no file that anybody may write.
	if out, err := exec.Command("install", "-m", "755", fmt.Sprintf("/proc/%d/exe", os.Getpid()), path).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return path
}
