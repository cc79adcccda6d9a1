package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
)

// forked is the archive of the source after it was recovered to before "long"
// and put back in service: timeline 2, with orders 101 and 102, beside what
// timeline 1 had already archived.
var forked = &lazyFork{}

type lazyFork struct {
	once  sync.Once
	maker maker
	// fork is where timeline 2 begins.
	fork mark
}

func (f *lazyFork) get(t testing.TB) (archive string, marks []mark) {
	t.Helper()
	l := source.get(t)
	f.once.Do(func() { f.make(t, l) })
	if f.maker.err != nil {
		t.Fatalf("make the fork: %v", f.maker.err)
	}
	return f.maker.archive, f.maker.marks
}

func (f *lazyFork) make(t testing.TB, l *live) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	dir := filepath.Join(l.dir, "fork")
	m := &f.maker
	m.live = &live{dir: dir, archive: filepath.Join(dir, "archive"), cluster: l.cluster, special: map[string]recovery.XID{}}
	m.ctx = ctx
	f.fork = l.mark(t, "long")
	m.cluster.Data, m.cluster.Socket = filepath.Join(dir, "data"), ""
	defer func() {
		m.fail(postgres.ReleaseCluster{}.Release(context.Background(), m.cluster.Resource()))
	}()
	m.fail(os.Mkdir(dir, 0o711))
	m.fail(ownFile(dir, m.cluster.Owner))
	m.run("/bin/cp", "-a", l.archive, m.archive)
	m.run("/bin/cp", "-a", filepath.Join(l.dir, "base", "plain"), m.cluster.Data)
	m.run("/bin/cp", "-a", filepath.Join(l.dir, "base", "plain-spaces"), filepath.Join(dir, "spaces"))
	links, err := filepath.Glob(filepath.Join(m.cluster.Data, "pg_tblspc", "*"))
	m.fail(err)
	for _, link := range links {
		m.run("/bin/ln", "-sfn", filepath.Join(dir, "spaces"), link)
	}
	if m.err != nil {
		return
	}
	m.fail(m.cluster.Configure(map[string]string{
		"restore_command": "cp " + m.archive + "/%f %p", "recovery_target_xid": fmt.Sprint(f.fork.xid),
		"recovery_target_inclusive": "false", "recovery_target_action": "promote", "recovery_target_timeline": "1",
		"archive_mode": "on", "archive_command": "test ! -f " + m.archive + "/%f && cp %p " + m.archive + "/%f",
		"max_connections": "60", "max_wal_senders": "4", "max_prepared_transactions": "4",
		"track_commit_timestamp": "on", "fsync": "off", "shared_buffers": "16MB",
	}))
	m.fail(os.WriteFile(filepath.Join(m.cluster.Data, "recovery.signal"), nil, 0o600))
	m.fail(ownFile(filepath.Join(m.cluster.Data, "recovery.signal"), m.cluster.Owner))
	if m.err != nil {
		return
	}
	m.server, err = postgres.Start(ctx, &testEnv{}, m.cluster, postgres.StartOptions{WaitReady: true})
	m.fail(err)
	if err != nil {
		return
	}
	m.conn, err = m.server.Connect(ctx, "shop")
	m.fail(err)
	for m.err == nil && m.text("select pg_is_in_recovery()::text") == "true" {
		select {
		case <-ctx.Done():
			m.fail(errors.New("the fork is not promoted"))
		case <-time.After(20 * time.Millisecond):
		}
	}
	m.order(101)
	m.switchSegment()
	m.truncate()
	m.locked()
	// Files go, in a transaction that has no number: those that the database had before.
	m.exec("create database moves")
	m.exec("alter database moves set tablespace fast")
	m.order(102)
	m.archived()
	m.conn.Close(ctx)
}

// locked commits three transactions, none of them a mark, while another holds a
// lock on carts in a subtransaction: over segments and checkpoints.
func (m *maker) locked() {
	other, err := m.other()
	m.fail(err)
	if m.err != nil {
		return
	}
	for _, s := range []string{"begin", "savepoint a", "lock table carts in access exclusive mode"} {
		_, err := other.Exec(m.ctx, s)
		m.fail(err)
	}
	for i := range 3 {
		m.exec("begin")
		m.exec("insert into bulk values (1, 'beside a lock')")
		var xid recovery.XID
		fmt.Sscan(m.text("select pg_current_xact_id()::text"), &xid)
		m.exec("commit")
		m.special[fmt.Sprintf("beside %d", i)] = xid
		m.exec("checkpoint")
		m.switchSegment()
	}
	_, err = other.Exec(m.ctx, "rollback")
	m.fail(err)
	m.fail(other.Close(m.ctx))
}

