package isolation_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// Ways out of a box: each is a script that ends well where it succeeds.
func TestBox_Escapes(t *testing.T) {
	dir := place(t)
	for _, d := range []string{"production", "kept"} {
		if err := os.Mkdir(filepath.Join(dir, d), 0o777); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "production", "file"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	outside := exec.CommandContext(t.Context(), "/bin/sleep", "600")
	if err := outside.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { outside.Process.Kill(); outside.Wait() })
	pid := strconv.Itoa(outside.Process.Pid)
	escapes := map[string]string{
		"uncover what is hidden":                 `umount "$1/production"`,
		"uncover it in a namespace below":        `unshare -Urm sh -c 'umount "$1/production" && test -e "$1/production/file"' sh "$1"`,
		"write where all is read-only":           `echo x >"$1/new"`,
		"make it writable again":                 `mount -o remount,bind,rw / && echo x >"$1/new"`,
		"make it writable in a namespace below":  `unshare -Urm sh -c 'mount -o remount,bind,rw / && echo x >"$1/new"' sh "$1"`,
		"enter the network of the first process": `nsenter -n/proc/1/ns/net sh -c 'test $(wc -l </proc/net/dev) -gt 3'`,
		"enter the network of another":           `nsenter -n/proc/"$2"/ns/net sh -c 'test $(wc -l </proc/net/dev) -gt 3'`,
		"see files by another process":           `test -e "/proc/$2/root/$1/production/file"`,
		"read the memory of the first process":   `head -c 1 /proc/1/environ`,
		"make a device":                          `mknod "$1/kept/disk" b 8 0`,
		"find a disk":                            `find /dev -type b | grep -q .`,
		"tell the kernel":                        `cat /proc/sys/kernel/core_pattern >/proc/sys/kernel/core_pattern`,
		"tell the kernel's objects":              `echo change >/sys/class/net/lo/uevent`,
		"leave a job for cron":                   `touch /etc/cron.d/comeback-test`,
		"bring a device up":                      `ip link add dummy0 type dummy`,
	}
	boxes(t, func(t *testing.T, b isolation.Box, attr *syscall.SysProcAttr) {
		b.Production, b.Keep = []string{filepath.Join(dir, "production")}, []string{filepath.Join(dir, "kept")}
		for name, text := range escapes {
			if out, err := output(t, &b, attr, script(t, text, dir, pid)); err == nil {
				t.Errorf("it can %s: %s", name, out)
			}
		}
		out, err := output(t, &b, attr, script(t, `grep -E '^(CapPrm|CapBnd|NoNewPrivs)' /proc/self/status`))
		if err != nil {
			t.Errorf("%s, %v", out, err)
		}
		for line := range strings.Lines(out) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), ":\t")
			want := "0000000000000000"
			switch {
			case name == "NoNewPrivs":
				want = "1"
			case attr == nil && os.Geteuid() == 0:
				want = "00000000000004fb" // files, processes, users, low ports
			}
			if value != want && (name != "CapBnd" || os.Geteuid() != 0) {
				t.Errorf("%s is %s, want %s", name, value, want)
			}
		}
	})
}

// A box with processes sees none of the host's, cannot signal them, and ends
// with all that it started.
func TestBox_Processes(t *testing.T) {
	victim := exec.CommandContext(t.Context(), "/bin/sleep", "600")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { victim.Process.Kill(); victim.Wait() })
	pid := strconv.Itoa(victim.Process.Pid)
	if out, err := output(t, nil, nil, script(t, `kill -0 "$1"`, pid)); err != nil {
		t.Errorf("it cannot be signalled from outside either: %s, %v", out, err)
	}
	b := isolation.Box{Processes: true}
	if out, err := output(t, &b, nil, script(t, `kill -0 "$1"`, pid)); err == nil {
		t.Errorf("it can signal a process of the host: %s", out)
	}
	out, err := output(t, &b, nil, script(t, `for p in /proc/[0-9]*; do basename "$p"; done`))
	if n := len(strings.Fields(out)); err != nil || n < 2 || n > 4 {
		t.Errorf("it sees the processes %q, %v", out, err)
	}

	// Without processes of its own it sees them, and is kept from those of its
	// own user by Landlock alone.
	version, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	for from, text := range map[uintptr]string{2: `cat "/proc/$1/environ" "/proc/$1/root/etc/passwd"`, 6: `kill -0 "$1"`} {
		out, err := output(t, &isolation.Box{}, nil, script(t, text, pid))
		if errno != 0 || version < from {
			t.Logf("this kernel has no Landlock of version %d, so what %s does is left to the users: %v", from, text, err)
		} else if err == nil {
			t.Errorf("a program without processes of its own can %s: %s", text, out)
		}
	}
	if out, err := output(t, &isolation.Box{}, nil, script(t, `d=$(mktemp -d -p /tmp) && cd "$d" && mkdir a b && touch a/f && mv a/f b/f && ln b/f a/g && rm -r "$d"`)); err != nil {
		t.Errorf("it cannot move a file: %s, %v", out, err)
	}

	// The program leaves one behind, that holds its end of a pipe.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := script(t, `setsid sleep 600 & echo started`)
	cmd.Stdout = w
	isolation.OnThread(func() {
		if err = b.Start(cmd); err == nil {
			w.Close()
			err = cmd.Wait()
		}
	})
	if said, readErr := io.ReadAll(r); string(said) != "started\n" || err != nil || readErr != nil {
		t.Errorf("%q, %v, %v", said, err, readErr)
	}
}

