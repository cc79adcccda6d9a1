package storage

import (
	"context"
	"fmt"
	"io"
	"time"
)

// attempt is one connection of a reader, which ends itself when nothing comes
// from it: a peer that vanished without a word would hold a Read for ever.
type attempt struct {
	body   io.ReadCloser
	cancel context.CancelFunc
	stall  time.Duration
	timer  *time.Timer // cancels when it fires
}

// open opens an object for one attempt.
func open(ctx context.Context, opens func(context.Context, Object, int64) (io.ReadCloser, error), object Object, offset int64, stall time.Duration) (*attempt, error) {
	ctx, cancel := context.WithCancel(ctx)
	a := &attempt{cancel: cancel, stall: stall, timer: time.AfterFunc(stall, cancel)}
	body, err := opens(ctx, object, offset)
	if !a.timer.Stop() && err != nil {
		err = a.stalled(err)
	}
	if err != nil {
		cancel()
		return nil, err
	}
	a.body = body
	return a, nil
}

func (a *attempt) Read(p []byte) (int, error) {
	a.timer.Reset(a.stall)
	n, err := a.body.Read(p)
	if !a.timer.Stop() && err != nil && err != io.EOF {
		err = a.stalled(err)
	}
	return n, err
}

func (a *attempt) stalled(err error) error {
	return &Error{Op: "read", Kind: ErrUnavailable, Says: fmt.Sprintf("nothing came for %v", a.stall), Err: err}
}

func (a *attempt) Close() {
	a.timer.Stop()
	a.cancel()
	a.body.Close()
}
