// Package sshtest starts a real sshd for tests, on a free port of 127.0.0.1, with keys
// and a configuration of its own. Who logs in is somewhere else: at a home that only
// this server knows, with no more of this process's environment than was asked for.
// The server runs as the ordinary user whom servers run as, and nothing of it is left
// when the test ends, or is killed.
package sshtest

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/port"
	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/shop/shoptest"
)

// Alias is the name of the server in the client's configuration.
const Alias = "elsewhere"

// Server is an sshd.
type Server struct {
	// Dir is where everything of it lies; Home is the home of who logs in.
	Dir, Home string
	// Config is the client's configuration, which knows the server as Alias.
	Config string
	// User is who logs in.
	User recovery.User

	log log
}

// log is what the server logs.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Log is what the server has logged so far.
func (s *Server) Log() string {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.b.String()
}

// Start starts a server whose logins have these variables, NAME=VALUE, beside a HOME.
func Start(t testing.TB, env ...string) *Server {
	t.Helper()
	s := &Server{Dir: shoptest.Dir(t)}
	s.Home, s.Config = filepath.Join(s.Dir, "home"), filepath.Join(s.Dir, "client", "config")
	var err error
	if s.User, err = postgres.ServerUser(); err != nil {
		t.Fatal(err)
	}
	s.keys(t)
	kept, err := port.Keep()
	if err != nil {
		t.Fatal(err)
	}
	defer kept.Close() // by then the server has it
	s.configure(t, kept.Number, env)
	if !s.listens(t) {
		t.Fatalf("sshd does not listen:\n%s", s.Log())
	}
	return s
}

// listens starts the server and waits until it listens or has ended.
func (s *Server) listens(t testing.TB) bool {
	t.Helper()
	program := sshd(t)
	cmd := exec.Command(program, "-D", "-e", "-f", filepath.Join(s.Dir, "server", "config"))
	cmd.Env = []string{"PATH=/usr/bin:/bin", "LD_LIBRARY_PATH=" + filepath.Dir(program)}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if s.User.UID >= 0 {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(s.User.UID), Gid: uint32(s.User.GID)}
	}
	words, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	start(t, cmd)
	listening, done := make(chan bool, 1), make(chan struct{})
	go func() {
		defer close(done)
		defer close(listening)
		for lines := bufio.NewScanner(words); lines.Scan(); {
			s.log.mu.Lock()
			fmt.Fprintln(&s.log.b, lines.Text())
			s.log.mu.Unlock()
			if strings.Contains(lines.Text(), "Server listening") {
				listening <- true
			}
		}
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-done
		_ = cmd.Wait()
	})
	return <-listening
}

// start starts a server in a thread that lasts, because the server ends with the thread
// that has started it.
func start(t testing.TB, cmd *exec.Cmd) {
	t.Helper()
	started, last := make(chan error), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		started <- cmd.Start()
		<-last
	}()
	t.Cleanup(func() { close(last) })
	if err := <-started; err != nil {
		t.Fatal(err)
	}
}

// keys makes the keys of both ends.
func (s *Server) keys(t testing.TB) {
	t.Helper()
	for _, dir := range []string{s.Home, filepath.Join(s.Dir, "server"), filepath.Dir(s.Config)} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, path := range []string{s.key("server"), s.key("client")} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "", "-f", path).CombinedOutput(); err != nil {
			t.Fatalf("make a key: %v: %s", err, out)
		}
	}
	for _, path := range []string{s.key("server"), s.Home} {
		if err := os.Chown(path, s.User.UID, s.User.GID); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *Server) key(end string) string { return filepath.Join(s.Dir, end, "key") }

// configure writes the configurations of both ends.
func (s *Server) configure(t testing.TB, port int, env []string) {
	t.Helper()
	public, err := os.ReadFile(s.key("server") + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	var more strings.Builder
	for _, kv := range append([]string{"HOME=" + s.Home}, env...) {
		fmt.Fprintf(&more, " %q", kv)
	}
	more.WriteString("\n")
	for option, name := range map[string]string{"SshdSessionPath": "sshd-session", "SshdAuthPath": "sshd-auth"} {
		if path := filepath.Join(filepath.Dir(sshd(t)), name); unix.Access(path, unix.X_OK) == nil {
			fmt.Fprintf(&more, "%s %s\n", option, path)
		}
	}
	known := filepath.Join(s.Dir, "client", "known")
	for path, text := range map[string]string{
		filepath.Join(s.Dir, "server", "config"): fmt.Sprintf("Port %d\nListenAddress 127.0.0.1\nHostKey %s\nAuthorizedKeysFile %s.pub\nStrictModes no\nUsePAM no\nPidFile none\n"+
			"PasswordAuthentication no\nKbdInteractiveAuthentication no\nLogLevel DEBUG1\nSetEnv%s", port, s.key("server"), s.key("client"), more.String()),
		s.Config: fmt.Sprintf("Host %s\n\tHostName 127.0.0.1\n\tPort %d\n\tUser %s\n\tIdentityFile %s\n\tIdentitiesOnly yes\n\tUserKnownHostsFile %s\n\tGlobalKnownHostsFile /dev/null\n",
			Alias, port, s.User.Name, s.key("client"), known),
		known: fmt.Sprintf("[127.0.0.1]:%d %s", port, public),
	} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// sshd is the program.
func sshd(t testing.TB) string {
	t.Helper()
	for _, dir := range []string{"/usr/sbin", filepath.Join(os.Getenv("COMEBACK_TOOLS"), "openssh", "usr", "sbin")} {
		if program, err := exec.LookPath(filepath.Join(dir, "sshd")); err == nil {
			return program
		}
	}
	t.Fatal("there is no sshd: run make sshd, and set COMEBACK_TOOLS as make test does")
	return ""
}
