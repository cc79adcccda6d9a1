package live_test

import (
	"errors"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// Whatever must not become live, or could not be exchanged, is refused while live
// runs, and live is what it was.
func TestPrepare_refuses(t *testing.T) {
	ctx := within(t)
	b := openBeside(t)
	wal := func(name string) string { return filepath.Join(b.dir, "pg_wal", name) }
	move := func(from, to string) func() error { return func() error { return os.Rename(from, to) } }
	both := func(a, b func() error) func() error { return func() error { return errors.Join(a(), b()) } }
	link := func(target, path string) func() error { return func() error { return os.Symlink(target, path) } }
	remove := func(path string) func() error { return func() error { return os.RemoveAll(path) } }
	elsewhere := scratchDir(t)
	for _, c := range []struct {
		name        string
		spoil, mend func() error
		change      func(*live.Restored)
		says        string
	}{
		{name: "the same directory", change: func(r *live.Restored) { r.Data = r.Live }, says: "are the same"},
		{name: "the same directory through a link", spoil: link(b.Dir, filepath.Join(elsewhere, "shop")), mend: remove(filepath.Join(elsewhere, "shop")),
			change: func(r *live.Restored) { r.Data = filepath.Join(elsewhere, "shop", "cluster") }, says: "are the same"},
		{name: "live is a link", spoil: link(b.Cluster(), filepath.Join(b.Dir, "link")), mend: remove(filepath.Join(b.Dir, "link")),
			change: func(r *live.Restored) { r.Live = filepath.Join(b.Dir, "link") }, says: "is a symbolic link to"},
		{name: "live is no data directory", spoil: func() error {
			return errors.Join(os.Mkdir(filepath.Join(b.Dir, "other"), 0o700), os.WriteFile(filepath.Join(b.Dir, "other", "notes"), []byte("mine\n"), 0o600))
		}, mend: func() error { return os.RemoveAll(filepath.Join(b.Dir, "other")) },
			change: func(r *live.Restored) { r.Live = filepath.Join(b.Dir, "other") }, says: "is not a data directory"},
		{name: "another cluster's backup", change: func(r *live.Restored) { r.System = "7301448812" }, says: "has the system identifier"},
		{name: "a timeline that live has been on", change: func(r *live.Restored) { r.Timeline = 2 }, says: "is on timeline 2, and live on 2"},
		{name: "the machine was started again", change: func(r *live.Restored) { r.Boot = "another" }, says: "was started again"},
		{name: "the log lies elsewhere", spoil: both(move(filepath.Join(b.dir, "pg_wal"), filepath.Join(b.Dir, "wal")), link(filepath.Join(b.Dir, "wal"), filepath.Join(b.dir, "pg_wal"))),
			mend: both(remove(filepath.Join(b.dir, "pg_wal")), move(filepath.Join(b.Dir, "wal"), filepath.Join(b.dir, "pg_wal"))), says: "pg_wal, lies outside of the data directory"},
		{name: "a tablespace inside production", spoil: link(filepath.Join(b.Dir, "copies"), filepath.Join(b.dir, "pg_tblspc", "16999")), mend: remove(filepath.Join(b.dir, "pg_tblspc", "16999")),
			says: "tablespace 16999 lies outside of the data directory"},
		{name: "a tablespace of live elsewhere", spoil: link(filepath.Join(b.Dir, "copies"), filepath.Join(b.Cluster(), "pg_tblspc", "16999")), mend: remove(filepath.Join(b.Cluster(), "pg_tblspc", "16999")),
			says: "tablespace 16999 lies outside of the data directory"},
		{name: "a link out of the data", spoil: link("/etc/hostname", filepath.Join(b.dir, "base", "1", "99999")), mend: remove(filepath.Join(b.dir, "base", "1", "99999")), says: "leads out of the data directory"},
		{name: "another major", spoil: func() error { return os.WriteFile(filepath.Join(b.dir, "PG_VERSION"), []byte("14\n"), 0o600) },
			mend: func() error {
				return os.WriteFile(filepath.Join(b.dir, "PG_VERSION"), []byte(read(t, filepath.Join(b.Cluster(), "PG_VERSION"))), 0o600)
			}, says: "restored one of 14"},
		{name: "no history", spoil: move(wal("00000002.history"), wal("x")), mend: move(wal("x"), wal("00000002.history")), says: "has no 00000002.history"},
		{name: "a configuration that does not load", spoil: func() error {
			return os.WriteFile(filepath.Join(b.Cluster(), "postgresql.auto.conf"), []byte("work_mem = 'many'\n"), 0o600)
		}, mend: func() error { return os.WriteFile(filepath.Join(b.Cluster(), "postgresql.auto.conf"), nil, 0o600) }, says: "would not start with live's configuration"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.spoil != nil {
				if err := c.spoil(); err != nil {
					t.Fatal(err)
				}
			}
			r := b.prepared()
			if c.change != nil {
				c.change(&r)
			}
			_, err := live.Prepare(ctx, &env{}, r)
			refused(t, err, c.says)
			if c.mend != nil {
				if err := c.mend(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	t.Run("a segment of the new timeline is gone", func(t *testing.T) {
		p, err := live.Prepare(ctx, &env{}, b.prepared())
		if err != nil || len(p.Archivable) < 2 {
			t.Fatalf("%+v, %v", p, err)
		}
		name := p.Archivable[1]
		mark := filepath.Join(b.dir, "pg_wal", "archive_status", name+".ready")
		// The mark alone is made anew.
		if err := os.Remove(mark); err != nil {
			t.Fatal(err)
		}
		if _, err := live.Prepare(ctx, &env{}, b.prepared()); err != nil {
			t.Fatal(err)
		}
		if _, err := os.Stat(mark); err != nil {
			t.Error(err)
		}
		if err := os.Rename(wal(name), wal("x")); err != nil {
			t.Fatal(err)
		}
		_, err = live.Prepare(ctx, &env{}, b.prepared())
		refused(t, err, "has removed "+name)
		if err := os.Rename(wal("x"), wal(name)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("one whose server runs", func(t *testing.T) {
		r := b.prepared()
		r.Live, r.Data = b.dir, b.Cluster()
		_, err := live.Prepare(ctx, &env{}, r)
		refused(t, err, "a server uses "+b.Cluster())
	})
	if !maps.Equal(b.digest(t), b.old) {
		t.Error("live was changed")
	}
}

// A server that was not shut down, or could not be started again, is not stopped.
func TestService_refuses(t *testing.T) {
	data := filepath.Join(scratchDir(t), "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	s := live.Service{Data: data}
	var err error
	if s.Tools, err = postgres.FindTools(0); err != nil {
		t.Fatal(err)
	}
	refused(t, s.Check(), "lies elsewhere")
	write(t, filepath.Join(data, "postgresql.conf"), "")
	write(t, filepath.Join(data, "postmaster.opts"), `/usr/lib/postgresql/15/bin/postgres "-D" "/x" "-c" "config_file=/etc/postgresql/15/main/postgresql.conf"`+"\n")
	refused(t, s.Check(), "-c config_file=/etc/postgresql/15/main/postgresql.conf")
	one := s
	one.StopCommand = []string{"/bin/true"}
	refused(t, one.Check(), "says only how")
	own := one
	own.StartCommand = []string{"/bin/true"}
	if err := own.Check(); err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(data, "postmaster.opts"), `/usr/lib/postgresql/15/bin/postgres "-D" "/x"`+"\n")
	if err := s.Check(); err != nil {
		t.Error(err)
	}
}

// What lies in other mounts is refused; they are tried in a child that has its own.
func TestExchangeable_mounts(t *testing.T) {
	const child = "COMEBACK_LIVE_MOUNTS"
	if dir := os.Getenv(child); dir != "" {
		data := filepath.Join(dir, "data")
		for _, d := range []string{"data/base", "data/pg_wal", "mounted"} {
			if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for _, err := range []error{
			unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
			unix.Mount("none", filepath.Join(dir, "mounted"), "tmpfs", 0, ""),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		if _, err := live.Exchangeable(data); err != nil {
			t.Fatal(err)
		}
		_, err := live.Exchangeable(filepath.Join(dir, "mounted"))
		refused(t, err, "is a mount point")
		if err := unix.Mount("none", filepath.Join(data, "pg_wal"), "tmpfs", 0, ""); err != nil {
			t.Fatal(err)
		}
		_, err = live.Exchangeable(data)
		refused(t, err, "pg_wal, in the data directory, is a mount point")
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run", "^TestExchangeable_mounts$")
	cmd.Env = append(os.Environ(), child+"="+t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Geteuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getegid(), Size: 1}}
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
