package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storagetest"
)

// mishap is something that goes wrong for a night and a day.
type mishap struct {
	name string
	// of is the part that it is about; nothing else happens with it in the same night
	// to that part, and with "all" nothing else at all.
	of string
	// before happens before the night's backups, after and noon after them; mend
	// ends it.
	before, after, noon, mend func(*tended)
	// lasting says that only the backups of the next night end it, or what follows of it.
	lasting bool
	// still says that no backup is taken that night.
	still bool
	// backup is how that night's backups and removals end.
	backup recovery.Exit
	// found is what a check finds, by its id, with words that it says.
	found map[string]string
}

// weaker is what is said of a check that lets more pass than the one that was rehearsed.
const weaker = `the check "there are orders" asks for something else`

// mishaps are those of a night.
type mishaps []mishap

// choose takes those of a night from a queue, which it fills: sometimes none, one about
// the whole or one about each part. What needs that jobs have a habit waits for it, and
// backups do not fail in the night that is to end something.
func (y *tended) choose(queue *[]mishap, habit bool) mishaps {
	if len(*queue) == 0 {
		*queue = allMishaps()
		y.random.Shuffle(len(*queue), func(i, k int) { (*queue)[i], (*queue)[k] = (*queue)[k], (*queue)[i] })
	}
	if y.quiet && y.random.IntN(3) == 0 {
		return nil
	}
	var tonight mishaps
	for i := 0; i < len(*queue); {
		m := (*queue)[i]
		taken := slices.ContainsFunc(tonight, func(other mishap) bool { return other.of == m.of || other.of == "all" })
		if taken || m.still && !habit || m.of == "all" && y.lasting || m.of == "all" && len(tonight) > 0 {
			i++
			continue
		}
		tonight = append(tonight, m)
		*queue = slices.Delete(*queue, i, i+1)
	}
	return tonight
}

// is says whether no backup is taken, and how backups end.
func (all mishaps) is() (still bool, ends recovery.Exit) {
	for _, m := range all {
		still, ends = still || m.still, max(ends, m.backup)
	}
	return still, ends
}

// do does one part of each.
func (all mishaps) do(y *tended, part func(mishap) func(*tended)) {
	for _, m := range all {
		if f := part(m); f != nil {
			f(y)
		}
	}
}

func (all mishaps) String() string {
	var names []string
	for _, m := range all {
		names = append(names, m.name)
	}
	return strings.Join(names, ", and ")
}

// allMishaps are those that the years of others were full of.
func allMishaps() []mishap {
	return []mishap{
		{name: "a job stops", of: "all", still: true, found: map[string]string{
			"stopped/database/nearby/dump": "each", "stopped/database/offsite/dump": "each", "stopped/database/vault/dump": "each",
			"stopped/database/nearby/pitr": "each", "stopped/database/offsite/pitr": "each", "stopped/database/vault/pitr": "each",
		}},
		{name: "a copy is denied", of: "all", lasting: true, backup: recovery.WithExceptions,
			before: func(y *tended) { y.s3.Allow("offsite", storagetest.Account{AccessKey: "vault"}, "s3:*") },
			mend: func(y *tended) {
				y.s3.Allow("offsite", storagetest.Account{AccessKey: "offsite"}, "s3:*")
			},
			found: map[string]string{"refused/offsite": "denied", "3-2-1-1-0/3 copies": "", "3-2-1-1-0/1 locked": ""}},
		{name: "a dump is corrupt", of: "files", after: func(y *tended) {
			dumps := y.held("database", ".dump")
			b, err := os.ReadFile(dumps[len(dumps)-1])
			y.must(err)
			y.must(os.Rename(dumps[len(dumps)-1], filepath.Join(y.spool, "whole")))
			y.must(os.WriteFile(dumps[len(dumps)-1], b[:len(b)/2], 0o600))
		}, mend: func(y *tended) {
			dumps := y.held("database", ".dump")
			y.must(os.Rename(filepath.Join(y.spool, "whole"), dumps[len(dumps)-1]))
		},
			found: map[string]string{"broken/database/nearby/dump": "were stored"}},
		{name: "a tree is missing", of: "files", noon: func(y *tended) { y.rename("uploads", "elsewhere") }, mend: func(y *tended) { y.rename("elsewhere", "uploads") },
			found: map[string]string{"absent/uploads/nearby": "holds no backup"}},
		{name: "a lock expires", of: "lock", lasting: true, noon: func(y *tended) { y.s3.EndLocks("offsite") }, found: map[string]string{"3-2-1-1-0/1 locked": "ended"}},
		{name: "credentials can delete", of: "lock", lasting: true, noon: func(y *tended) {
			y.lockFor(0)
			y.s3.EndLocks("offsite")
			y.check() // with which the canary goes that was locked
		},
			found: map[string]string{"3-2-1-1-0/1 locked": "deleted our canary"}},
		{name: "a segment is lost", of: "log", noon: func(y *tended) {
			for range 3 {
				y.commit()
				y.archived()
			}
			all := strings.Fields(segments(y.t, y.copies["nearby"]))
			y.lost = filepath.Join(y.copies["nearby"], "wal", all[len(all)-2])
			y.must(os.Rename(y.lost, filepath.Join(y.spool, "lost")))
		}, mend: func(y *tended) { // it was somewhere else, too
			y.must(os.Rename(filepath.Join(y.spool, "lost"), y.lost))
		}, found: map[string]string{"gap/database/nearby": "gap"}},
		{name: "a slot goes wild", of: "log", before: func(y *tended) { y.sql("select pg_create_physical_replication_slot('search', true)") },
			noon: func(y *tended) {
				for range 4 {
					y.commit()
					y.archived()
				}
				y.sql("checkpoint")
			},
			mend:  func(y *tended) { y.sql("select pg_drop_replication_slot('search')") },
			found: map[string]string{"slot/database/search": "lost"}},
		{name: "the archive_command fails", of: "log", noon: func(y *tended) {
			y.sql("alter system set archive_command = 'false'", "select pg_reload_conf()")
			y.commit()
			if err := y.Archived(y.t.Context()); err == nil || !strings.Contains(err.Error(), "the archive_command failed") {
				y.t.Fatal(err)
			}
		}, mend: func(y *tended) {
			y.sql("alter system set archive_command = '"+y.command+"'", "select pg_reload_conf()")
		}, found: map[string]string{"archive/database": "archive_command fails, last at", "rpo/database": "the RPO is 15m00"}},
		{name: "a check is weakened", of: "files", before: func(y *tended) { y.write(strings.Replace(y.text, "expect: > 0", "expect: >= 0", 1)) },
			mend:  func(y *tended) { y.write(y.text) },
			found: map[string]string{"changed/database": weaker, "changed/uploads": weaker, "changed/config": weaker, "changed/code": weaker}},
	}
}

// held are the files of a directory in the copy nearby whose names end so, in the
// order of their names.
func (y *tended) held(dir, suffix string) []string {
	y.t.Helper()
	all, err := filepath.Glob(filepath.Join(y.copies["nearby"], dir, "*"+suffix))
	if err != nil || len(all) < 2 {
		y.t.Fatalf("%s in nearby: %q, %v", dir, all, err)
	}
	slices.Sort(all)
	return all
}

func (y *tended) rename(from, to string) {
	y.t.Helper()
	y.must(os.Rename(filepath.Join(y.copies["nearby"], from), filepath.Join(y.copies["nearby"], to)))
}

func (y *tended) must(err error) {
	y.t.Helper()
	if err != nil {
		y.t.Fatal(err)
	}
}
