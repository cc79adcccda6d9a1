package pitr_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/postgres"
	"comeback/shop"
	"comeback/shop/shoptest"
	"comeback/storage"
)

// mute is a meter that keeps how much was written.
type mute struct {
	recovery.Meter
	wrote chan int64
}

func (mute) Phase(string, int64, recovery.Unit) {}
func (mute) Add(int64)                          {}
func (m mute) Set(n int64) {
	select {
	case m.wrote <- n:
	default:
	}
}

// A base backup is not begun where it finds too little room: what the last one took, or half
// of the cluster. It is ended before the disk is full, and tells how much it has written.
func TestCapture_room(t *testing.T) {
	t.Parallel()
	s := shoptest.Open(t, shop.Options{Scale: 1})
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("there is too little free")
	c := recovery.Component{Name: "database", Kind: recovery.Postgres, Settings: recovery.Settings{"url": {s.Layout.URL("postgres", "shop")}, "record": {"no"}}}
	last := &recovery.Manifest{Objects: []recovery.StoredObject{{Key: "base.tar.zst", Size: 4711}}}
	for name, test := range map[string]struct {
		last  *recovery.Manifest
		form  string
		asked func(n, cluster int64) bool
		// runs says that the program is started, and ended again.
		runs bool
	}{
		"none before":         {nil, "", func(n, cluster int64) bool { return n == cluster/8 && n > 0 }, false},
		"as the one before":   {last, "same", func(n, _ int64) bool { return n == 4711 }, false},
		"one of another form": {last, "incremental", func(n, cluster int64) bool { return n == cluster/8 }, false},
		"it fills up":         {nil, "", func(n, _ int64) bool { return n == 0 }, true},
	} {
		t.Run(name, func(t *testing.T) {
			e := pitr.New(pitr.Options{Temp: t.TempDir()}).(recovery.Capturer)
			m := mute{wrote: make(chan int64, 1)}
			src := recovery.Capture{System: "shop", Component: c, Stamp: "20261128T100000Z", Store: store, Temp: t.TempDir(), Meter: m, Now: time.Now,
				Secret: func(text string) (string, error) { return text, nil },
				Begin:  func(context.Context, recovery.Beginning) error { return nil }}
			if test.last != nil {
				last := *test.last
				if last.Form = test.form; test.form == "same" {
					tools, err := postgres.FindTools(0)
					if err != nil {
						t.Fatal(err)
					}
					last.Form = "base backup, tar, " + tools.Packing().Name
				}
				src.Last = &last
			}
			var asked []int64
			src.Room = func(more int64) error {
				asked = append(asked, more)
				if test.runs && len(asked) < 3 {
					return nil
				}
				return full
			}
			ran := false
			src.Command = func(ctx context.Context, cmd recovery.Cmd) error {
				ran = true
				dir := filepath.Join(src.Temp, "base")
				if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "base.tar"), make([]byte, 1234), 0o600)); err != nil {
					return err
				}
				<-ctx.Done() // nothing else ends it
				return ctx.Err()
			}
			made, err := e.Capture(t.Context(), src)
			if !errors.Is(err, full) || ran != test.runs || test.runs != strings.Contains(err.Error(), "before the disk is full") {
				t.Fatalf("started %v: %v", ran, err)
			}
			if n := asked[len(asked)-1]; !test.asked(n, made.SourceBytes) {
				t.Errorf("asked for %v, and the cluster has %d", asked, made.SourceBytes)
			}
			if ran && <-m.wrote != 1234 {
				t.Error("it does not tell how much it has written")
			}
		})
	}
}
