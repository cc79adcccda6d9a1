package runner_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// A runner whose disk is slow is not gone: it can be looked at, and what it was asked comes to
// pass.
func TestClient_slowDisk(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	slow := make(chan struct{})
	fast := sync.OnceFunc(func() { close(slow) })
	o.Intent = func(p recovery.Payload) {
		if _, ok := p.(recovery.Noted); ok { // it is written now
			<-slow
		}
	}
	serve(t, o)
	t.Cleanup(fast)
	c, err := home.Dial(t.Context(), "7c31", runner.Viewer{Operator: "ops1", Terminal: "console", Patience: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	until(t, c, waiting)
	err = c.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: "hm"})
	if err == nil || !strings.Contains(err.Error(), "the runner of run 7c31 does not answer") || recovery.HintOf(err) != "what you asked may still happen; see: comeback status 7c31" ||
		recovery.ExitOf(err) != recovery.NotEnded {
		t.Errorf("%v, next %q", err, recovery.HintOf(err))
	}
	if s, err := dial(t, home, "ops2").State(t.Context()); err != nil || !waiting(s) || len(s.Notes) > 0 { // of who comes meanwhile
		t.Errorf("its state: %+v, %v", s.Notes, err)
	}
	fast()
	until(t, c, func(s recovery.State) bool { return len(s.Notes) == 1 })
}
