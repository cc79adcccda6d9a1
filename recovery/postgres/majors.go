package postgres

// What the programs and catalogues of the majors that are restored do differently
// stands in this file, and nowhere else: whoever needs it asks here and compares no
// major by itself. How the log is written is recovery/pitr/xlog's; what pg_waldump
// says in other words is read in all of them by those who read it.

// Oldest is the first major that is restored: of older ones nothing here was tried.
const Oldest = 13

// ManyManagers reports whether pg_waldump takes several --rmgr; before 15 the last
// one wins.
func (t Tools) ManyManagers() bool { return t.Major >= 15 }

// RecordsCollations reports whether databases of a major remember the version of
// their collation.
func RecordsCollations(major int) bool { return major >= 15 }

// TellsReplay is the setting, and its value, by which a server tells how far it has
// replayed; before 15 there is none.
func (t Tools) TellsReplay() map[string]string {
	if t.Major >= 15 {
		return map[string]string{"log_startup_progress_interval": "1s"}
	}
	return nil
}

// ReplayPaused is an expression of SQL: the server has stopped replaying. Before 14
// a server tells only that it was asked to.
func (t Tools) ReplayPaused() string {
	if t.Major >= 14 {
		return "pg_get_wal_replay_pause_state() = 'paused'"
	}
	return "pg_is_wal_replay_paused()"
}

// MarksFrozen reports whether a COPY that freezes its rows also marks their pages as seen
// by everybody; before 14 only a VACUUM does.
func (t Tools) MarksFrozen() bool { return t.Major >= 14 }

// BuildsGINTogether reports whether several processes can build one GIN index.
func (t Tools) BuildsGINTogether() bool { return t.Major >= 18 }

// BuildsTell reports whether the build of an index tells the planner of its table's pages
// also where autovacuum is off; from 18 on only a VACUUM or an ANALYZE does.
func (t Tools) BuildsTell() bool { return t.Major < 18 }

// Packing is how pg_basebackup compresses tar files itself: what it is told, and
// what that adds to their names.
type Packing struct{ Name, Suffix, Argument string }

// Packing is the best that the tools have: zstd from 15 on.
func (t Tools) Packing() Packing {
	if t.Major >= 15 {
		return Packing{"zstd", ".zst", "--compress=client-zstd:3"}
	}
	return Packing{"gzip", ".gz", "--gzip"}
}

// FileBackup are the calls in SQL between which a program copies the files of a running
// server; they got other names in 15. The label is quoted by nobody.
func FileBackup(major int, label string) (start, stop string) {
	if major >= 15 {
		return "pg_backup_start('" + label + "', true)", "pg_backup_stop()"
	}
	return "pg_start_backup('" + label + "', true, false)", "pg_stop_backup(false)"
}

// TakesIncremental reports whether servers of a major give incremental backups, which
// pg_combinebackup makes full ones of.
func TakesIncremental(major int) bool { return major >= 17 }

// Unhurried are the settings of a session that works on what was restored: a database's own
// limits are meant for its programs.
func (t Tools) Unhurried() map[string]string {
	all := everyLimit()
	if t.Major >= 14 {
		all["idle_session_timeout"] = "0"
	}
	if t.Major >= 17 {
		all["transaction_timeout"] = "0"
	}
	return all
}

// everyLimit are those of [Tools.Unhurried] that all majors have.
func everyLimit() map[string]string {
	return map[string]string{"statement_timeout": "0", "lock_timeout": "0", "idle_in_transaction_session_timeout": "0"}
}

// manyOrigins is more than anybody has.
const manyOrigins = "8192"

// room is what a server needs to start on what others have left: one that has less room for
// replication origins than there are, which every base backup brings, crashes. From 18 on
// it has a setting of its own.
func (t Tools) room() map[string]string {
	all := map[string]string{"max_replication_slots": manyOrigins}
	if t.Major >= 18 {
		all["max_active_replication_origins"] = manyOrigins
	}
	return all
}

// withoutEventTriggers are the settings of a server in which none fires, from 17 on, where one
// may at each login: it would change what was restored, or let nobody in to look at it.
func (t Tools) withoutEventTriggers() map[string]string {
	if t.Major < 17 {
		return nil
	}
	return map[string]string{"event_triggers": "off"}
}

// SubscribesAsSuperuser reports whether the owner of a subscription must be a superuser.
func (t Tools) SubscribesAsSuperuser() bool { return t.Major < 16 }

// initArguments are those that not every initdb knows: no advice is printed, and
// page checksums are on or off whatever the major does by itself (from 18 on).
func (t Tools) initArguments(checksums bool) (args []string) {
	if t.Major >= 14 {
		args = append(args, "--no-instructions")
	}
	switch {
	case checksums:
		args = append(args, "--data-checksums")
	case t.Major >= 18:
		args = append(args, "--no-data-checksums")
	}
	return args
}

// archives are the first majors of pg_restore that read a version of the format of
// archives, 1.14 as 1014; whatever is not listed is newer than all of them.
var archives = []struct{ version, major int }{{1014, 12}, {1015, 16}, {1016, 17}}

// NewestArchive is the newest version of the format of archives that is known.
func NewestArchive() int { return archives[len(archives)-1].version }

// MajorForArchive is the first major whose pg_restore reads a version of the format.
func MajorForArchive(version int) int {
	for _, a := range archives {
		if version <= a.version {
			return a.major
		}
	}
	return archives[len(archives)-1].major + 1
}

// NamesProviders reports whether CREATE DATABASE of a major takes a LOCALE_PROVIDER, and
// without one has that of its template.
func NamesProviders(major int) bool { return major >= 15 }
