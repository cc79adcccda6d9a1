package pitr

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/postgres"
)

// successor is another cluster, which began after the source had ended: built anew, or, where
// a segment is given, with a log that goes on from there, as pg_upgrade leaves one.
func successor(t *testing.T, segment string) *live {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "cbp-")
	if err != nil {
		t.Fatal(err)
	}
	m := &maker{ctx: ctx, live: &live{dir: dir, archive: filepath.Join(dir, "archive"), spaces: filepath.Join(dir, "spaces"), special: map[string]recovery.XID{}}}
	t.Cleanup(func() {
		if err := errors.Join(postgres.ReleaseCluster{}.Release(context.WithoutCancel(ctx), m.cluster.Resource()), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	m.create()
	if segment != "" && m.err == nil {
		m.conn.Close(ctx)
		m.fail(m.server.Stop(ctx))
		m.run(m.cluster.Tools.Program("pg_resetwal"), "-l", segment, "-D", m.cluster.Data)
		m.fail(os.RemoveAll(m.archive))
		m.fail(os.Mkdir(m.archive, 0o700))
		m.fail(ownFile(m.archive, m.cluster.Owner))
		m.start("20")
	}
	m.exec("create database shop")
	m.use("shop")
	m.exec("create table orders (id int primary key, note text)")
	m.order(201)
	m.backup("bare", "-Ft", "-X", "none")
	m.order(202)
	m.backup("next", "-Ft")
	m.order(203)
	m.switchSegment()
	m.order(204)
	m.switchSegment()
	m.order(205)
	m.archived()
	if m.conn != nil {
		m.conn.Close(ctx)
	}
	if m.server != nil {
		m.fail(m.server.Stop(ctx))
	}
	if m.err != nil {
		t.Fatalf("make the cluster that follows: %v", m.err)
	}
	return m.live
}

// joined puts a cluster's backups and log into a copy of another one's.
func (c *copyOf) joined(t *testing.T, l *live, bases ...string) {
	t.Helper()
	for _, b := range bases {
		c.add(t, filepath.Join(l.dir, "base", b), "base/"+b)
	}
	c.add(t, l.archive, "wal")
}

// apart checks a copy that holds the source, from its backup zstd on, and a cluster that
// came after it.
func apart(t *testing.T, c *copyOf, old, next *live) {
	t.Helper()
	s := survey(t, c.store, database)
	lineages := s.Lineages()
	if len(lineages) != 2 || lineages[0].Newest().ID != "base/next" || lineages[1].Newest().ID != "base/zstd" || s.Backups[len(s.Backups)-1].ID != "base/next" {
		t.Fatalf("the clusters are %+v", lineages)
	}
	for _, b := range s.Backups {
		if b.Problem != "" {
			t.Errorf("%s: %s", b.ID, b.Problem)
		}
	}
	for _, w := range s.Windows {
		if len(w.Gaps) > 0 {
			t.Errorf("the window of %s has gaps: %+v", w.Backup, w.Gaps)
		}
	}
	if !slices.ContainsFunc(s.Findings, func(f recovery.Finding) bool {
		return strings.Contains(f.Says, "begins another cluster than the cluster "+lineages[1].System())
	}) {
		t.Errorf("it is not told of both: %+v", s.Findings)
	}
	newest, first := next.mark(t, "order 205"), next.mark(t, "order 203")
	if e := testEngine(t).(nativeEngine); e.End(s) <= newest.before || e.End(s) > newest.before+2<<20 {
		t.Errorf("the log ends at %s, the newest commit is after %s", e.End(s), newest.before)
	}
	for _, w := range []struct {
		to, backup string
		kept       mark
	}{
		{"latest", "base/next", newest},
		{first.time.Format(timeFormat), "base/next", first},
		{fmt.Sprintf("before-xid:%d", newest.xid), "base/next", next.mark(t, "order 204")},
		{"lsn:" + newest.before.String(), "base/next", next.mark(t, "order 204")},
		{old.mark(t, "order 18").time.Format(timeFormat), "base/zstd", old.mark(t, "order 18")},
		{old.mark(t, "order 20").time.Format(timeFormat), "base/zstd", old.mark(t, "order 20")},
	} {
		p := mustResolve(t, c.store, s, w.to)
		if p.Backup.ID != w.backup || p.Kept.XID != w.kept.xid || !p.Kept.Time.Equal(w.kept.time) {
			t.Errorf("%s: from %s, kept %d of %s, want %s, %d of %s", w.to, p.Backup.ID, p.Kept.XID, p.Kept.Time, w.backup, w.kept.xid, w.kept.time)
		}
		said := strings.Join(p.Warnings, "; ")
		if isOld := w.backup == "base/zstd"; strings.Contains(said, "another cluster") != isOld || p.Follows != isOld {
			t.Errorf("%s: more follows is %v, it warns %q", w.to, p.Follows, said)
		}
	}
	if p := mustResolve(t, c.store, s, "base/zstd"); p.Backup.ID != "base/zstd" {
		t.Errorf("base/zstd is %s", p.Backup.ID)
	}
	between := old.mark(t, "order 20").time.Add(time.Millisecond)
	refused(t, c.store, s, between.Format(timeFormat), "after the end of the archive", lineages[0].System(), lineages[1].System(), "the first base backup of")
	refused(t, c.store, s, "before-xid:4000000000", lineages[0].System(), lineages[1].System(), "--to base/zstd")
	// What is read around a time is of the cluster that was in service then.
	for of, m := range map[*live]mark{old: old.mark(t, "order 18"), next: newest} {
		found := false
		for tx, err := range testEngine(t).(recovery.Scanner).Scan(t.Context(), recovery.ScanOptions{Component: database, Survey: s, Store: c.store, Span: recovery.Span{From: m.time, To: m.time}}) {
			if err != nil {
				t.Fatal(err)
			}
			found = found || tx.XID == m.xid && tx.Time.Equal(m.time)
		}
		if !found {
			t.Errorf("%s of %s is not found", m.name, of.dir)
		}
	}
}

// A server that was built anew begins its log anew, at positions that the one before had
// long passed. Moments are those of the new one, and an old time is the old one's.
func TestLineages_rebuilt(t *testing.T) {
	t.Parallel()
	old := source.get(t)
	next := successor(t, "")
	c := old.copy(t, "zstd")
	s := survey(t, c.store, database)
	f, err := decodeFacts(s.Backups[0])
	if err != nil {
		t.Fatal(err)
	}
	begins := walfile.SegmentName(1, walfile.Number(f.Base.Start, 1<<20), 1<<20)
	entries, err := os.ReadDir(c.path("wal"))
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() < begins {
			c.remove(t, "wal/"+e.Name())
		}
	}
	c.joined(t, next, "next", "bare")
	apart(t, c, old, next)
}

// What pg_upgrade makes is another cluster whose log goes on where the old one's ended, in
// the same place. Each has its own part of it, also where a server is fed, and when what is
// not needed goes.
func TestLineages_upgraded(t *testing.T) {
	t.Parallel()
	old := source.get(t)
	c := old.copy(t, "zstd")
	segments := c.segments(t)
	last, _ := ParseFileName(segments[len(segments)-1])
	goesOn := walfile.SegmentName(1, last.Seg(1<<20)+1, 1<<20)
	next := successor(t, goesOn)
	c.joined(t, next, "next", "bare")
	apart(t, c, old, next)

	s := survey(t, c.store, database)
	feeder := feedingTo(t, c.store, mustResolve(t, c.store, s, old.mark(t, "order 20").time.Format(timeFormat)), nil)
	if code := feeder.fetch(goesOn, restoring); code != walfetch.Absent {
		t.Errorf("the first segment of the other cluster: exit code %d: %v", code, feeder.failure())
	}
	if code := feeder.fetch(last.Name(), restoring); code != walfetch.Fetched {
		t.Errorf("the last segment: exit code %d: %v", code, feeder.failure())
	}

	e := testEngine(t).(nativeEngine)
	begins := func(id string) string {
		b, _ := s.Named(id)
		f, err := decodeFacts(b)
		if err != nil {
			t.Fatal(err)
		}
		return walfile.SegmentName(1, walfile.Number(f.Base.Start, 1<<20), 1<<20)
	}
	goes := func(kept ...string) (names []string) {
		var all []recovery.Backup
		for _, id := range kept {
			b, _ := s.Named(id)
			all = append(all, b)
		}
		_, spare, err := e.Shared(t.Context(), database, all, c.store)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range spare {
			names = append(names, path.Base(o.Key)[:24])
		}
		return names
	}
	both := goes("base/zstd", "base/next")
	if !slices.Contains(both, segments[0]) || slices.Contains(both, begins("base/zstd")) || slices.Contains(both, last.Name()) ||
		!slices.Contains(both, begins("base/bare")) || slices.Contains(both, begins("base/next")) {
		t.Errorf("beside one of each what goes is %q", both)
	}
	for _, name := range goes("base/next") {
		if name < goesOn {
			t.Errorf("%s goes, of a cluster that no kept backup is of", name)
		}
	}
}

// Where two servers keep their backups in one place, nothing tells which is meant.
func TestLineages_inTurns(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 20, 2, 0, 0, 0, time.UTC)
	base := func(id, system string, day int) recovery.Backup {
		taken := at.AddDate(0, 0, day)
		return recovery.Backup{ID: id, Taken: recovery.Span{From: taken, To: taken}, Details: map[string]string{recovery.SystemIdentifier: system},
			Facts: facts{Base: Base{ID: id, Start: 1, Stop: 2}, Line: lineage{System: system}}.encode()}
	}
	s := recovery.Survey{Component: "database", Copy: "nearby", Backups: []recovery.Backup{base("a", "1", 0), base("b", "2", 1), base("c", "1", 2)}}
	says := inTurns(s.Lineages())
	for _, want := range []string{"taken in turns", "c, is of the cluster 1", "b of the cluster 2", "--to b", "prefix"} {
		if !strings.Contains(says, want) {
			t.Errorf("it warns %q, without %q", says, want)
		}
	}
	s.Backups[1].Taken = s.Backups[0].Taken // cluster 1 has followed
	s.Backups[0].Taken.From, s.Backups[0].Taken.To = at.AddDate(0, 0, 1), at.AddDate(0, 0, 1)
	if says := inTurns(s.Lineages()); says != "" {
		t.Errorf("it warns %q", says)
	}
	// What cannot be restored and tells no cluster is no cluster.
	broken := recovery.Backup{ID: "broken", Taken: recovery.Span{To: at.AddDate(0, 0, 9)}, Problem: "it ends early"}
	s.Backups = append(s.Backups, broken)
	if all := s.Lineages(); len(all) != 2 || all[0].System() != "1" || len(all[0].Backups) != 3 || all[0].Newest().ID != "c" {
		t.Errorf("the clusters are %+v", all)
	}
}
