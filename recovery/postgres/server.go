package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// StartOptions says how a server is started.
type StartOptions struct {
	// Env is added to the server's environment, as KEY=value; a
	// restore_command sees it.
	Env []string
	// Log, where it is not nil, gets every line of the server's log, from
	// one goroutine, before Exited is closed.
	Log func(line string)
	// WaitReady waits until the server accepts connections: a normal start,
	// or the consistent point of a recovery with hot_standby.
	WaitReady bool
	// Crashed, where it is not nil, is called by Ensure before it starts a
	// server that has to recover from a crash first, which empties unlogged
	// tables; an error of it is Ensure's.
	Crashed func() error
}

// Server is a running server of a cluster.
type Server struct {
	cluster Cluster
	pid     int
	child   *process // nil for a server that another process started
	log     *serverLog

	mu     sync.Mutex
	sink   func(line string)
	sinkNo int // counts LogTo
}

// Start claims the cluster and its socket directory and starts a server on the
// data directory. The server outlives ctx, which bounds only the start, but not
// this process: when that ends, the kernel tells the server to shut down. Its
// log goes to the step's log until ctx ends or LogTo says otherwise. A server
// that ends before it is ready gives its own words as the error.
func Start(ctx context.Context, env recovery.Env, c Cluster, o StartOptions) (*Server, error) {
	c = c.withDefaults()
	if err := c.Claim(ctx, env); err != nil {
		return nil, err
	}
	if err := c.prepareSocket(); err != nil {
		return nil, err
	}
	if err := Reachable(c.Data, c.Owner); err != nil {
		return nil, err
	}
	s := &Server{cluster: c, log: newServerLog()}
	s.LogTo(env.Meter().Log)
	context.AfterFunc(ctx, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.sinkNo == 1 { // nobody has said otherwise
			s.sink = nil
		}
	})
	line := func(text string) {
		s.log.add(text)
		s.mu.Lock()
		sink := s.sink
		s.mu.Unlock()
		if sink != nil {
			sink(text)
		}
		if o.Log != nil {
			o.Log(text)
		}
	}
	// What the command line says wins over every file.
	args := []string{"-D", c.Data, "-k", c.Socket, "-p", strconv.Itoa(socketPort), "-h", "",
		"-c", "logging_collector=off", "-c", "log_destination=stderr", "-c", "log_line_prefix=%m [%p] ", "-c", "lc_messages=C"}
	box, err := c.box(env)
	if err != nil {
		return nil, fmt.Errorf("start the server of %s: %w", c.Data, err)
	}
	child, err := startProcess(box, c.Tools.Program("postgres"), args, append(serverEnv[:len(serverEnv):len(serverEnv)], o.Env...), c.user(), line)
	if err != nil {
		return nil, recovery.Errorf("check that PostgreSQL is installed whole, then retry", "start %s: %w", c.Tools.Program("postgres"), err)
	}
	s.child, s.pid = child, child.pid
	children.Store(c.Data, s)
	if !o.WaitReady {
		return s, nil
	}
	select {
	case <-s.log.ready:
		return s, nil
	case <-child.exited:
		return nil, s.Err()
	case <-ctx.Done():
		if err := child.stop(ctx); err != nil {
			return nil, fmt.Errorf("start the server of %s: %w; %w", c.Data, context.Cause(ctx), err)
		}
		return nil, fmt.Errorf("start the server of %s: %w", c.Data, context.Cause(ctx))
	}
}

// children are the servers that this process has started, by their data
// directory. They belong to the process as its child processes do.
var children sync.Map

// Attach finds the server that runs on a cluster already: one of this
// process's own, with all that is known of it, or another's by its
// postmaster.pid. The error is ErrNotRunning, with the last words of a server
// of ours that died.
func Attach(c Cluster) (*Server, error) {
	c = c.withDefaults()
	if own, ok := children.Load(c.Data); ok {
		s := own.(*Server)
		select {
		case <-s.child.exited:
			children.CompareAndDelete(c.Data, s)
			if err := s.Err(); err != nil {
				return nil, fmt.Errorf("%w: %w", err, ErrNotRunning)
			}
		default:
			return s, nil
		}
	}
	pid, err := runningServer(c.Data)
	if err != nil {
		return nil, err
	}
	return &Server{cluster: c, pid: pid}, nil
}

// Ensure gives the server of the cluster that this process runs, or starts one:
// for a step that comes after an interruption. A server that an earlier process
// left, running or shutting down, is ended first, because it would not die with
// this one.
func Ensure(ctx context.Context, env recovery.Env, c Cluster, o StartOptions) (*Server, error) {
	c = c.withDefaults()
	if own, ok := children.Load(c.Data); ok {
		s := own.(*Server)
		if !zombie(s.pid) {
			return s, nil
		}
		select { // it is dying: its last words are read first
		case <-s.child.exited:
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the server of %s to end: %w", c.Data, context.Cause(ctx))
		}
		children.CompareAndDelete(c.Data, s)
	}
	if err := c.Halt(ctx); err != nil {
		return nil, err
	}
	if o.Crashed != nil {
		control, err := ReadControl(ctx, c.Tools, c.Data)
		if err == nil && !strings.HasPrefix(control.State, "shut down") {
			err = o.Crashed()
		}
		if err != nil {
			return nil, err
		}
	}
	return Start(ctx, env, c, o)
}

