package live_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
	"comeback/shop"
)

// place is a live shop and a scratch server with what was restored: the shop as it
// was before the incident.
type place struct {
	*shop.Shop
	scratch  *postgres.Server
	dir      string
	restored map[string]string // digests
}

const runID = "7c31"

// openPlace opens them; rows that were written after the moment are lost by a
// recovery.
func openPlace(t *testing.T) *place {
	t.Helper()
	ctx := within(t)
	p := &place{Shop: openShop(t)}
	p.dir = scratchDir(t)
	p.scratch = scratchServer(t, p.dir, p.Owner, p.Tools)
	conn := connect(t, p.scratch.URL("postgres"))
	run(t, conn, "create role shop login", "create database shop owner shop template template0 encoding 'UTF8' locale 'C.UTF-8'")
	file := filepath.Join(p.dir, "before.dump")
	for _, args := range [][]string{
		{p.Tools.Program("pg_dump"), "--format=custom", "--file", file, "--dbname", p.Layout.URL("postgres", "shop")},
		{p.Tools.Program("pg_restore"), "--exit-on-error", "--dbname", p.scratch.URL("shop"), file},
	} {
		if err := (&env{}).Command(ctx, command(args)); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if p.restored, err = shop.Digest(ctx, p.scratch.URL("shop")); err != nil {
		t.Fatal(err)
	}
	if err := p.Write(ctx, 5); err != nil {
		t.Fatal(err)
	}
	return p
}

// scratchServer is one of its own in a directory, until the test ends.
func scratchServer(t *testing.T, dir string, owner recovery.User, tools postgres.Tools) *postgres.Server {
	t.Helper()
	ctx, e := within(t), &env{}
	c := postgres.Cluster{Data: filepath.Join(dir, "data"), Owner: owner, Tools: tools}
	t.Cleanup(func() {
		if err := (postgres.ReleaseCluster{}).Release(context.Background(), c.Resource()); err != nil {
			t.Error(err)
		}
	})
	if err := c.Init(ctx, e, postgres.InitOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := c.Configure(postgres.TuneSettings(2, 0)); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Start(ctx, e, c, postgres.StartOptions{WaitReady: true})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// scratchDir is a directory that servers can reach.
func scratchDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "cbl-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	return dir
}

func (p *place) source() live.Source {
	return live.Source{Address: p.scratch.URL("shop"), Tools: p.Tools, Dir: filepath.Join(p.dir, "transfer"), Jobs: 2}
}

// database is the switch of the shop's database as it is now.
func (p *place) database(t *testing.T) live.Database {
	t.Helper()
	id, err := live.Identify(within(t), p.Layout.URL("postgres", "shop"))
	if err != nil {
		t.Fatal(err)
	}
	return live.Database{Address: p.Layout.URL("postgres", "shop"), Run: runID, Was: id.OID}
}

// digest is what is in the database of a name.
func (p *place) digest(t *testing.T, database string) map[string]string {
	t.Helper()
	d, err := shop.Digest(within(t), p.Layout.URL("postgres", database))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// databases are the server's, with OID and whether they let anybody in.
func (p *place) databases(t *testing.T) string {
	t.Helper()
	return text(t, connect(t, p.Layout.URL("postgres", "postgres")),
		"select string_agg(format('%s %s %s', oid, datname, datallowconn), ', ' order by datname) from pg_database where not datistemplate and datname <> 'postgres'")
}

// intact wants live to be what it was: the same database, open, with the same rows.
func (p *place) intact(t *testing.T, d live.Database, rows map[string]string) {
	t.Helper()
	if all := p.databases(t); !strings.Contains(all, fmt.Sprintf("%d shop t", d.Was)) {
		t.Errorf("live is not what it was: %s", all)
		return
	}
	if now := p.digest(t, "shop"); !maps.Equal(now, rows) {
		t.Error("the live database's rows are not what they were")
	}
}
