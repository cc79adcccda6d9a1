package pitr

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
)

// Every commit can be asked for in every way, and each way gives the two
// transactions on both sides, as the source itself saw them.
func TestResolve_EveryCommit(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain", "tar", "gzip", "zstd")
	s := survey(t, c.store, database)
	for _, name := range []string{"order 3", "order 5", "order 7", "order 8", "subtransactions", "third bulk", "long", "prepared",
		"order 16", "drop table", "order 18", "drop database", "order 19", "order 20"} {
		i := slices.IndexFunc(l.marks, func(m mark) bool { return m.name == name })
		m, prior := l.marks[i], l.marks[i-1]
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			next := mark{}
			if i+1 < len(l.marks) {
				next = l.marks[i+1]
			}
			for to, want := range map[string][2]mark{
				fmt.Sprintf("before-xid:%d", m.xid):              {prior, m},
				fmt.Sprintf("after-xid:%d", m.xid):               {m, next},
				m.time.Format(timeFormat):                        {m, next},
				m.time.Add(-time.Microsecond).Format(timeFormat): {prior, m},
				"lsn:" + m.before.String():                       {prior, m},
			} {
				p := mustResolve(t, c.store, s, to)
				if p.Kept.XID != want[0].xid || !p.Kept.Time.Equal(want[0].time) || p.Lost.XID != want[1].xid {
					t.Errorf("%s keeps xid %d of %s and loses %d, want %d of %s and %d",
						to, p.Kept.XID, p.Kept.Time, p.Lost.XID, want[0].xid, want[0].time, want[1].xid)
				}
				if p.Exactness != recovery.ToCommit || p.Timeline != 1 || p.Stop == 0 || p.Bytes == 0 {
					t.Errorf("%s: %+v", to, p)
				}
				if next.name != "drop database" && m.name != "drop database" && p.Inclusive != (p.Lost.XID == 0) {
					t.Errorf("%s stops at %s, inclusive %v, and loses %d", to, p.Stop, p.Inclusive, p.Lost.XID)
				}
				if p.Kept.LSN >= p.Stop && !p.Inclusive || p.Lost.LSN != 0 && p.Lost.LSN < p.Stop {
					t.Errorf("%s stops at %s, which is not between %s and %s", to, p.Stop, p.Kept.LSN, p.Lost.LSN)
				}
				if !p.Unchanged.IsZero() && (!p.Unchanged.After(p.Kept.Time) || !p.Lost.Time.IsZero() && !p.Unchanged.Before(p.Lost.Time)) {
					t.Errorf("%s was the same until %s, and keeps what is of %s and loses what is of %s", to, p.Unchanged, p.Kept.Time, p.Lost.Time)
				}
				if p.Backup.Stop > p.Stop {
					t.Errorf("%s stops at %s before the end of its backup, %s", to, p.Stop, p.Backup.Stop)
				}
			}
		})
	}
}

// The newest base backup that ended before the point is taken.
func TestResolve_Backup(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain", "tar", "gzip", "zstd")
	s := survey(t, c.store, database)
	for to, want := range map[string]string{
		fmt.Sprintf("after-xid:%d", l.mark(t, "order 2").xid):  "base/plain",
		fmt.Sprintf("after-xid:%d", l.mark(t, "order 4").xid):  "base/plain",
		fmt.Sprintf("before-xid:%d", l.mark(t, "order 5").xid): "base/tar",
		fmt.Sprintf("before-xid:%d", l.mark(t, "long").xid):    "base/gzip",
		"latest":     "base/zstd",
		"base/plain": "base/plain",
	} {
		if p := mustResolve(t, c.store, s, to); p.Backup.ID != want {
			t.Errorf("%s starts from %s, want %s", to, p.Backup.ID, want)
		}
	}
}

