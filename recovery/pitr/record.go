package pitr

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr/xlog"
)

// recordKind is what a log record means for a moment.
type recordKind int

const (
	otherRecord recordKind = iota
	commitRecord
	abortRecord
	// prepareRecord is the first phase of a transaction in two phases: it is kept,
	// and undecided, where it is replayed.
	prepareRecord
	// runningRecord lists the transactions that are under way: it tells
	// which ids are not assigned yet and which have ended.
	runningRecord
	// dropRecord removes the files of a database or tablespace, before the
	// commit of its transaction.
	dropRecord
	// switchRecord ends a segment before it is full.
	switchRecord
	// lockRecord tells of locks on tables that keep even readers out, until
	// their transactions end: those just taken, or all that are held.
	lockRecord
)

// record is one record of the log as pg_waldump shows it.
type record struct {
	Kind recordKind
	// XID is the transaction's, for a prepared one too; Subs are its
	// subtransactions, at its end.
	XID  recovery.XID
	Subs []recovery.XID
	// Prepared says that the record ends a transaction that was prepared.
	Prepared bool
	Time     time.Time
	LSN      recovery.LSN
	Prev     recovery.LSN
	// Total is the record's length without page headers.
	Total uint32
	// Next and Oldest are a runningRecord's next transaction id to assign
	// and the oldest that has not ended.
	Next, Oldest recovery.XID
	// What is a dropRecord's kind of thing.
	What string
	// Locks are a lockRecord's.
	Locks []tableLock
}

// tableLock is a transaction's lock on a table, by its OIDs.
type tableLock struct {
	XID      recovery.XID `json:"xid"`
	Database uint32       `json:"database"`
	Relation uint32       `json:"relation"`
}

// commit is the record as the end of a transaction.
func (r record) commit(segmentSize, pageSize int64) recovery.Commit {
	return recovery.Commit{XID: r.XID, Time: r.Time, LSN: r.LSN, End: xlog.RecordEnd(r.LSN, r.Total, segmentSize, pageSize)}
}

// parseRecord reads a line of pg_waldump's output, written with TZ=UTC. Lines
// that show no record are not ok.
func parseRecord(line []byte) (r record, ok bool, err error) {
	rest, ok := bytes.CutPrefix(line, []byte("rmgr: "))
	if !ok {
		return record{}, false, nil
	}
	field := func(until string) string {
		before, after, found := bytes.Cut(rest, []byte(until))
		if !found && err == nil {
			err = fmt.Errorf("%q is missing", until)
		}
		rest = after
		return string(bytes.TrimSpace(before))
	}
	rmgr := field("len (rec/tot):")
	field("/")
	total, errTotal := strconv.ParseUint(field(", tx:"), 10, 32)
	xid, errXID := strconv.ParseUint(field(", lsn:"), 10, 32)
	lsn, errLSN := recovery.ParseLSN(field(", prev"))
	prev, errPrev := recovery.ParseLSN(field(", desc:"))
	for _, e := range []error{errTotal, errXID, errLSN, errPrev} {
		if err == nil {
			err = e
		}
	}
	if err != nil {
		return record{}, false, fmt.Errorf("pg_waldump says %q: %w", clip(line), err)
	}
	r = record{XID: recovery.XID(xid), LSN: lsn, Prev: prev, Total: uint32(total)}
	desc := string(bytes.TrimSpace(rest))
	switch rmgr {
	case "Transaction":
		err = r.transaction(desc)
	case "Standby":
		switch verb, rest, _ := strings.Cut(desc, " "); verb {
		case "RUNNING_XACTS":
			r.running(desc)
		case "LOCK":
			err = r.locks(rest)
		}
	case "XLOG":
		if desc == "SWITCH" {
			r.Kind = switchRecord
		}
	case "Database", "Tablespace":
		if strings.HasPrefix(desc, "DROP ") || desc == "DROP" {
			r.Kind, r.What = dropRecord, strings.ToLower(rmgr)
		}
	}
	if err != nil {
		return record{}, false, fmt.Errorf("pg_waldump says %q: %w", clip(line), err)
	}
	return r, true, nil
}

