package backup

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
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
	// Token tells it from any other of its name; older versions gave none. Place is that
	// in which its process holds the component, and Renewed when it was last said that
	// it is at work: zero as long as nobody had to.
	Token   string    `json:"token,omitempty"`
	Place   string    `json:"place,omitempty"`
	Renewed time.Time `json:"renewed,omitzero"`
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
// less whole; nothing is pruned there before the mark is gone, and what stays is told. A
// mark that is gone already somebody has taken for a dead one's.
func (u *unfinished) end(ctx context.Context, fan *storage.Fan) (remarks []string) {
	if u.key == "" {
		return nil
	}
	for _, a := range fan.Left() {
		err := u.ours(ctx, a.Store, time.Time{})
		if errors.Is(err, errTaken) {
			fan.Drop(a.Name, err)
			continue
		}
		if err == nil {
			err = remove(ctx, a.Store, u.key)
		}
		if err != nil {
			remarks = append(remarks, fmt.Sprintf("%s holds the backup, and could not be told that it is whole; nothing is pruned there before the next backup could: %v", a.Name, err))
		}
	}
	return remarks
}

// clearUnfinished settles what backups of a component have left that did not come to
// their end, and are dead, of whatever sort: another may be asked for since. What could
// not be looked for is remarked.
func clearUnfinished(ctx context.Context, fan *storage.Fan, component string, by holder, now time.Time) (remarks []string) {
	for _, a := range fan.Left() {
		said, err := clearIn(ctx, a.Store, fan.Left(), component, by, now)
		if err != nil {
			fan.Drop(a.Name, fmt.Errorf("clear what an interrupted backup has left: %w", err))
		}
		for _, r := range said {
			remarks = append(remarks, a.Name+": "+r)
		}
	}
	return remarks
}