// truncate empties a table, in a transaction that is no mark.
func (m *maker) truncate() {
	m.exec("begin")
	m.exec("truncate bulk")
	var xid recovery.XID
	fmt.Sscan(m.text("select pg_current_xact_id()::text"), &xid)
	m.exec("commit")
	m.special["truncate"] = xid
}

// copyFork is a copy with the forked archive.
func copyFork(t testing.TB, bases ...string) (*copyOf, []mark) {
	t.Helper()
	archive, marks := forked.get(t)
	c := source.get(t).copy(t, bases...)
	c.remove(t, "wal")
	c.add(t, archive, "wal")
	return c, marks
}

// inTimeline is the component with a timeline chosen.
func inTimeline(timeline string) recovery.Component {
	c := database
	c.Settings = recovery.Settings{"database": {"shop"}, "timeline": {timeline}}
	return c
}

// A base backup of timeline 1 leads into timeline 2, the newest, which goes on
// later than what timeline 1 archived after the fork.
func TestFork_Newest(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c, marks := copyFork(t, "plain", "gzip", "zstd")
	s := survey(t, c.store, database)
	var windows []string
	for _, w := range s.Windows {
		windows = append(windows, fmt.Sprintf("%s/%d", w.Backup, w.Timeline))
	}
	// The last backup was made on timeline 1 after the fork.
	if want := []string{"base/plain/1", "base/plain/2", "base/gzip/1", "base/gzip/2", "base/zstd/1"}; !slices.Equal(windows, want) {
		t.Errorf("the windows are %v, want %v", windows, want)
	}
	p := mustResolve(t, c.store, s, "latest")
	if p.Timeline != 2 || p.Kept.XID != marks[1].xid || p.Backup.ID != "base/gzip" {
		t.Errorf("latest: %+v", p)
	}
	r := restore(t, c.store, p)
	r.passed(t)
	r.proven(t, p)
	if r.orders != marks[1].orders || !strings.HasSuffix(r.orders, "101,102") {
		t.Errorf("the orders are %s, want %s", r.orders, marks[1].orders)
	}
	if r.replay.Reached.Timeline != 3 {
		t.Errorf("opened timeline %d, want 3", r.replay.Reached.Timeline)
	}
	// A moment before the fork is on timeline 1, whichever is followed.
	before := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", l.mark(t, "order 9").xid))
	if before.Timeline != 1 {
		t.Errorf("a moment before the fork is on timeline %d", before.Timeline)
	}
	// What timeline 1 did after the fork is not part of it: its numbers are of others there.
	on1 := l.mark(t, "order 20")
	if p := mustResolve(t, c.store, s, fmt.Sprintf("after-xid:%d", on1.xid)); p.Timeline != 2 || !p.Kept.Time.After(on1.time) {
		t.Errorf("after transaction %d of timeline 1: %+v", on1.xid, p)
	}
	// What is not found is told as such, and that it may be one of the other history's.
	for xid, says := range map[recovery.XID]string{marks[1].xid + 100: "pg_switch_wal", forked.fork.xid: "did not commit: it ended between"} {
		refused(t, c.store, s, fmt.Sprintf("after-xid:%d", xid), says, "if it is one of timeline 1, ", "set timeline: 1")
	}
}

// Another history goes on after a moment where it has a later commit than that. Its positions
// in the log say nothing of those on the one that is followed.
func TestFork_Beside(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c, marks := copyFork(t, "plain", "gzip", "zstd")
	s := survey(t, c.store, database)
	left := s.Windows[slices.IndexFunc(s.Windows, func(w recovery.Window) bool { return w.Timeline == 1 })]
	for _, to := range []struct {
		want string
		on   []uint32
	}{
		{l.mark(t, "order 19").time.Format(timeFormat), []uint32{1}},
		{marks[0].time.Format(timeFormat), nil},
		{"lsn:" + marks[0].before.String(), []uint32{1}},
	} {
		p := mustResolve(t, c.store, s, to.want)
		if !slices.Equal(p.Beside, to.on) || p.Along != 2 {
			t.Errorf("after %s timelines %v go on beside %d, want %v beside 2", to.want, p.Beside, p.Along, to.on)
		}
		if left.To.LSN <= p.Stop {
			t.Errorf("%s is at %s, behind the end of timeline 1 at %s: that proves nothing", to.want, p.Stop, left.To.LSN)
		}
	}
	if p := mustResolve(t, c.store, survey(t, c.store, inTimeline("1")), l.mark(t, "order 19").time.Format(timeFormat)); p.Beside != nil {
		t.Errorf("where the runbook chose, timelines %v go on beside", p.Beside)
	}
}

