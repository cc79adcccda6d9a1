package runner

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"strconv"
	"time"

	"comeback/recovery"
	"comeback/recovery/journal"
)

// Client is a hold on a run in another process. It implements recovery.Session;
// closing it, or the death of its process, leaves the run as it is.
type Client struct {
	Hello Hello

	past     Past
	operator string
	terminal string
	http     *http.Client
}

// Viewer is who holds on to a run, and with what.
type Viewer struct {
	// Operator is who somebody says that they are; it counts for root only.
	Operator string
	// Terminal is a word for others to see: "console", "plain".
	Terminal string
	// Patience is how long the runner may take to begin an answer, thirty seconds where it
	// is zero: what it is asked it records first, and a disk that a restore fills is slow.
	Patience time.Duration
}

// patience is how long a runner may take where nothing is said.
const patience = 30 * time.Second

// ErrProtocol says that a runner is of a version that speaks otherwise.
var ErrProtocol = errors.New("it speaks another protocol")

// Dial attaches to a living run.
func (h Home) Dial(ctx context.Context, id string, v Viewer) (*Client, error) {
	p, err := h.Look(id)
	if err == nil {
		err = p.Problem
	}
	if err != nil {
		return nil, err
	}
	c := &Client{past: p, operator: v.Operator, terminal: v.Terminal, http: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialIn(ctx, h.LiveDir(id))
		},
		DisableCompression: true, ResponseHeaderTimeout: cmp.Or(v.Patience, patience),
	}}}
	if err := c.get(ctx, pathHello, &c.Hello); err != nil {
		c.Close()
		return nil, recovery.Errorf("see where it stands: comeback status "+id, "attach to run %s: %w", id, err)
	}
	if c.Hello.Protocol != Protocol {
		c.Close()
		return nil, recovery.Errorf("command it with comeback "+c.Hello.Version+"; this one can watch it",
			"attach to run %s: it runs in comeback %s: %w", id, c.Hello.Version, ErrProtocol)
	}
	return c, nil
}

// Close lets go of the run.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Plan is what the run executes.
func (c *Client) Plan() *recovery.Plan { return c.past.Plan }

// Dir is the run's directory.
func (c *Client) Dir() string { return c.past.Dir }

// State asks the runner for what its events fold to.
func (c *Client) State(ctx context.Context) (recovery.State, error) {
	var s recovery.State
	err := c.get(ctx, pathState, &s)
	return s, err
}

// Events yields events until the run has ended and its report is written. A
// runner that dies, or gives up because it can record nothing more, is an error
// that says so.
func (c *Client) Events(ctx context.Context, from uint64) iter.Seq2[recovery.Event, error] {
	return func(yield func(recovery.Event, error) bool) {
		ended, more, next := false, true, max(from, 1)
		trailer, err := lines(ctx, c, pathEvents, url.Values{"from": {strconv.FormatUint(from, 10)}}, func(e recovery.Event) bool {
			ended, more, next = e.Type == recovery.RunEnded{}.EventType(), yield(e, nil), e.Seq+1
			return more
		})
		if err == nil && more {
			err = c.unended(ended, trailer)
		}
		if err != nil && more && ctx.Err() == nil && !ended {
			// A run that has ended meanwhile serves nobody, and is all in its
			// journal.
			if p, load := c.past.home.Load(c.past.ID); load == nil && p.State.Result != "" && p.ReportSHA256 != "" {
				p.Replay().Events(ctx, next)(yield)
				return
			}
		}
		if err != nil {
			yield(recovery.Event{}, err)
		}
	}
}

// unended is why a runner had no more events to tell before the run's last one,
// or could not write its report; nil if all is well.
func (c *Client) unended(ended bool, trailer http.Header) error {
	var failure refusal
	if err := json.Unmarshal([]byte(trailer.Get(trailerFailure)), &failure); err == nil && failure.What != "" {
		return recovery.Errorf(failure.Hint, "run %s was not brought to its end: %s", c.past.ID, failure.What).WithExit(recovery.NotEnded)
	}
	if ended {
		return nil
	}
	p, err := c.past.home.Load(c.past.ID)
	if err == nil && p.State.Result == "" {
		err = recovery.Errorf("take it up again: comeback resume "+c.past.ID, "the runner of run %s has left it", c.past.ID).WithExit(recovery.NotEnded)
	}
	return err
}

