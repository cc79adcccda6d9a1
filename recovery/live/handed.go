package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/postgres"
)

// Handed is a restored server that is left running on its own: all of it lies in
// one directory, no run is needed for it, and nobody's programs know it yet.
type Handed struct {
	// Place is its directory, which only the server's user may enter.
	Place string
	Owner recovery.User
	Tools postgres.Tools
	// Superuser is the role that whoever may enter Place connects as.
	Superuser string
	// Listen is where it is reached, host:port; a port of 0 is a free one.
	Listen string
	// Name is its cluster_name.
	Name string
}

// Data is its data directory.
func (h Handed) Data() string { return filepath.Join(h.Place, "data") }

// handedHBA lets everybody in over the network who has a password of the restored
// cluster: "md5" also takes the newer kind. The socket lies where only the server's
// own user comes.
const handedHBA = `# written by comeback
local all all trust
host  all all all md5
`

// Serve makes a server of its own of the restored data directory in Place, and
// starts it: with a configuration that is safe against a crash, without the
// source's archive, standbys and subscriptions. It gives the addresses of a
// database: for people, and through the socket. It may be repeated.
func (h Handed) Serve(ctx context.Context, env recovery.Env, database string) (address, local string, err error) {
	c := postgres.Cluster{Data: h.Data(), Owner: h.Owner, Tools: h.Tools}
	if err := c.Halt(ctx); err != nil {
		return "", "", err
	}
	host, port, err := h.port()
	if err != nil {
		return "", "", err
	}
	control, err := postgres.ReadControl(ctx, h.Tools, h.Data())
	if err != nil {
		return "", "", err
	}
	socket := h.Place
	if len(filepath.Join(socket, ".s.PGSQL.65535")) > postgres.MaxSocketPath {
		socket = ""
	}
	settings := postgres.SafeSettings()
	maps.Copy(settings, map[string]string{
		"listen_addresses": host, "port": port, "unix_socket_directories": socket, "wal_level": "replica", "shared_buffers": "256MB",
		"restart_after_crash": "on", "dynamic_shared_memory_type": "posix", "cluster_name": h.Name,
		"max_connections":           strconv.Itoa(max(control.MaxConnections, 100)),
		"max_prepared_transactions": strconv.Itoa(control.MaxPreparedXacts),
		"track_commit_timestamp":    control.CommitTimes(),
		"max_locks_per_transaction": strconv.Itoa(max(control.MaxLocksPerXact, 64)),
	})
	if err := c.ConfigureFor(settings, handedHBA); err != nil {
		return "", "", err
	}
	env.Meter().Phase("put everything on disk", 0, recovery.NoUnit)
	cmd := recovery.Cmd{Path: h.Tools.Program("initdb"), Args: []string{"--sync-only", "--pgdata", h.Data()}, Dir: "/", Env: serviceEnv, User: asOwner(h.Owner)}
	if err := env.Command(ctx, cmd); err != nil {
		return "", "", recovery.Errorf("look at the disk, then retry", "put %s on disk: %w", h.Data(), err)
	}
	local = h.url(url.Values{"host": {socket}, "port": {port}, "user": {h.Superuser}}, "", database)
	if socket == "" {
		local = h.url(nil, net.JoinHostPort("127.0.0.1", port), database)
	}
	if err := (Service{Data: h.Data(), Tools: h.Tools}).Start(ctx, env, local); err != nil {
		return "", "", err
	}
	if host == "*" || host == "0.0.0.0" || host == "::" {
		if host, err = os.Hostname(); err != nil {
			return "", "", fmt.Errorf("read this machine's name: %w", err)
		}
	}
	return h.url(nil, net.JoinHostPort(host, port), database), local, nil
}

func (h Handed) url(q url.Values, host, database string) string {
	u := url.URL{Scheme: "postgres", Host: host, Path: "/" + database}
	if host == "" {
		return u.Scheme + "://" + u.EscapedPath() + "?" + q.Encode()
	}
	return u.String()
}

// port finds where the server listens.
func (h Handed) port() (host, port string, err error) {
	listen := h.Listen
	if listen == "" {
		listen = "127.0.0.1:0"
	}
	const hint = "write it like listen: 127.0.0.1:5433, or leave it out for a free port of this machine"
	if host, port, err = net.SplitHostPort(listen); err != nil {
		return "", "", recovery.Errorf(hint, "read where the handed over server listens: %w", err).WithExit(recovery.Usage)
	}
	at := host
	if at == "*" {
		at = ""
	}
	l, err := net.Listen("tcp", net.JoinHostPort(at, port))
	if err != nil {
		return "", "", recovery.Errorf(hint, "the handed over server cannot listen at %s: %w", listen, err)
	}
	_, port, err = net.SplitHostPort(l.Addr().String())
	return host, port, errors.Join(err, l.Close())
}

// asOwner is who programs of the server run as; nil is ourselves.
func asOwner(u recovery.User) *recovery.User {
	if u.UID < 0 {
		return nil
	}
	return &u
}

// Running reports whether the server answers to its data directory.
func (h Handed) Running() (bool, error) {
	pids, err := postgres.Processes(h.Data())
	return len(pids) > 0, err
}

// Unused refuses a server that somebody is connected to, by its own address; one
// that does not run is used by nobody.
func (h Handed) Unused(ctx context.Context, local string) error {
	running, err := h.Running()
	if err != nil || !running {
		return err
	}
	conn, _, err := dial(ctx, local)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var n int64
	if err := conn.QueryRow(ctx, "select count(*) from pg_catalog.pg_stat_activity where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()").Scan(&n); err != nil {
		return fmt.Errorf("ask who uses %s: %w", h.Place, err)
	}
	if n > 0 {
		return recovery.Errorf("let them disconnect if nobody needs it any more, then retry", "refused: the server in %s is in use: it has %s", h.Place, recovery.FormatCount(n, "session")).WithExit(recovery.Refused)
	}
	return nil
}

// Remove stops the server and removes its directory: the one that is meant, and no
// other in its place. It may be repeated.
func (h Handed) Remove(ctx context.Context, which exchange.Identity) error {
	at, err := exchange.Standing(h.Place)
	if err != nil || at == (exchange.Identity{}) {
		return err
	}
	if at.Is(which) {
		if err := (postgres.Cluster{Data: h.Data()}).Halt(ctx); err != nil {
			return err
		}
	}
	return exchange.Discard(h.Place, which)
}

// Take makes Place and moves the restored data directory there. What is there
// already must be what an earlier attempt has made.
func (h Handed) Take(data string) (exchange.Identity, error) {
	err := os.Mkdir(h.Place, 0o700)
	if err == nil && h.Owner.UID >= 0 {
		err = os.Lchown(h.Place, h.Owner.UID, h.Owner.GID)
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return exchange.Identity{}, recovery.Errorf("choose another place with --scratch", "make a place for the restored server: %w", err)
	}
	if _, err := os.Lstat(h.Data()); errors.Is(err, fs.ErrNotExist) {
		pair, err := exchange.Look(h.Data(), data)
		if err == nil {
			err = pair.Exchange()
		}
		if err != nil {
			return exchange.Identity{}, err
		}
	} else if err != nil {
		return exchange.Identity{}, fmt.Errorf("look at the restored server: %w", err)
	}
	return exchange.Identify(h.Place)
}
