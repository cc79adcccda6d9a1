package cnpg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

// relay lets sessions in by a socket in a private directory, and signs on for them at a
// service: who may enter the directory needs no password, and none leaves this process.
type relay struct {
	tunnel *tunnel
	// sign is how it signs on; each session says to which database.
	sign   *pgconn.Config
	listen net.Listener
	cancel context.CancelFunc
	all    sync.WaitGroup
}

// relays are those of this process, by what they lead to.
var relays sync.Map

// startRelay listens in a directory, in the place of an earlier one to the same service.
func startRelay(dir string, t *tunnel, sign *pgconn.Config) error {
	stopRelay(t.kube, t.service)
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the socket directory: %w", err)
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return errors.Join(fmt.Errorf("%s is not a private directory of this user", dir), err)
	}
	path := filepath.Join(dir, ".s.PGSQL.5432")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // one of a process that is gone
	}
	listen, err := net.Listen("unix", path)
	if err != nil {
		return fmt.Errorf("listen for checks: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &relay{tunnel: t, sign: sign, listen: listen, cancel: cancel}
	relays.Store(relayed(t.kube, t.service), r)
	r.all.Go(func() { r.accept(ctx) })
	return nil
}

// relayed is what a relay leads to.
func relayed(k kube, service string) string {
	return strings.Join([]string{k.Kubeconfig, k.Context, k.Namespace, service}, "\x00")
}

// stopRelay ends one with its sessions and its forward; where there is none it does nothing.
func stopRelay(k kube, service string) {
	if r, ok := relays.LoadAndDelete(relayed(k, service)); ok {
		r := r.(*relay)
		r.cancel()
		_ = r.listen.Close() // nobody else closes it
		r.all.Wait()
		r.tunnel.again()
	}
}

func (r *relay) accept(ctx context.Context) {
	for {
		client, err := r.listen.Accept()
		if err != nil {
			return // it is closed
		}
		r.all.Go(func() {
			defer client.Close()
			defer context.AfterFunc(ctx, func() { client.Close() })()
			r.session(ctx, client)
		})
	}
}

// session serves one client until either side ends.
func (r *relay) session(ctx context.Context, client net.Conn) {
	backend := pgproto3.NewBackend(client, client)
	start, err := hello(backend, client)
	if err != nil {
		return // it has gone
	}
	if cancel, is := start.(*pgproto3.CancelRequest); is {
		r.hush(ctx, cancel)
		return
	}
	message, is := start.(*pgproto3.StartupMessage)
	if !is {
		return
	}
	server, err := r.open(ctx, message.Parameters)
	if err != nil {
		says := &pgconn.PgError{Severity: "FATAL", Code: "08006", Message: refusedTunnel(r.tunnel.service, err).Error()}
		if own, ok := errors.AsType[*pgconn.PgError](err); ok {
			says = own
		}
		backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", SeverityUnlocalized: "FATAL", Code: says.Code, Message: says.Message})
		_ = backend.Flush() // it may have gone
		return
	}
	defer server.Conn.Close()
	defer context.AfterFunc(ctx, func() { server.Conn.Close() })()
	backend.Send(&pgproto3.AuthenticationOk{})
	for name, v := range server.ParameterStatuses {
		backend.Send(&pgproto3.ParameterStatus{Name: name, Value: v})
	}
	backend.Send(&pgproto3.BackendKeyData{ProcessID: server.PID, SecretKey: server.SecretKey})
	backend.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
	if backend.Flush() != nil {
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(server.Conn, client) // either side may end first
		server.Conn.Close()
	})
	_, _ = io.Copy(client, server.Conn)
	client.Close()
	both.Wait()
}

// hello reads what a client begins with; on a socket nothing is encrypted.
func hello(backend *pgproto3.Backend, client net.Conn) (pgproto3.FrontendMessage, error) {
	for {
		m, err := backend.ReceiveStartupMessage()
		if err != nil {
			return nil, err
		}
		switch m.(type) {
		case *pgproto3.SSLRequest, *pgproto3.GSSEncRequest:
			if _, err := client.Write([]byte{'N'}); err != nil {
				return nil, err
			}
			continue
		}
		return m, nil
	}
}

// open signs on as the relay's own role, with what the client asks for besides.
func (r *relay) open(ctx context.Context, asked map[string]string) (*pgconn.HijackedConn, error) {
	config := r.sign.Copy()
	config.RuntimeParams = map[string]string{}
	for name, v := range asked {
		switch name {
		case "user":
		case "database":
			config.Database = v
		default:
			config.RuntimeParams[name] = v
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if _, said := errors.AsType[*pgconn.PgError](err); err != nil && !said && ctx.Err() == nil {
		r.tunnel.again()
		conn, err = pgconn.ConnectConfig(ctx, config)
	}
	if err != nil {
		return nil, err
	}
	return conn.Hijack()
}

// hush sends a cancellation on, and waits a while until the server has taken it.
func (r *relay) hush(ctx context.Context, request *pgproto3.CancelRequest) {
	ctx, cancel := context.WithTimeout(ctx, provider.AnswersWithin)
	defer cancel()
	conn, err := r.tunnel.dial(ctx, "", "")
	if err != nil {
		return // what is not cancelled goes on, as it would without a relay
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	b, err := request.Encode(nil)
	if err == nil {
		_, _ = conn.Write(b)
		_, _ = conn.Read(make([]byte, 1)) // the server closes it
	}
}

// socketDir is where the checks of a scratch target come in.
func socketDir(scratch string) string { return postgres.SocketDir(socketOf(scratch)) }
