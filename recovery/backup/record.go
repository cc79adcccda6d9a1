package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"sync"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Where what is known of backups lies in a copy.
const (
	manifests   = "comeback/backups/"
	runbooksDir = "comeback/runbooks/"
	unfinisheds = "comeback/unfinished/"
)

var recording sync.Mutex // of the objects of a recorder: packs are stored side by side

// Put keeps the digest of the bytes that are stored.
func (r *recorder) Put(ctx context.Context, key string, in io.Reader, options storage.PutOptions) (storage.Object, error) {
	sum := sha256.New()
	o, err := r.Store.Put(ctx, key, io.TeeReader(in, sum), options)
	if err == nil {
		recording.Lock()
		defer recording.Unlock()
		r.objects = append(r.objects, recovery.StoredObject{Key: key, Size: o.Size, SHA256: hex.EncodeToString(sum.Sum(nil))})
	}
	return o, err
}

func (r *recorder) Unwrap() storage.Store { return r.Store }

// putBytes stores a small object that must not be there.
func putBytes(ctx context.Context, s storage.Store, key string, b []byte) error {
	_, err := s.Put(ctx, key, bytes.NewReader(b), storage.PutOptions{IfAbsent: true, Size: int64(len(b))})
	return err
}

// putManifest stores what is known of a backup beside it.
func putManifest(ctx context.Context, s storage.Store, stamp, sort string, m recovery.Manifest) error {
	b, err := m.Encode()
	if err == nil {
		err = putBytes(ctx, s, manifests+m.Component+"/"+stamp+"-"+sort+".json", b)
	}
	if err != nil {
		return fmt.Errorf("store what is known of %s: %w", m.ID, err)
	}
	return nil
}

// putRunbook stores the runbook, unless the copies have these very bytes.
func putRunbook(ctx context.Context, s storage.Store, o Options, stamp, digest string) error {
	prefix := runbooksDir + o.System + "/"
	for obj, err := range s.List(ctx, prefix) {
		if err != nil {
			return fmt.Errorf("store the runbook: %w", err)
		}
		if strings.HasSuffix(obj.Key, "-"+digest+".md") {
			return nil
		}
	}
	if err := putBytes(ctx, s, prefix+stamp+"-"+digest+".md", o.Runbook); err != nil {
		return fmt.Errorf("store the runbook: %w", err)
	}
	return nil
}

// maxManifest bounds what is read of one: a hundred thousand tables take less.
const maxManifest = 64 << 20