// Nothing was committed between the last commit before a backup and its stop, whose time
// its label tells. What another program says of its end proves nothing, and neither does
// any end where the last commit came after the stop.
func TestResolve_unchanged(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	s := survey(t, c.store, database)
	f, err := decodeFacts(s.Backups[0])
	if err != nil || !f.Base.AtStop {
		t.Fatalf("%+v, %v", f.Base, err)
	}
	later := f.Base.Ended.Add(time.Hour)
	for name, test := range map[string]struct {
		to        string
		ended     time.Time
		atStop    bool
		unchanged time.Time
	}{
		"the time of its stop":           {"base/plain", later, true, later},
		"a stop before the last commit":  {"base/plain", l.marks[0].time.Add(-time.Hour), true, time.Time{}},
		"the time that a program had":    {"base/plain", later, false, time.Time{}},
		"the last commit is of after it": {"latest", later, true, time.Time{}},
		"a commit after it is lost":      {fmt.Sprintf("after-xid:%d", l.mark(t, "order 4").xid), later, true, time.Time{}},
	} {
		t.Run(name, func(t *testing.T) {
			g := f
			g.Base.Ended, g.Base.AtStop = test.ended, test.atStop
			changed := s
			changed.Backups = slices.Clone(s.Backups)
			changed.Backups[0].Facts = g.encode()
			if p := mustResolve(t, c.store, changed, test.to); !p.Unchanged.Equal(test.unchanged) {
				t.Errorf("it was the same until %s, want %s; its last commit is of %s", p.Unchanged, test.unchanged, p.Kept.Time)
			}
		})
	}
}

// What a person reads of a point.
func TestResolve_Says(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	s := survey(t, c.store, database)
	m, prior := l.mark(t, "order 18"), l.prior(t, "order 18")
	p := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", m.xid))
	want := fmt.Sprintf("just before xid %d, %s; keeps xid %d of %s", m.xid,
		m.time.UTC().Format("2006-01-02 15:04:05.000+00"), prior.xid, prior.time.UTC().Format("15:04:05.000"))
	if p.Says != want {
		t.Errorf("the point says %q, want %q", p.Says, want)
	}
	if last, p := l.mark(t, "order 20"), mustResolve(t, c.store, s, "latest"); !strings.HasPrefix(p.Says, fmt.Sprintf("the last commit, xid %d of ", last.xid)) {
		t.Errorf("latest says %q", p.Says)
	}
}

// A refusal names the moments on both sides.
func TestResolve_Refusals(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	t.Run("before the window", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "zstd")
		s := survey(t, c.store, database)
		m := l.mark(t, "order 9")
		for _, to := range []string{m.time.Format(timeFormat), fmt.Sprintf("before-xid:%d", m.xid), "lsn:" + m.before.String()} {
			refused(t, c.store, s, to, "before the window", "base/zstd", s.Backups[0].Stop.String())
		}
	})
	t.Run("inside of the backup", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "zstd")
		s := survey(t, c.store, database)
		refused(t, c.store, s, "lsn:"+(s.Backups[0].Stop-8).String(), "before the window")
	})
	t.Run("after the archive", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "zstd")
		s := survey(t, c.store, database)
		last := l.mark(t, "order 20")
		for _, to := range []string{last.time.Add(time.Minute).Format(timeFormat), "lsn:F/0", fmt.Sprintf("before-xid:%d", last.xid+1000)} {
			refused(t, c.store, s, to, fmt.Sprintf("xid %d of ", last.xid), "archive")
		}
	})
	t.Run("rolled back", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "gzip")
		refused(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.aborted), "was rolled back at")
	})
	t.Run("gap", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "gzip", "zstd")
		m := l.mark(t, "long")
		gap := walfile.SegmentName(1, walfile.Number(m.before, 1<<20), 1<<20)
		c.remove(t, "wal/"+gap)
		s := survey(t, c.store, database)
		for _, to := range []string{m.time.Format(timeFormat), fmt.Sprintf("before-xid:%d", m.xid), "lsn:" + m.before.String()} {
			refused(t, c.store, s, to, gap, "missing", "the nearest moment before the gap is xid", "base/zstd")
		}
		// On both sides of it nothing is lost.
		mustResolve(t, c.store, s, "latest")
		mustResolve(t, c.store, s, fmt.Sprintf("after-xid:%d", l.mark(t, "order 8").xid))
	})
	t.Run("damaged segment", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "gzip")
		m := l.mark(t, "order 14")
		name := walfile.SegmentName(1, walfile.Number(m.before, 1<<20), 1<<20)
		c.replace(t, "wal/"+name, func(b []byte) []byte { b[0]++; return b })
		s := survey(t, c.store, database)
		refused(t, c.store, s, fmt.Sprintf("before-xid:%d", m.xid), name, "damaged", "the nearest moment before the gap")
	})
	t.Run("damaged end", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "zstd")
		names := c.segments(t)
		last := names[len(names)-1]
		// A bit in the middle of the first record, behind the page's header.
		c.replace(t, "wal/"+last, func(b []byte) []byte { b[60]++; return b })
		p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
		if p.Kept.XID != l.mark(t, "order 19").xid || len(p.Warnings) == 0 || !strings.Contains(p.Warnings[0], last+" is damaged") {
			t.Errorf("latest before a damaged segment keeps %d and warns %q", p.Kept.XID, p.Warnings)
		}
	})
	t.Run("unknown backup", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t, "zstd")
		refused(t, c.store, survey(t, c.store, database), "base/none", "no base backup")
	})
	t.Run("nothing there", func(t *testing.T) {
		t.Parallel()
		c := l.copy(t)
		s := survey(t, c.store, database)
		refused(t, c.store, s, "latest", "no base backup")
		if len(s.Findings) == 0 {
			t.Error("an archive without a base backup is worth a finding")
		}
	})
}

