package tui

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"comeback/recovery"
)

// rowsIn is a change of a table's rows.
func rowsIn(table string, inserted, updated, deleted int64) recovery.TableChange {
	return recovery.TableChange{Database: 16384, Filenode: 16400, Relation: recovery.Relation{Name: table, Of: "table", Rows: 48211}, Inserted: inserted, Updated: updated, Deleted: deleted}
}

// logOf is a log with a transaction every few seconds up to the window's end,
// the newest first; change may make something else of each, by its number.
func logOf(n int, every time.Duration, change func(xid int, t *recovery.Transaction)) []recovery.Transaction {
	end := time.Date(2026, 11, 23, 9, 49, 31, 0, zone)
	list := make([]recovery.Transaction, n)
	for i := range list {
		lsn := recovery.LSN(0x37A21F0C8 - 0x200*i)
		xid := 84000 - i
		list[i] = recovery.Transaction{
			Commit:   recovery.Commit{XID: recovery.XID(xid), Time: end.Add(-time.Duration(i) * every), LSN: lsn - 0x80, End: lsn},
			Timeline: 4, How: recovery.Committed, First: lsn - 0x100, Stop: lsn - 0x80, Bytes: 0x100,
			Tables: []recovery.TableChange{rowsIn("orders", 1, 0, 0), rowsIn("order_items", int64(1+i%4), 0, 0)},
		}
		if i%3 == 0 {
			list[i].Tables = []recovery.TableChange{rowsIn("carts", 0, 1, 0)}
		}
		if change != nil {
			change(xid, &list[i])
		}
	}
	return list
}

// accident is what the tests look for: a migration that deletes the orders and
// drops the carts, and empties the sessions a moment later.
const accident = 83400

func harmed(xid int, t *recovery.Transaction) {
	switch xid {
	case accident:
		carts := rowsIn("carts", 0, 0, 0)
		carts.Dropped = true
		t.Tables = []recovery.TableChange{rowsIn("orders", 0, 0, 48211), carts}
	case accident + 2:
		sessions := rowsIn("sessions", 0, 0, 0)
		sessions.Truncated = true
		t.Tables = []recovery.TableChange{sessions}
	case accident - 1:
		t.How = recovery.Aborted
	case accident + 3:
		t.How, t.GID = recovery.Prepared, "coupons-17"
	case accident - 4:
		*t = recovery.Transaction{Commit: recovery.Commit{Time: t.Time, LSN: t.LSN, End: t.End}, Timeline: 4, How: recovery.NamedPoint, RestorePoint: "before-migration"}
	case accident + 1:
		t.Tables = []recovery.TableChange{{Database: 16384, Filenode: 16999, Relation: recovery.Relation{Rows: -1}, Inserted: 3}}
	}
}

// withLog gives the desk a log of a few thousand transactions with an accident,
// and a live server that goes on.
func withLog(f *fakeDesk) {
	f.transactions = logOf(3000, 3*time.Second, harmed)
	f.live = Live{At: ten, Zone: "UTC", Archived: ten.Add(-629 * time.Second), Unarchived: 4_200_000}
	f.opened.Components = []recovery.Component{{Name: "database", Kind: recovery.Postgres}, {Name: "uploads", Kind: recovery.Files}}
}

// dropped makes the newest harm a DROP DATABASE that acts before two commits of
// others and commits behind them.
func dropped(list []recovery.Transaction) {
	t := &list[10]
	t.Tables, t.Databases = nil, []recovery.ObjectChange{{OID: 17000, Name: "coupons", Dropped: true}}
	t.Stop, t.Inclusive = list[13].LSN, true
}

// toLog opens the log that the second row offers.
func toLog(d *driver, f *fakeDesk) {
	toMoment(d, f)
	d.press("home", "enter")
	d.sees("LIVE    archived ")
	d.sees("read back to")
}

// toEmptyLog opens a log without a transaction.
func toEmptyLog(d *driver, f *fakeDesk) {
	toMoment(d, f)
	d.press("home", "enter")
	d.sees("read to its beginning")
	d.sees("LIVE    nothing was archived")
}

