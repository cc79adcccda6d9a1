package scan

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
)

// end is the end of a transaction as its record tells it. Its slices are
// its own.
type end struct {
	how  recovery.TransactionEnd
	xid  uint32
	time time.Time
	gid  string
	subs []uint32
	// files are those that are removed with the commit, the one that was
	// given up last first.
	files []located
	// dropped are the OIDs of the relations that were dropped, in order;
	// only servers from 15 on tell.
	dropped []uint32
}

// parseEnd reads "COMMIT 2026-11-23 09:07:58.609371 UTC; rels: base/5/16391;
// subxacts: 727 728; …", "COMMIT_PREPARED 729: 2026-…" and "PREPARE gid NAME:
// 2026-…". What ends no transaction is not ok. The time is zero where the
// record does not show it.
func parseEnd(r *record) (e end, ok bool, err error) {
	if r.native {
		if r.ended == nil {
			return end{}, false, nil
		}
		return *r.ended, true, nil
	}
	verb, rest, _ := bytes.Cut(r.desc, []byte(" "))
	e.xid = r.xid
	switch string(verb) {
	case "COMMIT":
		e.how = recovery.Committed
	case "ABORT":
		e.how = recovery.Aborted
	case "PREPARE":
		e.how = recovery.Prepared
		if rest, ok = e.cutGID(rest); !ok {
			// The name has a line break, so that this is not the whole of
			// the record. What it did is known all the same.
			e.gid = string(bytes.TrimPrefix(rest, []byte("gid ")))
			return e, true, nil
		}
	case "COMMIT_PREPARED", "ABORT_PREPARED":
		e.how = recovery.CommittedPrepared
		if verb[0] == 'A' {
			e.how = recovery.AbortedPrepared
		}
		// The record has no xid of its own.
		s := scanner{b: rest}
		n := s.number()
		if !s.skip(": ") || s.bad || n > 1<<32-1 {
			return end{}, false, fmt.Errorf("pg_waldump says %q: %w", clip(r.desc), errFormat)
		}
		e.xid, rest = uint32(n), rest[s.at:]
	default: // ASSIGNMENT, INVALIDATION
		return end{}, false, nil
	}
	if e.xid == 0 {
		return end{}, false, nil
	}
	first, rest, more := bytes.Cut(rest, []byte("; "))
	if e.time, ok = parseTime(bytes.TrimRight(first, " ")); !ok {
		return end{}, false, fmt.Errorf("pg_waldump says %q: its time is not one in UTC", clip(r.desc))
	}
	for more {
		first, rest, more = bytes.Cut(rest, []byte("; "))
		if !e.part(first) {
			return end{}, false, fmt.Errorf("pg_waldump says %q: %w", clip(first), errFormat)
		}
	}
	return e, true, nil
}

func clip(b []byte) []byte { return b[:min(len(b), 200)] }

// cutGID reads "gid NAME: 2026-…", where NAME may be anything.
func (e *end) cutGID(b []byte) (rest []byte, ok bool) {
	b, ok = bytes.CutPrefix(b, []byte("gid "))
	for i := 0; ok; i++ {
		n := bytes.Index(b[i:], []byte(": "))
		if n < 0 {
			return b, false
		}
		i += n
		t, _, _ := bytes.Cut(b[i+2:], []byte("; "))
		if _, is := parseTime(bytes.TrimRight(t, " ")); is {
			e.gid = string(b[:i])
			return b[i+2:], true
		}
	}
	return b, false
}

// part reads what follows the time, up to the next semicolon. A prepared
// transaction tells what its commit and what its abort will remove.
func (e *end) part(b []byte) bool {
	name, list, ok := bytes.Cut(b, []byte(":"))
	if !ok {
		return true // "sync", "apply_feedback"
	}
	switch string(name) {
	case "subxacts":
		s := scanner{b: list}
		for s.at < len(list) && len(bytes.TrimSpace(list[s.at:])) > 0 {
			n := s.number()
			if s.bad || n > 1<<32-1 {
				return false
			}
			e.subs = append(e.subs, uint32(n))
		}
	case "rels", "rels(commit)":
		for path := range bytes.FieldsSeq(list) {
			f, _, ok := parsePath(path)
			if !ok {
				return false
			}
			e.files = append(e.files, f)
		}
	case "dropped stats", "commit dropped stats":
		// kind/database/oid, where 2 is a relation.
		for item := range strings.FieldsSeq(string(list)) {
			var kind, database, oid uint32
			if n, _ := fmt.Sscanf(item, "%d/%d/%d", &kind, &database, &oid); n == 3 && kind == 2 {
				e.dropped = append(e.dropped, oid)
			}
		}
	}
	return true
}

// parseTime reads "2026-11-23 12:43:58.119220 UTC".
func parseTime(b []byte) (time.Time, bool) {
	const form = "2026-11-23 12:43:58.119220 UTC"
	if len(b) != len(form) {
		// A year of five digits, which is a broken clock's.
		t, err := time.Parse("2006-01-02 15:04:05.999999 UTC", string(b))
		return t, err == nil
	}
	for i := range len(form) {
		if digit := form[i]-'0' <= 9; digit != (b[i]-'0' <= 9) || !digit && b[i] != form[i] {
			return time.Time{}, false
		}
	}
	n := func(from, to int) (v int) {
		for _, c := range b[from:to] {
			v = v*10 + int(c-'0')
		}
		return v
	}
	month, day, hour, minute, second := n(5, 7), n(8, 10), n(11, 13), n(14, 16), n(17, 19)
	if month < 1 || month > 12 || day < 1 || day > 31 || hour > 23 || minute > 59 || second > 59 {
		return time.Time{}, false
	}
	return time.Date(n(0, 4), time.Month(month), day, hour, minute, second, n(20, 26)*1000, time.UTC), true
}
