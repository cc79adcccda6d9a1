package tui

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/vt"
	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// wire is a console on a real pty of 80x24 whose seconds pass when the test says
// so, and what has gone over the line to it.
type wire struct {
	tb     testing.TB
	clock  atomic.Int64
	beats  chan struct{}
	bytes  atomic.Int64
	screen *vt.SafeEmulator
	more   chan struct{}
	desk   *fakeDesk
	// keys is where a person types, sent what went over the line.
	keys io.Writer
	mu   sync.Mutex
	sent strings.Builder
}

func openWire(tb testing.TB, play func(*fakeDesk), environ ...string) *wire {
	tb.Helper()
	if environ == nil {
		environ = []string{"TERM=xterm-256color", "LANG=C.UTF-8", "SSH_TTY=/dev/pts/7"}
	}
	master, slave, err := pty.Open()
	if err != nil {
		tb.Fatal(err)
	}
	if err := pty.Setsize(slave, &pty.Winsize{Cols: 80, Rows: 24}); err != nil {
		tb.Fatal(err)
	}
	fd, err := unix.FcntlInt(master.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		tb.Fatal(err)
	}
	master.Close()
	if err := syscall.SetNonblock(fd, true); err != nil {
		tb.Fatal(err)
	}
	master = os.NewFile(uintptr(fd), "ptmx")
	w := &wire{tb: tb, beats: make(chan struct{}), screen: vt.NewSafeEmulator(80, 24), more: make(chan struct{}, 1), desk: shopDesk(), keys: master}
	play(w.desk)
	w.clock.Store(int64(6 * time.Minute))
	ctx, cancel := context.WithCancel(tb.Context())
	o := Options{Desk: w.desk, In: slave, Out: slave, Operator: "ops1", Start: Start{Session: w.desk.session},
		Now:     func() time.Time { return ten.Add(time.Duration(w.clock.Load())) },
		Environ: environ}
	m := newModel(ctx, o)
	m.everySecond = func() tea.Cmd {
		return func() tea.Msg {
			select {
			case <-w.beats:
				return secondMsg{}
			case <-ctx.Done():
				return nil
			}
		}
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		if _, err := m.show(o); err != nil {
			tb.Error(err)
		}
	})
	ended.Go(func() {
		buf := make([]byte, 32<<10)
		for {
			n, err := master.Read(buf)
			w.bytes.Add(int64(n))
			w.mu.Lock()
			w.sent.Write(buf[:n])
			w.mu.Unlock()
			w.screen.Write(buf[:n])
			select {
			case w.more <- struct{}{}:
			default:
			}
			if err != nil {
				return
			}
		}
	})
	ended.Go(func() { io.Copy(master, w.screen) }) // answers to what the console asks the terminal
	tb.Cleanup(func() {
		cancel()
		master.Close()
		w.screen.InputPipe().(io.Closer).Close() // Close races with Read
		ended.Wait()
		slave.Close()
	})
	return w
}

// shows waits until the screen holds a text.
func (w *wire) shows(text string) {
	w.tb.Helper()
	deadline := time.After(patience)
	for {
		screen := ansi.Strip(w.screen.Render())
		if strings.Contains(screen, text) {
			return
		}
		select {
		case <-w.more:
		case <-deadline:
			w.tb.Fatalf("the screen never showed %q:\n%s", text, screen)
		}
	}
}

// second lets a second pass on the clock, with something that happens in it.
func (w *wire) second(happens func()) {
	w.tb.Helper()
	w.clock.Add(int64(time.Second))
	w.beats <- struct{}{}
	w.shows(clock(ten.Add(time.Duration(w.clock.Load()))))
	if happens != nil {
		happens()
	}
}

// busySecond is what a busy run does in a second: four samples with ten lines of
// log among them. The console takes each of them calmly.
func (w *wire) busySecond(n *int) func() {
	return func() {
		for quarter := range 4 {
			*n++
			var lines []string
			for i := range []int{3, 2, 3, 2}[quarter] {
				lines = append(lines, fmt.Sprintf("redo in progress, elapsed time: %d.%d%d s, current LSN: 3/%08X", *n/4, quarter*2, i, 0x50000000+*n*0x1357))
			}
			w.desk.session.samples <- recovery.Sample{At: ten.Add(time.Duration(w.clock.Load())), Step: "database/replay", Phase: "replay", Done: int64(*n) << 21, Total: 1 << 30,
				Unit: recovery.InLSN, PerSecond: 8e6 + float64(*n)*1e5, Left: recovery.Duration(time.Duration(300-*n) * time.Second), Note: fmt.Sprintf("at 00:53:%02d of 01:41:05 UTC", *n%60), Lines: lines}
			w.shows(fmt.Sprintf("at 00:53:%02d", *n%60))
		}
	}
}

var wires = []struct {
	name string
	play func(*fakeDesk)
	sees string
	busy bool
	// most is how many bytes a second may take.
	most int64
}{
	{"a run that waits", started, "WAITS FOR YOU", false, 400},
	{"a run of which only the time passes", copied, "LOG", false, 400},
	{"a busy run", copied, "LOG", true, 2000},
}

func TestTraffic(t *testing.T) {
	for _, c := range wires {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := openWire(t, c.play)
			w.shows(c.sees)
			seconds, n := int64(20), 0
			var happens func()
			if c.busy {
				seconds, happens = 3, w.busySecond(&n)
			}
			w.second(happens) // the first one has the rest of the first screen
			before := w.bytes.Load()
			for range seconds {
				w.second(happens)
			}
			if per := (w.bytes.Load() - before) / seconds; per == 0 || per > c.most {
				t.Errorf("%d bytes a second go over the line, at most %d should", per, c.most)
			}
		})
	}
}

// BenchmarkTraffic is what a second of a run costs on the line to a terminal of
// 80x24, in B/s.
func BenchmarkTraffic(b *testing.B) {
	for _, c := range wires {
		b.Run(c.name, func(b *testing.B) {
			w := openWire(b, c.play)
			w.shows(c.sees)
			var happens func()
			n := 0
			if c.busy {
				happens = w.busySecond(&n)
			}
			w.second(happens)
			before, seconds := w.bytes.Load(), 0
			for b.Loop() {
				w.second(happens)
				seconds++
			}
			b.ReportMetric(float64(w.bytes.Load()-before)/float64(seconds), "B/s")
		})
	}
}