// Cluster is what the server serves.
func (s *Server) Cluster() Cluster { return s.cluster }

// PID is the process id of the server's postmaster.
func (s *Server) PID() int { return s.pid }

// LogTo sends the server's log, from now on, to another step's log; nil keeps
// it to the server's own memory of failures. A step that leaves a server
// running says LogTo(nil) before it returns.
func (s *Server) LogTo(line func(string)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink, s.sinkNo = line, s.sinkNo+1
}

// Isolated reports whether the server is shut into a box, without a network or
// a way to production. It is known only for servers that this process started.
func (s *Server) Isolated() bool { return s.child != nil && s.child.isolated }

// TellIsolation says in the outcome of a step that leaves the server running what it was shut
// off from. Of a server that another process started nothing is known.
func (s *Server) TellIsolation(o *recovery.Outcome) {
	if s.child == nil {
		return
	}
	if o.Facts == nil {
		o.Facts = map[string]string{}
	}
	const own = "its own socket and no port, archiving off"
	o.Facts[recovery.FactNetwork], o.Facts[recovery.FactIsolation] = recovery.NoNetwork, "no network but loopback, "+own
	if !s.Isolated() {
		o.Facts[recovery.FactNetwork] = "the host's (it gives no namespace); the server listens on no port"
		o.Facts[recovery.FactIsolation] = "NOT shut into a box, which this host does not give: its network is the host's; " + own
		o.Remarks = append(o.Remarks, "this host gives no network namespace: the restored server of "+s.cluster.Data+" is not shut into a box, and has the network of the host; it listens on no port, and archives nothing")
	}
}

// URL is how a database is reached; it holds no secret.
func (s *Server) URL(database string) string { return s.cluster.URL(database) }

// Connect opens a session as the superuser, which takes as long as it takes and may write.
func (s *Server) Connect(ctx context.Context, database string) (*pgx.Conn, error) {
	config, err := ParseAddress(s.URL(database))
	if err != nil {
		return nil, err
	}
	maps.Copy(config.RuntimeParams, s.cluster.Tools.Unhurried())
	config.RuntimeParams["default_transaction_read_only"] = "off"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to database %s of %s: %w", database, s.cluster.Data, err)
	}
	return conn, nil
}

// Ready is closed when the server accepts connections. It is nil for a server
// that this process did not start.
func (s *Server) Ready() <-chan struct{} {
	if s.log == nil {
		return nil
	}
	return s.log.ready
}

// Exited is closed when the server has ended and its log is read to the end.
// It is nil for a server that this process did not start.
func (s *Server) Exited() <-chan struct{} {
	if s.child == nil {
		return nil
	}
	return s.child.exited
}

// Err is why the server ended, in PostgreSQL's own last words; nil while it
// runs and after a clean shutdown.
func (s *Server) Err() error {
	if s.child == nil {
		return nil
	}
	select {
	case <-s.child.exited:
	default:
		return nil
	}
	if s.child.err == nil {
		return nil
	}
	words := s.log.words()
	if words == "" {
		words = exitWords(s.child.err) + ", without a word in its log"
	}
	hint := s.cluster.Tools.HintFor(words)
	ended := recovery.Errorf(orElse(hint, "read the server's log in the step's log, then retry"), "the server of %s ended: %s", s.cluster.Data, words)
	if hint == "" {
		ended.Err = errByItself
	}
	return ended
}

// errByItself: a server ended for a reason that lies in its data directory, as
// far as can be told: nothing that can be mended on the machine explains it.
var errByItself = errors.New("the server ended by itself")

// DiskFull is what the server said when a disk was full, or "".
func (s *Server) DiskFull() string {
	if s.log == nil {
		return ""
	}
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return s.log.full
}

// Stop shuts the server down, fast and then at once, and returns when its
// process is gone. A ctx that has ended skips the polite part.
func (s *Server) Stop(ctx context.Context) error {
	var err error
	if s.child != nil {
		err = s.child.stop(ctx)
		children.CompareAndDelete(s.cluster.Data, s)
	}
	if err == nil { // of a child only orphans can be left
		err = stopServer(ctx, s.cluster.Data, time.Now)
	}
	if err != nil {
		return fmt.Errorf("stop the server of %s: %w", s.cluster.Data, err)
	}
	return nil
}

// Reload makes the server read its configuration again.
func (s *Server) Reload() error {
	if err := syscall.Kill(s.pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("reload the server of %s: %w", s.cluster.Data, err)
	}
	return nil
}

// poll is how often a process that is not our child is looked at.
const poll = 20 * time.Millisecond
