package scan

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
)

// known collects the names of tables, as maps that are saved now and then have
// them.
type known struct {
	mu        sync.Mutex
	databases map[string]*DatabaseMap
	// files says that a table's newer files are kept, too: without them a table
	// that was truncated and is dropped has no name where the log tells no OID.
	files bool
}

// look keeps the names of the tables that there are.
func (k *known) look(ctx context.Context, database string, conn *pgx.Conn) error {
	relations, err := readRelations(ctx, conn)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	d := k.databases[database]
	if d == nil {
		d = &DatabaseMap{Name: database}
		if err := conn.QueryRow(ctx, "select oid from pg_database where datname = current_database()").Scan(&d.OID); err != nil {
			return err
		}
		k.databases[database] = d
	}
	for _, r := range relations {
		if !slices.ContainsFunc(d.Relations, func(d MappedRelation) bool { return d.OID == r.OID && (d.Filenode == r.Filenode || !k.files) }) {
			d.Relations = append(d.Relations, r)
		}
	}
	return nil
}

// workload writes transactions of which everything is known.
func workload(t *testing.T, c *cluster, transactions int, seed uint64) (truths []pitrtest.Truth, names []recovery.Names, from recovery.LSN) {
	k := known{databases: map[string]*DatabaseMap{}, files: !pitrtest.TellsDropped(c.Tools)}
	admin := c.connect(t, "postgres")
	done, err := pitrtest.Write(within(t, 20*time.Minute), pitrtest.Options{Transactions: transactions, Seed: seed, Connect: c.server.Connect, Names: k.look,
		Begin: func() error { from = admin.lsn(); return nil }})
	if err != nil {
		t.Fatal(err)
	}
	live, err := ReadNames(t.Context(), admin.Conn)
	if err != nil {
		t.Fatal(err)
	}
	names = append(names, live)
	for _, d := range k.databases {
		names = append(names, (&Map{Databases: []DatabaseMap{*d}}).build())
	}
	return done.Truths, names, from
}

// soak reports whether the long suites are asked for.
func soak() bool { return os.Getenv("COMEBACK_SOAK") != "" }

// TestReader_Workload reads what concurrent writers did, of which everything is
// known, in chunks of all sizes, and compares with one plain pass of pg_waldump.
func TestReader_Workload(t *testing.T) {
	transactions := 480
	if soak() {
		transactions = 10_000
	}
	seed := uint64(4)
	t.Logf("%d transactions, seed %d", transactions, seed)
	c := newCluster(t, nil)
	long := c.connect(t, "postgres")
	long.do("create table never (id int)", "begin", "insert into never select generate_series(1, 100)")
	want, names, from := workload(t, c, transactions, seed)
	compressed(t, c)
	stretch := c.whole(t)
	stretch.From = from
	plain := plainEnds(t, c, stretch)
	t.Logf("%d segments", (stretch.To-stretch.First)/segment)
	t.Run("record by record", func(t *testing.T) { sameRecords(t, c, stretch) })
	var first []recovery.Transaction
	for _, cut := range []struct {
		chunk, jobs int
		byText      bool
	}{{1 << 20, 1, true}, {1 << 20, 1, false}, {1, 2, false}, {2, 1, false}, {3, 3, false}, {7, 2, true}} {
		t.Run(fmt.Sprintf("chunks of %d, %d jobs, by text: %t", cut.chunk, cut.jobs, cut.byText), func(t *testing.T) {
			r := c.reader(t, Merge(names...))
			r.Chunk, r.Jobs, r.byText, r.doubts = cut.chunk, cut.jobs, cut.byText, &atomic.Int64{}
			got := read(t, r, stretch)
			pitrtest.Compare(t, got, want)
			if n := r.doubts.Load(); n > 0 {
				t.Errorf("%d chunks were in doubt", n)
			}
			var ends []string
			for _, tx := range got {
				ends = append(ends, fmt.Sprintf("%s %d", tx.LSN, tx.XID))
			}
			slices.Reverse(ends)
			if diff := cmp.Diff(plain, ends); diff != "" {
				t.Errorf("the ends of transactions (-one pass of pg_waldump +Read):\n%.2000s", diff)
			}
			if first == nil {
				first = got
			} else if diff := cmp.Diff(first, got); diff != "" {
				t.Errorf("the listing (-in one chunk +in chunks of %d):\n%.2000s", cut.chunk, diff)
			}
		})
	}
}

// plainEnds lists the ends of transactions as one plain pass shows them.
func plainEnds(t *testing.T, c *cluster, s Stretch) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), c.Tools.Program("pg_waldump"), "-p", c.Data+"/pg_wal", "-s", s.First.String(), "-e", s.To.String())
	cmd.Env = []string{"TZ=UTC", "LC_ALL=C"}
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		t.Fatalf("pg_waldump: %s", exit.Stderr)
	}
	line := regexp.MustCompile(`(?m)^rmgr: Transaction .* tx: +(\d+), lsn: (\S+), .* desc: (COMMIT|ABORT|PREPARE|COMMIT_PREPARED|ABORT_PREPARED) (\d+:)?`)
	var ends []string
	for _, m := range line.FindAllStringSubmatch(string(out), -1) {
		lsn, err := recovery.ParseLSN(m[2])
		if err != nil {
			t.Fatal(err)
		}
		xid := m[1]
		if m[4] != "" && strings.HasSuffix(m[3], "_PREPARED") {
			xid = strings.TrimSuffix(m[4], ":")
		}
		if lsn >= s.From && lsn < s.To {
			ends = append(ends, fmt.Sprintf("%s %s", lsn, xid))
		}
	}
	return ends
}
