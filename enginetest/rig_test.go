package enginetest

import (
	"context"
	"errors"
	"runtime"
	"testing"

	"comeback/recovery"
)

// A probe that ends its goroutine, as t.Fatal does, fails its step, which ends.
func TestProbe_ends(t *testing.T) {
	p := probe(func(context.Context, recovery.Env) error {
		runtime.Goexit()
		return nil
	})
	if _, err := p.Do(t.Context(), nil, recovery.Step{}); !errors.Is(err, errEnded) {
		t.Errorf("it ended with %v", err)
	}
	if _, err := probe(func(context.Context, recovery.Env) error { return nil }).Do(t.Context(), nil, recovery.Step{}); err != nil {
		t.Error(err)
	}
}
