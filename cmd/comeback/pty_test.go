package main

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"

	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
)

// terminal is the real program on a real terminal of a given size.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	tty    *os.File
	screen *vt.SafeEmulator

	mu      sync.Mutex
	changed chan struct{} // closed and replaced with every write
	raw     strings.Builder
	ended   chan struct{}
}

// open starts comeback in dir; what it leaves running ends with the test.
func openTerminal(t *testing.T, r *rig, dir string, width, height int, args ...string) *terminal {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	term := &terminal{t: t, cmd: exec.Command(exe, args...), screen: vt.NewSafeEmulator(width, height),
		changed: make(chan struct{}), ended: make(chan struct{})}
	term.cmd.Dir = dir
	term.cmd.Env = []string{"COMEBACK_TEST_MAIN=1", "TERM=xterm-256color", "LANG=C.UTF-8"}
	term.cmd.Env = append(term.cmd.Env, r.env()...)
	if term.tty, err = pty.StartWithSize(term.cmd, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		t.Fatal(err)
	}
	go io.Copy(term.tty, term.screen) // answers to what the program asks the terminal
	go func() {
		defer close(term.ended)
		buf := make([]byte, 32<<10)
		for {
			n, err := term.tty.Read(buf)
			if n > 0 {
				term.screen.Write(buf[:n])
				term.mu.Lock()
				term.raw.Write(buf[:n])
				close(term.changed)
				term.changed = make(chan struct{})
				term.mu.Unlock()
			}
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		if term.cmd.ProcessState == nil {
			term.cmd.Process.Signal(syscall.SIGTERM)
			term.cmd.Wait()
		}
		term.tty.Close()
		<-term.ended
	})
	return term
}

// text is what the screen shows now.
func (s *terminal) text() string { return ansi.Strip(s.screen.Render()) }

// shows waits until the screen shows all of what is asked for.
func (s *terminal) shows(want ...string) string {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 3*time.Minute)
	defer cancel()
	ended := s.ended
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		text, missing := s.text(), ""
		for _, w := range want {
			if !strings.Contains(text, w) {
				missing = w
			}
		}
		if missing == "" {
			return text
		}
		if ended == nil {
			s.t.Fatalf("the program ended without showing %q:\n%s", missing, text)
		}
		select {
		case <-changed:
		case <-ended:
			ended = nil // one more look, at its last words
		case <-ctx.Done():
			s.t.Fatalf("the screen never showed %q:\n%s", missing, s.text())
		}
	}
}

// until waits until something holds, which only what is written can change.
func (s *terminal) until(what string, holds func() bool) {
	s.t.Helper()
	limit := time.After(3 * time.Minute)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if holds() {
			return
		}
		select {
		case <-changed:
		case <-limit:
			s.t.Fatalf("%s\nand the screen is\n%s", what, s.text())
		}
	}
}

// settles waits until the screen is whole, for a frame may come in pieces: until what is
// written, once a second for the clock, changes nothing else.
func (s *terminal) settles() {
	s.t.Helper()
	last := ""
	s.until("the screen is never still", func() bool {
		now := still(s.text())
		same := now == last
		last = now
		return same
	})
}

// resize gives the terminal another size: the screen first, as a terminal does it, so
// that nothing that is drawn for the new size meets the old one.
func (s *terminal) resize(cols, rows int) {
	s.t.Helper()
	s.screen.Resize(cols, rows)
	if err := pty.Setsize(s.tty, &pty.Winsize{Cols: uint16(cols), Rows: uint16(rows)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *terminal) press(keys ...string) {
	s.t.Helper()
	for _, k := range keys {
		if _, err := io.WriteString(s.tty, k); err != nil {
			s.t.Fatal(err)
		}
	}
}

// ends waits for the program's end and gives its exit code.
func (s *terminal) ends() int {
	s.t.Helper()
	done := make(chan struct{})
	go func() { s.cmd.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(3 * time.Minute):
		s.t.Fatalf("the program does not end:\n%s", s.text())
	}
	return s.cmd.ProcessState.ExitCode()
}

const (
	enter = "\r"
	down  = "\x1b[B"
	esc   = "\x1b"
)

// consoleShop is a directory with the shop's runbook, and a rig with a key.
func consoleShop(t *testing.T) (*rig, string) {
	l, r := theShop(t), newRig(t)
	// What other tests have signed lies in the copy that all of them restore from.
	if err := os.RemoveAll(filepath.Join(l.Copy(), "comeback", "runs")); err != nil {
		t.Fatal(err)
	}
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before, somebodyLooks)
	withKey(t, r)
	return r, filepath.Dir(book)
}

// filesBook writes a runbook whose only component is a tree of two files, and its
// backup: for what a run is and does whatever it restores, without the seconds
// that a server takes.
func filesBook(t *testing.T, more string) string {
	t.Helper()
	copied := t.TempDir()
	f, err := os.Create(filepath.Join(copied, "pages.tar"))
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(f)
	for name, text := range map[string]string{"pages/index.html": "welcome\n", "pages/about.html": "a shop\n"} {
		err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(text)), ModTime: time.Now()})
		if err == nil {
			_, err = io.WriteString(w, text)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), f.Close()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "shop.md")
	text := fmt.Sprintf("---\ncomeback: 1\nsystem: shop\nrpo: 24h\nrto: 30m\ncopies:\n  nearby: {url: \"file://%s\"}\ncomponents:\n  pages: {kind: files, path: %q}\n---\n# Shop\n\n"+
		"## Restore\nBudget: 5m.\n\n```yaml\nrestore: pages\n```\n", copied, filepath.Join(t.TempDir(), "pages"))
	if err := os.WriteFile(path, []byte(text+more), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// somebodyLooks is a stage that waits for a person.
const somebodyLooks = "\n## Open\nOwner: on-call.\n\n- [ ] Somebody has looked\n"

// withKey gives the operator a key that signs.
func withKey(t *testing.T, r *rig) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(r.environ["HOME"], ".ssh"), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := report.CreateKey(filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519"), "ops1"); err != nil {
		t.Fatal(err)
	}
}

