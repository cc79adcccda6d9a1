package pitr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// A timeline on which nobody goes on is marked in the archive, in an object of its
// own beside the log, "00000002.comeback-7c31". PostgreSQL never asks for it, and
// nothing of the log is touched: whoever sets the component's timeline goes there
// all the same. The newest mark of a timeline counts.

// timelineMark is what such an object holds.
type timelineMark struct {
	Format   int       `json:"comeback_timeline"` // 1
	System   string    `json:"system_identifier"`
	Timeline uint32    `json:"timeline"`
	Dead     bool      `json:"dead"`
	Run      string    `json:"run"`
	At       time.Time `json:"at"`
}

// says is why nobody goes on there.
func (m timelineMark) says() string {
	return fmt.Sprintf("timeline %d was left with run %s, on %s", m.Timeline, m.Run, m.At.UTC().Format("2006-01-02 15:04:05Z"))
}

var markName = pattern.New(`^[0-9A-F]{8}\.comeback-[0-9a-zA-Z]+$`)

var _ recovery.TimelineMarker = (*engine)(nil)

// MarkTimeline notes in a copy whether a timeline goes on. A copy that holds no
// archive of the cluster gets no mark, and marked is false.
func (e *engine) MarkTimeline(ctx context.Context, c recovery.Component, store storage.Store, t recovery.TimelineMark) (marked bool, err error) {
	repo, err := e.form.Find(ctx, c, recovery.Copy{Name: t.Copy, URL: store.URL()}, Access{Store: store, Temp: e.Temp})
	if err != nil || repo == nil {
		return false, err
	}
	contents, err := repo.Contents(ctx)
	if err != nil {
		return false, err
	}
	for _, a := range contents.Archives {
		if a.System != t.System {
			continue
		}
		b, err := json.Marshal(timelineMark{Format: 1, System: t.System, Timeline: t.Timeline, Dead: t.Dead, Run: t.Run, At: t.At.UTC()})
		if err != nil {
			return false, fmt.Errorf("mark timeline %d: %w", t.Timeline, err)
		}
		dir := ""
		if m, apart := repo.(Marked); apart {
			dir = m.Marks(t.System)
		} else {
			dir = a.newestPlace().Dir
		}
		key := fmt.Sprintf("%s%s.comeback-%s", dir, walfile.FormatTimeline(t.Timeline), t.Run)
		_, err = store.Put(ctx, key, strings.NewReader(string(b)+"\n"), storage.PutOptions{IfAbsent: true, Size: int64(len(b)) + 1})
		if err != nil && !errors.Is(err, storage.ErrExist) {
			return false, recovery.Errorf(fetchHintText(err), "mark timeline %d in %s: %w", t.Timeline, store.URL(), err)
		}
		return true, nil
	}
	return false, nil
}

// marksApart reads the marks of an archive that has them elsewhere.
func (e *engine) marksApart(ctx context.Context, repo Repository, store storage.Store, a *Archive, c *Contents) error {
	m, apart := repo.(Marked)
	if !apart {
		return nil
	}
	var objects []storage.Object
	for o, err := range store.List(ctx, m.Marks(a.System)) {
		if err != nil {
			return fmt.Errorf("list the marks of timelines in %s: %w", store.URL(), err)
		}
		if markName.MatchString(path.Base(o.Key)) {
			objects = append(objects, o)
		}
	}
	return readMarks(ctx, store, e.Read, objects, a, c)
}

// readMarks reads the marks of an archive; those of the timelines that nobody goes on
// with are kept.
func readMarks(ctx context.Context, store storage.Store, read storage.ReadOptions, objects []storage.Object, a *Archive, c *Contents) error {
	newest := map[uint32]timelineMark{}
	for _, o := range objects {
		m, err := readMark(ctx, store, read, o)
		if err != nil && broken(ctx, err) {
			return fmt.Errorf("read %s: %w", o.Key, err)
		}
		if err != nil {
			c.Findings = append(c.Findings, recovery.Finding{Object: o.Key, Says: fmt.Sprintf("the mark of a timeline cannot be read: %v", err), Do: "set the component's timeline"})
			continue
		}
		if m.System == a.System && !m.At.Before(newest[m.Timeline].At) {
			newest[m.Timeline] = m
		}
	}
	for timeline, m := range newest {
		if !m.Dead {
			continue
		}
		if a.dead == nil {
			a.dead = map[uint32]timelineMark{}
		}
		a.dead[timeline] = m
	}
	return nil
}

func readMark(ctx context.Context, store storage.Store, read storage.ReadOptions, o storage.Object) (m timelineMark, err error) {
	in := storage.NewReader(ctx, store, o, read)
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, smallRead))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	timeline, ok := walfile.ParseTimeline(path.Base(o.Key)[:8])
	if !ok || m.Format != 1 || timeline != m.Timeline {
		return m, errors.New("it is not one of this version")
	}
	return m, nil
}

// alive leaves out the histories that end on a timeline which nobody goes on with,
// unless that one was asked for.
func (x *index) alive(all []branch, asked uint32) []branch {
	var kept []branch
	for _, b := range all {
		if _, dead := x.dead[b.timeline()]; !dead || b.timeline() == asked {
			kept = append(kept, b)
		}
	}
	return kept
}