func TestJourney_TheCartsAreEmptySinceThisAfternoon(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.sees("checked 10:00:00")
	keys := 0
	press := func(names ...string) { keys += len(names); d.press(names...) }
	press("6")
	d.sees("GO BACK TO WHICH MOMENT?")
	press("down", "enter")
	d.sees("WINDOW")
	press("h")
	d.sees("-- moment: go back to here")
	d.sees("KEPT   to 09:19:25.000, xid 83398.") // 83399 was rolled back
	press("enter")
	d.sees("PLAN 7c31")
	if want := fmt.Sprintf("before-xid:%d", accident); desk.choices[0].Want != want {
		t.Errorf("the desk was asked for %+v, not %s", desk.choices[0], want)
	}
	if keys >= 10 {
		t.Errorf("it took %d key presses", keys)
	}
}

// TestJourney_AnyWayThroughTheLog moves the place at random, and looks whether
// the screen says what the log does.
func TestJourney_AnyWayThroughTheLog(t *testing.T) {
	keys := []string{"up", "up", "down", "pgup", "pgdown", "home", "end", "h", "H", "+", "-", "left", "right", "n"}
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 5))
			desk := shopDesk()
			withLog(desk)
			desk.transactions = randomLog(r, 4000)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			toLog(d, desk)
			s := d.m.top().screen.(*commitsScreen)
			for range 150 {
				d.press(keys[r.IntN(len(keys))])
				if r.IntN(4) == 0 {
					d.until("the reading", func() bool { return s.reading == nil })
				}
				if r.IntN(8) == 0 {
					d.size(20+r.IntN(181), 5+r.IntN(56))
				}
				d.fits()
				if s.cut == 0 {
					continue
				}
				checkMeaning(t, &s.commits, desk.transactions, s.at())
				if at := s.real(s.at()); at != s.at() {
					t.Fatalf("the place is %d, and there is no moment; the next is %d", s.at(), at)
				}
				if m := s.meaning(s.at()); m.kept != nil && d.m.width >= 80 && d.m.height >= 24 && !strings.Contains(d.screen(), "KEPT   to "+millis(m.kept.Time, d.clock)) {
					t.Fatalf("the screen does not say that %d is kept\n%s", m.kept.XID, d.screen())
				}
			}
		})
	}
}

func TestJourney_NothingIsChosenUntilAPersonDoes(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.press("enter")
	d.sees("no moment is chosen yet")
	if len(desk.choices) > 0 {
		t.Errorf("the desk was asked to plan %+v", desk.choices)
	}
}

func TestJourney_PushingOutAsksFirst(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.press("w", "enter")
	d.sees("nothing was typed")
	d.press("=y", "enter")
	d.sees("is not database")
	pushes := func() int {
		desk.mu.Lock()
		defer desk.mu.Unlock()
		return desk.pushes
	}
	if pushes() > 0 {
		t.Fatal("the live server was touched")
	}
	d.press("esc", "h")
	d.sees("600 commits")
	// What comes into the copy is read, and the place stays.
	newer := logOf(1, time.Second, nil)[0]
	newer.XID, newer.LSN, newer.End, newer.Time = 84001, newer.LSN+0x200, newer.End+0x200, newer.Time.Add(time.Second)
	desk.transactions = slices.Insert(desk.transactions, 0, newer)
	d.press("w", "=database", "enter")
	d.until("the push", func() bool { return pushes() == 1 })
	d.sees("told to switch")
	d.sees("601 commits")
}

func TestJourney_TypingGoesThere(t *testing.T) {
	for text, want := range map[string]string{
		"=09:40": "before-xid:83810", "=2026-11-23 09:40:01": "before-xid:83811", "=2026-11-23T09:40:00+01:00": "before-xid:83810",
		"=83500": "before-xid:83500", "=lsn:3/7A1D4048": fmt.Sprintf("before-xid:%d", accident), "=3/7A1D4048": fmt.Sprintf("before-xid:%d", accident),
		"=20 minutes ago": "before-xid:83810", "=after-xid:83500": "before-xid:83501",
		// one that was not read yet
		"=08:00": "before-xid:81810",
	} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			desk := shopDesk()
			withLog(desk)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			toLog(d, desk)
			d.press("t", text, "enter")
			d.sees("-- moment: go back to here")
			d.press("enter")
			d.sees("PLAN 7c31")
			if got := desk.choices[0].Want; got != want {
				t.Errorf("%s became %s, not %s", text, got, want)
			}
		})
	}
}

func TestJourney_DamageIsTold(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	desk.aroundErr = recovery.Errorf("try --copy", "a part of the log was not read: segment 000000040000000300000079 is empty")
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.sees("UNREAD")
	d.press("h", "h")
	d.until("the reading", func() bool { return d.m.top().screen.(*commitsScreen).reading == nil })
	d.sees("UNREAD")
	d.sees("-- moment: go back to here")
}

