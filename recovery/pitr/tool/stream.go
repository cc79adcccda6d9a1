package tool

import (
	"context"
	"errors"
	"io"
)

// Stream gives what a command answers while it runs. Its error is the reader's, and
// closing the reader ends it.
func Stream(ctx context.Context, run func(context.Context, io.Writer) error) io.ReadCloser {
	ctx, end := context.WithCancelCause(ctx)
	out, in := io.Pipe()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in.CloseWithError(run(ctx, in)) // nil is the end
	}()
	return &stream{PipeReader: out, end: func() {
		end(errClosed)
		<-ended
	}}
}

var errClosed = errors.New("nobody reads on")

type stream struct {
	*io.PipeReader
	end func()
}

func (s *stream) Close() error {
	err := s.PipeReader.Close()
	s.end()
	return err
}
