package isolation_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery/isolation"
)

// serveProgram greets whoever connects to an address, until it is killed.
func serveProgram(address string) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		fmt.Println(err)
		syscall.Exit(1)
	}
	fmt.Println("listening")
	for {
		conn, err := l.Accept()
		if err != nil {
			syscall.Exit(1)
		}
		_, _ = io.WriteString(conn, "hello from inside") // who has gone need not hear it
		conn.Close()
	}
}

// A door leads to what listens in its box and to nothing of the host, and what is
// alive in the box is seen at the file that it holds.
func TestDoor(t *testing.T) {
	host, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer host.Close()
	door, err := isolation.NewDoor()
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	alive, err := os.Create(filepath.Join(t.TempDir(), "alive"))
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(alive.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	cmd := exec.CommandContext(ctx, self(t), "serve", "127.0.0.1:7000")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go isolation.OnThread(func() {
		err := isolation.Box{Processes: true, Door: door, Alive: alive}.Start(cmd)
		if err == nil {
			alive.Close()
			err = cmd.Wait()
		}
		ended <- err
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "listening\n" || err != nil {
		t.Fatalf("it said %q, %v", line, err)
	}
	for range 3 {
		conn, err := door.Dial(t.Context(), "127.0.0.1:7000")
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(conn)
		if string(b) != "hello from inside" || err != nil {
			t.Errorf("through the door: %q, %v", b, err)
		}
		conn.Close()
	}
	if listening, err := door.Listening(t.Context()); err != nil || !slices.Equal(listening, []string{"127.0.0.1:7000"}) {
		t.Errorf("it listens on %q, %v", listening, err)
	}
	for _, address := range []string{host.Addr().String(), "192.0.2.1:80", "nonsense"} {
		if conn, err := door.Dial(t.Context(), address); err == nil {
			conn.Close()
			t.Errorf("the door leads to %s", address)
		}
	}
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	if _, err := door.Dial(late, "127.0.0.1:7000"); err == nil {
		t.Error("a question whose time is over was answered")
	}
	cancel()
	lock := func() error {
		f, err := os.Open(alive.Name())
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		return unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err := lock(); err != unix.EWOULDBLOCK {
		t.Errorf("the box lives, and its file can be locked: %v", err)
	}
	stop()
	<-ended
	if err := lock(); err != nil {
		t.Errorf("nothing of the box lives, and its file cannot be locked: %v", err)
	}
	if _, err := door.Dial(t.Context(), "127.0.0.1:7000"); err == nil || !strings.Contains(err.Error(), "has ended") {
		t.Errorf("a door to nothing: %v", err)
	}
}

// What connects to an address that the box listens on is met outside, from the
// program's first moment on.
func TestDoor_Listeners(t *testing.T) {
	door, err := isolation.NewDoor()
	if err != nil {
		t.Fatal(err)
	}
	defer door.Close()
	addresses := []string{"127.0.0.1:7000", "127.0.0.1:7000", "0.0.0.0:7001", "[::1]:7002"}
	cmd := script(t, `for a in "$@"; do cat <"/dev/tcp/$a"; done`, "127.0.0.1/7000", "127.0.0.1/7001", "::1/7002")
	var out bytes.Buffer
	cmd.Stdout = &out
	ended := make(chan error, 1)
	started := make(chan error, 1)
	go isolation.OnThread(func() {
		err := isolation.Box{Processes: true, Door: door, Listen: addresses}.Start(cmd)
		started <- err
		if err == nil {
			err = cmd.Wait()
		}
		ended <- err
	})
	if err := <-started; err != nil {
		t.Fatal(err)
	}
	listeners, err := door.Listeners(len(addresses))
	if err != nil {
		t.Fatal(err)
	}
	if listeners[1] != nil {
		t.Error("one address is listened on twice")
	}
	for i, l := range listeners {
		if l == nil {
			continue
		}
		defer l.Close()
		conn, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "hello to %s\n", addresses[i])
		conn.Close()
	}
	err = <-ended
	if want := "hello to 127.0.0.1:7000\nhello to 0.0.0.0:7001\nhello to [::1]:7002\n"; out.String() != want || err != nil {
		t.Errorf("the program was told %q, %v", out.String(), err)
	}
}
