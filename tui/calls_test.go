package tui

import (
	"context"
	"iter"
	"runtime"
	"testing"
	"time"

	"comeback/recovery"
)

// Who leaves the console waits until its calls have cleaned up behind themselves, and
// begins none any more.
func TestCalls(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ctx, calls := withCalls(ctx)
	begun := make(chan struct{}, 2)
	cleaned := 0
	slow := func(ctx context.Context) {
		begun <- struct{}{}
		<-ctx.Done()
		for range 1000 {
			runtime.Gosched()
		}
	}
	var read1, asked bool
	r := read(ctx, func(ctx context.Context, _ func(recovery.ScanProgress)) iter.Seq2[recovery.Transaction, error] {
		return func(func(recovery.Transaction, error) bool) {
			slow(ctx)
			read1 = true
		}
	})
	defer r.stop()
	go ask(ctx, nil, func(ctx context.Context) (int, error) {
		slow(ctx)
		asked = true
		return 0, nil
	}, nil)()
	<-begun
	<-begun
	cancel()
	calls.wait(time.Minute)
	if !read1 || !asked {
		t.Errorf("it ended before its calls: a log read %v, the desk asked %v", read1, asked)
	}
	if msg := ask(ctx, nil, func(context.Context) (int, error) { cleaned++; return 0, nil }, nil)(); msg != nil || cleaned != 0 {
		t.Error("a call begins when everything has ended")
	}
}

// A call that does not heed its end keeps nobody for ever.
func TestCalls_limit(t *testing.T) {
	ctx, calls := withCalls(t.Context())
	done, ok := calling(ctx)
	if !ok {
		t.Fatal("no call may begin")
	}
	defer done()
	calls.wait(time.Millisecond)
}
