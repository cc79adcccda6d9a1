package files

import (
	"errors"
	"fmt"
	"syscall"
	"testing"

	"comeback/recovery"
)

// A restore is ended by a disk that has too little room, and by none that does not tell.
func TestScratch_crowded(t *testing.T) {
	refused := recovery.Errorf("make room", "refused: no room").WithExit(recovery.Refused)
	for _, c := range []struct{ room, want error }{{}, {fmt.Errorf("look for room: %w", syscall.ESTALE), nil}, {refused, refused}} {
		s := scratch{room: func(int64) error { return c.room }}
		if err := s.crowded(); !errors.Is(err, c.want) {
			t.Errorf("%v: %v", c.room, err)
		}
	}
}
