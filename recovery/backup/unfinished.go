package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// unfinisheds is where the marks of backups lie that did not come to their end.
const unfinisheds = "comeback/unfinished/"

// unfinished is the mark of a backup: what it says of itself before it stores anything
// else. It goes when the backup is whole and its manifest lies beside it, so that
// whatever an interruption leaves is found by it.
type unfinished struct {
	Component string    `json:"component"`
	Sort      string    `json:"sort"`
	Host      string    `json:"host"`
	Begun     time.Time `json:"begun"`
	// Prefix and Also are what its keys begin with; Last makes it whole.
	Prefix string   `json:"prefix"`
	Also   []string `json:"also,omitempty"`
	Last   string   `json:"last"`
	// Record is as much of its manifest as is known beforehand.
	Record *recovery.Manifest `json:"record,omitempty"`

	key string
}

// of is the mark of what a backup is about to store.
func (u *unfinished) of(b recovery.Beginning) {
	u.Prefix, u.Also, u.Last = b.Prefixes[0], b.Prefixes[1:], b.Last
	if u.Record != nil {
		u.Record.ID = b.ID
	}
}

func (u *unfinished) begin(ctx context.Context, s storage.Store, stamp string) error {
	b, err := json.Marshal(u)
	if err == nil {
		u.key = u.keyOf(stamp)
		err = putBytes(ctx, s, u.key, append(b, '\n'))
	}
	if err != nil {
		return fmt.Errorf("begin the backup: %w", err)
	}
	return nil
}

func (u unfinished) keyOf(stamp string) string {
	return unfinisheds + u.Component + "/" + stamp + "-" + u.Sort + ".json"
}

// end takes the mark away again, from every copy. Where that fails the backup is none the
// less whole; nothing is pruned there before the mark is gone, and what stays is told.
func (u *unfinished) end(ctx context.Context, fan *storage.Fan) (remarks []string) {
	if u.key == "" {
		return nil
	}
	for _, a := range fan.Left() {
		if err := remove(ctx, a.Store, u.key); err != nil {
			remarks = append(remarks, fmt.Sprintf("%s holds the backup, and could not be told that it is whole; nothing is pruned there before the next backup could: %v", a.Name, err))
		}
	}
	return remarks
}

// abandoned is how old the mark of another host must be to count as nobody's: no
// backup takes longer.
const abandoned = 72 * time.Hour

// clearUnfinished settles what backups of this sort have left that did not come to
// their end. Whoever calls holds the component on this host, so a mark of this host is
// a dead one's. What could not be looked for is remarked.
func clearUnfinished(ctx context.Context, fan *storage.Fan, j job, host string, now time.Time) (remarks []string) {
	for _, a := range fan.Left() {
		said, err := clearIn(ctx, a.Store, fan.Left(), j, host, now)
		if err != nil {
			fan.Drop(a.Name, fmt.Errorf("clear what an interrupted backup has left: %w", err))
		}
		for _, r := range said {
			remarks = append(remarks, a.Name+": "+r)
		}
	}
	return remarks
}

func clearIn(ctx context.Context, s storage.Store, all []storage.Arm, j job, host string, now time.Time) (remarks []string, err error) {
	for o, err := range s.List(ctx, unfinisheds+j.component.Name+"/") {
		if err != nil {
			return remarks, err
		}
		if !strings.HasSuffix(o.Key, "-"+j.sort+".json") || o.Size > maxManifest {
			continue
		}
		var u unfinished
		in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
		err := json.NewDecoder(in).Decode(&u)
		in.Close()
		if err != nil && stored(err) {
			return remarks, err
		}
		if err != nil || u.Prefix == "" || u.Host != host && now.Sub(u.Begun) < abandoned {
			continue
		}
		said, err := u.settle(ctx, s, o.Key, all)
		remarks = append(remarks, said...)
		// Who may only add takes backups all the same: what was left lies under names
		// of its own, and its mark keeps it from being pruned or listed.
		if err != nil && !errors.Is(err, storage.ErrDenied) {
			return remarks, err
		}
	}
	return remarks, nil
}

