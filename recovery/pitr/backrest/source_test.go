package backrest_test

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
	"comeback/recovery/pitr/backrest"
	"comeback/recovery/pitr/backrest/backresttest"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/postgres"
)

// The test binary is what restore_command starts: it answers `wal fetch` as the
// real program does.
func TestMain(m *testing.M) {
	isolation.Init()
	if len(os.Args) == 5 && os.Args[1] == "wal" && os.Args[2] == "fetch" {
		// Not os.Exit: under the race detector it waits for a second.
		syscall.Exit(walfetch.Ask(context.Background(), os.Getenv(walfetch.SocketEnv), os.Args[3], os.Args[4]))
	}
	enginetest.Main(func() recovery.Engine { return engine(key) }, postgres.ReleaseCluster{})
	code := m.Run()
	if shop.of != nil {
		if err := shop.of.Remove(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}

const key, everything = backresttest.Key, pitrtest.Everything

// engine knows what ${CIPHER} stands for.
func engine(cipher string) recovery.Engine {
	exe, err := os.Executable()
	if err != nil {
		panic(err) // /proc is not there
	}
	return backrest.New(backrest.Options{Options: pitr.Options{Exe: exe},
		Expand: func(text string) (string, error) { return strings.ReplaceAll(text, "${CIPHER}", cipher), nil }})
}

// source is what all tests share.
type source struct{ *backresttest.Source }

var shop struct {
	once sync.Once
	of   *backresttest.Source
	err  error
}

// theShop is a cluster, whose history does not change any more.
func theShop(t testing.TB) *source {
	t.Helper()
	shop.once.Do(func() { shop.of, shop.err = backresttest.Make(true) })
	if shop.err != nil {
		t.Fatalf("make the source: %v", shop.err)
	}
	return &source{shop.of}
}

// component is the shop in a runbook.
func (s *source) component(settings recovery.Settings) recovery.Component {
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, With: backrest.Name,
		Settings: recovery.Settings{"stanza": {"shop"}, "config": {s.Path("pgbackrest.conf")}, "database": {"shop"}, "environment": {"PGBACKREST_REPO2_CIPHER_PASS=${CIPHER}"}}}
	for k, v := range settings {
		c.Settings[k] = v
	}
	return c
}

// damaged is another repository, a copy of the first, with a configuration of its own.
func (s *source) damaged(t *testing.T) (dir string, c recovery.Component) {
	t.Helper()
	name := s.Copied(t)
	if err := s.Config(name+".conf", name); err != nil {
		t.Fatal(err)
	}
	return name, s.component(recovery.Settings{"config": {s.Path(name + ".conf")}})
}
