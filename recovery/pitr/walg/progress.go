package walg

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"

	"comeback/recovery"
)

// amount is how much has been written.
type amount struct {
	files int
	bytes int64
}

// measure adds up the files below directories. One that goes while it is looked at counts
// nothing.
func measure(dirs ...string) (a amount, err error) {
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
				a.files++
				a.bytes += info.Size()
			case errors.Is(err, fs.ErrNotExist):
				err = nil
			}
			return err
		}))
	}
	return a, err
}

// Progress is looked at so often, and at most a tenth of the time.
const (
	lookEvery = 500 * time.Millisecond
	lookShare = 10
)

// watch tells the meter how much lies below directories, until it is ended. WAL-G itself
// tells only of whole parts, each of about a gigabyte.
func watch(meter recovery.Meter, dirs ...string) (end func()) {
	stop, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for wait := lookEvery; ; {
			timer := time.NewTimer(wait)
			select {
			case <-stop:
				timer.Stop()
				return
			case begun := <-timer.C:
				if a, err := measure(dirs...); err == nil {
					meter.Set(a.bytes)
				}
				wait = max(lookEvery, lookShare*time.Since(begun))
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
	}
}
