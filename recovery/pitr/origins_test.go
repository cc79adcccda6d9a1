package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// replicating is a cluster with more replication origins than a server has room for by
// itself, and with a slot that its log must be written for; "tree" is a base backup with
// that slot, as copying files makes one.
func replicating(t *testing.T) *live {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbp-")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{ctx: ctx, live: &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"), special: map[string]recovery.XID{},
		settings: map[string]string{"wal_level": "logical", "max_replication_slots": "20"}}}
	t.Cleanup(func() {
		if err := errors.Join(postgres.ReleaseCluster{}.Release(context.WithoutCancel(ctx), m.cluster.Resource()), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	m.create()
	m.exec("create database shop")
	m.use("shop")
	m.exec("create table orders (id int primary key, note text)")
	m.exec("select pg_replication_origin_advance(name, '0/100') from (select format('origin %s', n) as name, pg_replication_origin_create(format('origin %s', n)) from generate_series(1, 11) n) o")
	m.exec("select pg_create_logical_replication_slot('changes', 'pgoutput')")
	m.exec("checkpoint")
	m.order(1)
	m.backup("tar", "-Ft")
	m.backup("tree", "-Fp")
	m.run("/bin/cp", "-a", filepath.Join(m.cluster.Data, "pg_replslot", "changes"), filepath.Join(dir, "base", "tree", "pg_replslot"))
	m.order(2)
	m.archived()
	if m.conn != nil {
		m.conn.Close(ctx)
	}
	if m.server != nil {
		m.fail(m.server.Stop(ctx))
	}
	if m.err != nil {
		t.Fatalf("make the cluster that replicates: %v", m.err)
	}
	return m.live
}

// Neither the replication origins nor the slots of a source keep what is restored from
// starting: those are there, and these are not.
func TestRestore_Replicating(t *testing.T) {
	t.Parallel()
	l := replicating(t)
	for _, base := range []string{"tar", "tree"} {
		t.Run(base, func(t *testing.T) {
			c := l.copy(t, base)
			if base == "tree" {
				c.remove(t, "base/tree/backup_manifest") // which knows nothing of the slot
			}
			p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
			var found string
			r := restore(t, c.store, p, func(o *enginetest.Options) {
				o.Probe = func(ctx context.Context, env recovery.Env) error {
					b, _ := env.Binding("database")
					conn, err := pgx.Connect(ctx, b.URL)
					if err != nil {
						return err
					}
					defer conn.Close(ctx)
					return conn.QueryRow(ctx, "select format('%s origins, %s slots', (select count(*) from pg_replication_origin_status), (select count(*) from pg_replication_slots))").Scan(&found)
				}
			})
			r.passed(t)
			if found != "11 origins, 0 slots" {
				t.Errorf("there are %s", found)
			}
		})
	}
}

// The times of commits that the source has kept are there after the promotion.
func TestRestore_CommitTimes(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.mark(t, "order 19").xid))
	was := l.mark(t, "order 16").time
	var is *time.Time
	r := restore(t, c.store, p, func(o *enginetest.Options) {
		o.Probe = func(ctx context.Context, env recovery.Env) error {
			b, _ := env.Binding("database")
			conn, err := pgx.Connect(ctx, b.URL)
			if err != nil {
				return err
			}
			defer conn.Close(ctx)
			return conn.QueryRow(ctx, "select pg_xact_commit_timestamp(xmin) from orders where id = 16").Scan(&is)
		}
	})
	r.passed(t)
	if is == nil || !is.Equal(was) {
		t.Errorf("the commit of %s is said to be of %v", was, is)
	}
}
