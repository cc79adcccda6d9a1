package cnpg

import (
	"context"
	"sync"
	"syscall"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/said"
)

// helper is a kubectl that runs beside this process and ends with it.
type helper struct {
	sayer
	done   chan struct{}
	cancel context.CancelFunc
}

// start starts one and returns when it says what ready matches, of which it gives the first
// part. Where it ends before that, what it said is told by the helper.
func (k kube) start(ctx context.Context, ready *pattern.Pattern, args ...string) (*helper, string, error) {
	own, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h := &helper{sayer: sayer{Last: said.Last{Most: mostWords}, ready: ready, found: make(chan string, 1)}, done: make(chan struct{}), cancel: cancel}
	cmd := isolation.Command(own, recovery.Cmd{Path: k.Program, Args: k.args(args...), Env: k.environ, Dir: "/", Stdout: h, Stderr: h})
	isolation.EndBy(cmd, syscall.SIGKILL)
	var err error
	go func() {
		defer close(h.done)
		err = isolation.RunGroup(cmd, nil)
	}()
	select {
	case text := <-h.found:
		return h, text, nil
	case <-h.done:
		cancel()
		return h, "", err
	case <-ctx.Done():
		h.stop()
		return nil, "", context.Cause(ctx)
	}
}

// stop ends it and returns when it is gone.
func (h *helper) stop() {
	h.cancel()
	<-h.done
}

// over reports whether it has ended.
func (h *helper) over() bool {
	select {
	case <-h.done:
		return true
	default:
		return false
	}
}

// sayer looks for a text in what kubectl says, and keeps the end of it.
type sayer struct {
	said.Last
	ready *pattern.Pattern
	found chan string
	once  sync.Once
}

func (s *sayer) Write(p []byte) (int, error) {
	n, err := s.Last.Write(p)
	if m := s.ready.FindStringSubmatch(s.String()); m != nil {
		s.once.Do(func() { s.found <- m[1] })
	}
	return n, err
}

// mostWords is how much of what kubectl says is kept.
const mostWords = 4 << 10
