package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"comeback/recovery"
)

// Protocol is the version of what a runner and its front ends say to each other.
// A front end of another one leaves the runner alone and reads the journal.
const Protocol = 1

// Hello is how a runner introduces itself.
type Hello struct {
	Protocol int    `json:"protocol"`
	Version  string `json:"version"`
	Run      string `json:"run"`
	PID      int    `json:"pid"`
	// You is who the front end counts as.
	You string `json:"you"`
}

// The resources of a runner, all over HTTP on a Unix socket. Events and samples
// are one JSON object a line, as they come.
const (
	pathHello   = "/hello"   // GET: Hello
	pathState   = "/state"   // GET: recovery.State
	pathEvents  = "/events"  // GET, from=N
	pathSamples = "/samples" // GET, terminal=WORD
	pathDo      = "/do"      // POST a recovery.Command
)

// headerOperator carries who a front end says that it is. It counts only where
// the kernel says root.
const headerOperator = "Comeback-Operator"

// trailerFailure follows the events of a run that could not be recorded to its
// end: a refusal.
const trailerFailure = "Comeback-Failure"

// refusal is an error on its way to a front end.
type refusal struct {
	What string        `json:"what"`
	Hint string        `json:"hint,omitempty"`
	Exit recovery.Exit `json:"exit,omitempty"`
}

// server lets front ends in other processes hold on to a run.
type server struct {
	run      *Run
	dir      string
	listener net.Listener
	http     http.Server
	served   chan struct{}
}

func listen(r *Run) (*server, error) {
	dir := r.Home.LiveDir(r.Options.Plan.Run)
	l, err := r.Home.listenIn(dir)
	if err != nil {
		return nil, recovery.Errorf("set COMEBACK_STATE to a directory on a local disk that you may write to", "%w", err)
	}
	s := &server{run: r, dir: dir, listener: l}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+pathHello, s.hello)
	mux.HandleFunc("GET "+pathState, s.state)
	mux.HandleFunc("GET "+pathEvents, s.events)
	mux.HandleFunc("GET "+pathSamples, s.samples)
	mux.HandleFunc("POST "+pathDo, s.do)
	mux.HandleFunc("GET "+pathTerminal, s.terminal)
	ours := networkOf(l)
	s.http = http.Server{Handler: known(mux), ReadHeaderTimeout: 10 * time.Second, ConnContext: func(ctx context.Context, c net.Conn) context.Context {
		uid, err := peerUID(c)
		if u, ok := c.(*net.UnixConn); ok && err == nil && networkOf(u) != ours {
			err = errors.New("it has a network of its own, as the programs of a rehearsal have")
		}
		return context.WithValue(ctx, peerKey{}, peer{uid, err})
	}}
	return s, nil
}

type peerKey struct{}

// peer is who is at the other end, in the kernel's words.
type peer struct {
	uid uint32
	err error
}

// serve answers from now on.
func (s *server) serve() {
	s.served = make(chan struct{})
	go func() {
		defer close(s.served)
		// It ends with close; the run does not depend on being watched.
		_ = s.http.Serve(s.listener)
	}()
}

// lastLook is how long front ends may take to read a run's end.
const lastLook = 5 * time.Second

// close lets the front ends read to the end, for a while.
func (s *server) close() error {
	if s.served == nil {
		return errors.Join(s.listener.Close(), os.RemoveAll(s.dir))
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastLook)
	defer cancel()
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) { // one does not read: it can read the journal
		err = s.http.Close()
	}
	<-s.served
	return err
}

// known lets nobody in of whom the kernel does not say that they are on this host, outside
// of every box: what a rehearsal restored commands no run, whatever user it runs as.
func known(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p, _ := r.Context().Value(peerKey{}).(peer); p.err != nil {
			refuse(w, recovery.Errorf("attach on the host where it runs, outside of containers", "refused: the kernel does not vouch for who asks: %w", p.err).WithExit(recovery.Refused))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// operator is who asks.
func operator(r *http.Request) string {
	p, _ := r.Context().Value(peerKey{}).(peer)
	return recovery.Named(operatorOf(p.uid, r.Header.Get(headerOperator)))
}

func refuse(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusConflict)
	answer(w, refusalOf(err))
}

func refusalOf(err error) refusal {
	return refusal{What: err.Error(), Hint: recovery.HintOf(err), Exit: recovery.ExitOf(err)}
}

// tellFailure says after the events why they end before the run has.
func (s *server) tellFailure(w http.ResponseWriter) {
	err := s.run.cast.failure()
	if err == nil {
		return
	}
	if b, err := json.Marshal(refusalOf(err)); err == nil {
		w.Header().Set(http.TrailerPrefix+trailerFailure, string(b))
	}
}

// answer writes one JSON object. A front end that has gone away is not told.
func answer(w http.ResponseWriter, v any) { _ = json.NewEncoder(w).Encode(v) }

func (s *server) hello(w http.ResponseWriter, r *http.Request) {
	answer(w, Hello{Protocol: Protocol, Version: s.run.Version, Run: s.run.Options.Plan.Run, PID: os.Getpid(), You: operator(r)})
}

func (s *server) state(w http.ResponseWriter, _ *http.Request) { answer(w, s.run.exec.State()) }

func (s *server) do(w http.ResponseWriter, r *http.Request) {
	var c recovery.Command
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&c); err != nil {
		refuse(w, recovery.Errorf("use the version of comeback that runs it", "the command cannot be read: %w", err))
		return
	}
	c.By = operator(r)
	if err := s.run.Do(r.Context(), c); err != nil {
		refuse(w, err)
		return
	}
	answer(w, struct{}{})
}

func (s *server) events(w http.ResponseWriter, r *http.Request) {
	from, err := strconv.ParseUint(r.URL.Query().Get("from"), 10, 64)
	if err != nil {
		from = 1
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	flusher := http.NewResponseController(w)
	next := max(from, 1)
	enc := json.NewEncoder(w)
	for {
		batch, more := s.run.cast.batch(next)
		for _, e := range batch {
			if enc.Encode(e) != nil {
				return // the front end has gone
			}
			next = e.Seq + 1
		}
		if flusher.Flush() != nil {
			return
		}
		if len(batch) == 0 && more == nil {
			s.tellFailure(w)
			return
		}
		if len(batch) > 0 {
			continue
		}
		select {
		case <-more:
		case <-r.Context().Done():
			return
		}
	}
}

func (s *server) samples(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/x-ndjson")
	flusher := http.NewResponseController(w)
	enc := json.NewEncoder(w)
	terminal := harmless(r.URL.Query().Get("terminal"), maxName)
	for sample := range s.run.cast.samples(r.Context(), recovery.Watcher{Operator: operator(r), Terminal: terminal, Since: s.run.Now()}) {
		if enc.Encode(sample) != nil || flusher.Flush() != nil {
			return
		}
	}
}
