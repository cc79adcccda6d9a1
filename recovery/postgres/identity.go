package postgres

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Identity is which server, and which database of it, a session is with. The
// system identifier is the same on a server and on every physical copy of it:
// it proves lineage, never that a server is not production.
type Identity struct {
	SystemIdentifier string
	Timeline         uint32
	InRecovery       bool
	DataDirectory    string
	Version          string
	Major            int
	Database         string
	DatabaseOID      uint32
	User             string
	// Address is where the server listens for this session; empty through a
	// Unix socket.
	Address string
}

// ReadIdentity asks the server. It needs a role that may read data_directory
// (pg_read_all_settings) for that field alone, which is otherwise empty.
func ReadIdentity(ctx context.Context, conn *pgx.Conn) (Identity, error) {
	const query = `
select s.system_identifier::text, c.timeline_id::int8, pg_is_in_recovery(),
       coalesce(case when pg_has_role(current_user, 'pg_read_all_settings', 'usage')
                     then current_setting('data_directory', true) end, ''),
       current_setting('server_version'), current_setting('server_version_num')::int / 10000,
       d.datname, d.oid, current_user, coalesce(host(inet_server_addr()), '')
from pg_control_system() s, pg_control_checkpoint() c, pg_database d
where d.datname = current_database()`
	var id Identity
	var timeline int64
	err := conn.QueryRow(ctx, query).Scan(&id.SystemIdentifier, &timeline, &id.InRecovery, &id.DataDirectory,
		&id.Version, &id.Major, &id.Database, &id.DatabaseOID, &id.User, &id.Address)
	if err != nil {
		return Identity{}, fmt.Errorf("read the identity of the server: %w", err)
	}
	id.Timeline = uint32(timeline)
	return id, nil
}

// Lineage names a server with all of its databases, and every physical copy of it,
// for runs that must not meet there: two of them are kept apart, however each of
// them reaches it.
func Lineage(systemIdentifier string) string { return "postgres system " + systemIdentifier }
