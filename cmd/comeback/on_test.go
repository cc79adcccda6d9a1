package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/remote/sshtest"
	"comeback/recovery/runner"
	"comeback/shop/shoptest"
)

// away is a bastion and a host that it reaches by ssh alone: the host has another user, a
// home and a state of its own, and nothing of the bastion's environment.
type away struct {
	*rig
	server *sshtest.Server
	// there is the host's own state.
	there runner.Home
	// token is a secret that only the bastion has, and that the runbook names: its
	// copy lies in a directory of that name.
	token, book, key string
	// bin is where the host looks for programs first.
	bin string
}

func newAway(t *testing.T, more string) *away {
	t.Helper()
	a := &away{rig: newRig(t), token: "geheim-" + strings.ToLower(rand.Text()), bin: shoptest.Dir(t)}
	withKey(t, a.rig)
	a.key = filepath.Join(a.environ["HOME"], ".ssh", "id_ed25519")
	a.server = sshtest.Start(t, "PATH="+a.bin+":"+os.Getenv("PATH"), "COMEBACK_TEST_MAIN=1",
		"COMEBACK_TEST_PARENT="+strconv.Itoa(os.Getpid()))
	a.there = runner.Home{Dir: filepath.Join(a.server.Home, ".local", "state", "comeback")}
	a.environ["COMEBACK_SSH"], a.environ["SHOP_TOKEN"] = "ssh -F "+a.server.Config, a.token
	a.book = filesBook(t, more)
	a.hideCopy(t)
	t.Cleanup(func() { a.hostEnds(t) })
	return a
}

// hostEnds waits for what still runs on the host: the last that a runner or a command that
// was hung up does comes after what this end waits for.
func (a *away) hostEnds(t *testing.T) {
	t.Helper()
	for pid, line := range processes(t) {
		if !strings.Contains(line, filepath.Join(a.server.Home, ".cache")) {
			continue
		}
		ended, err := afterProcess(pid)
		if err != nil {
			t.Fatal(err)
		}
		select {
		case <-ended:
		case <-time.After(3 * time.Minute):
			t.Errorf("on the host does not end: %s", line)
		}
	}
}

