package cnpg

import (
	"context"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgproto3"
)

// A server that takes a cancellation and never answers does not hold up the end of a relay.
func TestRelay_hush(t *testing.T) {
	listen, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listen.Close()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := &relay{tunnel: &tunnel{on: &forward{&helper{done: make(chan struct{})}, listen.Addr().String()}}}
	r.all.Go(func() { r.hush(ctx, &pgproto3.CancelRequest{ProcessID: 1, SecretKey: []byte{0, 0, 0, 2}}) })
	server, err := listen.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if _, err := io.ReadFull(server, make([]byte, 16)); err != nil {
		t.Fatal(err)
	}
	cancel()
	r.all.Wait()
}
