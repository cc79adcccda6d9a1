package runner_test

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/journal/journaltest"
	"comeback/recovery/runner"
)

// A runner that speaks another protocol is left alone and can be watched.
func TestPast_Follow(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	o.Serve = false // another one answers in its place
	run := serve(t, o)
	until(t, run, waiting)
	if err := os.MkdirAll(home.LiveDir("7c31"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Chdir(home.LiveDir("7c31"))
	l, err := net.Listen("unix", "socket")
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	server := http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.Path)
		_ = json.NewEncoder(w).Encode(map[string]any{"protocol": 2, "version": "9.0", "you": "ops1", "since": "tomorrow"})
	})}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	_, refused := home.Dial(t.Context(), "7c31", runner.Viewer{Operator: "ops1"})
	if err := server.Close(); err != nil {
		t.Fatal(err)
	}
	<-served
	if !errors.Is(refused, runner.ErrProtocol) || recovery.HintOf(refused) == "" {
		t.Fatalf("Dial: %v", refused)
	}
	if len(asked) != 1 || asked[0] != "GET /hello" {
		t.Errorf("it was asked %q", asked)
	}
	p, err := home.Load("7c31")
	if err != nil || !p.Alive {
		t.Fatalf("alive %v, %v", p.Alive, err)
	}
	f := p.Follow(refused)
	if err := f.Do(t.Context(), recovery.Command{Kind: recovery.DoStop, By: "ops1"}); !errors.Is(err, runner.ErrProtocol) {
		t.Errorf("Do: %v", err)
	}
	if s, err := f.State(t.Context()); err != nil || s.Stop != nil || !waiting(s) {
		t.Errorf("the state: %v, %v", s.Stop, err)
	}
	seen := make(chan recovery.State)
	go func() { seen <- until(t, f, over) }()
	tick(t, run, "ops1")
	if s := <-seen; s.Result != recovery.ResultPassed {
		t.Errorf("it saw %s", s.Result)
	}
	for range f.Samples(t.Context()) {
		t.Error("a sample of a runner that is not asked")
	}
}

// Who follows a journal hears of the runner's death.
func TestPast_Follow_death(t *testing.T) {
	o, _ := died(t)
	p, err := o.Home.Load("7c31")
	if err != nil || !p.Died {
		t.Fatalf("died %v, %v", p.Died, err)
	}
	var last error
	n := 0
	for _, err := range p.Follow(runner.ErrProtocol).Events(t.Context(), 1) {
		n, last = n+1, err
	}
	if n != int(p.State.Seq)+1 || recovery.ExitOf(last) != recovery.NotEnded || recovery.HintOf(last) != "take it up again: comeback resume 7c31" {
		t.Errorf("%d events, then %v", n, last)
	}
}

// The disk is full: the run stops, its front ends hear why and what to do, what
// it made stays, and when there is room it goes on.
func TestRun_fullDisk(t *testing.T) {
	home := runner.Home{Dir: t.TempDir()}
	o := ticking(home, t.TempDir())
	run := serve(t, o)
	c := dial(t, home, "ops1")
	until(t, c, waiting)
	path := filepath.Join(home.RunDir("7c31"), "journal.jsonl")
	before := read(t, path)
	var refused, last error
	journaltest.LimitFileSize(t, int64(len(before))+10, func() {
		for e, err := range c.Events(t.Context(), 1) {
			if last = err; e.Type == (recovery.Waiting{}).EventType() {
				refused = c.Do(t.Context(), recovery.Command{Kind: recovery.DoNote, Text: "no room"})
			}
		}
		<-run.Done()
	})
	const hint = "make room or repair the disk, then: comeback resume 7c31"
	for _, err := range []error{refused, last} {
		if recovery.HintOf(err) != hint {
			t.Errorf("%v, next %q", err, recovery.HintOf(err))
		}
	}
	if recovery.ExitOf(last) != recovery.NotEnded {
		t.Errorf("exit %d", recovery.ExitOf(last))
	}
	if got := read(t, path); string(got) != string(before) {
		t.Errorf("the journal was changed: %s", got)
	}
	again, err := runner.Resume(t.Context(), o, "")
	if err != nil {
		t.Fatal(err)
	}
	tick(t, again, "ops1")
	if s, err := again.Wait(); err != nil || s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s, %v", s.Result, s.Says, err)
	}
}
