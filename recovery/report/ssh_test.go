package report

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// command runs a program and returns what it wrote; err is its failure.
func command(t testing.TB, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, args[0], args[1:]...)
	cmd.Dir, cmd.Env = dir, []string{"PATH=" + os.Getenv("PATH"), "TZ=UTC", "LC_ALL=C", "HOME=/nonexistent"}
	if stdin != "" {
		f, err := os.Open(stdin)
		must(t, err)
		defer f.Close()
		cmd.Stdin = f
	}
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func mustRun(t testing.TB, args ...string) string {
	t.Helper()
	out, err := command(t, "", "", args...)
	if err != nil {
		t.Fatalf("%q: %v\n%s", args, err, out)
	}
	return out
}

// makeKey has ssh-keygen make a key and returns its file.
func makeKey(t testing.TB, args ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	mustRun(t, append([]string{"ssh-keygen", "-q", "-N", "", "-C", "ops1@test", "-f", path}, args...)...)
	return path
}

// allow writes a reader's own list of signers and returns its file.
func allow(t testing.TB, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "allowed_signers")
	must(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600))
	return path
}

func publicKey(t testing.TB, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	return strings.TrimSpace(string(b))
}

// stock verifies a run as an auditor without comeback does.
func stock(t testing.TB, dir, signers, identity string) error {
	t.Helper()
	out, err := command(t, dir, filepath.Join(dir, SumsFile), "ssh-keygen", "-Y", "verify", "-f", signers, "-I", identity,
		"-n", Namespace, "-s", SignatureFile)
	if err != nil {
		return fmt.Errorf("ssh-keygen: %w: %s", err, out)
	}
	if out, err = command(t, dir, "", "sha256sum", "--strict", "-c", SumsFile); err != nil {
		return fmt.Errorf("sha256sum: %w: %s", err, out)
	}
	return nil
}

// ours verifies a run as comeback does.
func ours(t testing.TB, dir, signers, identity string) (Verification, error) {
	t.Helper()
	list, err := ReadAllowedSigners(signers)
	must(t, err)
	return Verify(dir, VerifyOptions{AllowedSigners: list, Identity: identity, Now: time.Now().UTC()})
}

// written is a run that passed, with its report.
func written(t testing.TB) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "run")
	must(t, os.CopyFS(dir, os.DirFS(filepath.Join("testdata", "runs", "passed"))))
	names, err := walk(dir, ".")
	must(t, err)
	for _, name := range names {
		must(t, os.Chmod(filepath.Join(dir, name), 0o600))
	}
	return dir
}

// signed is written, signed by the key in a file; it returns the run and a list
// of signers that allows the key.
func signed(t testing.TB) (dir, signers string) {
	t.Helper()
	dir, path := written(t), makeKey(t, "-t", "ed25519")
	signWith(t, dir, path)
	return dir, allow(t, "ops1 "+publicKey(t, path+".pub"))
}

func signWith(t testing.TB, dir, path string) Signature {
	t.Helper()
	k, err := ReadKey(path)
	must(t, err)
	s, err := k.Signer(t.Context(), nil)
	must(t, err)
	sig, err := Sign(t.Context(), dir, s)
	must(t, err)
	return sig
}

// startAgent runs a real ssh-agent, which is gone when the test is, and returns
// its socket.
func startAgent(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "agent")
	must(t, err)
	socket := filepath.Join(dir, "s")
	cmd := exec.Command("ssh-agent", "-D", "-a", socket)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH")}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	must(t, err)
	// The child dies with the thread that started it, so that thread must
	// live as long as the child.
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			cmd.Wait()
		}
	}()
	must(t, <-started)
	t.Cleanup(func() {
		cmd.Process.Kill()
		<-ended
		os.RemoveAll(dir)
	})
	// It prints its socket when it listens.
	if line, err := bufio.NewReader(stdout).ReadString('\n'); err != nil || !strings.Contains(line, socket) {
		t.Fatalf("ssh-agent said %q: %v: %s", line, err, &stderr)
	}
	return socket
}

func add(t testing.TB, socket string, args ...string) {
	t.Helper()
	if out, err := commandWithAgent(t, socket, append([]string{"ssh-add", "-q"}, args...)...); err != nil {
		t.Fatalf("ssh-add %q: %v\n%s", args, err, out)
	}
}

func environment(vars map[string]string) func(string) string {
	return func(name string) string { return vars[name] }
}

func commandWithAgent(t testing.TB, socket string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), args[0], args[1:]...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "SSH_AUTH_SOCK=" + socket, "HOME=/nonexistent"}
	out, err := cmd.CombinedOutput()
	return string(out), err
}