func TestJourney_OnlyOneLogIsOpenedAtOnce(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	desk.rows[0].Surveys = desk.rows[0].Surveys[:1]
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	d.sees("checked 10:00:00")
	d.press("6")
	d.sees("WINDOW")
	d.press("esc")
	d.sees("GO BACK TO WHICH MOMENT?")
}

// TestCommits_HostileNamesAreHarmless shows a log whose names are hostile.
func TestCommits_HostileNamesAreHarmless(t *testing.T) {
	for _, lang := range []string{"LANG=C", "LANG=C.UTF-8"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			desk := shopDesk()
			withLog(desk)
			poison(reflect.ValueOf(&desk.transactions))
			for i := range desk.transactions {
				desk.transactions[i].How = recovery.TransactionEnd(strings.TrimSuffix(string(desk.transactions[i].How), hostile))
			}
			poison(reflect.ValueOf(desk.rows))
			desk.live.Failure = hostile
			desk.live.Zone = hostile
			desk.aroundErr = recovery.Errorf(hostile, "%s", hostile)
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}, Environ: []string{"TERM=xterm", lang}})
			toMoment(d, desk)
			d.press("home", "enter")
			d.sees("UNREAD")
			d.sees("ARCHIVING FAILS")
			d.sees("HARM")
			for _, key := range []string{"h", "up", "t", "=egal", "esc", "/", "=red", "enter", "home", "+", "+", "end", "w"} {
				d.press(key)
				for _, size := range sizes {
					d.size(size.w, size.h)
					d.fits()
				}
				for _, r := range d.m.View().Content {
					if lang == "LANG=C" && r > unicode.MaxASCII {
						t.Fatalf("%U on a terminal without UTF-8", r)
					}
				}
			}
		})
	}
}

// TestJourney_HarmIsLookedForFurtherAndFurtherBack has the harm lie hours before
// what is read at first, and begin where a reading ends.
func TestJourney_HarmIsLookedForFurtherAndFurtherBack(t *testing.T) {
	end := time.Date(2026, 11, 23, 9, 49, 31, 0, zone)
	for name, began := range map[string]time.Duration{"hours back": 150 * time.Minute, "over the edge of the first look": firstLook + 21*time.Second} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			desk := shopDesk()
			withLog(desk)
			desk.transactions = logOf(6000, 3*time.Second, nil)
			for i := range desk.transactions {
				if ago := end.Sub(desk.transactions[i].Time); ago == began || ago == began-30*time.Second {
					desk.transactions[i].Tables = []recovery.TableChange{rowsIn("orders", 0, 0, 48211)}
				}
			}
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			toLog(d, desk)
			d.press("h")
			d.sees("-- moment: go back to here")
			s := d.m.top().screen.(*commitsScreen)
			if m := s.means(); m.lost == nil || end.Sub(m.lost.Time) > began+2*time.Second || end.Sub(m.lost.Time) < began-2*time.Second || len(m.undone) != 2 {
				t.Errorf("it goes to just before %+v, %d did it", m.lost, len(m.undone))
			}
		})
	}
}

func TestJourney_NoHarmIsToldWhenAllWasRead(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	desk.transactions = logOf(3000, 3*time.Second, nil)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.press("h")
	d.sees("no harm in the whole log")
	d.sees("read to its beginning")
	d.sees("NOTHING IS CHOSEN YET")
}

func TestJourney_WhatIsShownIsRead(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	s := d.m.top().screen.(*commitsScreen)
	before := s.n
	d.press("-")
	d.until("more of the log", func() bool { return s.n > before && s.reading == nil })
	from, to := s.viewed()
	if to.Sub(from) != 3*time.Hour || s.back.After(from) {
		t.Errorf("%s .. %s are shown, and read back to %s", from, to, s.back)
	}
	d.press("left", "left")
	d.until("more of the log", func() bool { return s.reading == nil })
	if from, _ := s.viewed(); s.back.After(from) {
		t.Errorf("what is before is not read: back to %s of %s", s.back, from)
	}
}

