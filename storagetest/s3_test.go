package storagetest

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// asHelper makes this test binary start a server and wait to be killed.
const asHelper = "STORAGETEST_START_S3"

// TestStartS3_DiesWithItsTest kills a test process, which cannot clean up, and
// expects its server to be gone.
func TestStartS3_DiesWithItsTest(t *testing.T) {
	if os.Getenv(asHelper) != "" {
		s := StartS3(t)
		fmt.Printf("\nserver %d %s\n", s.server.cmd.Process.Pid, s.dir)
		_, _ = io.Copy(io.Discard, os.Stdin)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), asHelper+"=1")
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	helper, err := startChild(cmd)
	if err != nil {
		t.Fatal(err)
	}
	defer helper.kill()
	pid, dir := 0, ""
	for lines := bufio.NewScanner(stdout); pid == 0 && lines.Scan(); {
		_, _ = fmt.Sscanf(lines.Text(), "server %d %s", &pid, &dir)
	}
	if pid == 0 {
		t.Fatal("the helper has started no server")
	}
	defer os.RemoveAll(dir)
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	helper.kill()
	deadline := time.Now().Add(startTimeout)
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, int(time.Until(deadline).Milliseconds()))
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil || n != 1 {
			t.Errorf("the server outlives its test: %v", err)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
		return
	}
}

// TestStartS3_CleansUp proves that neither process nor directory outlive the
// test, and that two servers do not meet.
func TestStartS3_CleansUp(t *testing.T) {
	var servers []*S3
	t.Run("two", func(t *testing.T) {
		servers = append(servers, StartS3(t), StartS3(t))
		servers[0].CreateBucket("one")
		servers[1].CreateBucket("one") // would be taken on the same server
		SetenvS3(t, servers[0].Endpoint(), Root)
	})
	for _, s := range servers {
		select {
		case <-s.server.done:
		default:
			t.Error("a server still runs")
		}
		if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", s.dir, err)
		}
		if _, err := net.Dial("tcp", s.Proxy.Address()); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("the proxy still answers: %v", err)
		}
	}
}

// TestProxy cuts connections to a server that answers with 1000 bytes.
func TestProxy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, strings.Repeat("x", 1000))
			c.Close()
		}
	}()
	p := StartProxy(t, "tcp", listener.Addr().String())
	read := func() (int, error) {
		c, err := net.Dial("tcp", p.Address())
		if err != nil {
			return 0, err
		}
		defer c.Close()
		data, err := io.ReadAll(c)
		return len(data), err
	}
	whole := func(when string) {
		t.Helper()
		if n, err := read(); n != 1000 || err != nil {
			t.Errorf("%s: %d bytes, %v", when, n, err)
		}
	}
	whole("at first")
	for _, at := range []int64{0, 1, 999, 1000} {
		p.CutAfter(at)
		// A reset may overtake bytes that were sent before it.
		if n, err := read(); int64(n) > at || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("cut after %d: %d bytes, %v", at, n, err)
		}
		whole("once it was cut")
	}
	p.CutAfter(1500)
	whole("before the cut")
	if n, err := read(); n > 500 || !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("cut in the second connection: %d bytes, %v", n, err)
	}
	p.CutEvery(100)
	for range 3 {
		if n, err := read(); n > 100 || !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("cut every 100: %d bytes, %v", n, err)
		}
	}
	p.Heal()
	p.Refuse(true)
	if _, err := read(); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("refused: %v", err)
	}
	p.Heal()
	whole("at last")
	if p.Cuts() != 8 {
		t.Errorf("%d cuts", p.Cuts())
	}
}
