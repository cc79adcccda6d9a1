package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/charmbracelet/x/ansi"
	"github.com/creack/pty"
)

// BenchmarkFirstScreen is from the start of the built program's process to its
// first screen on a terminal of 80x24, with whatever the program does before that.
// Beside it stand what a Go program takes here that only prints a line, and the
// page faults of both: where a fault is dear, as in many virtual machines, they
// are most of the time.
func BenchmarkFirstScreen(b *testing.B) {
	dir := b.TempDir()
	bare := filepath.Join(dir, "bare.go")
	if err := os.WriteFile(bare, []byte("package main\n\nfunc main() { print(\"LIVE: untouched\") }\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	for name, source := range map[string]string{"comeback": ".", "bare": bare} {
		if out, err := exec.Command("go", "build", "-trimpath", "-o", filepath.Join(dir, name), source).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	bareTook, bareFaults := firstScreen(b, filepath.Join(dir, "bare"))
	best, faults := firstScreen(b, filepath.Join(dir, "comeback"))
	n := 1
	for b.Loop() {
		took, _ := firstScreen(b, filepath.Join(dir, "comeback"))
		best = min(best, took)
		b.StopTimer()
		took, _ = firstScreen(b, filepath.Join(dir, "bare"))
		bareTook = min(bareTook, took)
		b.StartTimer()
		n++
	}
	b.ReportMetric(float64(best.Microseconds())/1000, "ms/best")
	b.ReportMetric(float64(bareTook.Microseconds())/1000, "ms/bare-best")
	b.ReportMetric(float64(faults), "faults")
	b.ReportMetric(float64(bareFaults), "faults/bare")
}

// firstScreen is how long the program took to say the last line of its first
// screen, and how many page faults it had when it was left.
func firstScreen(b *testing.B, program string) (took time.Duration, faults int64) {
	home := filepath.Dir(program)
	cmd := exec.Command(program)
	cmd.Dir = home
	cmd.Env = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "HOME=" + home, "COMEBACK_STATE=" + filepath.Join(home, "state")}
	began := time.Now()
	tty, err := pty.StartWithSize(cmd, &pty.Winsize{Cols: 80, Rows: 24})
	if err != nil {
		b.Fatal(err)
	}
	defer tty.Close()
	var seen strings.Builder
	buf := make([]byte, 32<<10)
	for !strings.Contains(ansi.Strip(seen.String()), "LIVE: untouched") {
		n, err := tty.Read(buf)
		if err != nil {
			b.Fatalf("read the terminal: %v\n%q", err, seen.String())
		}
		seen.Write(buf[:n])
	}
	took = time.Since(began)
	_, _ = io.WriteString(tty, "q") // gone where the program only prints
	go io.Copy(io.Discard, tty)
	if err := cmd.Wait(); err != nil {
		b.Fatal(err)
	}
	return took, cmd.ProcessState.SysUsage().(*syscall.Rusage).Minflt
}