// A subtransaction's id leads to the transaction.
func TestResolve_Subtransaction(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "gzip")
	p := mustResolve(t, c.store, survey(t, c.store, database), fmt.Sprintf("before-xid:%d", l.sub))
	if p.Lost.XID != l.mark(t, "subtransactions").xid {
		t.Errorf("before subtransaction %d loses %d, want %d", l.sub, p.Lost.XID, l.mark(t, "subtransactions").xid)
	}
}

// Dropping a database acts before its commit: the point is behind the commit
// before it, and nothing that the drop does is replayed.
func TestResolve_DropDatabase(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	s := survey(t, c.store, database)
	p := mustResolve(t, c.store, s, fmt.Sprintf("before-xid:%d", l.special["drop database"]))
	if !p.Inclusive || p.Stop != p.Kept.LSN || p.Kept.XID != l.mark(t, "order 18").xid || p.Lost.XID != l.special["drop database"] {
		t.Errorf("before the drop: %+v", p)
	}
}

// Log that nobody ever completed is used up to where it ends.
func TestResolve_Partial(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "zstd")
	names := c.segments(t)
	last := names[len(names)-1]
	if err := os.Rename(c.path("wal/"+last), c.path("wal/"+last+".partial")); err != nil {
		t.Fatal(err)
	}
	c.replace(t, "wal/"+last+".partial", func(b []byte) []byte {
		clear(b[len(b)/2:])
		return b
	})
	latest := func(of string, want recovery.XID) {
		t.Helper()
		if p := mustResolve(t, c.store, survey(t, c.store, database), "latest"); p.Kept.XID != want {
			t.Errorf("of one %s latest keeps %d, want %d", of, p.Kept.XID, want)
		}
	}
	in := l.mark(t, "order 20").xid // which is committed in it
	latest("as the server has it", in)
	enc, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	c.replace(t, "wal/"+last+".partial", func(b []byte) []byte { return enc.EncodeAll(b, nil) })
	move := func(from, to string) {
		if err := os.Rename(c.path("wal/"+last+from), c.path("wal/"+last+to)); err != nil {
			t.Fatal(err)
		}
	}
	move(".partial", ".partial.zst")
	latest("that was compressed for the archive", in)
	move(".partial.zst", ".zst.partial")
	if p := mustResolve(t, c.store, survey(t, c.store, database), "latest"); p.Kept.XID == in || !p.Follows {
		t.Errorf("of one that its receiver compresses latest keeps %d, and %v follows", p.Kept.XID, p.Follows)
	}
}

// The end of a segment that was left before it was full is where the log goes on: it can be
// gone to when nothing follows in the archive, and the server is there then.
func TestResolve_Switched(t *testing.T) {
	t.Parallel()
	c := source.get(t).copy(t, "zstd")
	names := c.segments(t)
	f, _ := ParseFileName(names[len(names)-1])
	end := walfile.Start(f.Seg(1<<20)+1, 1<<20)
	p := mustResolve(t, c.store, survey(t, c.store, database), "lsn:"+end.String())
	var facts pointFacts
	if err := json.Unmarshal(p.Facts, &facts); err != nil || facts.Needs != end {
		t.Fatalf("the server is to be at %s, want %s (%v)", facts.Needs, end, err)
	}
	r := restore(t, c.store, p)
	r.passed(t)
	r.proven(t, p)
}

