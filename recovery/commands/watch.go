package commands

import (
	"errors"
	"io/fs"
	"path/filepath"
	"time"
)

// What a command has written is looked at so often, and at most a tenth of the time.
const (
	lookEvery = 500 * time.Millisecond
	lookShare = 10
)

// watch shows how much lies in a directory, as long as the command itself says nothing of
// how far it is, and once more when it is ended.
func (a *answer) watch(dir string) (end func()) {
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
				a.look(dir)
				wait = max(lookEvery, lookShare*time.Since(begun))
			}
		}
	}()
	return func() {
		close(stop)
		<-ended
		a.look(dir)
	}
}

// look counts what lies in a directory. One that cannot be read shows nothing: what is
// wrong with it is found when it is taken into service.
func (a *answer) look(dir string) {
	a.mu.Lock()
	told := a.told
	a.mu.Unlock()
	if told {
		return
	}
	var bytes int64
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // it was renamed meanwhile
		}
		if err != nil || !e.Type().IsRegular() {
			return err
		}
		if info, err := e.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	if err == nil && !a.told {
		a.meter.Set(bytes)
	}
}
