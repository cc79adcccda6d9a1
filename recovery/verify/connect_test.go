package verify_test

import (
	"errors"
	"io"
	"net"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"

	"comeback/recovery"
	"comeback/recovery/verify"
	"comeback/shop"
	"comeback/shop/shoptest"
)

// A server whose connections are all taken is asked again, and then it is said what is missing:
// the query is not at fault.
func TestSQLCheck_allConnectionsTaken(t *testing.T) {
	s := shoptest.Open(t, shop.Options{Scale: 1})
	t.Cleanup(verify.SetPatience(time.Millisecond, time.Millisecond))
	for _, c := range []struct {
		refuses int
		held    bool
	}{{2, true}, {3, false}} {
		url := crowded(t, s.Layout, c.refuses)
		o, err := check(t.Context(), url, "select count(*) from orders", "= 1", 0)
		if c.held && (err != nil || !o.Check.Held) {
			t.Errorf("refused %d times: %+v, %v", c.refuses, o.Check, err)
		}
		if !c.held && (err == nil || !strings.Contains(err.Error(), "too many clients") || !strings.Contains(recovery.HintOf(err), "max_connections")) {
			t.Errorf("refused %d times: %v (hint %q)", c.refuses, err, recovery.HintOf(err))
		}
	}
}

// crowded is the address of a socket that refuses some connections, as a server does whose
// connections are all taken, and leads to the shop's server from then on.
func crowded(t *testing.T, l shop.Layout, refuses int) string {
	t.Helper()
	return before(t, l, "shop", func(n int, c net.Conn, server string) error {
		if n <= refuses {
			return refuse(c)
		}
		return lead(c, server)
	})
}

// before is the address of a socket before the shop's server, of which serve is given each
// connection, with its number, and the server's own socket.
func before(t *testing.T, l shop.Layout, user string, serve func(n int, c net.Conn, server string) error) string {
	t.Helper()
	const name = ".s.PGSQL.5432"
	dir := shoptest.Dir(t)
	listener, err := net.Listen("unix", filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	var under sync.WaitGroup
	t.Cleanup(func() {
		listener.Close()
		under.Wait()
	})
	under.Go(func() {
		for n := 1; ; n++ {
			c, err := listener.Accept()
			if err != nil {
				return // the test is over
			}
			under.Go(func() {
				defer c.Close()
				if err := serve(n, c, filepath.Join(l.Socket(), name)); err != nil {
					t.Errorf("connection %d: %v", n, err)
				}
			})
		}
	})
	u, err := url.Parse(l.URL(user, "shop"))
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("host", dir)
	u.RawQuery = q.Encode()
	return u.String()
}

func refuse(c net.Conn) error {
	b := pgproto3.NewBackend(c, c)
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return err
	}
	b.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "53300", Message: "sorry, too many clients already"})
	return b.Flush()
}

func lead(c net.Conn, to string) error {
	server, err := net.Dial("unix", to)
	if err != nil {
		return err
	}
	defer server.Close()
	var back sync.WaitGroup
	back.Go(func() {
		_, _ = io.Copy(c, server) // until either has ended
		c.Close()
	})
	_, err = io.Copy(server, c)
	err = errors.Join(err, server.(*net.UnixConn).CloseWrite())
	back.Wait()
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return err
}
