package main

import (
	"context"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

// A store is rarely on the same host. What a service of a cloud is like, from a host beside
// it: an answer takes some milliseconds to begin, and a single connection gives less than the
// line does.
const (
	farWay  = 10 * time.Millisecond // in one direction
	farPace = 40 << 20              // bytes a second, of one connection
)

// far is a server that is far away, once it is on: a connection through it takes as long as
// to a cloud's service.
type far struct {
	listener net.Listener
	to       string
	on       atomic.Bool
	open     sync.WaitGroup
	cancel   context.CancelFunc
}

// startFar lets a server be reached at an address as if it were far away.
func startFar(to string) (*far, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	f := &far{listener: l, to: to, cancel: cancel}
	f.open.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil { // it is closed
				return
			}
			f.open.Go(func() { f.connect(ctx, c) })
		}
	})
	return f, nil
}

func (f *far) address() string { return f.listener.Addr().String() }

func (f *far) stop() {
	f.cancel()
	_ = f.listener.Close()
	f.open.Wait()
}

// connect passes on what comes from both sides until one of them ends.
func (f *far) connect(ctx context.Context, client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", f.to)
	if err != nil {
		return
	}
	defer server.Close()
	stop := context.AfterFunc(ctx, func() { _ = errors.Join(client.Close(), server.Close()) })
	defer stop()
	var g errgroup.Group
	pass := func(to, from net.Conn) func() error {
		return func() error {
			err := f.pass(to, from)
			if half, ok := to.(*net.TCPConn); ok && err == nil {
				return half.CloseWrite()
			}
			return errors.Join(err, client.Close(), server.Close())
		}
	}
	g.Go(pass(server, client))
	g.Go(pass(client, server))
	_ = g.Wait() // either side sees what broke
}

// chunk is what came at a time.
type chunk struct {
	bytes []byte
	due   time.Time
}

// pass hands on what comes: each byte as late as the way is long, and no more in a second
// than a connection gives.
func (f *far) pass(to io.Writer, from io.Reader) error {
	under := make(chan chunk, 64)
	var g errgroup.Group
	g.Go(func() error {
		defer close(under)
		for {
			b := make([]byte, 32<<10)
			n, err := from.Read(b)
			if n > 0 {
				c := chunk{bytes: b[:n]}
				if f.on.Load() {
					c.due = time.Now().Add(farWay)
				}
				under <- c
			}
			if err == io.EOF {
				return nil
			}
			if err != nil {
				return err
			}
		}
	})
	g.Go(func() error {
		var free time.Time // when the line is
		var failed error
		for c := range under {
			if failed != nil {
				continue // so that who reads comes to its end
			}
			if f.on.Load() {
				if c.due.After(free) {
					free = c.due
				}
				time.Sleep(time.Until(free))
				free = free.Add(time.Duration(len(c.bytes)) * time.Second / farPace)
			}
			_, failed = to.Write(c.bytes)
		}
		return failed
	})
	return g.Wait()
}
