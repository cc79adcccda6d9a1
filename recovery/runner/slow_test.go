package runner_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/runner"
)

// A runner whose disk is slow is not gone, and what it was asked comes to pass.
func TestClient_slowDisk(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	slow := make(chan struct{})
	fast := sync.OnceFunc(func() { close(slow) })
	o.Intent = func(p recovery.Payload) {
		if _, ok := p.(recovery.Noted); ok { // the executor waits for its journal now
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
	until(t, c, func(s recovery.State) bool { return len(s.Waits()) > 0 })
	err = c.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: "hm"})
	if err == nil || !strings.Contains(err.Error(), "the runner of run 7c31 does not answer") || recovery.HintOf(err) != "what you asked may still happen; see: comeback status 7c31" ||
		recovery.ExitOf(err) != recovery.NotEnded {
		t.Errorf("%v, next %q", err, recovery.HintOf(err))
	}
	if _, err := c.State(t.Context()); err == nil || !strings.Contains(err.Error(), "does not answer") {
		t.Errorf("its state: %v", err)
	}
	fast()
	until(t, c, func(s recovery.State) bool { return len(s.Notes) == 1 })
}
