package pitrtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"

	"comeback/recovery"
)

// Options say what is written, and where.
type Options struct {
	Transactions int
	// Seed chooses among workloads of the same size.
	Seed uint64
	// Connect opens a session of a server that has no database one or two.
	Connect func(ctx context.Context, database string) (*pgx.Conn, error)
	// Names, where it is not nil, is called for each database when its tables
	// were made, and whenever another one was, in the transaction that makes
	// it: nobody knows later what a table was called that is rolled back or
	// dropped. It is called from several goroutines.
	Names func(ctx context.Context, database string, conn *pgx.Conn) error
	// States asks for the writer's state after each commit.
	States bool
	// Begin, where it is not nil, is called when the tables are there and
	// nothing is written yet.
	Begin func() error
}

// Committed is a commit as a listing has it.
type Committed struct {
	XID recovery.XID
	How recovery.TransactionEnd
}

// writers write at the same time, half of them in each database.
const writers = 8

// Write writes some transactions in two databases, four writers in each, with
// checkpoints now and then as a busy server has them, and gives what they did:
// savepoints that are kept and rolled back, COPY, upserts, long values, rows that
// move between partitions, unlogged tables, tables that are made, emptied, dropped
// and altered within transactions, and transactions in two phases.
func Write(ctx context.Context, o Options) (*Known, error) {
	admin, err := o.Connect(ctx, "postgres")
	if err != nil {
		return nil, err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	for _, database := range []string{"one", "two"} {
		if err := o.prepare(ctx, admin, database); err != nil {
			return nil, fmt.Errorf("prepare database %s: %w", database, err)
		}
	}
	if o.Begin != nil {
		if err := o.Begin(); err != nil {
			return nil, err
		}
	}
	k := &Known{}
	group, ctx := errgroup.WithContext(ctx)
	all := make([]*writer, writers)
	for id := range all {
		conn, err := o.Connect(ctx, Database(id))
		if err != nil {
			return nil, err
		}
		defer conn.Close(context.WithoutCancel(ctx))
		all[id] = &writer{id: id, rand: rand.New(rand.NewPCG(o.Seed, uint64(id))), conn: conn, rows: map[string][]int{},
			database: Database(id), look: o.Names, states: o.States}
		k.begin = append(k.begin, all[id].state(ctx))
	}
	var done atomic.Int64
	for _, w := range all {
		group.Go(func() error {
			for i := 0; w.err == nil && int(done.Add(1)) <= o.Transactions; i++ {
				w.one(ctx, fmt.Sprintf("writer %d, %d", w.id, i))
				if w.id == 0 && i%20 == 19 {
					w.exec(ctx, "checkpoint")
				}
			}
			return w.err
		})
	}
	err = group.Wait()
	for _, w := range all {
		k.Truths = append(k.Truths, w.truths...)
	}
	return k, err
}

// prepare makes a database and the tables that all writers share.
func (o Options) prepare(ctx context.Context, admin *pgx.Conn, database string) error {
	if _, err := admin.Exec(ctx, "create database "+database); err != nil {
		return err
	}
	conn, err := o.Connect(ctx, database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	for _, sql := range []string{"create table items (id int primary key, note text)", "create table papers (id int primary key, body text)",
		"alter table papers alter column body set storage external", "create table parted (id int, k int) partition by list (k)",
		"create table parted_1 partition of parted for values in (1)", "create table parted_2 partition of parted for values in (2)",
		"create unlogged table volatile (id int)"} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	if o.Names == nil {
		return nil
	}
	return o.Names(ctx, database, conn)
}
