package written_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"comeback/recovery"
	"comeback/recovery/written"
)

// meter keeps what was set last.
type meter struct {
	recovery.Meter
	at chan int64
}

func (m meter) Set(n int64) {
	select {
	case <-m.at:
	default:
	}
	m.at <- n
}

// What writes is ended when no room is left, and not before.
func TestWithin(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "base.tar"), make([]byte, 4711), 0o600); err != nil {
		t.Fatal(err)
	}
	full, looks := errors.New("there is nothing left"), 0
	m := meter{at: make(chan int64, 1)}
	running, end := written.Within(t.Context(), func(more int64) error {
		if looks++; looks < 3 || more != 0 {
			return nil
		}
		return full
	}, m, dir)
	<-running.Done()
	if err := end(); !errors.Is(err, full) || looks != 3 {
		t.Errorf("after %d looks: %v", looks, err)
	}
	if n := <-m.at; n != 4711 {
		t.Errorf("%d bytes were written", n)
	}
	running, end = written.Within(t.Context(), nil, m, filepath.Join(dir, "later"))
	if err := errors.Join(running.Err(), end()); err != nil {
		t.Error(err)
	}
}
