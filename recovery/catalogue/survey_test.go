package catalogue_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
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
