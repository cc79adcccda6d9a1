package pitr

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
)

// label is what backup_label says, and the .backup file in the archive, which
// repeats it and adds the end.
type label struct {
	Start, Checkpoint recovery.LSN
	// Stop is zero in a backup_label, which is written before the backup ends.
	Stop     recovery.LSN
	Timeline uint32
	// StartTime and StopTime are as the server wrote them: local time with
	// the abbreviation of a zone.
	StartTime, StopTime string
	Name                string
	// From is "primary" or "standby".
	From string
	// Incremental is where the backup before began, for an incremental one.
	Incremental recovery.LSN
}

// parseLabel reads a backup_label or a .backup file.
func parseLabel(text string) (label, error) {
	var l label
	var err error
	for line := range strings.Lines(text) {
		key, value, ok := strings.Cut(strings.TrimRight(line, "\r\n"), ": ")
		if !ok {
			continue
		}
		lsn, _, _ := strings.Cut(value, " ")
		switch key {
		case "START WAL LOCATION":
			l.Start, err = recovery.ParseLSN(lsn)
		case "STOP WAL LOCATION":
			l.Stop, err = recovery.ParseLSN(lsn)
		case "CHECKPOINT LOCATION":
			l.Checkpoint, err = recovery.ParseLSN(lsn)
		case "INCREMENTAL FROM LSN":
			l.Incremental, err = recovery.ParseLSN(lsn)
		case "START TIMELINE":
			var n uint64
			n, err = strconv.ParseUint(value, 10, 32)
			l.Timeline = uint32(n)
		case "START TIME":
			l.StartTime = value
		case "STOP TIME":
			l.StopTime = value
		case "LABEL":
			l.Name = value
		case "BACKUP FROM":
			l.From = value
		}
		if err != nil {
			return label{}, fmt.Errorf("read %s: %w", strings.ToLower(key), err)
		}
	}
	if l.Start == 0 || l.Timeline == 0 {
		return label{}, fmt.Errorf("it does not tell where the backup begins")
	}
	return l, nil
}

var labelTime = pattern.New(`^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\S+)$`)

// splitTime separates the clock's reading from the zone's name.
func splitTime(text string) (wall time.Time, zone string, ok bool) {
	m := labelTime.FindStringSubmatch(text)
	if m == nil {
		return time.Time{}, "", false
	}
	wall, err := time.Parse(time.DateTime, m[1])
	return wall, m[2], err == nil
}

// instant is the moment of a label's time where its zone leaves no doubt: UTC,
// or a number. Other abbreviations mean different things in different places.
func instant(text string) (time.Time, bool) {
	wall, zone, ok := splitTime(text)
	if !ok {
		return time.Time{}, false
	}
	switch zone {
	case "UTC", "GMT", "UCT", "Z":
		return wall, true
	}
	if zone[0] != '+' && zone[0] != '-' {
		return time.Time{}, false
	}
	for _, layout := range []string{"-07", "-0700", "-07:00"} {
		if t, err := time.Parse(layout, zone); err == nil {
			_, offset := t.Zone()
			return wall.Add(-time.Duration(offset) * time.Second), true
		}
	}
	return time.Time{}, false
}

// labelPrecision is that of the times in a label: they are cut, not rounded.
const labelPrecision = time.Second

// taken is when a backup was taken, and the last instant at which that may have been, as
// the time may be cut; zero where nothing tells.
func (b Base) taken() (at, until time.Time) {
	if at = b.Ended; at.IsZero() {
		at = b.Started
	}
	if at.IsZero() {
		return at, at
	}
	return at, at.Truncate(labelPrecision).Add(labelPrecision - time.Microsecond)
}

// The file backup_label is written at the start of a backup; how much later
// than its own START TIME its modification time may be.
const labelDelay = 6 * time.Minute

// stopTime is the moment in which the backup ended. Where the zone's name does
// not tell it, written does: the modification time of backup_label, which the
// server gives without a zone, is START TIME up to a whole number of quarters
// of an hour, and that is the zone's offset, if it did not change meanwhile.
func (l label) stopTime(written time.Time) (time.Time, bool) {
	if t, ok := instant(l.StopTime); ok {
		return t, true
	}
	start, startZone, okStart := splitTime(l.StartTime)
	stop, stopZone, okStop := splitTime(l.StopTime)
	if !okStart || !okStop || startZone != stopZone || written.IsZero() {
		return time.Time{}, false
	}
	offset := start.Sub(written).Round(15 * time.Minute)
	if late := written.Sub(start.Add(-offset)); late < -time.Minute || late > labelDelay {
		return time.Time{}, false
	}
	return stop.Add(-offset), true
}