// How a program ends is how the box ends, and what asks the box to end is
// passed on.
func TestBox_Ends(t *testing.T) {
	for _, processes := range []bool{true, false} {
		b := isolation.Box{Processes: processes}
		for text, want := range map[string]string{"exit 0": "<nil>", "exit 7": "exit status 7"} {
			if out, err := output(t, &b, nil, script(t, text)); fmt.Sprint(err) != want {
				t.Errorf("%s: %v, want %s: %s", text, err, want, out)
			}
		}
		cmd := script(t, `sleep 600 >/dev/null & p=$!; trap 'kill $p; echo asked; exit 3' TERM; echo ready; wait`)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		isolation.OnThread(func() {
			if err = b.Start(cmd); err != nil {
				return
			}
			var said []string
			for lines := bufio.NewScanner(out); lines.Scan(); {
				said = append(said, lines.Text())
				if lines.Text() == "ready" {
					err = cmd.Process.Signal(syscall.SIGTERM)
				}
			}
			if !slices.Equal(said, []string{"ready", "asked"}) || err != nil {
				t.Errorf("it said %q, %v", said, err)
			}
			err = cmd.Wait()
		})
		if fmt.Sprint(err) != "exit status 3" {
			t.Errorf("ended with %v", err)
		}
		if _, err := output(t, &b, nil, exec.CommandContext(t.Context(), "/nonexistent/program")); err == nil ||
			errors.Is(err, recovery.ErrNoIsolation) || !strings.Contains(err.Error(), "/nonexistent/program: no such file") {
			t.Errorf("a program that is not there: %v", err)
		}
	}
}

type readFunc func()

func (f readFunc) Read([]byte) (int, error) { f(); return 0, io.EOF }

// A program that is stopped as soon as it is started ends by the signal, not
// only when its grace is over.
func TestBox_StoppedAtOnce(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "sleep", "600")
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.Stdin = readFunc(func() { stop() }) // read from when the process is made
	var err error
	isolation.OnThread(func() {
		b := isolation.Box{Processes: true}
		if err = b.Start(cmd); err == nil {
			err = cmd.Wait()
		}
	})
	if cmd.ProcessState == nil || cmd.ProcessState.ExitCode() != 128+int(syscall.SIGTERM) {
		t.Errorf("ended with %v", err)
	}
}

// When the process that started a box dies, so does the program in it, whatever
// user it runs as.
func TestBox_Death(t *testing.T) {
	program := self(t)
	for _, how := range []string{"true", "false"} {
		holder := exec.CommandContext(t.Context(), program, "hold", how)
		out, err := holder.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := holder.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewReader(out)
		if line, err := lines.ReadString('\n'); line != "running\n" {
			t.Fatalf("%q, %v", line, err)
		}
		if err := holder.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		// The pipe ends when nobody holds it any more.
		if _, err := io.ReadAll(lines); err != nil {
			t.Error(err)
		}
		if err := holder.Wait(); err == nil {
			t.Error("it was not killed")
		}
	}
}

// holdProgram runs a program in a box until it is killed.
func holdProgram(processes string) {
	b := isolation.Box{Processes: processes == "true"}
	isolation.OnThread(func() {
		cmd := exec.Command("/bin/sh", "-c", "echo running; sleep 600 & wait")
		if processes == "false" {
			cmd = exec.Command("/bin/sh", "-c", "echo running; exec sleep 600")
		}
		cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
		cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGINT}
		if os.Geteuid() == 0 {
			cmd.SysProcAttr.Credential = &syscall.Credential{Uid: somebody, Gid: somebody}
		}
		if processes == "true" {
			cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
		}
		err := b.Start(cmd)
		if err == nil {
			err = cmd.Wait()
		}
		fmt.Println("ended:", err)
	})
	syscall.Exit(1)
}
