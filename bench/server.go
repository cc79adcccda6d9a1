package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// server is a PostgreSQL server of the bench's own.
type server struct {
	dir   string
	host  string // the directory of its socket
	about string // the database that the work is about
	tools postgres.Tools
	owner recovery.User
}

// emptyServer is a server whose directory holds no cluster yet.
func (b *bench) emptyServer(name string) (*server, error) {
	tools, err := postgres.FindTools(0)
	if err != nil {
		return nil, err
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(b.dir, name)
	s := &server{dir: dir, host: dir, about: "bench", tools: tools, owner: owner}
	s.stop(context.Background())
	return s, errors.Join(os.MkdirAll(s.dir, 0o700), os.Chown(s.dir, owner.UID, owner.GID))
}

// tuned are the settings that comeback gives its own clusters here.
func tuned() map[string]string { return postgres.TuneSettingsHere() }

// startServer makes a cluster as initdb makes it, with settings in its configuration.
func (b *bench) startServer(ctx context.Context, name string, settings map[string]string) (*server, error) {
	s, err := b.emptyServer(name)
	if err != nil {
		return nil, err
	}
	if err := s.program(ctx, "initdb", "--pgdata", s.data(), "--username", "postgres", "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"); err != nil {
		return nil, err
	}
	conf := maps.Clone(settings)
	if conf == nil {
		conf = map[string]string{}
	}
	conf["listen_addresses"], conf["unix_socket_directories"] = "", s.dir
	var text strings.Builder
	for key, value := range conf {
		fmt.Fprintf(&text, "%s = '%s'\n", key, value)
	}
	if err := os.WriteFile(filepath.Join(s.data(), "postgresql.auto.conf"), []byte(text.String()), 0o600); err != nil {
		return nil, err
	}
	if err := os.Chown(filepath.Join(s.data(), "postgresql.auto.conf"), s.owner.UID, s.owner.GID); err != nil {
		return nil, err
	}
	return s, s.program(ctx, "pg_ctl", "--pgdata", s.data(), "--wait", "--silent", "--log", filepath.Join(s.dir, "log"), "start")
}

func (s *server) data() string { return filepath.Join(s.dir, "data") }

func (s *server) url(database string) string {
	return "host=" + s.host + " user=postgres dbname=" + database
}

// program runs one of PostgreSQL's programs as the server's user.
func (s *server) program(ctx context.Context, name string, args ...string) error {
	_, err := s.output(ctx, name, args...)
	return err
}

// run runs any program as the server's user.
func (s *server) run(ctx context.Context, name string, args ...string) error {
	path, err := exec.LookPath(name)
	if err != nil {
		return err
	}
	_, err = s.outputOf(ctx, path, args...)
	return err
}

func (s *server) output(ctx context.Context, name string, args ...string) (string, error) {
	return s.outputOf(ctx, s.tools.Program(name), args...)
}

func (s *server) outputOf(ctx context.Context, path string, args ...string) (string, error) {
	name := filepath.Base(path)
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Dir, cmd.Env = "/", []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(s.owner.UID), Gid: uint32(s.owner.GID)}}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if name == "pg_ctl" { // its server would hold a pipe
		cmd.Stderr = nil
		return "", cmd.Run()
	}
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w: %s", name, err, stderr.String())
	}
	return strings.TrimSpace(string(out)), nil
}

// ask gives the single value of a query.
func (s *server) ask(ctx context.Context, database, query string) (string, error) {
	return s.output(ctx, "psql", "-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", s.url(database), "-c", query)
}

// sync ends what a restore has begun: everything on disk.
func (s *server) sync(ctx context.Context) error {
	if _, err := s.ask(ctx, "postgres", "checkpoint"); err != nil {
		return err
	}
	return s.program(ctx, "initdb", "--sync-only", "--pgdata", s.data())
}

// stop ends the server and removes its cluster.
func (s *server) stop(ctx context.Context) {
	if _, err := os.Stat(filepath.Join(s.data(), "postmaster.pid")); err == nil {
		_ = s.program(context.WithoutCancel(ctx), "pg_ctl", "--pgdata", s.data(), "--wait", "--silent", "--mode", "immediate", "stop")
	}
	_ = os.RemoveAll(s.dir)
}

// clock measures a piece of work.
type clock struct {
	began time.Time
	busy  time.Duration
}

func startClock() clock { return clock{time.Now(), busyTime()} }

func (c clock) stop() took { return took{wall: time.Since(c.began), busy: busyTime() - c.busy} }

// group is the control group whose processor time is counted, so that what else
// the machine does is not.
const group = "/sys/fs/cgroup/cpuacct/comeback-bench"

// joinGroup makes everything that the bench starts count; where the kernel has no
// such groups, the whole machine counts.
func joinGroup() (leave func()) {
	tasks := "/sys/fs/cgroup/cpuacct/cgroup.procs"
	pid := []byte(fmt.Sprint(os.Getpid()))
	if err := os.Mkdir(group, 0o755); err != nil && !errors.Is(err, fs.ErrExist) || os.WriteFile(filepath.Join(group, "cgroup.procs"), pid, 0) != nil {
		return func() {}
	}
	return func() {
		_ = os.WriteFile(tasks, pid, 0)
		_ = os.Remove(group)
	}
}

// busyTime is how long processors have worked so far.
func busyTime() time.Duration {
	if b, err := os.ReadFile(filepath.Join(group, "cpuacct.usage")); err == nil {
		var n int64
		if _, err := fmt.Sscan(string(b), &n); err == nil {
			return time.Duration(n)
		}
	}
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0
	}
	var user, nice, system, idle, wait, irq, soft int64
	if _, err := fmt.Sscanf(string(b), "cpu %d %d %d %d %d %d %d", &user, &nice, &system, &idle, &wait, &irq, &soft); err != nil {
		return 0
	}
	return time.Duration(user+nice+system+irq+soft) * 10 * time.Millisecond
}
