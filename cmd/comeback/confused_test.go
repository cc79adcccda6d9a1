package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"

	"golang.org/x/sys/unix"
)

// confusion is a way to make a recovery, a rescue or a rehearsal harm live.
type confusion struct {
	does string // one sentence
	args []string
	env  map[string]string
	says string
	// bind is a directory that is seen a second time, at another place, by a process
	// of its own; host what it thinks that its host is called.
	bind [2]string
	host string
	code recovery.Exit // where it is not Refused
}

// try goes that way, which leaves no run and no file.
func (c confusion) try(t *testing.T, r *rig) {
	t.Helper()
	maps.Copy(r.environ, c.env)
	var got output
	if c.bind[0] == "" && c.host == "" {
		got = r.run(t.Context(), append(slices.Clone(c.args), "--plain")...)
	} else {
		r.environ[bindEnv], r.environ[hostEnv] = strings.Join(c.bind[:], ":"), c.host
		code, said := r.process(t, append(slices.Clone(c.args), "--plain")...).ends()
		got = output{recovery.Exit(code), said, ""}
	}
	want := c.code
	if want == recovery.CameBack {
		want = recovery.Refused
	}
	if got.code != want || !strings.Contains(got.out+got.err, c.says) {
		t.Errorf("exit %d, want %d and %q\n%s%s", got.code, want, c.says, got.out, got.err)
	}
	r.noRun(t)
}

const (
	bindEnv = "COMEBACK_TEST_BIND"
	hostEnv = "COMEBACK_TEST_HOST"
)

// inAnotherPlace shows this process a directory a second time, or another name of its
// host, and executes it again. It must be in namespaces of its own.
func inAnotherPlace() error {
	if from, to, ok := strings.Cut(os.Getenv(bindEnv), ":"); ok && from != "" {
		if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
			return fmt.Errorf("make the mounts private: %w", err)
		}
		if err := unix.Mount(from, to, "", unix.MS_BIND, ""); err != nil {
			return fmt.Errorf("show %s at %s: %w", from, to, err)
		}
	}
	if host := os.Getenv(hostEnv); host != "" {
		if err := unix.Sethostname([]byte(host)); err != nil {
			return fmt.Errorf("call the host %s: %w", host, err)
		}
	}
	for _, name := range []string{bindEnv, hostEnv} {
		if err := os.Unsetenv(name); err != nil {
			return err
		}
	}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(exe, os.Args, os.Environ())
}