// settle brings a backup that was cut off to an end in one copy, and takes its mark
// away: one that is whole there gets its manifest, and what there is of any other goes.
// All are copies that may have the manifest.
func (u unfinished) settle(ctx context.Context, s storage.Store, mark string, all []storage.Arm) (remarks []string, err error) {
	_, err = s.Stat(ctx, u.Last)
	switch {
	case err == nil:
		err = u.complete(ctx, s, mark, all)
	case errors.Is(err, storage.ErrNotExist):
		remarks, err = u.clear(ctx, s)
	}
	if err == nil {
		err = remove(ctx, s, mark)
	}
	return remarks, err
}

// prefixes are all of what its keys begin with.
func (u unfinished) prefixes() []string { return append([]string{u.Prefix}, u.Also...) }

// clear removes the objects of a backup that is not whole, and what no list shows.
func (u unfinished) clear(ctx context.Context, s storage.Store) (remarks []string, err error) {
	for _, prefix := range u.prefixes() {
		for o, err := range s.List(ctx, prefix) {
			if err != nil {
				return remarks, err
			}
			if err := remove(ctx, s, o.Key); err != nil {
				return remarks, err
			}
		}
		switch err := storage.Sweep(ctx, s, prefix); {
		case err == nil:
		case errors.Is(err, storage.ErrUnavailable), errors.Is(err, storage.ErrExpired), ctx.Err() != nil:
			return remarks, err
		default: // not every key may list uploads, and not every service does
			remarks = append(remarks, fmt.Sprintf("parts of the upload of %s that an interruption has left could not be looked for; let the key list and abort multipart uploads, or the bucket expire them: %v", prefix, err))
		}
	}
	return remarks, nil
}

// complete puts the manifest beside a backup that is whole and has none: the one that
// another copy has, or what is known without it.
func (u unfinished) complete(ctx context.Context, s storage.Store, mark string, all []storage.Arm) error {
	if u.Record == nil {
		return nil // by an earlier version
	}
	stamp := strings.TrimSuffix(path.Base(mark), "-"+u.Sort+".json")
	key := manifestKey(u.Component, stamp, u.Sort)
	if _, err := s.Stat(ctx, key); err == nil || !errors.Is(err, storage.ErrNotExist) {
		return err
	}
	for _, a := range all {
		o, err := a.Store.Stat(ctx, key)
		if err != nil {
			continue // what is known does without it
		}
		if m, err := readManifest(ctx, a.Store, o); err == nil && m.ID == u.Record.ID {
			return putManifest(ctx, s, stamp, u.Sort, m)
		}
	}
	m, err := u.known(ctx, s)
	if err != nil {
		return err
	}
	return putManifest(ctx, s, stamp, u.Sort, m)
}

// known is the manifest of a backup that is whole, from its mark and what the copy
// holds of it.
func (u unfinished) known(ctx context.Context, s storage.Store) (recovery.Manifest, error) {
	m := *u.Record
	var last recovery.StoredObject
	for _, prefix := range u.prefixes() {
		for o, err := range s.List(ctx, prefix) {
			if err != nil {
				return m, err
			}
			m.Ended = later(m.Ended, o.Modified)
			stored := recovery.StoredObject{Key: o.Key, Size: o.Size}
			if o.Key == u.Last {
				last = stored
				continue
			}
			m.Objects = append(m.Objects, stored)
		}
	}
	m.Objects = append(m.Objects, last)
	m.Moment = recovery.Span{From: m.Begun, To: m.Ended}
	m.Remarks = []string{"it was cut off when all of it was stored: what it holds, and the digests of its objects, were not recorded"}
	return m, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Unfinished lists the prefixes of backups that are under way in a copy, or were
// cut off there.
func Unfinished(ctx context.Context, s storage.Store) ([]string, error) {
	var all []string
	for o, err := range s.List(ctx, unfinisheds) {
		if err != nil {
			return nil, fmt.Errorf("list what is under way: %w", err)
		}
		var u unfinished
		in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
		err := json.NewDecoder(io.LimitReader(in, maxManifest)).Decode(&u)
		in.Close()
		if err != nil && stored(err) {
			return nil, err
		}
		if err == nil && u.Prefix != "" {
			all = append(all, u.Prefix)
		}
	}
	return all, nil
}
