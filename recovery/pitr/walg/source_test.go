package walg_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/pitr/walg"
	"comeback/recovery/pitr/walg/walgtest"
	"comeback/recovery/postgres"
	"comeback/storage"
)

// The test binary is what restore_command starts: it answers `wal fetch` as the
// real program does. Where WAL-G is not installed it stands in for that, too.
func TestMain(m *testing.M) {
	isolation.Init()
	walgtest.Main()
	enginetest.Main(doomed, postgres.ReleaseCluster{})
	if len(os.Args) == 5 && os.Args[1] == "wal" && os.Args[2] == "fetch" {
		// Not os.Exit: under the race detector it waits for a second.
		syscall.Exit(walfetch.Ask(context.Background(), os.Getenv(walfetch.SocketEnv), os.Args[3], os.Args[4]))
	}
	code := m.Run()
	if shop.of != nil {
		if err := shop.of.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

// source is what all tests share.
type source struct{ *walgtest.Source }

var shop struct {
	once sync.Once
	of   *walgtest.Source
	err  error
}

// theShop is a cluster, whose history does not change any more.
func theShop(t testing.TB) *source {
	t.Helper()
	shop.once.Do(func() { shop.of, shop.err = walgtest.Make(true) })
	if shop.err != nil {
		t.Fatalf("make the source: %v", shop.err)
	}
	shop.of.Log(t.Log)
	return &source{shop.of}
}

// engine knows what ${CIPHER} stands for.
func (s *source) engine(cipher string) recovery.Engine { return engineOf(s.Program, cipher) }

func engineOf(program, cipher string) recovery.Engine {
	exe, err := os.Executable()
	if err != nil {
		panic(err) // /proc is not there
	}
	return walg.New(walg.Options{Options: pitr.Options{Exe: exe}, Program: func() (string, error) { return program, nil },
		Expand: func(text string) (string, error) { return strings.ReplaceAll(text, "${CIPHER}", cipher), nil }})
}

// component is the shop in a runbook, with one of its configurations.
func (s *source) component(config string, settings recovery.Settings) recovery.Component {
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, With: walg.Name,
		Settings: recovery.Settings{"config": {s.Path(config)}, "database": {"shop"}}}
	if strings.HasPrefix(config, "sealed") {
		c.Settings["environment"] = []string{"WALG_PGP_KEY=${CIPHER}"}
	}
	for k, v := range settings {
		c.Settings[k] = v
	}
	return c
}

// damaged is another storage, a copy of the first, with a configuration of its own.
func (s *source) damaged(t *testing.T) (dir string, c recovery.Component) {
	t.Helper()
	name := s.Copied(t)
	if err := s.Config(name+".json", name); err != nil {
		t.Fatal(err)
	}
	return name, s.component(name+".json", nil)
}

func TestSuite(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	enginetest.Suite(t, walg.New(walg.Options{}), store)
}