// Manifests reads what a copy knows of the backups of a component ("" is all),
// the oldest first. One that cannot be read is left out: it is a convenience, and
// the backup is judged by itself.
func Manifests(ctx context.Context, s storage.Store, component string) ([]recovery.Manifest, error) {
	prefix := manifests
	if component != "" {
		prefix += component + "/"
	}
	var all []recovery.Manifest
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list what is known of backups: %w", err)
		}
		if path.Ext(o.Key) != ".json" || o.Size > maxManifest {
			continue
		}
		m, err := readManifest(ctx, s, o)
		if err != nil && stored(err) {
			return nil, err
		}
		if err == nil {
			all = append(all, m)
		}
	}
	slices.SortStableFunc(all, func(a, b recovery.Manifest) int { return cmp.Or(a.Begun.Compare(b.Begun), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// stored reports whether a copy could not be read, as against what it holds.
func stored(err error) bool {
	return errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrExpired) || errors.Is(err, storage.ErrConfig) ||
		errors.Is(err, storage.ErrUnavailable) || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}

func readManifest(ctx context.Context, s storage.Store, o storage.Object) (recovery.Manifest, error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(in)
	if err != nil {
		return recovery.Manifest{}, fmt.Errorf("read %s: %w", o.Key, err)
	}
	return recovery.DecodeManifest(b)
}

// newest is the manifest of the newest backup of a sort, nil where none can be read,
// and its stamp. The manifest tells how much is to be expected, and nothing depends on
// it.
func newest(ctx context.Context, s storage.Store, component, sort string) (m *recovery.Manifest, stamp string) {
	var last storage.Object
	for o, err := range s.List(ctx, manifests+component+"/") {
		if err != nil {
			return nil, ""
		}
		if strings.HasSuffix(o.Key, "-"+sort+".json") && o.Size <= maxManifest {
			last = o
		}
	}
	if last.Key == "" {
		return nil, ""
	}
	stamp = strings.TrimSuffix(path.Base(last.Key), "-"+sort+".json")
	found, err := readManifest(ctx, s, last)
	if err != nil {
		return nil, stamp
	}
	return &found, stamp
}

// stampOf is the stamp of a backup that begins: its second, or the next one that no
// backup before it has, where several were taken within a moment.
func stampOf(begun time.Time, last string) string {
	stamp := begun.Format(stampLayout)
	if before, err := time.Parse(stampLayout, last); err == nil && stamp <= last && before.Sub(begun) < time.Minute {
		return before.Add(time.Second).Format(stampLayout)
	}
	return stamp
}

// unfinished is what a backup says of itself before it stores anything else.
type unfinished struct {
	Component string    `json:"component"`
	Sort      string    `json:"sort"`
	Host      string    `json:"host"`
	Begun     time.Time `json:"begun"`
	// Prefix is what its keys begin with; Last makes it whole.
	Prefix string `json:"prefix"`
	Last   string `json:"last"`

	key string
}

func (u *unfinished) begin(ctx context.Context, s storage.Store, stamp, prefix, last string) error {
	u.Prefix, u.Last = prefix, last
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

// clearUnfinished removes what backups of this sort have left that did not come
// to their end. Whoever calls holds the component on this host, so a mark of this
// host is a dead one's.
func clearUnfinished(ctx context.Context, fan *storage.Fan, j job, host string, now time.Time) {
	for _, a := range fan.Left() {
		if err := clearIn(ctx, a.Store, j, host, now); err != nil {
			fan.Drop(a.Name, fmt.Errorf("clear what an interrupted backup has left: %w", err))
		}
	}
}

func clearIn(ctx context.Context, s storage.Store, j job, host string, now time.Time) error {
	for o, err := range s.List(ctx, unfinisheds+j.component.Name+"/") {
		if err != nil {
			return err
		}
		if !strings.HasSuffix(o.Key, "-"+j.sort+".json") || o.Size > maxManifest {
			continue
		}
		var u unfinished
		in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
		err := json.NewDecoder(in).Decode(&u)
		in.Close()
		if err != nil && stored(err) {
			return err
		}
		if err != nil || u.Prefix == "" || u.Host != host && now.Sub(u.Begun) < abandoned {
			continue
		}
		err = u.clear(ctx, s)
		if err == nil {
			err = remove(ctx, s, o.Key)
		}
		// Who may only add takes backups all the same: what was left lies under names
		// of its own, and its mark keeps it from being pruned or listed.
		if err != nil && !errors.Is(err, storage.ErrDenied) {
			return err
		}
	}
	return nil
}

// clear removes the objects of a backup that is not whole.
func (u unfinished) clear(ctx context.Context, s storage.Store) error {
	_, err := s.Stat(ctx, u.Last)
	if err == nil {
		return nil // it is one, and stays
	}
	if !errors.Is(err, storage.ErrNotExist) {
		return err
	}
	for o, err := range s.List(ctx, u.Prefix) {
		if err != nil {
			return err
		}
		if err := remove(ctx, s, o.Key); err != nil {
			return err
		}
	}
	return nil
}

// remove removes an object; one that is gone is no failure.
func remove(ctx context.Context, s storage.Store, key string) error {
	o, err := s.Stat(ctx, key)
	if errors.Is(err, storage.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	swapper, ok := storage.As[storage.Swapper](s)
	if !ok {
		return recovery.Errorf("remove it by hand", "nothing can be removed from %s: %s", s.URL(), key)
	}
	return swapper.Remove(ctx, o)
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
