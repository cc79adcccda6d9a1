package push

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
)

// Log is the log that a server sends.
type Log struct {
	Timeline uint32
	// History is the timeline's, as its file has it; timeline 1 has none.
	History string
	// Until is where the log ends that is sent now.
	Until       recovery.LSN
	SegmentSize int64
	// Kept is where the log begins that the slot keeps; zero where it keeps none.
	Kept recovery.LSN
}

// strayedPrefix begins the names of directories with what was received of a log that the
// server has left.
const strayedPrefix = "before-"

// leaveStrayed lets pg_receivewal go on with a server that was restored to before what was
// received. The program asks for what comes behind the newest file of Dir, which such a
// server does not have: it would refuse, each time. What is finished is pushed first; then
// all that lies there goes into a directory beside, and what the slot keeps is
// received. An interruption leaves files that are looked at again.
func (o ReceiveOptions) leaveStrayed(ctx context.Context, l Log, push func(context.Context) error) error {
	ancestry, err := pitr.ParseAncestry(l.Timeline, l.History)
	if err != nil {
		return err
	}
	newest, err := o.newest(l.SegmentSize)
	if err != nil || newest.Timeline == 0 || l.holds(ancestry, newest) {
		return err
	}
	if err := push(ctx); err != nil {
		return fmt.Errorf("the server does not have what comes behind %s any more, and what was received before is not in the copies yet: %w", newest, err)
	}
	begins := ""
	if l.Kept > 0 {
		// Of an empty file it asks for the beginning. Without one, that of older servers is
		// where they are now.
		first := ancestry.Segment(l.Kept, l.SegmentSize)
		first.Kind = walfile.Partial
		begins = first.String()
		f, err := os.OpenFile(filepath.Join(o.Dir, begins), os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fmt.Errorf("let the receiver begin with %s: %w", begins, err)
		}
	}
	beside, err := os.MkdirTemp(o.Dir, strayedPrefix+walfile.FormatTimeline(l.Timeline)+"-")
	if err != nil {
		return fmt.Errorf("put aside what was received: %w", err)
	}
	only, err := o.putAside(beside, begins)
	if err != nil {
		return fmt.Errorf("put aside what was received: %w", err)
	}
	says := "all of it is in the copies"
	if len(only) > 0 {
		says = "all of it but " + strings.Join(only, ", ") + ", which was not finished, is in the copies"
	}
	o.Log(fmt.Sprintf("the server goes on at %s of timeline %d, and does not have what comes behind %s: what was received before lies in %s; %s", l.Until, l.Timeline, newest, beside, says))
	return nil
}

// holds reports whether pg_receivewal can go on behind a file.
func (l Log) holds(ancestry pitr.Ancestry, f walfile.Name) bool {
	next := f.Number(l.SegmentSize)
	if f.Kind == walfile.Segment {
		next++
	}
	at := walfile.Start(next, l.SegmentSize)
	return ancestry.Holds(f.Timeline, at) && (f.Timeline != l.Timeline || at <= l.Until)
}

// newest is the file of Dir behind which pg_receivewal goes on; it is none where there is no
// file.
func (o ReceiveOptions) newest(size int64) (newest walfile.Name, err error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return newest, fmt.Errorf("look at what was received: %w", err)
	}
	for _, e := range entries {
		f, ok := walfile.Parse(e.Name())
		if !ok || f.Kind != walfile.Segment && f.Kind != walfile.Partial {
			continue
		}
		// A finished segment counts more than its beginning.
		if newest.Timeline == 0 || cmp.Or(cmp.Compare(f.Number(size), newest.Number(size)), cmp.Compare(f.Timeline, newest.Timeline), cmp.Compare(newest.Kind, f.Kind)) > 0 {
			newest = f
		}
	}
	return newest, nil
}

// putAside moves all files of the log but one, and gives the names of those that the copies
// have not got.
func (o ReceiveOptions) putAside(beside, but string) (only []string, err error) {
	entries, err := os.ReadDir(o.Dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		f, ok := walfile.Parse(e.Name())
		if !ok || e.Name() == but {
			continue
		}
		if err := os.Rename(filepath.Join(o.Dir, e.Name()), filepath.Join(beside, e.Name())); err != nil {
			return nil, err
		}
		if f.Kind == walfile.Partial {
			only = append(only, e.Name())
		}
		if err := os.Remove(pushedMark(o.Dir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
	}
	return only, errors.Join(durable.SyncDir(beside), durable.SyncDir(o.Dir))
}
