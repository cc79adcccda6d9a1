package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/dump"
	"comeback/storage"
	"comeback/storagetest"
)

// besideSilent are options of a look at a copy that answers nothing, until the test ends, and
// at another one; found is told of each component that was looked for there.
func besideSilent(t *testing.T, components []recovery.Component, found func()) catalogue.Options {
	t.Helper()
	nearby, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, nearby, "notes.txt", "text")
	silent := make(chan struct{})
	t.Cleanup(func() { close(silent) })
	return catalogue.Options{Components: components, Copies: []recovery.Copy{{Name: "nas"}, {Name: "nearby"}},
		Engines: []recovery.Engine{dump.New(dump.Options{})},
		OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) {
			if c.Name == "nas" {
				<-silent
			}
			return nearby, nil
		},
		Progress: func(p catalogue.Progress) {
			if p.Copy == "nearby" && p.State == "ok" {
				found()
			}
		}}
}

// Who stops looking is not kept waiting by a copy that answers nothing.
func TestSurvey_silent(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	o := besideSilent(t, []recovery.Component{{Name: "database", Kind: recovery.Postgres}}, cancel)
	if cat, err := catalogue.Survey(ctx, o); !errors.Is(err, context.Canceled) || len(cat.Surveys) > 0 {
		t.Errorf("%+v, %v", cat, err)
	}
}

// A copy that answers nothing keeps no other waiting, however much there is to ask it.
func TestSurvey_manyOfASilentCopy(t *testing.T) {
	var components []recovery.Component
	for n := range 20 {
		components = append(components, recovery.Component{Name: fmt.Sprintf("database%d", n), Kind: recovery.Postgres})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var left atomic.Int32
	left.Store(int32(len(components)))
	o := besideSilent(t, components, func() {
		if left.Add(-1) == 0 {
			cancel()
		}
	})
	if _, err := catalogue.Survey(ctx, o); !errors.Is(err, context.Canceled) || left.Load() != 0 {
		t.Errorf("%v; %d components of the other copy were not looked at", err, left.Load())
	}
}

// reads is an engine whose survey does not end in one copy before the test does.
type reads struct {
	recovery.Engine
	silent chan struct{}
}

func (r reads) Survey(_ context.Context, c recovery.Component, cp recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	if cp.Name == "nas" {
		<-r.silent
	}
	return recovery.Survey{Component: c.Name, Copy: cp.Name}, nil
}

// cold is an engine whose backups lie in an archive, some of them.
type cold struct {
	recovery.Engine
	backups []recovery.Backup
}

func (e cold) Survey(_ context.Context, c recovery.Component, cp recovery.Copy, _ storage.Store) (recovery.Survey, error) {
	return recovery.Survey{Component: c.Name, Copy: cp.Name, Backups: e.backups}, nil
}

// Where the newest backup that can be restored lies in an archive, that is found; older ones may.
func TestSurvey_archived(t *testing.T) {
	in := recovery.Backup{ID: "archived", Objects: []storage.Object{{Key: "archived", Size: 5, Archived: "GLACIER"}}}
	parts := recovery.Backup{ID: "parts", Archived: recovery.Archived{Objects: 2, Bytes: 7, Class: "DEEP_ARCHIVE", First: "pack"}}
	at, broken := recovery.Backup{ID: "hand", Objects: []storage.Object{{Key: "hand", Size: 5}}}, recovery.Backup{ID: "broken", Problem: "cut off"}
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		backups []recovery.Backup
		says    string
	}{
		{[]recovery.Backup{in, parts, at}, ""},
		{[]recovery.Backup{at, in, broken}, "1 object of it, 5 B, in GLACIER"},
		{[]recovery.Backup{at, parts}, "2 objects of it, 7 B, in DEEP_ARCHIVE"},
	} {
		cat, err := catalogue.Survey(t.Context(), catalogue.Options{Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}}, Copies: []recovery.Copy{{Name: "nearby"}},
			Engines:   []recovery.Engine{cold{dump.New(dump.Options{}), c.backups}},
			OpenStore: func(context.Context, recovery.Copy) (storage.Store, error) { return store, nil }})
		if err != nil {
			t.Fatal(err)
		}
		found := cat.Surveys[0].Findings
		if len(found) != min(len(c.says), 1) || len(found) > 0 && (!strings.Contains(found[0].Says, c.says) || !strings.Contains(found[0].Do, "restore-object")) {
			t.Errorf("%+v, want %q", found, c.says)
		}
	}
}

// A directory that answers no more while it is read is refused, with what it says when it is
// asked again, and the other copy is there. One that only takes its time is waited for.
func TestSurvey_fallsSilent(t *testing.T) {
	for name, gone := range map[string]bool{"its file server is gone": true, "it takes its time": false} {
		t.Run(name, func(t *testing.T) {
			store, err := storage.OpenDir(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				silent := make(chan struct{})
				var asked atomic.Int32
				cat, err := catalogue.Survey(t.Context(), catalogue.Options{
					Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}}, Copies: []recovery.Copy{{Name: "nas"}, {Name: "nearby"}},
					Engines: []recovery.Engine{reads{dump.New(dump.Options{}), silent}},
					OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) {
						if c.Name == "nas" && asked.Add(1) == 4 {
							if gone {
								return nil, &storage.Error{Op: "open", Object: store.URL(), Kind: storage.ErrUnavailable, Says: "the directory has not answered"}
							}
							close(silent)
						}
						return store, nil
					}})
				if gone {
					close(silent)
				}
				if err != nil || len(cat.Surveys) != map[bool]int{true: 1, false: 2}[gone] {
					t.Fatalf("%+v, %v", cat, err)
				}
				if gone && (len(cat.Refusals) != 1 || cat.Refusals[0].Copy != "nas" || !errors.Is(cat.Refusals[0].Err, storage.ErrUnavailable)) {
					t.Errorf("refused is %+v", cat.Refusals)
				}
			})
		})
	}
}