// From the first screen to the signed report, at both sizes.
func TestConsole_wholeWay(t *testing.T) {
	for _, size := range []struct{ width, height int }{{80, 24}, {120, 40}} {
		t.Run(fmt.Sprintf("%dx%d", size.width, size.height), func(t *testing.T) {
			r, dir := consoleShop(t)
			s := openTerminal(t, r, dir, size.width, size.height)
			s.shows("SYSTEM", "shop", "never restored: a hope", "LIVE: untouched", "unknown: not looked")
			s.press("k")
			s.shows("YES, BUT", "3-2-1-1-0", "never: a hope")
			s.press("t")
			s.shows("TRENDS", "No rehearsal has come to its end yet")
			s.press(esc)
			s.shows("YES, BUT")
			s.press(esc)
			s.shows("WOULD IT SAVE US?", "yes, ")
			s.press(enter)
			s.shows("WHAT HAPPENED?", "nearby", "ok", "room", "signing", "id_ed25519")
			s.press("6")
			s.shows("GO BACK TO WHICH MOMENT?", "window, no gap")
			// From here to the plan in four presses, without knowing when it was.
			s.press(down)
			s.press(enter)
			s.shows("NOTHING IS CHOSEN YET", "HARM", "read to its beginning")
			s.press("h")
			s.shows("moment: go back to here", "KEPT", "LOST", "RPO")
			s.press(enter)
			s.shows("PLAN", fmt.Sprintf("before-xid:%d", theShop(t).incident.Harm.XID), "start the rehearsal")
			s.press(enter)
			s.shows("WAITS FOR YOU", "Somebody has looked")
			s.press(" ")
			s.shows("REHEARSED, EVERY CHECK HELD", "ended, unsigned")
			s.press("k")
			s.shows("SIGN THE REPORT", "id_ed25519")
			s.press(down, enter)
			s.shows("SIGNED by id_ed25519")
			s.press("q")
			if code := s.ends(); code != int(recovery.CameBack) {
				t.Errorf("exit %d\n%s", code, s.text())
			}
			verifiesWithStockTools(t, r.only(t), filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519"))
		})
	}
}

// waiting opens the console on a rehearsal and goes on until it waits for a
// person, with everything restored.
func waiting(t *testing.T) (r *rig, dir string, s *terminal) {
	t.Helper()
	r, dir = newRig(t), filepath.Dir(filesBook(t, somebodyLooks))
	withKey(t, r)
	s = openTerminal(t, r, dir, 80, 24, "rehearse", "shop.md", "--to", "pages.tar")
	s.shows("PLAN", "start the rehearsal")
	s.press(enter)
	s.shows("WAITS FOR YOU", "Somebody has looked")
	return r, dir, s
}

// A run is never lost to one key: it asks, and says what is left.
func TestConsole_stopAsks(t *testing.T) {
	_, _, s := waiting(t)
	s.press("\x03")
	s.shows("STOP")
	s.press(esc)
	s.shows("Somebody has looked")
	s.resize(60, 18)
	s.shows("Somebody has looked")
	s.press(" ")
	s.shows("REHEARSED, BUT NOTHING WAS CHECKED")
	s.press("q")
	if code := s.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d\n%s", code, s.text())
	}
}

func TestConsole_terminals(t *testing.T) {
	t.Run("NO_COLOR", func(t *testing.T) {
		r, dir := consoleShop(t)
		r.environ["NO_COLOR"] = "yes"
		s := openTerminal(t, r, dir, 80, 24)
		s.shows("SYSTEM", "shop")
		s.press("q")
		s.ends()
		<-s.ended
		for _, colour := range []string{"\x1b[3", "\x1b[4", "\x1b[9", ";38;", ";48;"} {
			for _, part := range strings.Split(s.raw.String(), colour)[1:] {
				final := func(r rune) bool { return r >= '@' && r <= '~' } // ends a control sequence
				if n := strings.IndexFunc(part, final); n >= 0 && part[n] == 'm' && colour != "\x1b[4" {
					t.Errorf("colour %q in the output", colour+part[:n+1])
				}
			}
		}
	})
	t.Run("dumb", func(t *testing.T) {
		r, dir := consoleShop(t)
		r.environ["TERM"] = "dumb"
		s := openTerminal(t, r, dir, 80, 24)
		s.shows("the console cannot open", "--plain")
		if code := s.ends(); code != int(recovery.Usage) {
			t.Errorf("exit %d", code)
		}
	})
	t.Run("not UTF-8", func(t *testing.T) {
		r, dir := consoleShop(t)
		r.environ["LANG"], r.environ["LC_ALL"] = "C", "C"
		s := openTerminal(t, r, dir, 80, 24)
		s.shows("SYSTEM", "shop")
		s.press("q")
		s.ends()
		<-s.ended
		if i := strings.IndexFunc(s.raw.String(), func(r rune) bool { return r > 126 }); i >= 0 {
			t.Errorf("not ASCII: %q", s.raw.String()[i:])
		}
	})
}
