package runner_test

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
	"comeback/recovery/runner"
)

// longRun serves a run that waits for ticks after n events.
func longRun(tb testing.TB, n int) runner.Home {
	tb.Helper()
	home := runner.Home{Dir: tb.TempDir()}
	o := ticking(home, tb.TempDir())
	for i := range 40 { // a plan of the usual size
		o.Plan.Steps = append(o.Plan.Steps, recovery.NewStep(fmt.Sprintf("db.%d", i), recovery.KindTicks, "look", recovery.TicksArgs{Items: []string{"x"}}))
		o.Plan.Steps[i+1].After = []string{"t"}
	}
	if err := runner.Prepare(home, o.Plan, o.Runbook); err != nil {
		tb.Fatal(err)
	}
	planJSON, err := os.ReadFile(filepath.Join(home.RunDir("7c31"), "plan.json"))
	if err != nil {
		tb.Fatal(err)
	}
	sum := sha256.Sum256(planJSON)
	f, err := os.Create(filepath.Join(home.RunDir("7c31"), journal.Name))
	if err != nil {
		tb.Fatal(err)
	}
	w := bufio.NewWriter(f)
	head := journal.Genesis(o.Plan.Runbook.SHA256)
	for i := range n {
		var p recovery.Payload = recovery.StepCheckpoint{Step: fmt.Sprintf("db.%d", i%40), Text: fmt.Sprintf("segment 00000001000000030000%04X is replayed", i)}
		switch {
		case i == 0:
			p = recovery.RunStarted{Run: "7c31", System: "shop", Mode: recovery.Rehearsal, Operator: "ops1", PlanSHA256: hex.EncodeToString(sum[:])}
		case i%100 == 0:
			p = recovery.Noted{Text: "so far so good", By: "ops2"}
		}
		e, err := recovery.NewEvent(time.Unix(int64(i), 0).UTC(), p)
		if err != nil {
			tb.Fatal(err)
		}
		e.Seq, e.Prev = uint64(i+1), head
		line, err := json.Marshal(e)
		if err != nil {
			tb.Fatal(err)
		}
		digest := sha256.Sum256(line)
		head = hex.EncodeToString(digest[:])
		w.Write(append(line, '\n'))
	}
	if err := w.Flush(); err != nil {
		tb.Fatal(err)
	}
	f.Close()
	run, err := runner.Resume(tb.Context(), o, "")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { run.Wait() })
	return home
}

// BenchmarkAttach is what a console does first: it attaches, takes the state and
// the last events. The goal is less than 300 ms for 100 000 events.
func BenchmarkAttach(b *testing.B) {
	home := longRun(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		attach(b, home, 500)
	}
	b.ReportMetric(heap(), "heap-MB")
}

// BenchmarkReplay takes all events and folds them.
func BenchmarkReplay(b *testing.B) {
	home := longRun(b, 100_000)
	b.ReportAllocs()
	for b.Loop() {
		attach(b, home, 1<<30)
	}
	b.ReportMetric(heap(), "heap-MB")
}

func attach(tb testing.TB, home runner.Home, last uint64) recovery.State {
	tb.Helper()
	c, err := home.Dial(tb.Context(), "7c31", runner.Viewer{Operator: "ops1"})
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close()
	s, err := c.State(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	seen := recovery.NewState(c.Plan())
	for e, err := range c.Events(tb.Context(), s.Seq-min(last, s.Seq-1)) {
		if err != nil {
			tb.Fatal(err)
		}
		if seen = recovery.Fold(seen, e); e.Seq == s.Seq {
			break
		}
	}
	return seen
}

func heap() float64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc) / (1 << 20)
}
