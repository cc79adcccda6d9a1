package main

import (
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// BenchmarkFirstScreen is from the start of the program's process to its first
// screen on a terminal of 80x24, with whatever the program does before that.
func BenchmarkFirstScreen(b *testing.B) {
	exe, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	home := b.TempDir()
	for b.Loop() {
		cmd := exec.Command(exe)
		cmd.Dir = home
		cmd.Env = []string{"COMEBACK_TEST_MAIN=1", "TERM=xterm-256color", "LANG=C.UTF-8", "HOME=" + home, "COMEBACK_STATE=" + home}
		tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
		if err != nil {
			b.Fatal(err)
		}
		var seen strings.Builder
		buf := make([]byte, 32<<10)
		for !strings.Contains(ansi.Strip(seen.String()), "LIVE: untouched") {
			n, err := tty.Read(buf)
			if err != nil {
				b.Fatalf("read the terminal: %v\n%q", err, seen.String())
			}
			seen.Write(buf[:n])
		}
		b.StopTimer()
		io.WriteString(tty, "q")
		go io.Copy(io.Discard, tty)
		cmd.Wait()
		tty.Close()
		b.StartTimer()
	}
}
