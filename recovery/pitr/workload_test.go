package pitr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/postgres"
)

// busy is a cluster in which eight writers do everything at once, archived by its
// own archive_command; what each commit left is known.
type busy struct {
	*live
	*pitrtest.Known
	names recovery.Names
}

func makeBusy(t *testing.T, transactions int, seed uint64) busy {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbw-")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{ctx: ctx, live: &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"),
		settings: map[string]string{"max_prepared_transactions": "20", "max_wal_size": "4GB"}}}
	t.Cleanup(func() {
		err := postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource())
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Errorf("remove the cluster: %v", err)
		}
	})
	m.create()
	m.backup("start", "-Ft")
	if m.err != nil {
		t.Fatal(m.err)
	}
	known := knownNames{databases: map[uint32]*scan.DatabaseMap{}, seen: map[[3]uint32]bool{}, files: !pitrtest.TellsDropped(m.cluster.Tools)}
	b := busy{live: m.live}
	if b.Known, err = pitrtest.Write(ctx, pitrtest.Options{Transactions: transactions, Seed: seed, Connect: m.server.Connect, Names: known.look, States: true}); err != nil {
		t.Fatal(err)
	}
	now, err := scan.ReadNames(ctx, m.conn)
	if err != nil {
		t.Fatal(err)
	}
	m.switchSegment()
	m.archived()
	m.conn.Close(ctx)
	m.fail(m.server.Stop(ctx))
	if m.err != nil {
		t.Fatal(m.err)
	}
	b.names = scan.Merge(now, known.names(t))
	return b
}

// knownNames are the names of tables as they were when these were made.
type knownNames struct {
	mu        sync.Mutex
	databases map[uint32]*scan.DatabaseMap
	seen      map[[3]uint32]bool
	// files says that a table's newer files are kept, too: without them a table
	// that was truncated and is dropped has no name where the log tells no OID.
	files bool
}

func (k *knownNames) look(ctx context.Context, _ string, conn *pgx.Conn) error {
	m, err := scan.ReadNames(ctx, conn)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, d := range m.Databases {
		if k.databases[d.OID] == nil {
			k.databases[d.OID] = &scan.DatabaseMap{OID: d.OID, Name: d.Name}
		}
		for _, r := range d.Relations {
			id := [3]uint32{d.OID, r.OID}
			if k.files {
				id[2] = r.Filenode
			}
			if !k.seen[id] {
				k.seen[id] = true
				k.databases[d.OID].Relations = append(k.databases[d.OID].Relations, r)
			}
		}
	}
	return nil
}

func (k *knownNames) names(t *testing.T) *scan.Map {
	t.Helper()
	m := &scan.Map{}
	for _, d := range k.databases {
		m.Databases = append(m.Databases, *d)
	}
	var b bytes.Buffer
	if err := scan.EncodeNames(&b, m); err != nil {
		t.Fatal(err)
	}
	m, err := scan.DecodeNames(&b)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// Of what concurrent writers did, archived as a real server does it, the listing
// tells every commit's effects; and whichever commit is gone to, what is restored
// is to the last row and table what was there after it, in both databases.
func TestRestore_Workload(t *testing.T) {
	transactions, chosen, seed := 160, 3, uint64(12)
	if enginetest.Soak() {
		transactions, chosen = 10_000, 50
	}
	t.Logf("%d transactions, %d of them gone to, seed %d", transactions, chosen, seed)
	b := makeBusy(t, transactions, seed)
	c := b.copy(t, "start")
	component := recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"database": {"one"}}}
	listed := scanNamed(t, c, component, b.names)
	pitrtest.Compare(t, listed, b.Truths)
	slices.Reverse(listed) // in the order of the log
	var commits []pitrtest.Committed
	for _, tx := range listed {
		if tx.How == recovery.Committed || tx.How == recovery.CommittedPrepared {
			commits = append(commits, pitrtest.Committed{XID: tx.XID, How: tx.How})
		}
	}
	s := survey(t, c.store, component)
	for i, at := range choose(commits, b.Truths, chosen, seed) {
		xid := commits[at].XID
		to, kept := fmt.Sprintf("after-xid:%d", xid), commits[:at+1]
		if i%2 == 1 {
			to, kept = fmt.Sprintf("before-xid:%d", xid), commits[:at]
		}
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			p := mustResolve(t, c.store, s, to)
			var differs []string
			r := restore(t, c.store, p, func(o *enginetest.Options) {
				o.Component = component
				o.Probe = func(ctx context.Context, env recovery.Env) (err error) {
					bound, _ := env.Binding("database")
					differs, err = b.differ(ctx, bound.URL, kept)
					return err
				}
			})
			r.passed(t)
			r.proven(t, p)
			for _, d := range differs {
				t.Error(d)
			}
		})
	}
}

