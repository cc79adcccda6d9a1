package switchover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// archives is an engine over copies, some of which have got a timeline.
type archives struct {
	recovery.Engine
	with  []string
	marks *[]string
}

func (archives) Schema() recovery.Schema {
	return recovery.Schema{Kind: recovery.Postgres, Engine: "pitr"}
}
func (archives) End(recovery.Survey) recovery.LSN { return 1 }
func (archives) Survey(_ context.Context, _ recovery.Component, c recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	return recovery.Survey{Copy: c.Name}, nil
}
func (a archives) Holds(_ context.Context, s recovery.Survey, _ storage.Store, file string) (bool, error) {
	return file == "00000002.history" && slices.Contains(a.with, s.Copy), nil
}
func (a archives) MarkTimeline(_ context.Context, _ recovery.Component, _ storage.Store, t recovery.TimelineMark) (bool, error) {
	*a.marks = append(*a.marks, fmt.Sprintf("%s: %d dead %v by %s", t.Copy, t.Timeline, t.Dead, t.Run))
	return true, nil
}

// A timeline that was started and given back is marked in all copies, once one of them has
// got it; a copy that does not answer is told of, with what to write instead.
func TestLeaveTimeline(t *testing.T) {
	all := []string{"near: 2 dead true by 7c31", "near: 1 dead false by 7c31", "far: 2 dead true by 7c31", "far: 1 dead false by 7c31"}
	for name, c := range map[string]struct {
		with   []string
		silent string
		want   []string
		says   string
	}{
		"in both":                            {with: []string{"near", "far"}, want: all},
		"in the second":                      {with: []string{"far"}, want: all},
		"in none":                            {},
		"in one, and the other is silent":    {with: []string{"near"}, silent: "far", want: all[:2], says: "note that timeline 2 is dead: far: no route"},
		"in none that answers":               {silent: "far", says: "look for timeline 2 in far: no route"},
		"in the second, the first is silent": {with: []string{"far"}, silent: "near", want: all[2:], says: "note that timeline 2 is dead: near: no route"},
	} {
		t.Run(name, func(t *testing.T) {
			var marks []string
			k := leaveTimeline{Options{
				Engines: func() []recovery.Engine { return []recovery.Engine{archives{with: c.with, marks: &marks}} },
				OpenCopy: func(_ context.Context, cp recovery.Copy, _ func(string) (string, error)) (storage.Store, error) {
					if cp.Name == c.silent {
						return nil, errors.New("no route")
					}
					return storage.OpenDir(t.TempDir())
				}}, plainly}
			mark, err := json.Marshal(markArgs{Of: recovery.Component{Name: "shop", Kind: recovery.Postgres}, Copies: []recovery.Copy{{Name: "near"}, {Name: "far"}}, System: "7301448812", Dead: 2, Alive: 1, Run: "7c31"})
			if err != nil {
				t.Fatal(err)
			}
			err = k.Release(t.Context(), recovery.Resource{Kind: startedTimeline, ID: "2 of /srv/pg/shop", Details: map[string]string{"engine": "pitr", "mark": string(mark)}})
			if (err != nil) != (c.says != "") || err != nil && (!strings.Contains(err.Error(), c.says) || !strings.Contains(err.Error(), "set `timeline: 1` of shop")) {
				t.Errorf("error %v", err)
			}
			if !slices.Equal(marks, c.want) {
				t.Errorf("marked %q, want %q", marks, c.want)
			}
		})
	}
}
