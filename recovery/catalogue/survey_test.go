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

// Who stops looking is not kept waiting by a copy that answers nothing.
func TestSurvey_silent(t *testing.T) {
	nearby, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, nearby, "notes.txt", "text")
	ctx, cancel := context.WithCancel(t.Context())
	silent := make(chan struct{})
	defer close(silent)
	o := catalogue.Options{Components: []recovery.Component{{Name: "database", Kind: recovery.Postgres}}, Copies: []recovery.Copy{{Name: "nas"}, {Name: "nearby"}},
		Engines: []recovery.Engine{dump.New(dump.Options{})},
		OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) {
			if c.Name == "nas" {
				<-silent
			}
			return nearby, nil
		},
		Progress: func(p catalogue.Progress) {
			if p.Copy == "nearby" && p.State == "ok" {
				cancel()
			}
		}}
	if cat, err := catalogue.Survey(ctx, o); !errors.Is(err, context.Canceled) || len(cat.Surveys) > 0 {
		t.Errorf("%+v, %v", cat, err)
	}
}

// A copy that answers nothing keeps no other waiting, however much there is to ask it.
func TestSurvey_manyOfASilentCopy(t *testing.T) {
	nearby, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	storagetest.Put(t, nearby, "notes.txt", "text")
	var components []recovery.Component
	for n := range 20 {
		components = append(components, recovery.Component{Name: fmt.Sprintf("database%d", n), Kind: recovery.Postgres})
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	silent := make(chan struct{})
	defer close(silent)
	var left atomic.Int32
	left.Store(int32(len(components)))
	o := catalogue.Options{Components: components, Copies: []recovery.Copy{{Name: "nas"}, {Name: "nearby"}},
		Engines: []recovery.Engine{dump.New(dump.Options{})},
		OpenStore: func(_ context.Context, c recovery.Copy) (storage.Store, error) {
			if c.Name == "nas" {
				<-silent
			}
			return nearby, nil
		},
		Progress: func(p catalogue.Progress) {
			if p.Copy == "nearby" && p.State == "ok" && left.Add(-1) == 0 {
				cancel()
			}
		}}
	if _, err := catalogue.Survey(ctx, o); !errors.Is(err, context.Canceled) || left.Load() != 0 {
		t.Errorf("%v; %d components of the other copy were not looked at", err, left.Load())
	}
}
