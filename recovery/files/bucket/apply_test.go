package bucket

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"comeback/storage"
)

// A stop waits for large copies that are under way, and not for those that wait for them.
func TestApply_stopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	var begun atomic.Int32
	release := make(chan struct{})
	list := func(yield func(change, error) bool) {
		for range 2 * largeBeside {
			if !yield(change{Key: "film.mp4", To: &storage.Object{Size: isLarge + 1}}, nil) {
				return
			}
		}
	}
	err := reverter{}.apply(ctx, list, func(ctx context.Context, _ change) error {
		if begun.Add(1) == largeBeside {
			stop()
			close(release)
		}
		<-release
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) || begun.Load() != largeBeside {
		t.Errorf("%v; %d were begun, want %d", err, begun.Load(), largeBeside)
	}
}
