package pitr

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/recovery/pitr/xlog"
)

// notProven is the error for every observation that contradicts the point.
func (r *replay) notProven(format string, args ...any) error {
	return recovery.Errorf("do not use this copy; stop the run, keep the step's log, and choose the moment again",
		"the restored server is not at the point: %s", fmt.Sprintf(format, args...))
}

// observe notes a piece of evidence.
func (r *replay) observe(format string, args ...any) {
	r.evidence = append(r.evidence, fmt.Sprintf(format, args...))
	r.env.Meter().Log("comeback: " + r.evidence[len(r.evidence)-1])
}

// proveStopped compares the record that the server says it stops at.
func (r *replay) proveStopped(at standing) error {
	line, lsn, after := r.says.stopped()
	if line == "" || lsn != r.args.Stop || after != r.args.Inclusive {
		return r.notProven("its log says %q, and the point is %s of %s", line, sideOf(r.args.Inclusive), r.args.Stop)
	}
	r.observe("the server said %q", line)
	if !at.recovering {
		r.observe("it could not be asked while it recovered, and opened the database there by itself")
	}
	return nil
}

func sideOf(inclusive bool) string {
	if inclusive {
		return "behind the record"
	}
	return "before the record"
}

// reaches reports whether the end of what was replayed is the point's.
func (r *replay) reaches(end recovery.LSN) bool {
	if r.args.Inclusive {
		return end == r.args.Facts.Needs
	}
	return xlog.NextStart(end, r.args.Facts.Line.SegmentSize, r.args.Facts.Line.PageSize) == r.args.Stop
}

// provePaused looks at the server while it stands at its target.
func (r *replay) provePaused(ctx context.Context, at standing) error {
	if !at.paused {
		return r.notProven("it does not pause at its target")
	}
	if !r.reaches(at.replayed) {
		return r.notProven("it has replayed the log up to %s, and the point is %s %s", at.replayed, sideOf(r.args.Inclusive), r.args.Stop)
	}
	r.observe("paused there, it had replayed the log up to %s", at.replayed)
	return r.proveTransactions(ctx, "paused")
}

// proveTransactions asks for the two transactions on both sides of the point.
func (r *replay) proveTransactions(ctx context.Context, when string) error {
	if xid := r.args.Kept.XID; xid != 0 {
		status, err := r.status(ctx, xid)
		if err != nil {
			return err
		}
		if status != "committed" {
			return r.notProven("%s, transaction %d, the last to keep, is %s", when, xid, status)
		}
		r.observe("%s: transaction %d, the last to keep, is committed", when, xid)
	}
	xid := r.args.Lost.XID
	if xid == 0 {
		return nil
	}
	if when == "opened" {
		// Since then the database gives its own transactions the numbers of those that are lost.
		before, err := provenBefore(r.handle.Dir)
		if err != nil {
			return err
		}
		if before != "" {
			r.observe("before anything was changed in it, %s", before)
			return nil
		}
	}
	status, err := r.status(ctx, xid)
	if err != nil {
		return err
	}
	switch status {
	case "in progress", "not assigned yet":
	case "aborted":
		if when == "paused" {
			return r.notProven("%s, transaction %d, the first to lose, is %s", when, xid, status)
		}
	default:
		return r.notProven("%s, transaction %d, the first to lose, is %s", when, xid, status)
	}
	r.observe("%s: transaction %d, the first to lose, is %s", when, xid, status)
	return nil
}

// provenFile is a mark in a scratch target: the opened database was proven to be at the
// point. It holds the last thing that was observed.
const provenFile = "proven"

// setProven leaves the mark, durably, unless it is there.
func setProven(dir string, evidence []string) error {
	before, err := provenBefore(dir)
	if err != nil || before != "" || len(evidence) == 0 {
		return err
	}
	if err := durable.Replace(filepath.Join(dir, provenFile), []byte(evidence[len(evidence)-1])); err != nil {
		return fmt.Errorf("note that the point is proven: %w", err)
	}
	return nil
}

// provenBefore reads the mark; empty where there is none.
func provenBefore(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, provenFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look whether the point was proven: %w", err)
	}
	return string(b), nil
}

// status asks what became of a transaction: "committed", "aborted", "in
// progress", "not assigned yet", or "too old to tell".
func (r *replay) status(ctx context.Context, xid recovery.XID) (string, error) {
	failed := func(err error) (string, error) {
		return "", fmt.Errorf("ask for transaction %d: %w", xid, err)
	}
	var text string
	if err := r.conn.QueryRow(ctx, "select pg_snapshot_xmax(pg_current_snapshot())::text").Scan(&text); err != nil {
		return failed(err)
	}
	next, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return failed(err)
	}
	var status *string
	err = r.conn.QueryRow(ctx, "select pg_xact_status($1::text::xid8)", strconv.FormatUint(fullXID(xid, next), 10)).Scan(&status)
	var refused *pgconn.PgError
	switch {
	case errors.As(err, &refused) && refused.Code == invalidParameter && strings.Contains(refused.Message, "in the future"):
		return "not assigned yet", nil
	case err != nil:
		return failed(err)
	case status == nil:
		return "too old to tell", nil
	}
	return *status, nil
}

// fullXID is the 64-bit id nearest to next that has the 32 bits of xid.
func fullXID(xid recovery.XID, next uint64) uint64 {
	const circle = 1 << 32
	full := next&^(circle-1) | uint64(xid)
	switch {
	case full > next+circle/2 && full >= circle:
		full -= circle
	case full+circle/2 < next:
		full += circle
	}
	return full
}

// proveOpened looks at the opened database: at the history of its new timeline
// and at the transactions.
func (r *replay) proveOpened(ctx context.Context) error {
	var recovering bool
	var file string
	if err := r.conn.QueryRow(ctx, "select pg_is_in_recovery()").Scan(&recovering); err != nil {
		return fmt.Errorf("ask the opened database: %w", err)
	}
	if recovering {
		return r.notProven("it still recovers")
	}
	if err := r.conn.QueryRow(ctx, "select pg_walfile_name(pg_current_wal_lsn())").Scan(&file); err != nil {
		return fmt.Errorf("ask the opened database: %w", err)
	}
	f, ok := walfile.Parse(file)
	if !ok {
		return r.notProven("its log is called %q", file)
	}
	history := walfile.HistoryName(f.Timeline)
	text, err := os.ReadFile(filepath.Join(r.cluster.Data, "pg_wal", history))
	if err != nil {
		return r.notProven("timeline %d has no history: %v", f.Timeline, err)
	}
	forks, err := parseHistory(string(text))
	if err != nil || len(forks) == 0 {
		return r.notProven("%s cannot be read: %v", history, err)
	}
	last := forks[len(forks)-1]
	if last.Parent != r.args.Timeline || !r.reaches(last.At) {
		return r.notProven("%s says that timeline %d branched off timeline %d at %s; the point is %s %s on timeline %d",
			history, f.Timeline, last.Parent, last.At, sideOf(r.args.Inclusive), r.args.Stop, r.args.Timeline)
	}
	r.newTimeline = f.Timeline
	r.reachedAt = last.At
	r.observe("opened: %s says that timeline %d branched off timeline %d at %s (%s)", history, f.Timeline, last.Parent, last.At, last.Reason)
	return r.proveTransactions(ctx, "opened")
}
