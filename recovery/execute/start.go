package execute

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"comeback/recovery"
)

// defaultStart is how long an application may take to start where the runbook
// says nothing, knocks how often it is asked whether it has.
const (
	defaultStart = time.Minute
	knocks       = 100 * time.Millisecond
)

// start executes the start blocks of a runbook: the script runs, in a box from
// which production cannot be reached, until the stop step of its name. It is
// claimed before it is started, and its output is an artifact of the step that
// sees it end.
type start struct{ x *Executor }

var _ recovery.Reviver = start{}

func (start) Name() string { return recovery.KindStart }

// Restart says that an application that ended with its runner is started again.
func (start) Restart() recovery.Restart { return recovery.Repeat }

func (k start) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.StartArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	var before []recovery.Artifact
	if _, ok := k.x.started.of(args.Name); ok { // of an earlier attempt
		earlier, err := k.x.end(args.Name)
		if err != nil {
			return recovery.Outcome{}, err
		}
		before = earlier.kept()
	}
	o, err := k.start(ctx, e, s, args)
	o.Artifacts = append(before, o.Artifacts...)
	return o, err
}

func (k start) start(ctx context.Context, e recovery.Env, s recovery.Step, args recovery.StartArgs) (recovery.Outcome, error) {
	b, err := k.x.block(e, s, args.ShellArgs)
	if err != nil {
		return recovery.Outcome{}, err
	}
	lock := filepath.Join(k.x.Dir, "started-"+strings.TrimSuffix(logName(s.ID, 1), ".log"))
	claim := recovery.Resource{Kind: recovery.Application, ID: lock, Details: map[string]string{"name": args.Name}}
	if err := e.Claim(ctx, claim); err != nil {
		return recovery.Outcome{}, err
	}
	limit := time.Duration(args.Timeout)
	if limit <= 0 {
		limit = defaultStart
	}
	e.Meter().Phase("start "+args.Name, 0, recovery.NoUnit)
	began := e.Now()
	a, err := k.x.launch(ctx, e.(*env), b, s, lock, args.Ready)
	if errors.Is(err, recovery.ErrNoIsolation) {
		k.x.started.keep(args.Name, nil)
		return notExecuted(args.ShellArgs, err), k.x.giveBackApplication(ctx, claim)
	}
	if err != nil {
		return recovery.Outcome{}, failed(args.ShellArgs, err)
	}
	k.x.started.keep(args.Name, a)
	waiting, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := a.ready(waiting, args); err != nil {
		late := errors.Is(waiting.Err(), context.DeadlineExceeded)
		ended, endErr := k.x.end(args.Name)
		o := recovery.Outcome{}
		if ended != nil {
			o.Artifacts = ended.kept()
		}
		switch {
		case endErr != nil:
			return o, errors.Join(err, endErr)
		case ctx.Err() != nil:
			return o, fmt.Errorf("%s was stopped: %w", args.Name, context.Canceled)
		case late:
			err = fmt.Errorf("it was not ready within %s: %w", recovery.FormatSpan(limit), err)
		}
		return o, failed(args.ShellArgs, err)
	}
	return recovery.Outcome{Says: fmt.Sprintf("%s has started, after %s", args.Name, recovery.FormatSpan(e.Now().Sub(began)))}, nil
}

// Revive lets an application that runs, or that has been stopped already, be as it
// is. One that ended with its runner is to start again.
func (k start) Revive(_ context.Context, _ recovery.Env, s recovery.Step, o recovery.Outcome, _ bool) error {
	var args recovery.StartArgs
	if err := s.Decode(&args); err != nil {
		return err
	}
	if len(o.Exceptions) > 0 { // it was not executed
		k.x.started.keep(args.Name, nil)
		return nil
	}
	state := k.x.State()
	for _, st := range state.Steps {
		var of recovery.StopArgs
		if st.Kind == recovery.KindStop && st.Decode(&of) == nil && of.Start == s.ID && st.State == recovery.Done {
			return nil
		}
	}
	if a, ok := k.x.started.of(args.Name); ok && a != nil && !a.over() {
		return nil
	}
	return fmt.Errorf("%s runs no more: %w", args.Name, recovery.ErrGone)
}

// ready returns when the application has started.
func (a *application) ready(ctx context.Context, args recovery.StartArgs) error {
	ended := func() error {
		return fmt.Errorf("it ended before it was ready: %s", a.how())
	}
	if !strings.HasPrefix(args.Ready, "/") {
		select {
		case <-a.said:
			return nil
		case <-a.done:
			select {
			case <-a.said: // before it ended, which is the next to be told
				return nil
			default:
				return ended()
			}
		case <-ctx.Done():
			return fmt.Errorf("it has not written %q", args.Ready)
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
		return a.door.Dial(ctx, address)
	}}, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	for {
		err := answers(ctx, client, args.URL+args.Ready)
		if err == nil {
			return nil
		}
		select {
		case <-a.done:
			return ended()
		case <-ctx.Done():
			return fmt.Errorf("GET %s: %w", args.Ready, err)
		case <-time.After(knocks):
		}
	}
}

// answers asks once.
func answers(ctx context.Context, client *http.Client, address string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(r)
	if err != nil {
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err
		}
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<20))
	err = errors.Join(err, response.Body.Close())
	if err == nil && response.StatusCode >= 400 {
		err = fmt.Errorf("the status is %s", response.Status)
	}
	return err
}

// stop ends what a start step has started and proves that nothing of it is left.
type stop struct{ x *Executor }

func (stop) Name() string { return recovery.KindStop }

func (stop) Restart() recovery.Restart { return recovery.Repeat }

func (k stop) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.StopArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	a, known := k.x.started.of(args.Name)
	if known && a == nil {
		return recovery.Outcome{Says: args.Name + " was not started"}, nil
	}
	e.Meter().Phase("stop "+args.Name, 0, recovery.NoUnit)
	alone := a != nil && a.over()
	var o recovery.Outcome
	if a != nil {
		if _, err := k.x.end(args.Name); err != nil {
			return o, err
		}
		o.Artifacts = a.kept()
	}
	for _, r := range e.Held() {
		if r.Kind != recovery.Application || r.Details["name"] != args.Name {
			continue
		}
		if err := k.x.giveBackApplication(ctx, r); err != nil {
			return o, err
		}
	}
	o.Says = args.Name + " was stopped, and nothing of it is left"
	if alone {
		o.Says = fmt.Sprintf("%s had ended by itself before it was stopped: %s", args.Name, a.how())
		o.Exceptions = []string{o.Says}
	}
	return o, nil
}

// DialApplication connects to an application that a start step has started; package
// verify asks for it.
func (e *env) DialApplication(ctx context.Context, name, address string) (net.Conn, error) {
	a, ok := e.x.started.of(name)
	switch {
	case ok && a == nil:
		return nil, recovery.ErrNotStarted
	case !ok:
		return nil, fmt.Errorf("%s does not run", name)
	case a.over():
		return nil, recovery.Errorf("read "+a.log.name+" under artifacts/ and start it again", "%s has ended by itself: %s", name, a.how())
	}
	return a.door.Dial(ctx, address)
}
