package shop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/jackc/pgx/v5"
)

// connect opens a session with nothing taken from the environment but what pgx
// insists on.
func connect(ctx context.Context, url string) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("connect to the shop: %w", err)
	}
	config.Password = ""
	config.RuntimeParams = map[string]string{"application_name": "shop", "timezone": "UTC", "datestyle": "ISO", "intervalstyle": "postgres",
		"extra_float_digits": "1", "bytea_output": "hex", "search_path": "public"}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connect to the shop: %w", err)
	}
	return conn, nil
}

// session is the one connection that writes; whoever holds s.mu may use it. The
// end of an earlier caller's ctx may have closed it.
func (s *Shop) session(ctx context.Context) (*pgx.Conn, error) {
	if s.conn != nil && !s.conn.IsClosed() {
		return s.conn, nil
	}
	conn, err := connect(ctx, s.URL())
	if err != nil {
		return nil, err
	}
	s.conn = conn
	return conn, nil
}

// connectPoll is how often a server that starts is asked whether it is ready.
const connectPoll = 20 * time.Millisecond

// start starts the server and returns when it accepts connections.
func (s *Shop) start(ctx context.Context) error {
	p, err := s.startProcess()
	if err != nil {
		return err
	}
	s.server = p
	tick := time.NewTicker(connectPoll)
	defer tick.Stop()
	for {
		conn, err := connect(ctx, s.Layout.URL("postgres", "postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-p.exited:
			return fmt.Errorf("start the shop's server: it ended: %s", s.lastWords())
		case <-ctx.Done():
			return fmt.Errorf("start the shop's server: %w", context.Cause(ctx))
		}
	}
}

// startDetached starts the server through pg_ctl, which gives it a session of
// its own, and returns when it accepts connections.
func (s *Shop) startDetached(ctx context.Context) error {
	err := errors.Join(makeDir(s.Socket(), 0o700), own(s.Socket(), s.Owner), own(s.log(), s.Owner))
	if err != nil {
		return err
	}
	err = s.run(ctx, program{path: s.Tools.Program("pg_ctl"), asOwner: true,
		args: []string{"start", "-D", s.Cluster(), "-l", s.log(), "-w", "-s"}})
	if err != nil {
		return fmt.Errorf("start the shop's server: %w", errors.Join(err, errors.New(s.lastWords())))
	}
	return nil
}

// lastWords are the last lines of the server's log.
func (s *Shop) lastWords() string {
	const tail = 2000
	f, err := os.Open(s.log())
	if err != nil {
		return err.Error()
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.Size() > tail {
		if _, err := f.Seek(-tail, io.SeekEnd); err != nil {
			return err.Error()
		}
	}
	b, err := io.ReadAll(f)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-3):], []byte("; ")))
}
