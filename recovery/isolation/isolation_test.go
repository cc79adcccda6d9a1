package isolation_test

import (
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery/isolation"
)

// A program in isolation sees loopback alone and cannot reach a server that
// this process listens with; this process stays where it was.
func TestNetwork(t *testing.T) {
	server, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	_, port, err := net.SplitHostPort(server.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	const script = `tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '; (exec 3<>"/dev/tcp/127.0.0.1/$0") 2>/dev/null && echo reached`
	var out []byte
	isolation.OnThread(func() {
		cmd := exec.Command("/bin/bash", "-c", script, port)
		if err = isolation.Network(cmd); err == nil {
			out, err = cmd.Output()
		}
	})
	if text := strings.TrimSpace(string(out)); text != "lo" {
		t.Errorf("in isolation: %q, %v", text, err)
	}
	// The same script here does reach it, so that the test can fail.
	if out, err := exec.Command("/bin/bash", "-c", script, port).Output(); err != nil || !strings.Contains(string(out), "reached") {
		t.Errorf("outside: %q, %v", out, err)
	}
	if err := isolation.Available(); err != nil {
		t.Error(err)
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
