package postgres_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// The data directory is the server's user's. What he has put in the place of the directory, or
// of a file that is about to be written, is not written through.
func TestCluster_ConfigureStaysInside(t *testing.T) {
	dir := t.TempDir()
	data, elsewhere := filepath.Join(dir, "data"), filepath.Join(dir, "elsewhere")
	victim := filepath.Join(elsewhere, "pg_hba.conf")
	if err := errors.Join(os.Mkdir(elsewhere, 0o700), os.WriteFile(victim, []byte("untouched"), 0o600), os.Symlink(elsewhere, data)); err != nil {
		t.Fatal(err)
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		t.Fatal(err)
	}
	c := postgres.Cluster{Data: data, Owner: owner}
	if err := c.Configure(nil); recovery.ExitOf(err) != recovery.Refused || recovery.HintOf(err) == "" {
		t.Errorf("a link in the place of the data directory: %v", err)
	}
	err = errors.Join(os.Remove(data), os.Mkdir(data, 0o700), os.Link(victim, filepath.Join(data, "pg_hba.conf.new")),
		os.Symlink(victim, filepath.Join(data, "pg_ident.conf.new")), os.Symlink(victim, filepath.Join(data, "postgresql.conf")))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(nil); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"} {
		if info, err := os.Lstat(filepath.Join(data, name)); err != nil || !info.Mode().IsRegular() || info.Size() == 0 {
			t.Errorf("%s is %v, %v", name, info, err)
		}
	}
	if b, err := os.ReadFile(victim); string(b) != "untouched" || err != nil {
		t.Errorf("elsewhere there is %q, %v", b, err)
	}
}

func TestCluster_ConfigureSetsTheSourceAside(t *testing.T) {
	e, c := cluster(t)
	ctx := within(t)
	if err := c.Init(ctx, e, postgres.InitOptions{Checksums: true}); err != nil {
		t.Fatal(err)
	}
	// What a base backup of a production server may bring along.
	for name, text := range map[string]string{
		"postgresql.auto.conf": "synchronous_standby_names = 'db2'\nrecovery_target_time = 'yesterday'\narchive_mode = on\n",
		"postgresql.conf":      "listen_addresses = '*'\nshared_preload_libraries = 'pg_cron'\n",
		"pg_hba.conf":          "host all all all md5\n",
		"standby.signal":       "",
		"recovery.signal":      "",
	} {
		path := filepath.Join(c.Data, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c.Owner.UID >= 0 {
			if err := os.Chown(path, c.Owner.UID, c.Owner.GID); err != nil {
				t.Fatal(err)
			}
		}
	}
	for range 2 { // again, as a repeated step does
		if err := c.Configure(map[string]string{"work_mem": "5MB"}); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile(filepath.Join(c.Data, "postgresql.auto.conf.source"))
	if err != nil || !strings.Contains(string(kept), "db2") {
		t.Errorf("the source's settings are not kept: %q, %v", kept, err)
	}
	if _, err := os.Stat(filepath.Join(c.Data, "standby.signal")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("standby.signal: %v", err)
	}
	s, err := postgres.Start(ctx, e, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.Connect(ctx, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	var settings string
	query := `select concat_ws('|', current_setting('work_mem'), current_setting('listen_addresses'), current_setting('archive_mode'),
		current_setting('synchronous_standby_names'), current_setting('shared_preload_libraries'), current_setting('data_checksums'), pg_is_in_recovery())`
	if err := conn.QueryRow(ctx, query).Scan(&settings); err != nil {
		t.Fatal(err)
	}
	if want := "5MB||off|||on|f"; settings != want {
		t.Errorf("settings %q, want %q", settings, want)
	}
}

func TestReachable_NamesTheClosedDirectory(t *testing.T) {
	user := recovery.User{Name: "somebody", UID: 4711, GID: 4711}
	dir := t.TempDir() // testing makes it for the current user alone
	closed := filepath.Join(dir, "closed")
	if err := os.Mkdir(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	err := postgres.Reachable(filepath.Join(closed, "data"), user)
	if recovery.ExitOf(err) != recovery.Refused || !strings.Contains(err.Error(), closed) {
		t.Errorf("error %v", err)
	}
	if err := postgres.Reachable(filepath.Join(closed, "data"), recovery.User{UID: -1, GID: -1}); err != nil {
		t.Errorf("the run's own user: %v", err)
	}
}

func TestStart_RefusesAForeignSocketDirectory(t *testing.T) {
	e, c := cluster(t)
	ctx := within(t)
	if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(nil); err != nil {
		t.Fatal(err)
	}
	// The name can be guessed: somebody was there first, with a directory
	// that others can enter.
	dir := postgres.SocketDir(c.Data)
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.Remove(dir) })
	_, err := postgres.Start(ctx, e, c, postgres.StartOptions{WaitReady: true})
	if recovery.ExitOf(err) != recovery.Refused && err == nil {
		t.Errorf("error %v", err)
	}
}

func TestFinder(t *testing.T) {
	real, err := postgres.FindTools(0)
	if err != nil {
		t.Fatal(err)
	}
	server, err := filepath.EvalSymlinks(real.Program("postgres"))
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Symlink(real.Program("postgres"), filepath.Join(bin, "postgres")); err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		finder postgres.Finder
		major  int
		dir    string
		says   string
	}{
		"by pattern":            {finder: postgres.Finder{Places: []string{real.Dir}}, dir: real.Dir},
		"by major":              {finder: postgres.Finder{Places: []string{real.Dir}}, major: real.Major, dir: real.Dir},
		"by PATH, through link": {finder: postgres.Finder{Path: "/nonexistent:" + bin}, dir: filepath.Dir(server)},
		"by COMEBACK_PG_BIN":    {finder: postgres.Finder{Bin: real.Dir, Places: []string{"/nonexistent"}}, dir: real.Dir},
		"none":                  {finder: postgres.Finder{Places: []string{bin}}, says: "no PostgreSQL server is installed"},
		"wrong major":           {finder: postgres.Finder{Places: []string{real.Dir}}, major: 9, says: "PostgreSQL 9 is not installed here, only"},
		"wrong COMEBACK_PG_BIN": {finder: postgres.Finder{Bin: bin}, says: "COMEBACK_PG_BIN is " + bin},
	} {
		t.Run(name, func(t *testing.T) {
			tools, err := test.finder.Find(test.major)
			if test.says == "" {
				if err != nil || tools.Dir != test.dir || tools.Major != real.Major || tools.Version != real.Version {
					t.Errorf("found %+v, %v", tools, err)
				}
				return
			}
			hint := recovery.HintOf(err)
			if err == nil || !strings.Contains(err.Error(), test.says) || hint == "" || recovery.ExitOf(err) != recovery.Usage {
				t.Errorf("error %v, hint %q", err, hint)
			}
			// Debian would make a cluster, and start it, where one may be to come back.
			if before, _, found := strings.Cut(hint, "; apt-get install postgresql"); strings.Contains(hint, "apt-get") && (!found || !strings.HasSuffix(before, "create_main_cluster = false >> /etc/postgresql-common/createcluster.conf")) {
				t.Errorf("hint %q", hint)
			}
		})
	}
	if err := real.Need("psql", "pg_dump"); err != nil {
		t.Error(err)
	}
	if err := real.Need("psql", "pg_nothing"); err == nil || !strings.Contains(err.Error(), "pg_nothing") {
		t.Errorf("error %v", err)
	}
}