// TestCommits_TheBaseBackupIsTheNewestBefore takes the place through the windows
// of two base backups.
func TestCommits_TheBaseBackupIsTheNewestBefore(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	survey := &desk.rows[0].Surveys[0]
	younger := survey.Windows[0]
	younger.Backup, younger.From = "base/20261123T090000", recovery.Instant{Time: ten.Add(-time.Hour), LSN: desk.transactions[600].End}
	survey.Windows = append(survey.Windows, younger)
	base := survey.Backups[0]
	base.ID = younger.Backup
	survey.Backups = append(survey.Backups, base)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	s := d.m.top().screen.(*commitsScreen)
	for _, test := range []struct {
		place int
		want  string
	}{{0, younger.Backup}, {600, younger.Backup}, {601, "base/20261122T010041"}, {900, "base/20261122T010041"}} {
		if s.to(test.place); s.window().Backup != test.want {
			t.Errorf("place %d starts from %s, not %s", test.place, s.window().Backup, test.want)
		}
	}
}

func TestJourney_FindGoesThere(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	for _, test := range []struct {
		text string
		lost recovery.XID
	}{{"83500", 83500}, {"TRUNCATE sess", accident + 2}, {"16999", accident + 1}, {"drop carts", accident}, {"coupons-17", accident + 4}} {
		d.press("/", "="+test.text, "enter")
		s := d.m.top().screen.(*commitsScreen)
		if m := s.means(); m.lost == nil || m.lost.XID != test.lost {
			t.Errorf("%q is found before %v, not %d", test.text, m.lost, test.lost)
		}
	}
	d.press("/", "=nowhere at all", "enter")
	d.sees("is not in what was read")
	d.press("/", "=HARM", "enter")
	d.sees(`1 of 2 lines with "HARM"`)
	at := d.m.top().screen.(*commitsScreen).at()
	d.press("n")
	d.sees(`2 of 2 lines with "HARM"`)
	d.press("N")
	if d.sees("1 of 2 lines"); d.m.top().screen.(*commitsScreen).at() != at {
		t.Error("n and then N do not lead back")
	}
}

// Where clocks are changed within what was read, a line from before that has its offset, and
// who types a moment is told from when on which offset is meant.
func TestCommits_clocksChange(t *testing.T) {
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 10, 25, 9, 0, 0, 0, berlin)
	for name, c := range map[string]struct {
		before  time.Duration // now
		offsets string
		rows    []string
	}{
		"all after it": {7 * time.Hour, "+01", []string{"  02:00:00.000  83 ", "  08:00:00.000  84 "}},
		"over it":      {31 * time.Hour, "+02, from 25 Oct 02:00 on +01", []string{"  24 Oct 03:00+02  83 ", "  08:00:00.000     84 "}},
		"in the hour":  {8 * time.Hour, "+02, from 25 Oct 02:00 on +01", []string{"  02:00:00.000+02  83 ", "  08:00:00.000     84 "}},
	} {
		s := &commitsScreen{chooser: chooser{m: &model{now: func() time.Time { return now }}}}
		for i, at := range []time.Time{now.Add(-time.Hour), now.Add(-c.before)} {
			s.commits.list = append(s.commits.list, happened{Transaction: recovery.Transaction{Commit: recovery.Commit{XID: recovery.XID(84 - i), Time: at.UTC()}, How: recovery.Committed}, seq: int64(i)})
			s.oldest = at.UTC()
		}
		if got := s.offsets(); got != c.offsets {
			t.Errorf("%s: times are %q, want %q", name, got, c.offsets)
		}
		for i, want := range c.rows {
			var got strings.Builder
			for _, part := range s.row(1-i, 80) {
				got.WriteString(part.text)
			}
			if !strings.HasPrefix(got.String(), want) {
				t.Errorf("%s: %q, want %q", name, got.String(), want)
			}
		}
	}
}

// FuzzReadMoment holds what is read of a typed moment to what the command line
// reads of its words.
func FuzzReadMoment(f *testing.F) {
	for _, text := range []string{"09:40", "09:40:01.5", "2026-11-23 09:40", "23 Nov 09:40", "29 Feb 10:00", "10 minutes ago", "latest", "83500", "3/7A1D4048", "lsn:0/1", "after-xid:7", "db/x.sql.gz", "", "99999999999"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := readMoment(text, ten)
		if err != nil {
			return
		}
		again, err := recovery.ParseWant(want.Text, ten.Add(time.Hour))
		if err != nil || again.Kind != want.Kind || again.XID != want.XID || again.LSN != want.LSN || !again.Time.Equal(want.Time) {
			t.Errorf("%q is read as %+v, whose words are read as %+v, %v", text, want, again, err)
		}
	})
}