func clip(line []byte) []byte { return line[:min(len(line), 200)] }

// transaction reads "COMMIT 2026-11-23 09:07:58.609371 UTC; subxacts: 727 728"
// or "COMMIT_PREPARED 729: 2026-…".
func (r *record) transaction(desc string) error {
	verb, rest, _ := strings.Cut(desc, " ")
	switch verb {
	case "COMMIT", "COMMIT_PREPARED":
		r.Kind = commitRecord
	case "ABORT", "ABORT_PREPARED":
		r.Kind = abortRecord
	case "PREPARE": // "PREPARE gid …: 2026-…", and a gid can be anything
		r.Kind = prepareRecord
		return nil
	default: // ASSIGNMENT, INVALIDATION
		return nil
	}
	r.Prepared = strings.HasSuffix(verb, "_PREPARED")
	// The record of a prepared transaction carries no id of its own.
	if id, after, ok := strings.Cut(rest, ": "); ok && r.Prepared {
		n, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return err
		}
		r.XID, rest = recovery.XID(n), after
	}
	parts := strings.Split(rest, "; ")
	var err error
	if r.Time, err = time.Parse("2006-01-02 15:04:05.999999 UTC", strings.TrimSpace(parts[0])); err != nil {
		return fmt.Errorf("its time is not one in UTC: %w", err)
	}
	if r.XID == 0 || r.Time.IsZero() {
		return errors.New("it ends no transaction, or at no time")
	}
	for _, part := range parts[1:] {
		list, ok := strings.CutPrefix(part, "subxacts:")
		if !ok {
			continue
		}
		for id := range strings.FieldsSeq(list) {
			n, err := strconv.ParseUint(id, 10, 32)
			if err != nil {
				return fmt.Errorf("its subtransactions: %w", err)
			}
			r.Subs = append(r.Subs, recovery.XID(n))
		}
	}
	return nil
}

// running reads "RUNNING_XACTS nextXid 732 latestCompletedXid 731
// oldestRunningXid 732; 1 xacts: 732". What it cannot read stays no record of
// interest.
func (r *record) running(desc string) {
	fields := strings.Fields(desc)
	for i := 0; i+1 < len(fields); i++ {
		n, err := strconv.ParseUint(strings.TrimSuffix(fields[i+1], ";"), 10, 32)
		if err != nil {
			continue
		}
		switch fields[i] {
		case "nextXid":
			r.Next = recovery.XID(n)
		case "oldestRunningXid":
			r.Oldest = recovery.XID(n)
		}
	}
	if r.Next != 0 && r.Oldest != 0 {
		r.Kind = runningRecord
	}
}

// locks reads "xid 812 db 16385 rel 16391 xid 813 db 16385 rel 16402".
func (r *record) locks(list string) error {
	fields := strings.Fields(list)
	if len(fields) == 0 || len(fields)%6 != 0 {
		return errors.New("its locks cannot be read")
	}
	for ; len(fields) > 0; fields = fields[6:] {
		var n [3]uint64
		for i, what := range []string{"xid", "db", "rel"} {
			var err error
			if n[i], err = strconv.ParseUint(fields[2*i+1], 10, 32); err != nil || fields[2*i] != what {
				return fmt.Errorf("its locks: %q %q is not one of %s", fields[2*i], fields[2*i+1], what)
			}
		}
		r.Locks = append(r.Locks, tableLock{recovery.XID(n[0]), uint32(n[1]), uint32(n[2])})
	}
	r.Kind = lockRecord
	return nil
}

// precedes compares transaction ids as PostgreSQL does, in a circle.
func precedes(a, b recovery.XID) bool { return int32(a-b) < 0 }
