package check

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// What counts as much of a disk, and how soon a full one must be known of.
const (
	soonFull  = 24 * time.Hour
	largeSlot = 1 << 30
)

// servers judges the live databases: whether their log comes, and what keeps it.
func (j *judge) servers() {
	for _, c := range j.Components {
		if c.Kind != recovery.Postgres {
			continue
		}
		s, asked := j.Servers[c.Name]
		switch {
		case !asked:
		case s.Err != nil:
			do := recovery.HintOf(s.Err)
			if do == "" {
				do = "correct the component's url, or grant pg_monitor to its role"
			}
			j.find("server/"+c.Name, recovery.Unknown, do, "%s: the live server could not be asked: %v", c.Name, s.Err)
		default:
			j.archiver(c, s)
			j.slots(c, s)
			j.tools(c, s)
			if skew := s.Now.Sub(j.At); !s.Now.IsZero() && skew.Abs() > badSkew {
				j.find("clock/server/"+c.Name, recovery.NotMet, "set both clocks: chronyc tracking", "the clocks of the server of %s and of this host differ by %s", c.Name, recovery.FormatSpan(skew.Abs()))
			}
		}
	}
}

// archiver judges how the log leaves a server.
func (j *judge) archiver(c recovery.Component, s Server) {
	windows := j.archives(c.Name)
	switch {
	case s.Mode == "off" && !windows:
		if j.RPO > 0 {
			j.find("archive/"+c.Name, recovery.NotMet, "archive_mode = on, "+j.archiveCommand(c)+", then restart the server",
				"%s: archive_mode is off; only whole backups can be restored, nothing between them", c.Name)
		}
		return
	case s.Mode == "off" || s.InRecovery:
		return // somebody else brings the log: a receiver, or the primary
	case s.Failing():
		j.find("archive/"+c.Name, recovery.NotMet, "read its words in the server's log, and mend it; then look again",
			"%s: the archive_command fails, last at %s for %s; %s, and it failed %d times in all%s", c.Name, j.clock(s.FailedAt), s.Failed, j.archivedSince(s), s.Failures, j.untilFull(s))
	case s.Archived == "" && s.ArchivedAt.IsZero() && s.ReadyFiles() > 1:
		j.find("archive/"+c.Name, recovery.NotMet, "look at the server's log, and at whether an archive_command is set", "%s: nothing was ever archived%s", c.Name, j.untilFull(s))
	}
	if j.RPO > 0 && s.Mode != "off" && (s.ArchiveTimeout == 0 || s.ArchiveTimeout > j.RPO) {
		has := "archive_timeout is not set"
		if s.ArchiveTimeout > 0 {
			has = "archive_timeout is " + recovery.FormatSpan(s.ArchiveTimeout)
		}
		j.find("timeout/"+c.Name, recovery.NotMet, fmt.Sprintf("alter system set archive_timeout = '%ds'; select pg_reload_conf()", int(j.RPO.Seconds()/2)),
			"%s: %s: in a quiet hour the last commits wait for their segment to fill, longer than the RPO", c.Name, has)
	}
}

// archivedSince says since when a server has archived nothing: when it began to fail, it does
// not tell.
func (j *judge) archivedSince(s Server) string {
	if s.ArchivedAt.IsZero() {
		return "nothing was ever archived"
	}
	return "nothing was archived since " + j.clock(s.ArchivedAt)
}

// clock writes a day and a time of it, in the zone in which the whole judgement is; a day of
// another year with that.
func (j *judge) clock(t time.Time) string {
	if t = t.In(j.At.Location()); t.Year() != j.At.Year() {
		return t.Format("2 Jan 2006 15:04")
	}
	return t.Format("2 Jan 15:04")
}

// ReadyFiles is about how many segments the server keeps that are not archived.
func (s Server) ReadyFiles() int64 {
	if s.SegmentSize == 0 {
		return 0
	}
	return s.WALBytes / s.SegmentSize
}

// untilFull says when the disk of the log is full, at the pace of the log since it
// was last archived.
func (j *judge) untilFull(s Server) string {
	if s.Free < 0 {
		return fmt.Sprintf("; %s lie in pg_wal, and how much room there is is not seen from here", recovery.FormatBytes(s.WALBytes))
	}
	left, ok := j.fullIn(s)
	if !ok {
		return fmt.Sprintf("; %s lie in pg_wal, %s are free", recovery.FormatBytes(s.WALBytes), recovery.FormatBytes(s.Free))
	}
	return fmt.Sprintf("; %s lie in pg_wal, %s are free: full in about %s", recovery.FormatBytes(s.WALBytes), recovery.FormatBytes(s.Free), recovery.FormatSpan(left))
}

// fullIn is how long the free room lasts, at the pace at which log was written
// since the last segment was archived.
func (j *judge) fullIn(s Server) (time.Duration, bool) {
	since := j.At.Sub(s.ArchivedAt)
	if s.ArchivedAt.IsZero() || since < time.Minute || s.Archived == "" || s.SegmentSize == 0 {
		return 0, false
	}
	written := int64(s.LSN) - int64(s.ArchivedLSN)
	if s.ArchivedLSN == 0 || written <= 0 {
		return 0, false
	}
	return min(recovery.Scaled(since, float64(s.Free)/float64(written)), longestPace), true
}