// TestJourney_EveryMomentIsReached goes down through a log in which a database is
// dropped: each place where there is a moment is stood at once.
func TestJourney_EveryMomentIsReached(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	desk.transactions = desk.transactions[:40]
	dropped(desk.transactions)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	s := d.m.top().screen.(*commitsScreen)
	d.press("home")
	d.until("the reading", func() bool { return s.reading == nil })
	var got, want []int
	for i := 40; i >= 0; i-- {
		if s.real(i) == i {
			want = append(want, i)
		}
	}
	for {
		got = append(got, s.at())
		if s.at() == 0 || len(got) > 41 {
			break
		}
		d.press("down")
	}
	if !slices.Equal(got, want) || len(want) != 41-2 {
		t.Errorf("the places are %v, not %v", got, want)
	}
}

// What happened at that time on most days is usual: it does not stand out, and the
// search for harm passes it over.
func TestMoment_Usual(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	desk.usual = func(harms []recovery.Transaction) *recovery.Habits {
		h := recovery.NewHabits(harms, zone, ten.AddDate(0, 0, -30))
		for _, s := range h.Spans() {
			if err := h.Read(s, func(yield func(recovery.Transaction, error) bool) {
				for _, t := range harms { // the sessions are emptied every day
					if len(t.Tables) == 1 && t.Tables[0].Name == "sessions" {
						for d := 1; d <= 7; d++ {
							e := t
							if e.Time = t.Time.AddDate(0, 0, -d); !yield(e, nil) {
								return
							}
						}
					}
				}
			}); err != nil {
				t.Error(err)
			}
		}
		return h
	}
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	desk.usualAt, desk.usualGoes = 0.42, make(chan struct{})
	toLog(d, desk)
	d.sees("2 HARM (usual? 42 %)") // until it is known, both stand out
	close(desk.usualGoes)
	d.sees("1 HARM, 1 usual")
	d.press("/")
	d.sees("FIND")
	d.press(strings.Split("truncate", "")...)
	d.press("enter")
	d.sees("USUAL, seen on 7 of 7 days  truncate sessions")
	d.press("end", "h")
	d.sees("KEPT   to 09:19:25.000, xid 83398.")
	d.sees("The log does not say who did 83400.") // and nobody speaks of several
}

// A key on the plan's screen asks for a look, and takes it out again; the plan is
// made anew each time.
func TestPlan_Look(t *testing.T) {
	desk := shopDesk()
	withLog(desk)
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toLog(d, desk)
	d.press("h")
	d.sees("-- moment: go back to here")
	d.press("enter")
	d.sees("tab look first")
	d.press("tab")
	d.sees("tab no look")
	d.press("tab")
	d.sees("tab look first")
	var looks []bool
	for _, c := range desk.choices {
		looks = append(looks, c.Look)
	}
	if !slices.Equal(looks, []bool{false, true, false}) {
		t.Errorf("plans were made with a look: %v", looks)
	}
}

// The backup that the cursor stands on says by what it is proven, or that it never was.
func TestMoment_proof(t *testing.T) {
	desk := shopDesk()
	desk.rows[0].Proof = func(b recovery.Backup) recovery.ProofStanding {
		if b.ID != "db/2026-11-23.sql.gz" {
			return recovery.ProofStanding{}
		}
		return recovery.ProofStanding{Run: "4f2a", At: ten.AddDate(0, 0, -42), Took: recovery.Duration(13 * time.Minute), Changed: []string{"the runbook"}}
	}
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("home", "down")
	d.sees("PROOF     proven by 4f2a on 12 Oct 2026 in 13m00; changed since: the runbook")
	d.press("down")
	d.sees("PROOF     never restored")
}

// A backup in which much less is than was in those before it is marked in the list, and says
// beside the cursor how much it was and which is the last that held it.
func TestMoment_shrank(t *testing.T) {
	desk := shopDesk()
	desk.rows[0].Shrank = func(b recovery.Backup) (recovery.Shrinkage, bool) {
		before := b
		before.ID = "db/2026-11-22.sql.gz"
		return recovery.Shrinkage{First: b, Usual: []recovery.Backup{before}, Now: recovery.Holds{Bytes: 310_000_000}, Before: recovery.Holds{Bytes: 900_000_000}}, b.ID == "db/2026-11-23.sql.gz"
	}
	d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
	toMoment(d, desk)
	d.press("home", "down")
	d.sees("SHRANK: plain")
	d.sees("SHRANK    310 MB; the one before held 900 MB; the last before:")
	d.press("down")
	if strings.Contains(d.screen(), "the last before") {
		t.Errorf("the backup before it shrank, too\n%s", d.screen())
	}
}
