package isolation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// TestMain lets the test binary be the init of a box, and a program that
// reaches out from one: `dial NETWORK ADDRESS`.
func TestMain(m *testing.M) {
	isolation.Init()
	if len(os.Args) == 4 && os.Args[1] == "dial" {
		conn, err := net.Dial(os.Args[2], os.Args[3])
		if err == nil {
			_, err = io.WriteString(conn, "hello")
		}
		if err != nil {
			fmt.Println(err)
			syscall.Exit(1)
		}
		syscall.Exit(0)
	}
	if len(os.Args) == 3 && os.Args[1] == "serve" {
		serveProgram(os.Args[2])
	}
	if len(os.Args) == 3 && os.Args[1] == "hold" {
		holdProgram(os.Args[2])
	}
	os.Exit(m.Run())
}

// placeVariable names a directory to work in for the tests that run again as
// an ordinary user.
const placeVariable = "COMEBACK_TEST_PLACE"

// somebody is an ordinary user's id that nobody has.
const somebody = 54321

// All of it once more, without the rights of root: then a box is made in a user
// namespace.
func TestUnprivileged(t *testing.T) {
	if os.Geteuid() != 0 {
		return // this is the second time, or the only one
	}
	dir := place(t)
	own := filepath.Join(dir, "own")
	if err := os.Mkdir(own, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(own, somebody, somebody); err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self(t), "-test.v", "-test.run=^Test")
	cmd.Dir, cmd.Env = own, append(os.Environ(), placeVariable+"="+own, "TMPDIR="+own)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("\nPASS")) {
		t.Errorf("as an ordinary user: %v\n%s", err, out)
	}
}

// place is a directory outside the temporary ones, that every user can reach.
func place(t *testing.T) string {
	t.Helper()
	in := os.Getenv(placeVariable)
	if in == "" {
		in = "/var"
	}
	dir, err := os.MkdirTemp(in, "comeback-isolation-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// self is this test's binary where every user can execute it.
func self(t *testing.T) string {
	t.Helper()
	binary, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(place(t), "test")
	if err := os.WriteFile(path, binary, 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// boxes are the two forms of a box, each with a program of our own user and,
// where we are root, of another.
func boxes(t *testing.T, f func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr)) {
	users := map[string]*syscall.SysProcAttr{"own user": nil}
	if os.Geteuid() == 0 {
		users["another user"] = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: somebody, Gid: somebody}}
	}
	for _, processes := range []bool{true, false} {
		for name, attr := range users {
			t.Run(fmt.Sprintf("processes %v, %s", processes, name), func(t *testing.T) {
				if attr != nil {
					c := *attr
					attr = &c
				}
				f(t, isolation.Box{Processes: processes}, attr)
			})
		}
	}
}

// script is a script of bash with its arguments.
func script(t *testing.T, text string, args ...string) *exec.Cmd {
	return exec.CommandContext(t.Context(), "/bin/bash", append([]string{"-c", text, "bash"}, args...)...)
}

// output runs cmd in a box, or outside where b is nil, and returns what it
// printed.
func output(t *testing.T, b *isolation.Box, attr *syscall.SysProcAttr, cmd *exec.Cmd) (string, error) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = &out, &out, attr
	start := cmd.Start
	if b != nil {
		start = func() error { return b.Start(cmd) }
	}
	var err error
	isolation.OnThread(func() {
		if err = start(); err == nil {
			err = cmd.Wait()
		}
	})
	return strings.TrimSpace(out.String()), err
}

func TestAvailable(t *testing.T) {
	if err := isolation.Available(); err != nil {
		t.Error(err)
	}
}

// A program in a box sees loopback alone, and loopback is up.
// Who is not wanted any more before it begins is not for want of a box.
func TestBox_Start_ended(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	isolation.OnThread(func() {
		err := (isolation.Box{}).Start(exec.CommandContext(ctx, "/bin/true"))
		if !errors.Is(err, context.Canceled) || errors.Is(err, recovery.ErrNoIsolation) {
			t.Errorf("it says %v", err)
		}
	})
}