// Samples shows the running steps until ctx or the run ends.
func (c *Client) Samples(ctx context.Context) <-chan recovery.Sample {
	samples := make(chan recovery.Sample)
	go func() {
		defer close(samples)
		// What is lost here need only have been seen; Events tells of the end.
		_, _ = lines(ctx, c, pathSamples, url.Values{"terminal": {c.terminal}}, func(s recovery.Sample) bool {
			select {
			case samples <- s:
				return true
			case <-ctx.Done():
				return false
			}
		})
	}()
	return samples
}

// Do asks the run for something, in the name of whom the runner takes us for.
func (c *Client) Do(ctx context.Context, command recovery.Command) error {
	b, err := json.Marshal(command)
	if err != nil {
		return fmt.Errorf("ask run %s: %w", c.past.ID, err)
	}
	r, err := c.request(ctx, http.MethodPost, pathDo, nil, bytes.NewReader(b))
	if err != nil {
		return err
	}
	return r.Body.Close()
}

func (c *Client) get(ctx context.Context, path string, into any) error {
	r, err := c.request(ctx, http.MethodGet, path, nil, nil)
	if err != nil {
		return err
	}
	defer r.Body.Close()
	if err := json.NewDecoder(r.Body).Decode(into); err != nil {
		return c.lost(ctx, err)
	}
	return nil
}

// request gives an answer that is not a refusal.
func (c *Client) request(ctx context.Context, method, path string, query url.Values, body io.Reader) (*http.Response, error) {
	u := url.URL{Scheme: "http", Host: "run", Path: path, RawQuery: query.Encode()}
	q, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, fmt.Errorf("ask run %s: %w", c.past.ID, err)
	}
	q.Header.Set(headerOperator, c.operator)
	r, err := c.http.Do(q)
	if err != nil {
		return nil, c.lost(ctx, err)
	}
	if r.StatusCode == http.StatusOK {
		return r, nil
	}
	defer r.Body.Close()
	return nil, c.refused(r)
}

// refused is the error that a runner answers with.
func (c *Client) refused(r *http.Response) error {
	var refused refusal
	if err := json.NewDecoder(r.Body).Decode(&refused); err != nil || refused.What == "" {
		return recovery.Errorf("use the version of comeback that runs it", "ask run %s: %s", c.past.ID, r.Status)
	}
	return recovery.Errorf(refused.Hint, "%s", refused.What).WithExit(refused.Exit)
}

// lost is what a broken connection means, or an answer that does not come: that the run has
// ended, that its runner is gone, or that it lives, and may still do what it was asked.
func (c *Client) lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	alive := c.outlives(ctx, err)
	if p, load := c.past.home.Load(c.past.ID); load == nil && p.State.Result != "" {
		return recovery.Errorf("read its report: comeback report show "+p.ID, "run %s has ended: %w", p.ID, err)
	}
	if alive {
		return recovery.Errorf("what you asked may still happen; see: comeback status "+c.past.ID,
			"the runner of run %s does not answer (its disk may be slow): %w", c.past.ID, err).WithExit(recovery.NotEnded)
	}
	return recovery.Errorf("take it up again: comeback resume "+c.past.ID, "the runner of run %s is gone: %w", c.past.ID, err).WithExit(recovery.NotEnded)
}

// dying is how long a killed process may take to be gone.
const dying = 5 * time.Second

// outlives reports whether a runner lives that did not answer, or broke off: it holds its
// journal. For one that broke off it waits until it does not any more, so that the run can
// be taken up when its loss is told.
func (c *Client) outlives(ctx context.Context, err error) bool {
	if late := net.Error(nil); errors.As(err, &late) && late.Timeout() {
		return locked(filepath.Join(c.past.Dir, journal.Name))
	}
	ctx, cancel := context.WithTimeout(ctx, dying)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for locked(filepath.Join(c.past.Dir, journal.Name)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return true
		}
	}
	return false
}

// lines reads JSON objects, one a line, until each says no or they end; then it
// gives what the runner says after them.
func lines[T any](ctx context.Context, c *Client, path string, query url.Values, each func(T) bool) (http.Header, error) {
	r, err := c.request(ctx, http.MethodGet, path, query, nil)
	if err != nil {
		return nil, err
	}
	defer r.Body.Close()
	d := json.NewDecoder(bufio.NewReaderSize(r.Body, 64<<10))
	for {
		var v T
		switch err := d.Decode(&v); {
		case errors.Is(err, io.EOF):
			return r.Trailer, nil
		case err != nil:
			return nil, c.lost(ctx, err)
		}
		if !each(v) {
			return nil, nil
		}
	}
}

var _ recovery.Session = (*Client)(nil)
