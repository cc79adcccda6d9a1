package pitr

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
	"comeback/recovery/postgres"
)

// A purge that runs every night is usual, and a deletion of the same night is not,
// as the archived log of four nights tells it.
func TestScan_Usual(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbu-")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{ctx: ctx, live: &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"), special: map[string]recovery.XID{}}}
	t.Cleanup(func() {
		err := postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource())
		if err := errors.Join(err, os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	m.create()
	m.exec("create database shop")
	m.use("shop")
	m.exec("create table orders (id int primary key, note text)")
	m.exec("create table sessions (id int)")
	m.backup("base", "-Ft")
	const nights = 4
	var until []recovery.LSN // where each night ends
	for night := range nights {
		m.order(night)
		m.commit("new sessions", "insert into sessions select generate_series(1, 1500)")
		m.special["purge"] = m.commit("purge", "delete from sessions")
		if night+1 == nights {
			m.commit("many orders", "insert into orders select i, 'x' from generate_series(100, 2100) i")
			m.special["accident"] = m.commit("accident", "delete from orders")
		}
		m.switchSegment()
		at, _ := recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
		until = append(until, at)
	}
	// Twelve segments of one commit each, one with what is prepared and stays so,
	// and one with what is prepared and rolled back.
	steps := len(m.marks)
	for i := range 12 {
		m.order(10_000 + i)
		m.switchSegment()
	}
	here := func() recovery.LSN {
		at, _ := recovery.ParseLSN(m.text("select pg_current_wal_insert_lsn()::text"))
		return at
	}
	m.exec("begin; " + insert(20_000))
	open := here()
	m.exec("prepare transaction 'open'")
	m.switchSegment()
	m.exec("begin; " + insert(20_001) + "; prepare transaction 'gone'")
	gone := here()
	m.exec("rollback prepared 'gone'")
	m.switchSegment()
	var names *scan.Map
	if m.err == nil {
		names, m.err = scan.ReadNames(ctx, m.conn)
	}
	m.archived()
	m.conn.Close(ctx)
	m.fail(m.server.Stop(ctx))
	if m.err != nil {
		t.Fatal(m.err)
	}
	c := m.copy(t, "base")
	c.setClock(t, m.cluster.Tools, func(at recovery.LSN) time.Duration {
		back := nights - 1
		for i, end := range until {
			if at < end {
				back = nights - 1 - i
				break
			}
			back = 0
		}
		return -time.Duration(back) * 24 * time.Hour
	})
	listed := scanNamed(t, c, database, names)
	find := func(name string) recovery.Transaction {
		for _, tx := range listed {
			if tx.XID == m.special[name] {
				return tx
			}
		}
		t.Fatalf("the %s is not listed", name)
		return recovery.Transaction{}
	}
	purge, accident := find("purge"), find("accident")
	if len(purge.Harms()) == 0 || len(accident.Harms()) == 0 {
		t.Fatalf("no harm: %+v, %+v", purge, accident)
	}
	habits := recovery.NewHabits([]recovery.Transaction{accident, purge}, time.UTC, purge.Time.Add(-(nights-1)*24*time.Hour-time.Hour))
	e := testEngine(t)
	for _, span := range habits.Spans() {
		o := recovery.ScanOptions{Component: database, Survey: survey(t, c.store, database), Store: c.store, Names: names, Span: span}
		if err := habits.Read(span, e.(recovery.Scanner).Scan(t.Context(), o)); err != nil {
			t.Fatal(err)
		}
	}
	if u := habits.Of(purge.LSN); u != (recovery.Usual{Seen: nights - 1, Of: nights - 1}) || !u.Holds() {
		t.Errorf("the purge was %s", u)
	}
	if u := habits.Of(accident.LSN); u != (recovery.Usual{Of: nights - 1}) || u.Holds() {
		t.Errorf("the accident was %s", u)
	}
	t.Run("a clock that goes back", func(t *testing.T) { clockGoesBack(t, m, m.marks[steps:]) })
	t.Run("prepared after the last commit", func(t *testing.T) { preparedLast(t, m, open, gone) })
}

// Where the server's clock went back, a time means the first commit of the log that
// is later, wherever the search by time looks first; and that is told.
func clockGoesBack(t *testing.T, m *maker, steps []mark) {
	c := m.copy(t, "base")
	// An hour passes from each commit to the next, but in the middle the clock is
	// put back by five hours and a half.
	hours := func(i int) time.Duration {
		passed := time.Duration(i+1) * time.Hour
		if i >= len(steps)/2 {
			passed -= 5*time.Hour + 30*time.Minute
		}
		return passed
	}
	start := steps[0].time
	by := func(i int) time.Duration { return start.Add(hours(i)).Sub(steps[i].time) }
	c.setClock(t, m.cluster.Tools, func(at recovery.LSN) time.Duration {
		for i := range steps {
			if i+1 == len(steps) && at > steps[i].before || at > steps[i].before && at < steps[i+1].before {
				return by(i)
			}
		}
		return 0
	})
	s := survey(t, c.store, database)
	told := 0
	for i := range len(steps) / 2 {
		to := start.Add(hours(i)).Add(-time.Minute)
		p := mustResolve(t, c.store, s, to.Format(timeFormat))
		if p.Lost.XID != steps[i].xid {
			t.Errorf("a minute before commit %d goes to just before xid %d, want %d", i, p.Lost.XID, steps[i].xid)
		}
		if slices.ContainsFunc(p.Warnings, func(w string) bool { return strings.Contains(w, "clock went back") }) {
			told++
		}
	}
	if told == 0 {
		t.Error("nobody is told that the clock went back")
	}
}

// The end of the log is behind what was prepared after the last commit, as far as
// that was not rolled back since.
func preparedLast(t *testing.T, m *maker, open, gone recovery.LSN) {
	c := m.copy(t, "base")
	kept := m.marks[len(m.marks)-1].xid
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	if p.Stop < gone || !p.Inclusive || p.Kept.XID != kept {
		t.Errorf("latest stops at %s and keeps xid %d; what was rolled back was at %s", p.Stop, p.Kept.XID, gone)
	}
	for _, name := range c.segments(t) {
		if f, _ := ParseFileName(name); f.Seg(1<<20) >= walfile.Number(gone, 1<<20) {
			c.remove(t, "wal/"+name)
		}
	}
	p = mustResolve(t, c.store, survey(t, c.store, database), "latest")
	if p.Stop < open || p.Stop >= gone || !p.Inclusive || p.Kept.XID != kept {
		t.Errorf("latest stops at %s and keeps xid %d; the last transaction was prepared behind %s", p.Stop, p.Kept.XID, open)
	}
}

// setClock moves the times of all commits in the archive, as if the server had
// lived on other days: nothing else can, short of waiting.
func (c *copyOf) setClock(t *testing.T, tools postgres.Tools, by func(recovery.LSN) time.Duration) {
	t.Helper()
	names := c.segments(t)
	first, _ := ParseFileName(names[0])
	size := int64(1 << 20)
	from := walfile.Start(first.Seg(size), size)
	image := make([]byte, 0, len(names)<<20)
	for i, name := range names {
		b, err := os.ReadFile(c.path("wal/" + name))
		if f, ok := ParseFileName(name); err != nil || !ok || f.Seg(size) != first.Seg(size)+uint64(i) {
			t.Fatalf("%s: %v", name, err)
		}
		image = append(image, b...)
	}
	dump := waldump{tools: tools, dir: c.path("wal"), timeline: 1}
	for r, err := range dump.records(t.Context(), from, from+recovery.LSN(len(image)), transactions) {
		var end *unreadableLog
		if errors.As(err, &end) {
			break // of the last segment, or of the archive
		}
		if err != nil {
			t.Fatal(err)
		}
		if r.Kind == commitRecord {
			if err := shift(image, int64(r.LSN-from), int(r.Total), by(r.LSN)); err != nil {
				t.Fatalf("%s: %v", r.LSN, err)
			}
		}
	}
	for i, name := range names {
		c.replace(t, "wal/"+name, func([]byte) []byte { return image[i<<20 : (i+1)<<20] })
	}
}

// shift moves the time of a commit record and makes its checksum right again.
func shift(image []byte, at int64, total int, by time.Duration) error {
	var places []int64 // of the record's bytes
	for pos := at; len(places) < total; pos++ {
		if pos%8192 == 0 {
			pos += int64(xlog.HeaderAt(uint64(pos), 1<<20))
		}
		places = append(places, pos)
	}
	record := make([]byte, total)
	for i, p := range places {
		record[i] = image[p]
	}
	const header = 24
	data := 0
	switch record[header] {
	case 255:
		data = header + 2
	case 254:
		data = header + 5
	default:
		return fmt.Errorf("the record's data begin with %d", record[header])
	}
	le := binary.LittleEndian
	le.PutUint64(record[data:], le.Uint64(record[data:])+uint64(by.Microseconds()))
	table := crc32.MakeTable(crc32.Castagnoli)
	le.PutUint32(record[20:], crc32.Update(crc32.Update(0, table, record[header:]), table, record[:20]))
	for i, p := range places {
		image[p] = record[i]
	}
	return nil
}
