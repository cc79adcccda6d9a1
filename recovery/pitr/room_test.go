package pitr

import (
	"context"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/storage"
)

var errFull = errors.New("there is too little free")

// crowded is a replay's world whose disk fills up, and whose copy keeps it waiting for the log.
type crowded struct{ recovery.Env }

func (e crowded) Target(ctx context.Context, id recovery.TargetID) (recovery.Handle, error) {
	h, err := e.Env.Target(ctx, id)
	h.Room = func(int64) error { return errFull }
	return h, err
}

func (e crowded) Store(ctx context.Context, name string) (storage.Store, error) {
	s, err := e.Env.Store(ctx, name)
	return waiting{s}, err
}

// waiting gives no segment of the log.
type waiting struct{ storage.Store }

func (w waiting) Open(ctx context.Context, o storage.Object, offset int64) (io.ReadCloser, error) {
	if name, _, _ := strings.Cut(path.Base(o.Key), "."); len(name) == 24 {
		<-ctx.Done() // nothing else ends it
		return nil, context.Cause(ctx)
	}
	return w.Store.Open(ctx, o, offset)
}

// crowding is an engine whose replays meet that world.
type crowding struct{ recovery.Engine }

func (e crowding) Kinds() []recovery.Kind {
	all := e.Engine.Kinds()
	for i, k := range all {
		if strings.HasSuffix(k.Name(), ".replay") {
			all[i] = crowdedKind{k}
		}
	}
	return all
}

type crowdedKind struct{ recovery.Kind }

func (k crowdedKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	return k.Kind.Do(ctx, crowded{env}, s)
}

// A replay is ended before what the log adds fills the disk, on which live may be.
func TestReplay_endsBeforeFull(t *testing.T) {
	t.Parallel()
	c := source.get(t).copy(t, "zstd")
	p := mustResolve(t, c.store, survey(t, c.store, database), "latest")
	r := restore(t, c.store, p, func(o *enginetest.Options) { o.Engine = crowding{o.Engine} })
	says, _ := enginetest.Failure(r.state)
	if r.state.Result != recovery.ResultFailed || !strings.Contains(says, "stop the replay before the disk is full: "+errFull.Error()) {
		t.Errorf("the run ended as %s: %s", r.state.Result, says)
	}
}