// undecided rolls back what was prepared at the moment and not decided, whose locks
// the restored server holds.
func undecided(ctx context.Context, conn *pgx.Conn) error {
	if _, err := conn.Exec(ctx, "set lock_timeout = '10s'"); err != nil {
		return err
	}
	rows, err := conn.Query(ctx, "select format('rollback prepared %L', gid) from pg_prepared_xacts where database = current_database()")
	if err != nil {
		return err
	}
	statements, err := pgx.CollectRows(rows, pgx.RowTo[string])
	for _, sql := range statements {
		if _, e := conn.Exec(ctx, sql); e != nil {
			err = errors.Join(err, e)
		}
	}
	return err
}

// scanNamed is the whole listing of a copy, the newest first.
func scanNamed(t *testing.T, c *copyOf, component recovery.Component, names recovery.Names) []recovery.Transaction {
	t.Helper()
	e := testEngine(t)
	var all []recovery.Transaction
	for tx, err := range e.(recovery.Scanner).Scan(t.Context(), recovery.ScanOptions{Component: component, Survey: survey(t, c.store, component), Store: c.store, Names: names}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, tx)
	}
	return all
}

// choose picks commits of the workload at random: of each kind that ends or makes
// a table or that has two phases one, and others.
func choose(commits []pitrtest.Committed, truths []pitrtest.Truth, n int, seed uint64) []int {
	known := map[pitrtest.Committed]pitrtest.Truth{}
	for _, t := range truths {
		known[pitrtest.Committed{XID: t.XID, How: t.How}] = t
	}
	r := rand.New(rand.NewPCG(seed, uint64(n)))
	order := r.Perm(len(commits))
	var chosen []int
	for _, word := range []string{"truncated", "", "dropped", "created"} {
		i := slices.IndexFunc(order, func(i int) bool {
			t, ok := known[commits[i]]
			return ok && !slices.Contains(chosen, i) && (word == "" && t.How == recovery.CommittedPrepared || word != "" && strings.Contains(strings.Join(t.Tables, " "), word))
		})
		if i >= 0 && len(chosen) < n {
			chosen = append(chosen, order[i])
		}
	}
	for _, i := range order {
		if _, ok := known[commits[i]]; ok && len(chosen) < n && !slices.Contains(chosen, i) {
			chosen = append(chosen, i)
		}
	}
	return chosen
}

// differ compares a restored cluster with what was there when some transactions
// had committed and no others.
func (b busy) differ(ctx context.Context, url string, kept []pitrtest.Committed) ([]string, error) {
	var differs []string
	for _, database := range []string{"one", "two"} {
		conn, err := pgx.Connect(ctx, strings.Replace(url, "/one?", "/"+database+"?", 1))
		if err != nil {
			return nil, err
		}
		defer conn.Close(ctx)
		if err := undecided(ctx, conn); err != nil {
			return nil, err
		}
		for writer, was := range b.At(kept) {
			if pitrtest.Database(writer) != database {
				continue
			}
			is, err := pitrtest.ReadState(ctx, conn, writer)
			if err != nil {
				return nil, err
			}
			if d := is.Differs(was); d != "" {
				differs = append(differs, fmt.Sprintf("writer %d in %s: %s", writer, database, d))
			}
		}
		var unlogged int
		if err := conn.QueryRow(ctx, "select count(*) from volatile").Scan(&unlogged); err != nil {
			return nil, err
		}
		if unlogged > 0 {
			differs = append(differs, fmt.Sprintf("the unlogged table in %s has %d rows", database, unlogged))
		}
	}
	return differs, nil
}