// The temporary directory is empty when the engine is done.
func TestResolve_LeavesNothing(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "gzip")
	temp := t.TempDir()
	e := New(Options{Temp: temp})
	s, err := e.Survey(t.Context(), database, recovery.Copy{Name: "nearby"}, c.store)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range []recovery.Want{{Kind: recovery.WantLatest}, {Kind: recovery.WantBeforeXID, XID: l.aborted}, {Kind: recovery.WantTime, Time: l.mark(t, "order 13").time}} {
		if _, err := e.Resolve(t.Context(), s, w, c.store); err != nil && recovery.HintOf(err) == "" {
			t.Errorf("%s: %v", w.Kind, err)
		}
		if left, err := os.ReadDir(temp); err != nil || len(left) > 0 {
			t.Errorf("%s leaves %v (%v)", w.Kind, left, err)
		}
	}
}

// Reading piece by piece finds what one pass over everything finds, and where
// records end as the next one says.
func TestLogReader_AllRecords(t *testing.T) {
	t.Parallel()
	l := source.get(t)
	c := l.copy(t, "plain")
	s := survey(t, c.store, database)
	f, err := decodeFacts(s.Backups[0])
	if err != nil {
		t.Fatal(err)
	}
	r := &resolver{engine: testEngine(t).(nativeEngine).engine, survey: s, store: c.store}
	err = r.reading(t.Context(), f, f.Branches[0], func(l *logReader) error {
		l.line.SegmentSize = f.Line.SegmentSize
		var pieces []record
		for seg := l.log.first(); seg < l.log.next(); seg++ {
			for r, err := range l.records(t.Context(), seg, seg+1) {
				if err != nil {
					return err
				}
				pieces = append(pieces, r)
			}
		}
		// One pass over all segments at once, in the directory of the test.
		dir := t.TempDir()
		for seg := l.log.first(); seg < l.log.next(); seg++ {
			file, _ := l.log.file(seg)
			if err := fetchSegment(t.Context(), l.repo, file, l.line, dir+"/"+file.Name()); err != nil {
				return err
			}
		}
		whole := waldump{tools: l.dump.tools, dir: dir, timeline: 1}
		i := 0
		for r, err := range whole.records(t.Context(), walfile.Start(l.log.first(), l.line.SegmentSize), l.log.end()) {
			if err != nil {
				return err
			}
			if i >= len(pieces) || pieces[i].LSN != r.LSN || pieces[i].XID != r.XID || pieces[i].Kind != r.Kind {
				return fmt.Errorf("record %d at %s is not the one that was read piece by piece", i, r.LSN)
			}
			if i > 0 && r.Prev != pieces[i-1].LSN {
				return fmt.Errorf("the record before %s begins at %s, not %s", r.LSN, r.Prev, pieces[i-1].LSN)
			}
			if i > 0 {
				// After a switch of segments the next record is elsewhere.
				next := xlog.NextStart(l.end(pieces[i-1]), l.line.SegmentSize, l.line.PageSize)
				if next != r.LSN && uint64(r.LSN)%uint64(l.line.SegmentSize) != xlog.LongHeaderSize {
					return fmt.Errorf("the record at %s ends at %s by its length, and the next begins at %s", pieces[i-1].LSN, next, r.LSN)
				}
			}
			i++
		}
		if i != len(pieces) || i < 1000 {
			return fmt.Errorf("%d records in one pass, %d piece by piece", i, len(pieces))
		}
		// Majors before 15 need a pass for each resource manager.
		old := whole
		old.tools.Major = 14
		var one, many []record
		for _, w := range []struct {
			dump waldump
			to   *[]record
		}{{whole, &one}, {old, &many}} {
			for r, err := range w.dump.records(t.Context(), walfile.Start(l.log.first(), l.line.SegmentSize), l.log.end(), transactions, standby, "Database") {
				if err != nil {
					return err
				}
				*w.to = append(*w.to, r)
			}
		}
		if !slices.EqualFunc(one, many, func(a, b record) bool { return a.LSN == b.LSN && a.Kind == b.Kind }) {
			return errors.New("several passes give other records than one")
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
