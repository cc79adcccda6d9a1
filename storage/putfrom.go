package storage

import (
	"context"
	"errors"
	"io"
)

// errNotStored is what a producer is told whose output nobody takes any more.
var errNotStored = errors.New("it cannot be stored")

// PutFrom stores what produce writes, as it writes it, under a key that must not
// be taken; atMost is how much that is at most, as in PutOptions. A failure of produce is that of the whole, and leaves no object;
// where the store fails, produce's context ends. Progress is told bytes, and may
// be nil.
func PutFrom(ctx context.Context, s Store, key string, atMost int64, progress func(n int64), produce func(context.Context, io.Writer) error) (Object, error) {
	producing, cancel := context.WithCancel(ctx)
	defer cancel()
	r, w := io.Pipe()
	produced := make(chan error, 1)
	go func() {
		err := produce(producing, w)
		w.CloseWithError(err)
		produced <- err
	}()
	o, err := s.Put(ctx, key, &counted{r, progress}, PutOptions{IfAbsent: true, Size: -1, AtMost: atMost})
	r.CloseWithError(errNotStored)
	if err != nil {
		cancel()
	}
	errProduce := <-produced
	// What produce says of an end that the store has caused tells nothing.
	if errProduce != nil && (err == nil || errors.Is(err, errProduce)) {
		return Object{}, errProduce
	}
	return o, err
}
