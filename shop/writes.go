package shop

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"comeback/recovery"

	"github.com/jackc/pgx/v5"
)

// Write makes n writes, each a transaction: somebody orders, and touches a cart
// as long as there are carts; now and then a file is uploaded.
func (s *Shop) Write(ctx context.Context, n int) error {
	for range n {
		if err := s.write(ctx); err != nil {
			return fmt.Errorf("write to the shop: %w", err)
		}
	}
	return nil
}

// uploadEvery says how many writes come with a file.
const uploadEvery = 8

func (s *Shop) write(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.options.Now().UTC().Truncate(time.Microsecond)
	customer := 1 + s.random.Int64N(s.counts["customers"])
	items := 1 + s.random.IntN(3)
	w := transaction{does: fmt.Sprintf("insert orders 1, order_items %d", items), counts: maps.Clone(s.counts)}
	w.counts["orders"]++
	w.counts["order_items"] += int64(items)
	product := func() int64 { return 1 + s.random.Int64N(s.counts["products"]) }
	var lines [][2]int64
	for range items {
		lines = append(lines, [2]int64{product(), 1 + s.random.Int64N(3)})
	}
	var file *upload
	if len(s.history)%uploadEvery == 0 {
		u, err := s.writeUpload(customer, now)
		if err != nil {
			return err
		}
		file = &u
		w.does += ", uploads 1"
		w.counts["uploads"]++
	}
	var cart int64
	if carts := s.counts["carts"]; carts > 0 {
		cart = 1 + s.random.Int64N(carts)
		w.does += ", update carts 1"
	}
	w.do = func(ctx context.Context, tx pgx.Tx) error {
		var order int64
		if err := tx.QueryRow(ctx, "insert into orders (customer_id) values ($1) returning id", customer).Scan(&order); err != nil {
			return err
		}
		var b pgx.Batch
		for i, line := range lines {
			b.Queue("insert into order_items select $1, $2, id, $4, price_cents from products where id = $3", order, i+1, line[0], line[1])
		}
		if cart > 0 {
			b.Queue(`update carts set touched_at = now(), items = jsonb_build_array(jsonb_build_object('order', $1::bigint))
				where id = md5(format('cart %s %s', $2::bigint, $3::bigint))::uuid`, order, s.options.Seed, cart)
		}
		if file != nil {
			b.Queue("insert into uploads (path, sha256, bytes, customer_id) values ($1, $2, $3, $4)", file.path, file.sha256, file.bytes, file.customer)
		}
		return tx.SendBatch(ctx, &b).Close()
	}
	_, err := s.commit(ctx, w)
	return err
}

// transaction is one that the shop will know of.
type transaction struct {
	does string
	// counts are the rows after it.
	counts Counts
	do     func(context.Context, pgx.Tx) error
}

// commit executes a transaction and records it. Whoever calls it holds s.mu.
func (s *Shop) commit(ctx context.Context, t transaction) (Commit, error) {
	conn, err := s.session(ctx)
	if err != nil {
		return Commit{}, err
	}
	tx, err := conn.Begin(ctx)
	if err != nil {
		return Commit{}, err
	}
	var xid uint64
	err = tx.QueryRow(ctx, "select pg_current_xact_id()::text::bigint").Scan(&xid)
	if err == nil {
		err = t.do(ctx, tx)
	}
	if err != nil {
		return Commit{}, errors.Join(err, tx.Rollback(context.WithoutCancel(ctx)))
	}
	// From here on the transaction may be durable whatever happens to ctx.
	ctx = context.WithoutCancel(ctx)
	if err := tx.Commit(ctx); err != nil {
		return Commit{}, err
	}
	c := Commit{XID: recovery.XID(xid), Does: t.does, Counts: t.counts}
	var lsn string
	err = conn.QueryRow(ctx, "select pg_xact_commit_timestamp($1::text::xid), pg_current_wal_insert_lsn()::text", fmt.Sprint(uint32(xid))).Scan(&c.Time, &lsn)
	if err == nil {
		c.LSN, err = recovery.ParseLSN(lsn)
	}
	if err != nil {
		return Commit{}, fmt.Errorf("record the commit: %w", err)
	}
	c.Time = c.Time.UTC()
	s.history = append(s.history, c)
	s.counts = t.counts
	return c, nil
}

// steady is the goroutine that writes all the time.
type steady struct {
	stop context.CancelFunc
	done chan struct{}
	err  error // valid after done
}

// StartWrites writes at a steady rate until StopWrites, the shop's end or the
// first failure. Writes that go on already are replaced.
func (s *Shop) StartWrites(perSecond float64) error {
	ctx, cancel := context.WithCancel(context.Background())
	w := &steady{stop: cancel, done: make(chan struct{})}
	if err := s.replaceWrites(w); err != nil {
		cancel()
		close(w.done)
		return err
	}
	go func() {
		defer close(w.done)
		tick := time.NewTicker(time.Duration(float64(time.Second) / perSecond))
		defer tick.Stop()
		for {
			// A write that has begun is not cut off: its file would stay
			// without a row.
			if w.err = s.Write(context.WithoutCancel(ctx), 1); w.err != nil {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	}()
	return nil
}

// StopWrites ends the steady writes and returns when the last is recorded, with
// what has gone wrong with them.
func (s *Shop) StopWrites() error { return s.replaceWrites(nil) }

func (s *Shop) replaceWrites(next *steady) error {
	s.mu.Lock()
	w := s.steady
	s.steady = next
	s.mu.Unlock() // the last write needs it
	if w == nil {
		return nil
	}
	w.stop()
	<-w.done
	return w.err
}
