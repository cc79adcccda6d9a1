package pitr

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

var (
	_ recovery.Locator = (*engine)(nil)
	_ recovery.Holder  = (*engine)(nil)
)

// Locate finds where a transaction ended, be it with a commit or not. It reads a
// few segments.
func (e *engine) Locate(ctx context.Context, o recovery.ScanOptions, xid recovery.XID) (recovery.Commit, error) {
	r := &resolver{engine: e, survey: o.Survey.Lineages()[0], store: o.Store, want: recovery.Want{Kind: recovery.WantAfterXID, XID: xid, Text: fmt.Sprintf("transaction %d", xid)}}
	if err := r.choose(); err != nil {
		return recovery.Commit{}, err
	}
	var found recovery.Commit
	for _, f := range r.bases {
		err := r.reading(ctx, f, r.branch, func(l *logReader) error {
			fate, err := l.fateOf(ctx, xid)
			switch {
			case err != nil:
				return err
			case fate.end.LSN != 0:
				found = l.commit(fate.end)
				return nil
			case fate.early:
				return errEarlier
			}
			return r.noSuchXID(ctx, l, fate)
		})
		if !errors.Is(err, errEarlier) && !errors.Is(err, errNoLog) {
			return found, err
		}
	}
	return found, recovery.Errorf("look into another copy with --copy", "transaction %d ended before the log that %s holds", xid, o.Survey.Copy).WithExit(recovery.Refused)
}

// Holds reports whether the archive that a survey found has a segment, or a
// timeline's history, by now, by PostgreSQL's name of it. It lists anew.
func (e *engine) Holds(ctx context.Context, survey recovery.Survey, store storage.Store, segment string) (bool, error) {
	wanted, ok := walfile.Parse(segment)
	if !ok || wanted.Kind != walfile.Segment && wanted.Kind != walfile.History {
		return false, fmt.Errorf("%q is neither a segment nor a history", segment)
	}
	var asked []Layout
	for _, b := range survey.Backups {
		if b.Problem != "" {
			continue
		}
		f, err := decodeFacts(b)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(asked, func(l Layout) bool {
			return slices.Equal(l.Places, f.Layout.Places) && slices.Equal(l.Others, f.Layout.Others)
		}) {
			continue
		}
		asked = append(asked, f.Layout)
		repo, err := e.enter(f.Layout, store)
		if err != nil {
			return false, err
		}
		files, err := repo.Files(ctx, segment)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(files, func(file File) bool {
			return file.Kind == wanted.Kind && file.Name() == segment && (file.Kind == walfile.History && !file.empty() || file.Kind == walfile.Segment && fault(file, f.Line.SegmentSize) == "")
		}) {
			return true, nil
		}
	}
	return false, nil
}

// End is where the archive ended that a survey found, gaps or not; zero where it
// holds none that a backup needs. Of several clusters it is that of the newest.
func (e *engine) End(s recovery.Survey) recovery.LSN {
	var end recovery.LSN
	for _, b := range s.Lineages()[0].Backups {
		if b.Problem != "" {
			continue
		}
		if f, err := decodeFacts(b); err == nil {
			end = max(end, f.Archived)
		}
	}
	return end
}
