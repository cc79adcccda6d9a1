package postgres

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"comeback/recovery"
)

// Control is what pg_control says about a data directory.
type Control struct {
	SystemIdentifier string
	Timeline         uint32
	CheckpointLSN    recovery.LSN
	RedoLSN          recovery.LSN
	// MinRecoveryEnd is zero where recovery has reached it.
	MinRecoveryEnd recovery.LSN
	// State is in pg_controldata's words: "shut down", "in production",
	// "in archive recovery".
	State string
	// What follows must be at least as large wherever this WAL is replayed.
	MaxConnections, MaxWorkerProcesses, MaxWALSenders int
	MaxPreparedXacts, MaxLocksPerXact                 int
	WALLevel                                          string
	// TrackCommitTimestamp says that the times of commits are kept.
	TrackCommitTimestamp bool
	WALSegmentSize       int64
	DataChecksums        bool
	// Version is the version of pg_control's format: 1300 from 13 to 17.
	Version int
	// CatalogVersion tells majors apart.
	CatalogVersion string
	// NextXID is the next transaction id at the checkpoint, without epoch.
	NextXID recovery.XID
}

// CommitTimes is the value of track_commit_timestamp with which a server keeps what times
// of commits there are.
func (c Control) CommitTimes() string {
	if c.TrackCommitTimestamp {
		return "on"
	}
	return "off"
}

// ReadControl reads a data directory with pg_controldata of its own major. It
// works while the server runs.
func ReadControl(ctx context.Context, t Tools, dir string) (Control, error) {
	cmd := exec.CommandContext(ctx, t.Program("pg_controldata"), "-D", dir)
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC"}
	out, err := cmd.Output()
	if err != nil {
		says := err.Error()
		var exit *exec.ExitError
		if errors.As(err, &exit) && len(exit.Stderr) > 0 {
			says = strings.TrimSpace(string(exit.Stderr))
		}
		return Control{}, recovery.Errorf("check that it is a data directory of PostgreSQL "+strconv.Itoa(t.Major),
			"read the control data of %s: %s", dir, says)
	}
	if strings.Contains(string(out), "WARNING: Calculated CRC checksum does not match") {
		return Control{}, recovery.Errorf("restore the backup again, or another one",
			"read the control data of %s: pg_control is damaged, its checksum does not match", dir)
	}
	c, err := parseControl(string(out))
	if err != nil {
		return Control{}, fmt.Errorf("read the control data of %s: %w", dir, err)
	}
	return c, nil
}

// parseControl reads pg_controldata's output under LC_ALL=C.
func parseControl(out string) (Control, error) {
	values := map[string]string{}
	for line := range strings.Lines(out) {
		if key, value, ok := strings.Cut(line, ":"); ok {
			values[strings.TrimSpace(key)] = strings.TrimSpace(value)
		}
	}
	r := controlReader{values: values}
	c := Control{
		SystemIdentifier:   r.text("Database system identifier"),
		Timeline:           uint32(r.number("Latest checkpoint's TimeLineID", 32)),
		CheckpointLSN:      r.lsn("Latest checkpoint location"),
		RedoLSN:            r.lsn("Latest checkpoint's REDO location"),
		MinRecoveryEnd:     r.lsn("Minimum recovery ending location"),
		State:              r.text("Database cluster state"),
		MaxConnections:     int(r.number("max_connections setting", 31)),
		MaxWorkerProcesses: int(r.number("max_worker_processes setting", 31)),
		MaxWALSenders:      int(r.number("max_wal_senders setting", 31)),
		MaxPreparedXacts:   int(r.number("max_prepared_xacts setting", 31)),
		MaxLocksPerXact:    int(r.number("max_locks_per_xact setting", 31)),
		WALLevel:           r.text("wal_level setting"),
		// Servers that are started without it remove what there is.
		TrackCommitTimestamp: r.text("track_commit_timestamp setting") == "on",
		WALSegmentSize:       int64(r.number("Bytes per WAL segment", 31)),
		DataChecksums:        r.number("Data page checksum version", 31) != 0,
		Version:              int(r.number("pg_control version number", 31)),
		CatalogVersion:       r.text("Catalog version number"),
	}
	_, xid, _ := strings.Cut(r.text("Latest checkpoint's NextXID"), ":")
	n, err := strconv.ParseUint(xid, 10, 32)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("NextXID is %q", xid)
	}
	c.NextXID = recovery.XID(n)
	return c, r.err
}

// controlReader keeps the first error, so that reading stays a table.
type controlReader struct {
	values map[string]string
	err    error
}

func (r *controlReader) text(key string) string {
	v, ok := r.values[key]
	if !ok && r.err == nil {
		r.err = fmt.Errorf("pg_controldata does not tell the %s", key)
	}
	return v
}

func (r *controlReader) number(key string, bits int) uint64 {
	n, err := strconv.ParseUint(r.text(key), 10, bits)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", key, err)
	}
	return n
}

func (r *controlReader) lsn(key string) recovery.LSN {
	l, err := recovery.ParseLSN(r.text(key))
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s: %w", key, err)
	}
	return l
}

// MajorOf reads which major has made a data directory.
func MajorOf(data string) (int, error) {
	text, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if err != nil {
		return 0, fmt.Errorf("read the version of the data directory: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0, recovery.Errorf("check that it is a data directory of PostgreSQL 13 or newer", "read the version of %s: %q", data, strings.TrimSpace(string(text)))
	}
	return major, nil
}
