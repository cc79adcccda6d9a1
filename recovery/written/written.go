// Package written shows how far programs are that tell nothing of it, by what they have
// written.
//
// It only looks: what cannot be read shows nothing, and is found by whoever uses it.
package written

import (
	"context"
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"comeback/recovery"
)

// Written is how much has been written.
type Written struct {
	Files int
	Bytes int64
}

// Of is how much of a whole it is, in bytes, and never more than that: a backup says how much was read
// of its source, and a little more than that comes of it.
func (w Written) Of(all int64) int64 {
	if all > 0 {
		return min(w.Bytes, all)
	}
	return w.Bytes
}

// Measure adds up the files below directories. One that goes while it is looked at counts
// nothing.
func Measure(dirs ...string) (w Written, err error) {
	for _, dir := range dirs {
		err = errors.Join(err, filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			info, err := e.Info()
			switch {
			case err == nil:
				w.Files++
				w.Bytes += info.Size()
			case errors.Is(err, fs.ErrNotExist):
				err = nil
			}
			return err
		}))
	}
	return w, err
}

// Progress is looked at so often, and at most a tenth of the time.
const (
	every = 500 * time.Millisecond
	share = 10
)

// Show tells the meter how much of all lies below directories, until it is ended: of
// programs that write there and tell nothing of it, or only now and then. All is 0 where it is
// not known.
func Show(meter recovery.Meter, all int64, dirs ...string) (end func()) {
	return Watch(func() {
		if w, err := Measure(dirs...); err == nil {
			meter.Set(w.Of(all))
		}
	})
}

// Within is Show for a program that may fill its disk, and Roomy.
func Within(ctx context.Context, room func(more int64) error, meter recovery.Meter, dirs ...string) (running context.Context, end func() error) {
	return Roomy(ctx, room, func() {
		if w, err := Measure(dirs...); err == nil {
			meter.Set(w.Bytes)
		}
	})
}

// Roomy looks for room, again and again, while something is written: where room, which may be
// nil, says that nothing is left of what may be, the context that it gives ends, and end gives
// what room has said. What else there is to look at may be nil.
func Roomy(ctx context.Context, room func(more int64) error, look func()) (running context.Context, end func() error) {
	running, stop := context.WithCancelCause(ctx)
	var full error
	ended := Watch(func() {
		if look != nil {
			look()
		}
		if room == nil || full != nil {
			return
		}
		if full = room(0); full != nil {
			stop(full)
		}
	})
	return running, func() error {
		ended()
		stop(nil)
		return full
	}
}

// Watch looks again and again, until it is ended.
func Watch(look func()) (end func()) {
	return WatchAndAct(func() time.Duration {
		begun := time.Now()
		look()
		return time.Since(begun)
	})
}

// WatchAndAct is Watch for what also acts upon what it sees: it gives how long the looking
// took, which alone decides when it looks again.
func WatchAndAct(look func() time.Duration) (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for wait := every; ; {
			timer := time.NewTimer(wait)
			select {
			case <-stop:
				timer.Stop()
				return
			case <-timer.C:
				wait = max(every, share*look())
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}
