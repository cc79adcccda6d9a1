package execute_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/storage"
)

// slowJournal is a journal on a disk that does not end to write an event of a type until it
// may.
type slowJournal struct {
	execute.Journal
	slow          string
	writes, ended chan struct{}
}

func (j slowJournal) Append(e recovery.Event) (recovery.Event, error) {
	e, err := j.Journal.Append(e)
	if e.Type == j.slow {
		close(j.writes)
		<-j.ended
	}
	return e, err
}

// soon is what f gives; that it waits for the disk fails the test.
func soon[T any](t *testing.T, what string, f func() T) (v T) {
	t.Helper()
	given := make(chan T, 1)
	go func() { given <- f() }()
	select {
	case v = <-given:
	case <-time.After(30 * time.Second): // only how long a failure takes
		t.Errorf("%s waits for the disk", what)
	}
	return v
}

// While the disk takes an event the run can be looked at, its steps go on and show how far they
// are. The event counts when it is on disk, and what comes meanwhile is recorded after it.
func TestState_slowDisk(t *testing.T) {
	j := slowJournal{slow: recovery.Noted{}.EventType(), writes: make(chan struct{}), ended: make(chan struct{})}
	began, shown, bound, looked := make(chan struct{}), make(chan struct{}, 1), make(chan bool, 1), make(chan struct{})
	reads := kind{"reads", func(ctx context.Context, e recovery.Env, _ recovery.Step) (recovery.Outcome, error) {
		close(began)
		<-j.writes
		if _, err := e.Store(ctx, "nearby"); !errors.Is(err, storage.ErrUnavailable) {
			return recovery.Outcome{}, errors.New("the copy was opened")
		}
		_, is := e.Binding("database")
		bound <- is
		e.Meter().Phase("read", 100, recovery.InBytes)
		e.Meter().Set(42)
		<-looked
		return recovery.Outcome{}, e.Claim(ctx, recovery.Resource{Kind: recovery.Directory, ID: "/nowhere/at/all"})
	}}
	var told []string
	r := newRig(t, []recovery.Kind{reads}, func(p *recovery.Plan, o *execute.Options) {
		j.Journal = o.Journal
		o.Journal = j
		p.Copies = []recovery.Copy{{Name: "nearby"}}
		o.OpenStore = func(context.Context, recovery.Copy) (storage.Store, error) { return nil, storage.ErrUnavailable }
		o.Event = func(e recovery.Event) { told = append(told, e.Type) }
		o.Sample = func(s recovery.Sample) {
			if s.Done == 42 {
				shown <- struct{}{}
			}
		}
	}, step("a", "reads"))
	ended := r.begin(t.Context(), t)
	<-began
	noted := make(chan error, 1)
	go func() {
		noted <- r.Do(recovery.Command{Kind: recovery.DoNote, Text: "the disk is slow", By: "ops1"})
	}()
	<-j.writes
	s := soon(t, "the state", r.State)
	if len(s.Notes) > 0 {
		t.Errorf("a note that is not on disk is told: %+v", s.Notes)
	}
	if is := soon(t, "the step", func() bool { return <-bound }); is {
		t.Error("it is bound")
	}
	soon(t, "the progress", func() struct{} { return <-shown })
	close(looked)
	close(j.ended)
	if err := <-noted; err != nil {
		t.Error(err)
	}
	if s := <-ended; s.Result != recovery.ResultPassed || len(s.Notes) != 1 {
		t.Errorf("ended as %s: %s; %+v", s.Result, s.Says, s.Notes)
	}
	if got, want := strings.Join(told, " "), "step.started/1 noted/1 claim.made/1"; !strings.HasPrefix(got, want) {
		t.Errorf("told are %s", got)
	}
}