// hideCopy moves the runbook's copy to where only who knows the token finds it, and the
// host's user may write.
func (a *away) hideCopy(t *testing.T) {
	t.Helper()
	b, err := os.ReadFile(a.book)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), `"file://`)
	copied, _, _ := strings.Cut(rest, `"`)
	hidden := filepath.Join(filepath.Dir(copied), a.token)
	text := strings.Replace(string(b), copied, filepath.Dir(copied)+"/${SHOP_TOKEN}", 1)
	text = strings.Replace(text, "system: shop\n", "system: shop\nneeds: {SHOP_TOKEN: \"from the vault\"}\n", 1)
	for _, err := range []error{os.Rename(copied, hidden), os.Chmod(hidden, 0o777), os.Chmod(filepath.Dir(copied), 0o711), os.WriteFile(a.book, []byte(text), 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// lead makes the bastion's key that of the runbook's lead.
func (a *away) lead(t *testing.T) {
	t.Helper()
	public, err := os.ReadFile(a.key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(a.book)
	if err != nil {
		t.Fatal(err)
	}
	people := fmt.Sprintf("rto: 30m\npeople:\n  - {role: lead, reach: \"#incidents\", key: %q}\n", strings.TrimSpace(string(public)))
	if err := os.WriteFile(a.book, []byte(strings.Replace(string(b), "rto: 30m\n", people, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
}

// on carries a command line out on the host.
func (a *away) on(t *testing.T, args ...string) output {
	t.Helper()
	return a.run(t.Context(), append(args, "--on", sshtest.Alias)...)
}

// secretNowhere fails where the token stands in a file of either end, in what the server
// has logged, in the command line of a process or in what ssh is told by its environment.
func (a *away) secretNowhere(t *testing.T) {
	t.Helper()
	for _, dir := range []string{a.server.Dir, a.state, a.scratch} {
		err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil // it has gone
			}
			b, err := os.ReadFile(path)
			if err == nil && bytes.Contains(b, []byte(a.token)) {
				t.Errorf("the secret stands in %s", path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(a.server.Log(), a.token) {
		t.Errorf("sshd has logged the secret:\n%s", a.server.Log())
	}
	for pid, line := range processes(t) {
		if strings.Contains(line, a.token) {
			t.Errorf("the secret stands in the command line of process %d: %s", pid, line)
		}
	}
	for _, pid := range a.ssh(t) {
		if b, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid)); err == nil && bytes.Contains(b, []byte(a.token)) {
			t.Errorf("ssh has the secret in its environment")
		}
	}
}

// processes are the command lines of all processes.
func processes(t *testing.T) map[int]string {
	t.Helper()
	found, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	lines := map[int]string{}
	for _, path := range found {
		if b, err := os.ReadFile(path); err == nil {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			lines[pid] = strings.ReplaceAll(string(b), "\x00", " ")
		}
	}
	return lines
}

// ssh are the clients that are connected to the host.
func (a *away) ssh(t *testing.T) []int {
	t.Helper()
	var pids []int
	for pid, line := range processes(t) {
		if strings.HasPrefix(line, "ssh -F "+a.server.Config) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// A rehearsal on a host goes to its end there with what only the bastion knows, and
// what is left of it here is as there, signed with the key that never left.
func TestOn_plain(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	got := a.on(t, "rehearse", a.book, "--plain", "--key", a.key)
	if got.code != recovery.CameBack || !strings.Contains(got.out, "is here, too") || !strings.Contains(got.out, "signed by") || !strings.Contains(got.out, "filed in nearby") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	a.secretNowhere(t)
	here := a.only(t)
	verifiesWithStockTools(t, here, a.key)
	id := filepath.Base(here)
	if now, then := treeOf(t, here), treeOf(t, a.there.RunDir(id)); fmt.Sprint(now) != fmt.Sprint(then) {
		t.Errorf("the run is another one here: %v\nand there: %v", now, then)
	}
	b, err := os.ReadFile(a.book)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	s := a.stateOf(t, id)
	if s.RunbookSHA256 != hex.EncodeToString(sum[:]) || !strings.HasPrefix(s.Asserted[fromEnv], "ops1@") && os.Getuid() == 0 {
		t.Errorf("the journal says that %s was carried out for %q", s.RunbookSHA256, s.Asserted[fromEnv])
	}
	for _, line := range [][]string{{"status", id}} {
		if got := a.on(t, line...); got.code != recovery.CameBack || !strings.Contains(got.out, id) || strings.Contains(got.out, "here, too") || got.err != "" {
			t.Errorf("%v: exit %d\n%s\n%s", line, got.code, got.out, got.err)
		}
	}
	mine := runner.Home{Dir: a.state}
	if hist, err := mine.History("shop"); err != nil || !mine.Brought(id) || hist.Number != 1 || hist.Previous != "" {
		t.Errorf("a run that was brought counts as one of this host: %+v, %v", hist, err)
	}
	if mine.Foreign(id) {
		t.Error("a run that was signed here counts as one that somebody else has signed")
	}
	a.oneStaysThere(t, here)
	if !mine.Foreign(id) {
		t.Error("a run that came signed counts as one that was signed here")
	}
	if got := a.on(t, "rehearse", a.book, "--json", "--give", "NOBODY"); got.code != recovery.Usage || !strings.Contains(got.err, "NOBODY") {
		t.Errorf("a variable that is not set: exit %d, %s", got.code, got.err)
	}
	delete(a.environ, "SHOP_TOKEN")
	if got := a.on(t, "rehearse", a.book, "--plain"); got.code != recovery.Usage && got.code != recovery.Failed || !strings.Contains(got.out+got.err, "SHOP_TOKEN") {
		t.Errorf("without the secret: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// oneStaysThere fails where a run of the host that cannot be brought keeps another one
// there, or changes how a command ended that did not end well.
func (a *away) oneStaysThere(t *testing.T, here string) {
	t.Helper()
	id, bad := filepath.Base(here), a.there.RunDir("0000")
	if err := errors.Join(os.CopyFS(bad, os.DirFS(here)), os.RemoveAll(here)); err != nil {
		t.Fatal(err)
	}
	err := filepath.WalkDir(bad, func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, a.server.User.UID, a.server.User.GID))
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		id   string
		code recovery.Exit
	}{{id, recovery.WithExceptions}, {"ffff", recovery.Usage}} {
		if got := a.on(t, "status", c.id); got.code != c.code || !strings.Contains(got.err, "run 0000 of elsewhere could not be brought: what came as run 0000 is another one") {
			t.Errorf("status %s: exit %d\n%s\n%s", c.id, got.code, got.out, got.err)
		}
		if a.only(t) != here {
			t.Errorf("run %s was not brought", id)
		}
	}
	if err := os.RemoveAll(bad); err != nil {
		t.Fatal(err)
	}
}

// The console is the host's, with its keys and its sizes; a run outlives the connection
// and the bastion, and what ended meanwhile is brought home by whoever comes back.
func TestOn_console(t *testing.T) {
	t.Parallel()
	a := newAway(t, "\n## Approve\n\n```yaml\napprove: lead\n```\n"+somebodyLooks)
	a.lead(t)
	dir := filepath.Dir(a.book)
	s := openTerminal(t, a.rig, dir, 80, 24, "rehearse", "shop.md", "--on", sshtest.Alias, "--to", "pages.tar")
	s.shows("PLAN", "start the rehearsal")
	s.press(enter)
	s.shows("WAITS", "approv")
	runs, err := a.there.List()
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs on the host, %v", len(runs), err)
	}
	if got := a.on(t, "approve", runs[0].ID); got.code != recovery.Refused || !strings.Contains(got.out, "rehearsal of shop, to pages: ") || !strings.Contains(got.out, "  writes to ") {
		t.Fatalf("approve without a yes: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	var said, wrong bytes.Buffer
	yes := a.app(&said, &wrong)
	yes.in = strings.NewReader("yes\n")
	if code := yes.run(t.Context(), []string{"approve", runs[0].ID, "--on", sshtest.Alias}); code != recovery.CameBack || !strings.Contains(said.String(), "approved plan") {
		t.Fatalf("approve: exit %d\n%s\n%s", code, said.String(), wrong.String())
	}
	s.shows("WAITS FOR YOU", "Somebody has looked")
	s.resize(100, 30)
	s.shows("Somebody has looked", strings.Repeat(".", 100))
	a.secretNowhere(t)
	for _, pid := range a.ssh(t) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	s.shows("the connection to elsewhere was lost", "comeback attach --on elsewhere")
	if code := s.ends(); code != int(recovery.NotEnded) {
		t.Errorf("exit %d after the connection was cut\n%s", code, s.text())
	}
	s = openTerminal(t, a.rig, dir, 80, 24, "attach", "--on", sshtest.Alias)
	s.shows("WAITS FOR YOU", "Somebody has looked")
	if err := s.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	s.ends()
	s = openTerminal(t, a.rig, dir, 80, 24, "attach", "--on", sshtest.Alias)
	s.shows("WAITS FOR YOU", "Somebody has looked")
	s.press(" ")
	s.shows("REHEARSED", "ended, unsigned")
	s.press("k")
	s.shows("keys stay with")
	s.press(esc)
	s.shows("ended, unsigned")
	s.press("q")
	s.shows("is here, too", "(yes/no)")
	s.press("yes\r")
	s.shows("signed by", "filed in nearby")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d\n%s", code, s.text())
	}
	verifiesWithStockTools(t, a.only(t), a.key)
	a.secretNowhere(t)
}

// What is wrong with the way to a host is one sentence that names it, before anything
// is begun.
func TestOn_refuses(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	config, err := os.ReadFile(a.server.Config)
	if err != nil {
		t.Fatal(err)
	}
	other := filepath.Join(t.TempDir(), "other")
	for _, c := range []struct {
		name, old, new string
		on             string
		code           recovery.Exit
		says           string
	}{
		{name: "an option", on: "-oProxyCommand=id", code: recovery.Usage, says: "is not the name of a host"},
		{name: "a shell's word", on: "db1;id", code: recovery.Usage, says: "is not the name of a host"},
		{name: "nobody knows it", on: "no-such-host.invalid", code: recovery.Usage, says: "no host is named no-such-host.invalid"},
		{name: "nobody listens", old: "HostName 127.0.0.1\n", new: "HostName 127.0.0.1\n\tProxyCommand false\n", code: recovery.Failed, says: "elsewhere cannot be reached"},
		{name: "its key is not known", old: "/client/known", new: "/client/unknown", code: recovery.Usage, says: "does not know the host key of elsewhere"},
		{name: "it lets nobody in", old: "IdentityFile " + a.server.Dir + "/client/key", new: "IdentityFile " + a.key, code: recovery.Usage, says: "elsewhere does not let you in"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := os.WriteFile(other, []byte(strings.Replace(string(config), c.old, c.new, 1)), 0o600); err != nil {
				t.Fatal(err)
			}
			a.environ["COMEBACK_SSH"] = "ssh -F " + other
			on := c.on
			if on == "" {
				on = sshtest.Alias
			}
			got := a.run(t.Context(), "rehearse", a.book, "--plain", "--on="+on)
			if got.code != c.code || !strings.Contains(got.err, c.says) || strings.Count(got.err, "\n") != 2 {
				t.Errorf("exit %d: %s", got.code, got.err)
			}
		})
	}
	a.noRun(t)
}

// What belongs to a host says why it is not carried out on another, and what to do instead,
// whatever else is on the line; nobody is asked.
func TestOn_staysHere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for line, test := range map[string]struct {
		code       recovery.Exit
		says, next string
	}{
		"wal push --on db1 shop.md /pg_wal/000000010000000000000001": {recovery.Usage, "PostgreSQL calls it where its server is", "ssh db1 comeback wal push"},
		"wal save --on=db1":         {recovery.Usage, "PostgreSQL calls it where its server is", "ssh db1 comeback wal save"},
		"wal receive --on db1":      {recovery.Usage, "PostgreSQL calls it where its server is", "ssh db1 comeback wal receive"},
		"wal --on db1":              {recovery.Usage, "PostgreSQL calls it where its server is", "ssh db1 comeback wal"},
		"wal fetch --on db1 x y":    {fetchFailed, "PostgreSQL calls it where its server is", "ssh db1 comeback wal fetch"},
		"schedule --on db1":         {recovery.Usage, "timers start the comeback that is installed there", "ssh db1 comeback schedule"},
		"report show 7c31 --on db1": {recovery.Usage, "are brought home, and read, signed and verified here", "comeback runs --on db1"},
		"report verify --on db1":    {recovery.Usage, "are brought home, and read, signed and verified here", "ssh db1 comeback report verify"},
		"report --on db1":           {recovery.Usage, "are brought home, and read, signed and verified here", "comeback runs --on db1"},
	} {
		got := r.run(t.Context(), strings.Fields(line)...)
		if got.code != test.code || got.out != "" || strings.Count(got.err, "\n") != 2 || !strings.Contains(got.err, "is not carried out on another host: ") ||
			!strings.Contains(got.err, test.says) || !strings.Contains(got.err, test.next) {
			t.Errorf("%s: exit %d\n%s%s", line, got.code, got.out, got.err)
		}
	}
	if got := r.run(t.Context(), "report", "show", "--help"); strings.Contains(got.out, "--on") {
		t.Errorf("report show promises --on:\n%s", got.out)
	}
	r.noRun(t)
}

// Ssh's own questions come before the console takes the terminal, and are a person's to
// answer.
func TestOn_sshAsks(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	if err := os.Remove(filepath.Join(a.server.Dir, "client", "known")); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-p", "-P", "", "-N", "open sesame", "-f", filepath.Join(a.server.Dir, "client", "key")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s := openTerminal(t, a.rig, t.TempDir(), 120, 40, "--on", sshtest.Alias)
	s.shows("authenticity of host", "(yes/no")
	s.press("yes\r")
	s.shows("Enter passphrase for key")
	s.press("open sesame\r")
	s.shows("LOOKING: READ ONLY", "LIVE: untouched")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d\n%s", code, s.text())
	}
}

// Ctrl-c asks the run on the host to stop in order, as it does here: it is not ssh that
// it reaches, and what the run was until then is brought home.
func TestOn_interrupted(t *testing.T) {
	t.Parallel()
	a := newAway(t, "\n## Wait\n\n```sh\n# run: it takes long\n# in: both\nsleep 1000\n```\n")
	p := a.process(t, "rehearse", a.book, "--plain", "--on", sshtest.Alias)
	p.until("[2 Wait] ")
	for _, pid := range a.ssh(t) {
		if err := syscall.Kill(pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
	}
	p.signal(syscall.SIGINT)
	code, said := p.ends()
	if code != int(recovery.Interrupted) || !strings.Contains(said, "asked to stop: interrupted by ctrl-c") || !strings.Contains(said, "is here, too") {
		t.Errorf("exit %d\n%s", code, said)
	}
}

// A host that cannot take the program, or what goes along with it, says why, and nothing
// half is left there.
func TestOn_cannotBePut(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	cache, state := filepath.Join(a.server.Home, ".cache"), filepath.Join(a.server.Home, ".local")
	inTheWay := func(path string) func() error {
		return func() error { return errors.Join(os.RemoveAll(path), os.WriteFile(path, nil, 0o644)) }
	}
	// A program of the host's own that comes first, and goes again.
	first := func(name, script string) (func() error, func() error) {
		path := filepath.Join(a.bin, name)
		return func() error { return os.WriteFile(path, []byte("#!/bin/sh\n"+script), 0o755) }, func() error { return os.Remove(path) }
	}
	otherMachine, sameMachine := first("uname", "[ \"$1\" = -m ] && echo sparc64 || echo Linux\n")
	smallDisk, largeDisk := first("head", "ulimit -f 2048\nexec /usr/bin/head \"$@\"\n")
	for _, c := range []struct {
		name          string
		make, restore func() error
		code          recovery.Exit
		says          string
	}{
		{"another machine", otherMachine, sameMachine, recovery.Usage, "elsewhere is Linux sparc64, and this comeback was built for Linux "},
		{"no room", smallDisk, largeDisk, recovery.Failed, "comeback cannot be put on elsewhere: "},
		{"a home that cannot be written to", inTheWay(cache), func() error { return os.Remove(cache) }, recovery.Failed, "comeback cannot be put on elsewhere: "},
		{"a state that cannot be written to", inTheWay(state), func() error { return os.Remove(state) }, recovery.Failed, "the host cannot keep shop.md"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := c.make(); err != nil {
				t.Fatal(err)
			}
			got := a.on(t, "rehearse", a.book, "--plain")
			if got.code != c.code || !strings.Contains(got.err, c.says) || !strings.Contains(got.err, "  next: ") {
				t.Errorf("exit %d: %s", got.code, got.err)
			}
			if err := c.restore(); err != nil {
				t.Fatal(err)
			}
		})
	}
	if err := os.RemoveAll(cache); err != nil {
		t.Fatal(err)
	}
	ctx, cut := context.WithCancel(t.Context())
	if code := a.app(io.Discard, severing{cut}).run(ctx, []string{"runs", "--on", sshtest.Alias}); code != recovery.Interrupted {
		t.Errorf("cut while the program went over: exit %d", code)
	}
	if got := a.on(t, "runs"); got.code != recovery.CameBack || !strings.Contains(got.err, "copying comeback") {
		t.Errorf("after that: exit %d: %s", got.code, got.err)
	}
	if files, err := filepath.Glob(filepath.Join(cache, "comeback", "*", "*")); err != nil || len(files) != 1 || filepath.Base(files[0]) != "comeback" {
		t.Errorf("the cache holds %v, %v", files, err)
	}
}

// severing ends a context as soon as something is said.
type severing struct{ cut func() }

func (c severing) Write(b []byte) (int, error) { c.cut(); return len(b), nil }

// A run that was cut off on a host goes on there with what only the bastion knows, though
// the command that takes it up names no runbook; another one is told what is missing.
func TestOn_resume(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	a.environ["COMEBACK_TEST_KILL"] = "before:step.finished/1 pages.restore"
	if got := a.on(t, "rehearse", a.book, "--plain", "--give", "COMEBACK_TEST_KILL"); got.code == recovery.CameBack {
		t.Fatalf("it was not killed\n%s\n%s", got.out, got.err)
	}
	delete(a.environ, "COMEBACK_TEST_KILL")
	runs, err := a.there.List()
	if err != nil || len(runs) != 1 {
		t.Fatalf("%d runs on the host, %v", len(runs), err)
	}
	// What is told of it is pasted here.
	for _, args := range [][]string{{"attach", runs[0].ID, "--plain"}, {"runs"}, {"status", runs[0].ID}} {
		if got := a.on(t, args...); !strings.Contains(got.out+got.err, "comeback resume --on "+sshtest.Alias+" "+runs[0].ID) {
			t.Errorf("comeback %s: exit %d\n%s\n%s", strings.Join(args, " "), got.code, got.out, got.err)
		}
	}
	// A host is given nothing that it was not given before, and it is said what it asks for.
	given, err := filepath.Glob(filepath.Join(a.environ["COMEBACK_STATE"], "given-*.json"))
	if err != nil || len(given) != 1 {
		t.Fatalf("what the host was given is in %v, %v", given, err)
	}
	names, err := os.ReadFile(given[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(given[0]); err != nil {
		t.Fatal(err)
	}
	if got := a.on(t, "resume", runs[0].ID, "--plain"); got.code == recovery.CameBack || !strings.Contains(got.err, "was never given it from here: it is not sent; --give ") {
		t.Errorf("asked by a host: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if err := os.WriteFile(given[0], names, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.on(t, "resume", runs[0].ID, "--plain"); got.code != recovery.CameBack || !strings.Contains(got.out, "REHEARSED") || strings.Contains(got.err, "was never given") {
		t.Errorf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	a.secretNowhere(t)
	if got := a.on(t, "resume", "ffff", "--plain"); got.code != recovery.Usage {
		t.Errorf("no such run: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
}

// A recovery on a host changes what is live there, and goes back.
func TestOn_recover(t *testing.T) {
	t.Parallel()
	p := newPages(t)
	a := newAway(t, "") // after it, whose copy its last runs still use
	err := filepath.WalkDir(filepath.Dir(p.live), func(path string, _ fs.DirEntry, err error) error {
		return errors.Join(err, os.Chown(path, a.server.User.UID, a.server.User.GID))
	})
	if err != nil {
		t.Fatal(err)
	}
	p.pack(t, a.server.User.UID, a.server.User.GID)
	harmed := treeOf(t, p.live)
	got := a.on(t, "recover", p.book, "--plain", "--to", "latest", "--confirm", p.name(t))
	if got.code != recovery.CameBack || !strings.Contains(got.out, "CAME BACK") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if b, err := os.ReadFile(filepath.Join(p.live, "index.html")); err != nil || string(b) != "<h1>shop</h1>" {
		t.Errorf("live holds %q, %v", b, err)
	}
	if got := a.on(t, "switch-back", filepath.Base(a.only(t)), "--plain", "--confirm", p.name(t)); got.code != recovery.CameBack {
		t.Errorf("switch back: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if now := treeOf(t, p.live); fmt.Sprint(now) != fmt.Sprint(harmed) {
		t.Errorf("live holds %v after the switch back, and held %v", now, harmed)
	}
}

// A backup is taken where the data are, with what only the bastion knows, and retention
// counts it there.
func TestOn_backup(t *testing.T) {
	t.Parallel()
	a := newAway(t, "")
	tree := filepath.Join(a.server.Home, "pages")
	for _, err := range []error{os.Mkdir(tree, 0o700), os.WriteFile(filepath.Join(tree, "index.html"), []byte("of the host"), 0o600),
		os.Chown(tree, a.server.User.UID, a.server.User.GID), os.Chown(filepath.Join(tree, "index.html"), a.server.User.UID, a.server.User.GID)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(a.book)
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "kind: files, path: ")
	path, _, _ := strings.Cut(rest, "}")
	text := strings.Replace(string(b), path, fmt.Sprintf("%q, prefix: pages/, retain: [7 daily]", tree), 1)
	if err := os.WriteFile(a.book, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := a.on(t, "backup", a.book); got.code != recovery.CameBack || !strings.Contains(got.out, "snapshot") || !strings.Contains(got.out, "in nearby") {
		t.Fatalf("exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if got := a.on(t, "retain", a.book); got.code != recovery.CameBack || !strings.Contains(got.out, "1 ") {
		t.Errorf("retain: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	if got := a.on(t, "rehearse", a.book, "--plain"); got.code != recovery.CameBack || !strings.Contains(got.out, "snapshot") {
		t.Errorf("rehearse what was taken: exit %d\n%s\n%s", got.code, got.out, got.err)
	}
	a.secretNowhere(t)
}
