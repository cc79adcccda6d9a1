package tui

import (
	"context"
	"iter"
	"testing"
	"time"

	"comeback/recovery"
)

// TestReading_EndsWhenItIsStopped stops a log that never ends.
func TestReading_EndsWhenItIsStopped(t *testing.T) {
	ended := make(chan struct{})
	r := read(t.Context(), func(ctx context.Context, progress func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error] {
		return func(yield func(recovery.Transaction, error) bool) {
			defer close(ended)
			for i := int64(1); yield(recovery.Transaction{}, nil); i++ {
				progress(recovery.ScanProgress{Done: i, Total: i + 1})
			}
		}
	})
	first := <-r.out
	second := <-r.out
	for _, g := range []glimpse{first, second} {
		if len(g.transactions) == 0 || len(g.transactions) > glimpseMost || g.over {
			t.Errorf("a glimpse has %d transactions, over %v", len(g.transactions), g.over)
		}
	}
	r.stop()
	select {
	case <-ended:
	case <-time.After(patience):
		t.Fatal("it goes on")
	}
	for range r.out {
	}
}