func TestBox_Network(t *testing.T) {
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		out, err := output(t, &b, attr, script(t, `tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; cat /proc/net/if_inet6 | wc -l`))
		if out != "lo\n1" || err != nil {
			t.Errorf("in the box: %q, %v", out, err)
		}
	})
}

// What listens on the host is out of reach, but for the run's own sockets.
func TestBox_Sockets(t *testing.T) {
	dir := place(t)
	temporary := filepath.Join("/tmp", filepath.Base(dir)+".sock")
	listen := func(network, address string) [2]string {
		var l io.Closer
		var at net.Addr
		var err error
		if network == "udp" || network == "unixgram" {
			var c net.PacketConn
			c, err = net.ListenPacket(network, address)
			if err == nil {
				l, at = c, c.LocalAddr()
			}
		} else {
			var s net.Listener
			s, err = net.Listen(network, address)
			if err == nil {
				l, at = s, s.Addr()
			}
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		if strings.HasPrefix(address, "/") {
			if err := os.Chmod(address, 0o666); err != nil {
				t.Fatal(err)
			}
		}
		return [2]string{network, at.String()}
	}
	for _, d := range []string{"alone", "among", "kept", "kept/too", "live", "live/7c31", "named"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, f := range []string{"alone/.s.PGSQL.5432.lock", "among/file"} {
		if err := os.WriteFile(filepath.Join(dir, f), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	hidden := map[string][2]string{
		"TCP":                   listen("tcp", "127.0.0.1:0"),
		"abstract":              listen("unix", "@"+filepath.Base(dir)),
		"in a directory alone":  listen("unix", dir+"/alone/.s.PGSQL.5432"),
		"among files":           listen("unix", dir+"/among/socket"),
		"datagrams":             listen("unixgram", dir+"/among/log"),
		"in a temporary place":  listen("unix", temporary),
		"of production in kept": listen("unix", dir+"/kept/too/production.sock"),
	}
	// The kernel knows this one by a name that leads nowhere from elsewhere.
	t.Chdir(filepath.Join(dir, "named"))
	listen("unix", "socket")
	hidden["of a name from where its server works"] = [2]string{"unix", dir + "/named/socket"}
	// Nor does that of a runner in another process.
	live, err := os.Open(filepath.Join(dir, "live", "7c31"))
	if err != nil {
		t.Fatal(err)
	}
	defer live.Close()
	listen("unix", fmt.Sprintf("/proc/self/fd/%d/socket", live.Fd()))
	hidden["by way of an open directory"] = [2]string{"unix", dir + "/live/7c31/socket"}
	reachable := map[string][2]string{"kept": listen("unix", dir+"/kept/socket")}
	program := self(t)
	dial := func(to [2]string) *exec.Cmd { return exec.CommandContext(t.Context(), program, "dial", to[0], to[1]) }
	for name, to := range hidden {
		if out, err := output(t, nil, nil, dial(to)); err != nil {
			t.Errorf("%s: it cannot be reached from outside either: %s, %v", name, out, err)
		}
	}
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		b.Keep = []string{filepath.Join(dir, "kept")}
		b.Production, b.Hide = []string{"db1", filepath.Join(dir, "kept", "too")}, []string{filepath.Join(dir, "live")}
		b.Sockets = []string{filepath.Join(dir, "named")}
		for name, to := range hidden {
			if out, err := output(t, &b, attr, dial(to)); err == nil || !strings.HasPrefix(out, "dial ") {
				t.Errorf("%s: reached: %s, %v", name, out, err)
			}
		}
		for name, to := range reachable {
			if out, err := output(t, &b, attr, dial(to)); err != nil {
				t.Errorf("%s: %s, %v", name, out, err)
			}
		}
		// A server of production that starts again makes a new socket.
		again := filepath.Join(dir, "alone", "again")
		l, err := net.Listen("unix", again)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if out, err := output(t, &b, attr, script(t, `ls -A "$1"`, filepath.Dir(again))); out != "" || err != nil {
			t.Errorf("in a directory of sockets: %q, %v", out, err)
		}
	})
}

// What is kept can be written and nothing else; what production owns is not
// there, even below what is kept, and the run's own is, even below production.
func TestBox_Files(t *testing.T) {
	dir := place(t)
	for _, d := range []string{"scratch/production", "production/scratch/production", "elsewhere"} {
		at := dir
		for part := range strings.SplitSeq(d, "/") {
			at = filepath.Join(at, part)
			if err := os.Mkdir(at, 0o777); err != nil && !os.IsExist(err) {
				t.Fatal(err)
			}
			if err := os.Chmod(at, 0o777); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(at, "file"), []byte("content\n"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Symlink(filepath.Join(dir, "elsewhere", "file"), filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	const look = `cd "$1" && { cat file; (echo x >new) && echo wrote && rm new; } 2>/dev/null; true`
	const content, wrote = "content", "content\nwrote"
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		b.Production = []string{dir + "/production", dir + "/scratch/production", dir + "/production/scratch/production", dir + "/absent", "shop.example.com"}
		b.Keep = []string{dir + "/scratch", dir + "/production/scratch", dir + "/not there"}
		for name, want := range map[string][2]string{ // outside, in the box
			"elsewhere":                     {wrote, content},
			"scratch":                       {wrote, wrote},
			"scratch/production":            {wrote, ""},
			"production":                    {wrote, ""},
			"production/scratch":            {wrote, wrote},
			"production/scratch/production": {wrote, ""},
		} {
			for i, box := range []*isolation.Box{nil, &b} {
				if out, err := output(t, box, attr, script(t, look, filepath.Join(dir, name))); out != want[i] || err != nil {
					t.Errorf("%s: %q, %v; want %q", name, out, err, want[i])
				}
			}
		}
		b.Production = []string{dir + "/link"}
		if out, err := output(t, &b, attr, script(t, `cat "$1/elsewhere/file" "$1/link" || true; echo x >"$1/link" && echo wrote; true`, dir)); strings.Contains(out, "content") || strings.Contains(out, "wrote") || err != nil {
			t.Errorf("a file that production names by a link: %q, %v", out, err)
		}
		for _, tmp := range []string{"/tmp", "/var/tmp", "/run", "/dev/shm"} {
			out, err := output(t, &b, attr, script(t, `f=$(mktemp -p "$1") && rm "$f"`, tmp))
			if err != nil && (tmp != "/run" || attr == nil) {
				t.Errorf("%s: %s, %v", tmp, out, err)
			}
		}
	})
	b := isolation.Box{Production: []string{"/"}}
	if err := b.Start(script(t, "true")); err == nil || !strings.Contains(err.Error(), "owns /") {
		t.Errorf("a production that owns everything: %v", err)
	}
}

// What is kept stays where it is even in a directory that a box has to itself.
func TestBox_KeepsInPrivatePlaces(t *testing.T) {
	places := []string{"/dev/shm"}
	if os.Geteuid() == 0 {
		places = append(places, "/run")
	}
	for _, in := range places {
		dir, err := os.MkdirTemp(in, "comeback-isolation-")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		if err := os.Chmod(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
			if out, err := output(t, &b, attr, script(t, `test -e "$1"`, dir)); err == nil {
				t.Errorf("%s is seen: %s", dir, out)
			}
			b.Keep = []string{dir}
			if out, err := output(t, &b, attr, script(t, `f=$(mktemp -p "$1") && echo x >"$f"`, dir)); err != nil {
				t.Errorf("%s: %s, %v", dir, out, err)
			}
		})
		if left, err := os.ReadDir(dir); err != nil || len(left) == 0 {
			t.Errorf("what was written to %s is not there: %v, %v", dir, left, err)
		}
	}
}

func TestOnThread(t *testing.T) {
	threads := map[int]bool{}
	for range 8 {
		isolation.OnThread(func() { threads[unix.Gettid()] = true })
	}
	if threads[os.Getpid()] {
		t.Error("the process's first thread was taken")
	}
}
