package remote

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// TestMain is the program at the other end, too.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "remote" {
		if os.Args[2] == "serve" {
			_ = Serve(context.Background(), os.Stdin, os.Stdout, shell{})
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// shell is a host whose commands are lines of sh, and whose answers are as long as was
// asked for; after one about silence nothing comes any more.
type shell struct{}

func (shell) Command(s Start) (*exec.Cmd, error) { return exec.Command("sh", "-c", s.Args[0]), nil }

func (shell) Answer(_ context.Context, about string, body []byte, out io.Writer) error {
	n, err := strconv.ParseInt(string(body), 10, 64)
	if err == nil {
		_, err = io.CopyN(out, zeros{}, n)
	}
	for gone := 0; about == "silence" && gone < 1; { // until the other end has gone
		gone, _ = unix.Poll([]unix.PollFd{{Fd: 0}}, -1)
	}
	return err
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

// connected is a connection to this program by the host's shell, without a network.
func connected(t *testing.T, cache string) *Conn {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c, err := Dial(t.Context(), Options{Host: "db1", Program: program,
		SSH: SSH{Program: []string{"sh", "-c", "exec sh", "ssh"}, Env: append(os.Environ(), "XDG_CACHE_HOME="+cache)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What is typed comes whole and at most a window ahead; what is written comes whole; and
// what nobody has read when the command ends is left to this program.
func TestConn_Run(t *testing.T) {
	c := connected(t, t.TempDir())
	run := func(in io.Reader, line string) string {
		t.Helper()
		var out bytes.Buffer
		code, err := c.Run(t.Context(), Start{Args: []string{line}}, Ends{In: in, Out: &out, Err: &out})
		if code != 0 || err != nil {
			t.Fatalf("%s: exit %d, %v", line, code, err)
		}
		return strings.TrimSpace(out.String())
	}
	const long = 3 << 20
	file := filepath.Join(t.TempDir(), "typed")
	if err := os.WriteFile(file, make([]byte, long), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, in := range []io.Reader{io.LimitReader(zeros{}, long), f} {
		if got := run(in, "wc -c"); got != fmt.Sprint(long) {
			t.Errorf("of %d bytes %s came from %T", long, got, in)
		}
	}
	if got := run(strings.NewReader(""), "head -c 300000 /dev/zero | tr '\\0' x"); len(got) != 300000 {
		t.Errorf("of 300000 bytes %d came back", len(got))
	}
	if got := run(zeros{}, "head -c 1 | tr '\\0' x"); got != "x" {
		t.Errorf("without an end of what is typed: %q", got)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	_, err = w.WriteString("one\n")
	if got := run(r, "read line; echo $line"); err != nil || got != "one" {
		t.Errorf("it has read %q, %v", got, err)
	}
	_, err = w.WriteString("a passphrase\n")
	err = errors.Join(err, w.Close())
	left, failed := io.ReadAll(r)
	if err := errors.Join(err, failed); err != nil || string(left) != "a passphrase\n" {
		t.Errorf("what was typed after the command is %q, %v", left, err)
	}
}

// Nobody has to wait for an answer, and none is longer than was agreed; what is a little
// too long does not cost the connection.
func TestConn_Ask(t *testing.T) {
	cache := t.TempDir()
	if err := os.MkdirAll(filepath.Join(cache, "comeback"), 0o755); err != nil {
		t.Fatal(err)
	}
	c := connected(t, cache)
	if info, err := os.Stat(filepath.Join(cache, "comeback")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the cache is %v, %v", info.Mode(), err)
	}
	full := errors.New("no room")
	for _, a := range []struct {
		name    string
		n, most int64
		into    io.Writer
		says    string // nothing: it is answered
		lost    bool
	}{
		{"as long as was agreed", 100_000, 100_000, io.Discard, "", false},
		{"a byte more", 100_001, 100_000, io.Discard, "db1 has more to tell of zeros than is read", false},
		{"where nobody can keep it", 100_000, 100_000, refusing{full}, "no room", false},
		{"nothing is wrong with the next one", 1, 1, io.Discard, "", false},
		{"much more", 3 << 20, 100_000, io.Discard, "db1 has more to tell of zeros than is read", true},
	} {
		err := c.Ask(t.Context(), "zeros", []byte(fmt.Sprint(a.n)), a.most, a.into)
		if (err == nil) != (a.says == "") || err != nil && err.Error() != a.says || errors.Is(err, ErrLost) != a.lost {
			t.Errorf("%s: %v", a.name, err)
		}
	}
	c = connected(t, cache)
	ctx, interrupt := context.WithCancel(t.Context())
	err := c.Ask(ctx, "silence", []byte("1"), 10, written(func([]byte) { interrupt() }))
	if !errors.Is(err, ErrLost) || recovery.ExitOf(err) != recovery.Interrupted || !strings.Contains(err.Error(), "interrupted") {
		t.Errorf("interrupted: %v, exit %d", err, recovery.ExitOf(err))
	}
}

type refusing struct{ err error }

func (r refusing) Write([]byte) (int, error) { return 0, r.err }

type written func(b []byte)

func (w written) Write(b []byte) (int, error) { w(b); return len(b), nil }

// No more is typed ahead of a command than the window, and nothing after its end.
func TestTyping_window(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		typed := newTyping(&frames{w: written(func(b []byte) {
			if len(b) > 5 { // no head of a frame
				sent += len(b)
			}
		})})
		stop, err := typed.pass(zeros{})
		if err != nil {
			t.Fatal(err)
		}
		for _, taken := range []int{0, atOnce, 3 * atOnce} {
			typed.taken(taken)
			synctest.Wait()
			if want := window + taken; sent != want {
				t.Fatalf("%d bytes are on their way when %d were taken, not %d", sent, taken, want)
			}
			sent -= taken
		}
		stop()
		typed.taken(window)
		synctest.Wait()
		if sent != window {
			t.Errorf("%d bytes were typed after the end", sent-window)
		}
	})
}

// What was written before the end is shown to its last byte, however slowly it is read and
// whoever still holds on to the output.
func TestShow(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	part := bytes.Repeat([]byte("x"), 20_000)
	if _, err := w.Write(part); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	close(gone)
	shown, late := 0, 2
	show(r, written(func(b []byte) {
		// Its last look is over by now, and more has come meanwhile.
		if shown += len(b); late > 0 {
			late--
			if _, err := w.Write(part); err != nil {
				t.Error(err)
			}
		}
	}), gone, 0)
	if shown != 3*len(part) {
		t.Errorf("%d of %d bytes were shown", shown, 3*len(part))
	}
}