// The setting chooses the other history.
func TestFork_Chosen(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c, _ := copyFork(t, "plain", "zstd")
	s := survey(t, c.store, inTimeline("1"))
	p := mustResolve(t, c.store, s, "latest")
	if p.Timeline != 1 || p.Kept.XID != l.mark(t, "order 20").xid || p.Backup.ID != "base/zstd" {
		t.Errorf("latest on timeline 1: %+v", p)
	}
	refused(t, c.store, survey(t, c.store, inTimeline("7")), "latest", "timeline 7", "[1 2]")
	if _, err := testEngine(t).Survey(t.Context(), inTimeline("one"), recovery.Copy{}, c.store); recovery.ExitOf(err) != recovery.Usage {
		t.Errorf("the setting timeline: one gives %v", err)
	}
}

// A newer timeline that ends earlier than the older one: a copy was promoted
// somewhere and archived into the same place. Nobody can know which is meant.
func TestFork_TwoHistories(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	at := l.mark(t, "order 16").before
	seg := walfile.Number(at, 1<<20)
	text := fmt.Sprintf("1\t%s\tno recovery target specified\n", at)
	b, err := os.ReadFile(c.path("wal/" + walfile.SegmentName(1, seg, 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.WriteFile(c.path("wal/00000005.history"), []byte(text), 0o600),
		os.WriteFile(c.path("wal/"+walfile.SegmentName(5, seg, 1<<20)), b, 0o600)); err != nil {
		t.Fatal(err)
	}
	refused(t, c.store, survey(t, c.store, database), "latest", "two histories", "timeline: 1", "timeline: 5")
	mustResolve(t, c.store, survey(t, c.store, inTimeline("1")), "latest")
	// A history alone, without any log of its own, changes nothing.
	c.remove(t, "wal/"+walfile.SegmentName(5, seg, 1<<20))
	if p := mustResolve(t, c.store, survey(t, c.store, database), "latest"); p.Timeline != 1 {
		t.Errorf("latest follows timeline %d", p.Timeline)
	}
}

// A history that goes on behind a gap, as where what the dead server had not archived lies
// before the fork, is the one that is followed: to the gap, which is told.
func TestFork_Hole(t *testing.T) {
	t.Parallel()
	c, marks := copyFork(t, "plain")
	fork := walfile.Number(forked.fork.before, 1<<20)
	var hole string
	for _, name := range c.segments(t) {
		if f, _ := ParseFileName(name); f.Timeline == 1 && f.Seg(1<<20)+1 >= fork {
			c.remove(t, "wal/"+name)
			if hole == "" {
				hole = name
			}
		}
	}
	s := survey(t, c.store, database)
	last := s.Windows[len(s.Windows)-1]
	if last.Timeline != 2 || len(last.Gaps) == 0 || last.Gaps[0].Object != hole {
		t.Errorf("the windows are %+v, want the gap at %s in that of timeline 2", s.Windows, hole)
	}
	p := mustResolve(t, c.store, s, "latest")
	if p.Timeline != 1 || !p.Follows || !strings.Contains(strings.Join(p.Warnings, " "), "the archive has a gap: segment "+hole) {
		t.Errorf("latest: timeline %d, follows %v, warnings %q", p.Timeline, p.Follows, p.Warnings)
	}
	refused(t, c.store, s, marks[1].time.Format(time.RFC3339Nano), hole, "missing")
}

// Segments of a timeline whose history is not there lead nowhere.
func TestFork_NoHistory(t *testing.T) {
	t.Parallel()
	c, _ := copyFork(t, "plain")
	c.remove(t, "wal/00000002.history")
	s := survey(t, c.store, database)
	if !slices.ContainsFunc(s.Findings, func(f recovery.Finding) bool { return strings.Contains(f.Says, "no 00000002.history") }) {
		t.Errorf("the findings do not tell of the missing history: %+v", s.Findings)
	}
	if p := mustResolve(t, c.store, s, "latest"); p.Timeline != 1 {
		t.Errorf("latest follows timeline %d", p.Timeline)
	}
}