// copyBook is a runbook with one thing in it that is otherwise.
func copyBook(t *testing.T, path, was, is string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), was, is, 1)
	if other == string(text) {
		t.Fatalf("the runbook holds no %q\n%s", was, text)
	}
	path = filepath.Join(t.TempDir(), "other.md")
	if err := os.WriteFile(path, []byte(other), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Whatever a tired person confuses is refused before anything runs, with exit code 3
// and what to do next, and live is what it was. Two operators at once, a database that
// was made anew, and a plan that has grown old are in TestRecover_meanwhile and
// TestRecover_staleTree; what a dump can hold is in TestRecover_hostileDump.
func TestConfused(t *testing.T) {
	l := theShop(t)
	before := rowsOf(t, l.URL())
	p := newPages(t)
	pages := treeOf(t, p.live)
	data := listing(t, l.Cluster())
	dir := t.TempDir()
	link := func(name, to string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.Symlink(to, path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	make := func(path ...string) string {
		t.Helper()
		made := filepath.Join(append([]string{dir}, path...)...)
		if err := os.MkdirAll(made, 0o700); err != nil {
			t.Fatal(err)
		}
		return made
	}
	follower := standby(t, l, "confused")
	address := func(user, database string) map[string]string {
		return map[string]string{"DATABASE_URL": l.Layout.URL(user, database)}
	}
	onStandby := map[string]string{"DATABASE_URL": fmt.Sprintf("host=%s user=postgres dbname=shop", follower)}
	several := map[string]string{"DATABASE_URL": fmt.Sprintf("host=%s,%s user=postgres dbname=shop", follower, l.Socket())}

	book, whole := liveRunbook(t, l, l.before), clusterRunbook(t, l, l.before, "")
	recovers := func(args ...string) []string { return append([]string{"recover", book, "--to", l.dump}, args...) }
	named := recovers("--confirm", target(t))
	cluster := func(more string, args ...string) []string {
		return append([]string{"recover", clusterRunbook(t, l, l.before, more), "--to", l.base}, args...)
	}
	rescues := func(args ...string) []string {
		return append([]string{"rescue", book, "--xid", fmt.Sprint(l.incident.Harm.XID)}, args...)
	}
	tree := func(path string, args ...string) []string {
		book := p.book
		if path != p.live {
			book = copyBook(t, p.book, fmt.Sprintf("path: %q", p.live), fmt.Sprintf("path: %q", path))
		}
		return append([]string{"recover", book, "--to", "latest"}, args...)
	}
	owned := make("owned", "by production")
	rehearsal := copyBook(t, liveRunbook(t, l, l.before), "needs:", fmt.Sprintf("production: [db1, %q]\nneeds:", filepath.Dir(owned)))
	rehearses := func(scratch string) []string {
		return []string{"rehearse", rehearsal, "--to", l.dump, "--scratch", scratch}
	}
	seen, space := make("seen"), make("space", "PG_15_202209061", "5")
	host := strings.TrimSuffix(target(t), "/shop")
	for _, c := range []confusion{
		{does: "nobody named the target", args: recovers(), says: "nobody has named it"},
		{does: "the name of another host was typed", args: recovers("--confirm", "db2/shop"), says: "is not the name of the target"},
		{does: "the name of another database was typed", args: recovers("--confirm", host+"/coupons"), says: "is not the name of the target"},
		{does: "the name was typed in other letters", args: recovers("--confirm", strings.ToUpper(target(t))), says: "is not the name of the target"},
		{does: "only the host was typed", args: recovers("--confirm", host), says: "is not the name of the target"},
		{does: "only the database was typed", args: recovers("--confirm", "shop"), says: "is not the name of the target"},
		{does: "the cluster's name was typed for one of its databases", args: recovers("--confirm", clusterTarget(t, l)), says: "is not the name of the target"},
		{does: "the name of the tree was typed for the database", args: recovers("--confirm", p.name(t)), says: "is not the name of the target"},
		{does: "the terminal is on another host than its operator thinks", host: "db2", args: named, env: address("postgres", "shop"), says: "is not the name of the target"},
		{does: "the environment leads to a database that is not there", args: named, env: address("postgres", "elsewhere"), says: "no database"},
		{does: "the environment leads to the server's own database", args: named, env: address("postgres", "postgres"), says: "is the server's own"},
		{does: "the environment leads to a template", args: named, env: address("postgres", "template1"), says: "template"},
		{does: "the environment leads to a standby, which is a copy with the same system identifier", args: named, env: onStandby, says: "is a standby"},
		{does: "the address leads to whichever of two servers answers", args: named, env: several, says: "names several"},
		{does: "the role may not do it", args: named, env: address("shop", "shop"), says: "may not switch"},
		{does: "scratch is the live data directory", args: recovers("--confirm", target(t), "--scratch", l.Cluster()), says: "which is a server's data directory"},

		{does: "the database's name was typed for its whole cluster", args: cluster("", "--confirm", target(t)), says: "is not the name of the target"},
		{does: "the runbook names another data directory than the server has", args: cluster(fmt.Sprintf(", data: %q", filepath.Join(filepath.Dir(follower), "standby")), "--confirm", clusterTarget(t, l)), says: "and the runbook names"},
		{does: "the data directory is a standby's, whose server the address reaches", args: []string{"recover", whole, "--to", l.base, "--confirm", clusterTarget(t, l)}, env: onStandby, says: "is a standby"},
		{does: "a server runs in the data directory that is said to be dead", args: cluster(fmt.Sprintf(", data: %q", l.Cluster()), "--confirm", clusterTarget(t, l)),
			env: map[string]string{"DATABASE_URL": "host=" + dir + " user=postgres dbname=shop"}, says: "does not answer at the component's url"},
		{does: "what is said to be a dead server's data directory is a tree of files", args: cluster(fmt.Sprintf(", data: %q", p.live), "--confirm", clusterTarget(t, l)),
			env: map[string]string{"DATABASE_URL": "host=" + dir + " user=postgres dbname=shop"}, says: "is not a data directory"},
		{does: "a dump of one database is to become the cluster", args: []string{"recover", whole, "--to", l.dump, "--confirm", clusterTarget(t, l)}, says: "a dump holds a database, not the cluster"},

		{does: "nobody named the database of a rescue", args: rescues(), says: "nobody has named it"},
		{does: "another database was named for a rescue", args: rescues("--confirm", host+"/coupons"), says: "is not the name of the target"},
		{does: "a rescue leads to a standby", args: rescues("--confirm", target(t)), env: onStandby, says: "is a standby"},
		{does: "a rescue leads to whichever of two servers answers", args: rescues("--confirm", target(t)), env: several, says: "names several"},
		{does: "a rescue's scratch lies in the live data directory", args: rescues("--confirm", target(t), "--scratch", filepath.Join(l.Cluster(), "base")), says: "which is a server's data directory"},

		{does: "nobody named the tree", args: tree(p.live), says: "nobody has named it"},
		{does: "the copy was named for the tree", args: tree(p.live, "--confirm", host+":"+filepath.Join(filepath.Dir(p.live), "copy")), says: "is not the name of the target"},
		{does: "the tree is a link to the one that lives", args: tree(link("pages", p.live), "--confirm", p.name(t)), says: "is not a directory"},
		{does: "the tree is a file", args: tree(filepath.Join(p.live, "index.html"), "--confirm", p.name(t)), says: "is not a directory"},
		{does: "the tree is the one that lives, seen a second time", bind: [2]string{p.live, seen}, args: tree(seen, "--confirm", host+":"+seen), says: "is a mount point"},

		{does: "a rehearsal's scratch is production's", args: rehearses(owned), says: "which the runbook calls production's"},
		{does: "a rehearsal's scratch is production's by a link", args: rehearses(link("scratch", owned)), says: "which the runbook calls production's"},
		{does: "a rehearsal's scratch is production's, seen a second time", bind: [2]string{owned, seen}, env: address("postgres", "shop"), args: rehearses(seen), says: "which the runbook calls production's"},
		{does: "a rehearsal's scratch is the live data directory, by a link", args: rehearses(link("data", l.Cluster())), says: "which is a server's data directory"},
		{does: "a rehearsal's scratch is a tablespace", args: rehearses(filepath.Dir(filepath.Dir(space))), says: "which is a server's tablespace"},
		{does: "a rehearsal's scratch is a database's directory in a tablespace", args: rehearses(space), says: "which is a server's tablespace"},
		{does: "a rehearsal's scratch lies in the live tree", args: []string{"rehearse", p.book, "--to", "latest", "--scratch", filepath.Join(p.live, "blog")}, says: "where the component pages lives"},
		{does: "a rehearsal's scratch lies in the live tree, seen a second time", bind: [2]string{filepath.Join(p.live, "blog"), seen},
			args: []string{"rehearse", p.book, "--to", "latest", "--scratch", seen}, says: "where the component pages lives"},
		{does: "a rehearsal is told to change a target, which it has not", args: []string{"rehearse", book, "--to", l.dump, "--confirm", target(t)}, says: "unknown flag", code: recovery.Usage},
	} {
		t.Run(c.does, func(t *testing.T) { c.try(t, newRig(t).live(l)) })
	}
	t.Run("what libpq reads from the environment leads elsewhere, and is not followed", func(t *testing.T) {
		r := newRig(t).live(l)
		planned := func() string {
			p := r.planned(t, "recover", book, "--to", l.dump)
			return p.Confirm + ", " + p.Live[0].Target.Identity.String()
		}
		was := planned()
		service := filepath.Join(dir, "services")
		if err := os.WriteFile(service, []byte("[elsewhere]\nhost="+follower+"\ndbname=coupons\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		for name, v := range map[string]string{"PGHOST": follower, "PGDATABASE": "coupons", "PGUSER": "shop", "PGSERVICE": "elsewhere", "PGSERVICEFILE": service, "PGOPTIONS": "-c search_path=trap"} {
			t.Setenv(name, v)
		}
		if is := planned(); is != was {
			t.Errorf("live was %s and is %s", was, is)
		}
	})
	if !slices.Equal(rowsOf(t, l.URL()), before) || !maps.Equal(treeOf(t, p.live), pages) {
		t.Error("live was changed")
	}
	if now := listing(t, l.Cluster()); now != data {
		t.Errorf("the live data directory holds\n%s\nand held\n%s", now, data)
	}
}

// listing is what a server's data directory holds, but for the files that it makes itself.
func listing(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range entries {
		all = append(all, e.Name())
	}
	return strings.Join(all, "\n")
}

// A plan grows old while nobody looks: its directory is exchanged for another, or its
// own file for another plan's. What is taken up then is refused, and nothing is changed.
func TestRecover_staleTree(t *testing.T) {
	p, r := newPages(t), newRig(t)
	r.environ["COMEBACK_TEST_KILL"] = "before:step.started/1 pages.swap"
	if got := r.run(t.Context(), "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t)); got.code != recovery.NotEnded {
		t.Fatalf("killed: exit %d\n%s%s", got.code, got.out, got.err)
	}
	delete(r.environ, "COMEBACK_TEST_KILL")
	dir := r.only(t)
	resumed := func(does, says string) {
		t.Helper()
		was := treeOf(t, p.live)
		if got := r.run(t.Context(), "resume", filepath.Base(dir), "--plain", "--unattended"); got.code != recovery.Refused || !strings.Contains(got.out+got.err, says) {
			t.Errorf("%s: exit %d\n%s%s", does, got.code, got.out, got.err)
		}
		if !maps.Equal(treeOf(t, p.live), was) {
			t.Errorf("%s: live was changed", does)
		}
	}
	plan := filepath.Join(dir, "plan.json")
	was, err := os.ReadFile(plan)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(plan, []byte(strings.ReplaceAll(string(was), p.live, filepath.Dir(p.live))), 0o600); err != nil {
		t.Fatal(err)
	}
	resumed("another plan", "plan")
	if err := os.WriteFile(plan, was, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(p.live, p.live+".aside"); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(p.live, os.DirFS(p.live+".aside")); err != nil {
		t.Fatal(err)
	}
	resumed("another directory of the same content", "is not what it was when the plan was made: inode was")
}
