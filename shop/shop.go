package shop

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"

	"github.com/jackc/pgx/v5"
)

// Options say which shop to open.
type Options struct {
	// Dir is where the shop is built: an absolute path that does not exist or
	// holds nothing of a shop. The server's user must be able to reach it.
	Dir string
	// Scale is the number of orders to begin with; everything else follows
	// it, about 400 bytes of cluster for an order. Zero means 2000.
	Scale int
	// Seed chooses among shops of the same size.
	Seed int64
	// SegmentMB is the size of a WAL segment in MB. Zero means 1, so that
	// segments fill and are archived while people watch.
	SegmentMB int
	// Settings are the server's instead of, or beside, those of a small production server,
	// for a shop that is filled and read and never recovered.
	Settings map[string]string
	// Major is PostgreSQL's; zero means the newest that is installed.
	Major int
	// Now is the shop's clock; nil is the system's.
	Now func() time.Time
	// Log, where it is not nil, is told what has been done, a line each time.
	Log func(text string)
}

// Shop is an open shop. Its methods are safe for concurrent use; writes happen
// one after the other, so that there is one truth about each of them.
type Shop struct {
	Layout
	Owner recovery.User
	Tools postgres.Tools

	options Options
	server  *process // nil once detached

	mu      sync.Mutex // held by whoever writes
	conn    *pgx.Conn
	random  *rand.Rand
	counts  Counts
	history []Commit
	uploads int // files made so far
	deploys int
	steady  *steady
}

// Open builds a shop: a cluster with its server, tables, rows and uploads. A
// failure or the end of ctx leaves no process; what it leaves of Dir can be
// removed with [Remove].
func Open(ctx context.Context, o Options) (*Shop, error) {
	if o.Scale == 0 {
		o.Scale = 2000
	}
	if o.SegmentMB == 0 {
		o.SegmentMB = 1
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = func(string) {}
	}
	tools, err := postgres.FindTools(o.Major)
	if err != nil {
		return nil, err
	}
	if err := tools.Need("initdb", "pg_ctl", "pg_dump", "pg_basebackup", "psql"); err != nil {
		return nil, err
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		return nil, err
	}
	s := &Shop{Layout: Layout{o.Dir}, Owner: owner, Tools: tools, options: o, counts: Counts{},
		random: rand.New(rand.NewPCG(uint64(o.Seed), uint64(o.Scale)))}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

func (s *Shop) open(ctx context.Context) error {
	if err := s.Layout.make(s.Owner); err != nil {
		return err
	}
	if err := s.initCluster(ctx); err != nil {
		return err
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	s.options.Log(fmt.Sprintf("PostgreSQL %s, reached by a socket, no port", s.Tools.Version))
	if err := s.fill(ctx); err != nil {
		return err
	}
	s.options.Log(s.counts.String())
	return nil
}

// URL is how the shop's own role reaches its database; it holds no secret.
func (s *Shop) URL() string { return s.Layout.URL("shop", "shop") }

// Close stops the writes and the server and returns when its processes are
// gone. Files stay; they are the caller's, or go with [Remove]. Of a detached
// shop nothing is stopped.
func (s *Shop) Close() error {
	err := s.StopWrites()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		s.conn.Close(context.Background()) // the server is about to end anyway
		s.conn = nil
	}
	if s.server == nil {
		return err
	}
	return errors.Join(err, s.server.stop(), s.Layout.removeSocket())
}

// Detach lets the server outlive this process: it is started again on its own,
// and runs until [Remove]. The steady writes end.
func (s *Shop) Detach(ctx context.Context) error {
	if err := s.Close(); err != nil {
		return err
	}
	s.server = nil
	return s.startDetached(ctx)
}