// slots finds those that keep the log from being removed, and a receiver's that nobody
// reads: its service is started again for ever, and never counts as failed.
func (j *judge) slots(c recovery.Component, s Server) {
	for _, slot := range s.Slots {
		much := slot.Bytes > largeSlot || s.Free >= 0 && slot.Bytes > s.Free/4
		switch {
		case slot.Status == "lost":
			j.find("slot/"+c.Name+"/"+slot.Name, recovery.NotMet, "set up anew what reads it, then: select pg_drop_replication_slot('"+slot.Name+"')",
				"%s: the slot %s has lost log that its reader needs", c.Name, slot.Name)
		case !slot.Active && slot.Name == c.Settings.Text("receiver"):
			j.find("slot/"+c.Name+"/"+slot.Name, recovery.NotMet, "see why its service does not receive: journalctl -u '*-receive-"+c.Name+".service'; comeback wal receive "+j.Path+j.ofDatabase(c.Name)+" tells it, too",
				"%s: nothing receives the log through the slot %s, which holds %s of it%s", c.Name, slot.Name, recovery.FormatBytes(slot.Bytes), room(s))
		case !slot.Active && much:
			limit := ""
			if s.MaxSlotKeep < 0 {
				limit = "; no max_slot_wal_keep_size limits it"
			}
			j.find("slot/"+c.Name+"/"+slot.Name, recovery.NotMet, "start what reads it, or: select pg_drop_replication_slot('"+slot.Name+"')",
				"%s: the slot %s holds %s of log, and nothing reads it%s%s", c.Name, slot.Name, recovery.FormatBytes(slot.Bytes), limit, room(s))
		}
	}
}

func room(s Server) string {
	if s.Free < 0 {
		return ""
	}
	return "; " + recovery.FormatBytes(s.Free) + " are free"
}

// tools finds servers that nothing here can restore.
func (j *judge) tools(c recovery.Component, s Server) {
	major := 0
	if _, err := fmt.Sscanf(s.Version, "%d", &major); err != nil || len(j.Majors) == 0 {
		return
	}
	if newest := slices.Max(j.Majors); newest < major {
		j.find("tools/"+c.Name, recovery.NotMet, postgres.Install(major),
			"%s: the server is PostgreSQL %d, and the newest that is installed here is %d: nothing of it can be restored on this host", c.Name, major, newest)
	} else if j.archives(c.Name) && !slices.Contains(j.Majors, major) {
		j.find("tools/"+c.Name, recovery.NotMet, postgres.Install(major),
			"%s: the server is PostgreSQL %d, which is not installed here: its base backups cannot be restored on this host", c.Name, major)
	}
}

// host judges what a recovery needs of this host.
func (j *judge) host() {
	if len(j.Unkept) > 0 {
		do := recovery.HintOf(j.Unkept[0])
		if do == "" {
			do = "make room on its disk (df -h " + j.State + "), and let whoever checks write there"
		}
		var why []string
		for _, err := range j.Unkept {
			why = append(why, err.Error())
		}
		j.find("state", recovery.NotMet, do, "this host cannot keep what it knows in %s: %s", j.State, strings.Join(why, "; "))
	}
	if len(j.Unfiled) > 0 {
		j.find("filed", recovery.NotMet, "file them: comeback report file "+j.Unfiled[0], "signed reports are on this host only, and would be lost with it: %s", strings.Join(j.Unfiled, ", "))
	}
	if len(j.Altered) > 0 {
		j.find("filed/altered", recovery.NotMet, "trust what other copies hold, and find out who changed them", "these runs are not as they were signed, and prove nothing: %s", strings.Join(j.Altered, ", "))
	}
	if len(j.Vanished) > 0 {
		j.find("journals/gone", recovery.NotMet, "find out who removed them; what was signed can be fetched from a copy", "runs of this host have ended, as a copy knows, and their journals are gone: %s", strings.Join(j.Vanished, ", "))
	}
	if len(j.Rewritten) > 0 {
		j.find("journals/changed", recovery.NotMet, "trust what was filed in a copy, and find out who changed them", "the journals of these runs are not those that ended, as a copy knows them: %s", strings.Join(j.Rewritten, ", "))
	}
	if j.Room != nil && j.Room.Needs > j.Room.Free {
		j.find("room", recovery.NotMet, "make room, or name another place with --scratch or COMEBACK_SCRATCH", "a recovery needs about %s in %s, and %s are free",
			recovery.FormatBytes(j.Room.Needs), j.Room.Place, recovery.FormatBytes(j.Room.Free))
	}
	for _, c := range j.Components {
		if err := j.Switches[c.Name]; err != nil {
			j.find("switch/"+c.Name, recovery.NotMet, cmp.Or(recovery.HintOf(err), "see why: comeback recover "+j.Path+" --dry-run"),
				"%s: a recovery could not put what it restores in live's place: %v", c.Name, err)
		}
		if err := j.Identities[c.Name]; err != nil {
			do := recovery.HintOf(err)
			if do == "" {
				do = "bring it to where the runbook says that it is, and keep a copy away from here"
			}
			j.find("identity/"+c.Name, recovery.NotMet, do, "%s: what decrypts its backups is not at hand: %v", c.Name, err)
		}
	}
}
