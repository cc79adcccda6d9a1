package pitr

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
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

var _ recovery.TimelineMarker = nativeEngine{}

// MarkTimeline notes in a copy whether a timeline goes on. A copy that holds no
// archive of the cluster gets no mark, and marked is false.
func (e nativeEngine) MarkTimeline(ctx context.Context, c recovery.Component, store storage.Store, t recovery.TimelineMark) (marked bool, err error) {
	contents, err := e.native(c, store).Contents(ctx)
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
		key := fmt.Sprintf("%s%08X.comeback-%s", a.newestPlace().Dir, t.Timeline, t.Run)
		_, err = store.Put(ctx, key, strings.NewReader(string(b)+"\n"), storage.PutOptions{IfAbsent: true, Size: int64(len(b)) + 1})
		if err != nil && !errors.Is(err, storage.ErrExist) {
			return false, recovery.Errorf(fetchHintText(err), "mark timeline %d in %s: %w", t.Timeline, store.URL(), err)
		}
		return true, nil
	}
	return false, nil
}

// readMarks reads the marks in an archive's places; those of the timelines that
// nobody goes on with are kept.
func (n *native) readMarks(ctx context.Context, objects []storage.Object, a *Archive, c *Contents) error {
	newest := map[uint32]timelineMark{}
	for _, o := range objects {
		m, err := n.readMark(ctx, o)
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

func (n *native) readMark(ctx context.Context, o storage.Object) (m timelineMark, err error) {
	in := storage.NewReader(ctx, n.store, o, n.read)
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, smallRead))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, err
	}
	name, err := strconv.ParseUint(path.Base(o.Key)[:8], 16, 32)
	if err != nil || m.Format != 1 || uint32(name) != m.Timeline {
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
