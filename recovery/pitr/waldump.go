package pitr

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/pitr/scan"
	"comeback/recovery/postgres"
)

// waldump reads segments that lie in a directory with pg_waldump of their own
// major.
type waldump struct {
	tools    postgres.Tools
	dir      string
	timeline uint32
}

// unreadableLog is what pg_waldump says where the log is damaged, or ends.
type unreadableLog struct {
	says string
	// nothing says that not even a first record was found.
	nothing bool
}

func (e *unreadableLog) Error() string { return e.says }

// records yields the records of some resource managers (all of them, where
// none is named) that begin in from ≤ LSN < to, in order. A record that goes on
// beyond to is not seen. Damage is yielded last, as unreadableLog.
func (w waldump) records(ctx context.Context, from, to recovery.LSN, rmgrs ...string) iter.Seq2[record, error] {
	if w.tools.ManyManagers() || len(rmgrs) < 2 {
		return w.run(ctx, from, to, rmgrs)
	}
	// Before 15 the last --rmgr wins: one pass for each, sorted together.
	return func(yield func(record, error) bool) {
		var all []record
		var failed error
		for _, rmgr := range rmgrs {
			for r, err := range w.run(ctx, from, to, []string{rmgr}) {
				if err != nil {
					failed = err
					break
				}
				all = append(all, r)
			}
		}
		slices.SortFunc(all, func(a, b record) int { return cmp.Compare(a.LSN, b.LSN) })
		for _, r := range all {
			if !yield(r, nil) {
				return
			}
		}
		if failed != nil {
			yield(record{}, failed)
		}
	}
}

// run is one pass of pg_waldump.
func (w waldump) run(ctx context.Context, from, to recovery.LSN, rmgrs []string) iter.Seq2[record, error] {
	args := []string{"-p", w.dir, "-t", fmt.Sprint(w.timeline), "-s", from.String(), "-e", to.String()}
	for _, rmgr := range rmgrs {
		args = append(args, "--rmgr="+rmgr)
	}
	return func(yield func(record, error) bool) {
		enough := errors.New("enough")
		err := scan.ReadLines(ctx, w.tools.Program("pg_waldump"), args, func(line []byte) error {
			r, ok, err := parseRecord(line)
			if err == nil && ok && r.LSN >= from && !yield(r, nil) {
				return enough
			}
			return err
		})
		var broken *scan.Unreadable
		if errors.As(err, &broken) {
			err = &unreadableLog{broken.Says, strings.HasPrefix(broken.Says, "could not find a valid record after")}
		}
		if err != nil && err != enough {
			yield(record{}, err)
		}
	}
}