func clearIn(ctx context.Context, s storage.Store, all []storage.Arm, component string, by holder, now time.Time) (remarks []string, err error) {
	for o, err := range s.List(ctx, unfinisheds+component+"/") {
		if err != nil {
			return remarks, err
		}
		if o.Size > maxManifest {
			continue
		}
		u, err := readMark(ctx, s, o)
		if err != nil && stored(err) {
			return remarks, err
		}
		if err != nil || !u.dead(by, now) {
			continue
		}
		if err := u.plausible(o.Key); err != nil {
			remarks = append(remarks, fmt.Sprintf("%s was left alone, with all that it names: %v; see who has put it there, and remove it by hand", o.Key, err))
			continue
		}
		said, err := u.settle(ctx, s, o.Key, all)
		remarks = append(remarks, said...)
		if errors.Is(err, errWhole) {
			remarks = append(remarks, fmt.Sprintf("%s was left alone, with all that it names: %v", o.Key, err))
			continue
		}
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
		if err = u.complete(ctx, s, mark, all); err == nil {
			remarks, err = u.sweep(ctx, s)
		}
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

// stampIn is a time in the name of an object, as backups have it in theirs.
var stampIn = pattern.New(`[0-9]{8}T[0-9]{6}`)

// nearStamp is how far the time in a backup's names may be from that in its mark's.
const nearStamp = time.Hour

// plausible reports whether a mark says of itself what one of a backup does: its name has
// its component, its sort and when it began, and all that it names has that time, too, and
// is nothing of what is known of backups. Who may put marks into a copy, and no more, must
// not have others remove what is there.
func (u unfinished) plausible(mark string) error {
	stamp := strings.TrimSuffix(path.Base(mark), "-"+u.Sort+".json")
	begun, err := time.Parse(stampLayout, stamp)
	if err != nil || mark != u.keyOf(stamp) {
		return errors.New("its name is not that of what it says")
	}
	of := func(key string) bool {
		return !strings.HasPrefix(key, "comeback/") && slices.ContainsFunc(stampIn.FindAllString(key, -1), func(text string) bool {
			t, err := time.Parse("20060102T150405", text)
			return err == nil && t.Sub(begun).Abs() < nearStamp
		})
	}
	all := u.prefixes()
	for _, prefix := range all {
		if !of(prefix) {
			return fmt.Errorf("%q is not what the names of a backup of that time begin with", prefix)
		}
	}
	if !slices.ContainsFunc(all, func(prefix string) bool { return strings.HasPrefix(u.Last, prefix) }) {
		return fmt.Errorf("%q is none of its objects", u.Last)
	}
	return nil
}

// errWhole says that what a mark names belongs to a backup that is known to be whole.
var errWhole = errors.New("it names what is of a backup that was whole")

// spare returns errWhole where one of the objects is of a backup that has its manifest.
func spare(ctx context.Context, s storage.Store, objects []storage.Object) error {
	if len(objects) == 0 {
		return nil
	}
	known, err := Manifests(ctx, s, "")
	if err != nil {
		return err
	}
	of := map[string]string{}
	for _, m := range known {
		for _, o := range m.Objects {
			of[o.Key] = m.ID
		}
	}
	for _, o := range objects {
		if id, ok := of[o.Key]; ok {
			return fmt.Errorf("%w: %s is of %s", errWhole, o.Key, id)
		}
	}
	return nil
}

// clear removes the objects of a backup that is not whole, and what no list shows. It
// removes nothing where one of them is of a backup that has its manifest.
func (u unfinished) clear(ctx context.Context, s storage.Store) (remarks []string, err error) {
	var objects []storage.Object
	for _, prefix := range u.prefixes() {
		for o, err := range s.List(ctx, prefix) {
			if err != nil {
				return remarks, err
			}
			objects = append(objects, o)
		}
	}
	if err := spare(ctx, s, objects); err != nil {
		return remarks, err
	}
	for _, o := range objects {
		if err := remove(ctx, s, o.Key); err != nil {
			return remarks, err
		}
	}
	return u.sweep(ctx, s)
}

// sweep removes what no list shows of a backup's objects.
func (u unfinished) sweep(ctx context.Context, s storage.Store) (remarks []string, err error) {
	for _, prefix := range u.prefixes() {
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

// Begun is a backup that is under way in a copy, or was cut off there.
type Begun struct {
	// Component is that whose mark it is, Mark where that lies.
	Component, Mark string
	// Prefix is what the names of its objects begin with.
	Prefix string
	// Last is when it was last known to be at work.
	Last time.Time

	mark unfinished
}

// Unfinished lists the backups that are under way in a copy, or were cut off there.
func Unfinished(ctx context.Context, s storage.Store) ([]Begun, error) {
	var all []Begun
	for o, err := range s.List(ctx, unfinisheds) {
		if err != nil {
			return nil, fmt.Errorf("list what is under way: %w", err)
		}
		u, err := readMark(ctx, s, o)
		if err != nil && stored(err) {
			return nil, err
		}
		if err == nil {
			component, _, _ := strings.Cut(strings.TrimPrefix(o.Key, unfinisheds), "/")
			from, _ := u.lasts()
			all = append(all, Begun{Component: component, Mark: o.Key, Prefix: u.Prefix, Last: from, mark: u})
		}
	}
	return all, nil
}

// disturbs reports whether a backup may need what retention of a component would remove:
// it is not dead, and is of that component or lies where the component's backups do.
func (b Begun) disturbs(component string, ids map[string]recovery.Manifest, by holder, now time.Time) bool {
	if b.mark.dead(by, now) {
		return false
	}
	for _, prefix := range b.mark.prefixes() {
		for id := range ids {
			if placeIn(prefix) == placeIn(id) {
				return true
			}
		}
	}
	return b.Component == component
}

// placeIn is what a name has before its time.
func placeIn(key string) string {
	if at := stampIn.FindStringIndex(key); at != nil {
		return key[:at[0]]
	}
	return key
}
