package scan

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// relationsQuery lists what has a file. The owner of a TOAST table and the table
// of an index give them their names. Catalogs are listed where their files are
// not named by their OIDs. How many rows a table has is known from statistics,
// where there are any. Nothing here waits for a lock on a table.
const relationsQuery = `
select c.oid, pg_relation_filenode(c.oid),
       case when n.nspname = 'public' then t.relname else n.nspname || '.' || t.relname end,
       case when c.oid < 16384 then 'other' when c.relkind in ('r', 'm') then 'table'
            when c.relkind = 't' then 'toast' when c.relkind = 'i' then 'index'
            when c.relkind = 'S' then 'sequence' else 'other' end,
       case when c.relkind in ('r', 'm') then
         case when s.n_live_tup > 0 then s.n_live_tup when c.reltuples > 0 then c.reltuples::int8
              when coalesce(s.last_analyze, s.last_autoanalyze) is not null then 0 else -1 end
       else -1 end
  from pg_class c
  left join pg_index i on i.indexrelid = c.oid
  left join pg_class o on o.reltoastrelid = coalesce(i.indrelid, c.oid)
  join pg_class t on t.oid = coalesce(o.oid, i.indrelid, c.oid)
  join pg_namespace n on n.oid = t.relnamespace
  left join pg_stat_all_tables s on s.relid = c.oid
 where c.relkind in ('r', 'm', 't', 'i', 'S') and c.relpersistence <> 't'
   and pg_relation_filenode(c.oid) is not null
   and (c.oid >= 16384 or pg_relation_filenode(c.oid) >= 16384)`

// ReadNames asks a running server for the names of all relations, in the
// database of conn and in every other database that the same URL and role may
// connect to. A database that refuses is known by its name alone.
func ReadNames(ctx context.Context, conn *pgx.Conn) (*Map, error) {
	m := &Map{}
	var current uint32
	if err := conn.QueryRow(ctx, "select oid from pg_database where datname = current_database()").Scan(&current); err != nil {
		return nil, fmt.Errorf("read the names of relations: %w", err)
	}
	// Asking for the identifier may need a right that the role does not have.
	_ = conn.QueryRow(ctx, "select system_identifier::text from pg_control_system()").Scan(&m.System)
	rows, err := conn.Query(ctx, "select oid, datname from pg_database order by oid")
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	m.Databases, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (d DatabaseMap, err error) {
		return d, row.Scan(&d.OID, &d.Name)
	})
	if err != nil {
		return nil, fmt.Errorf("read the names of databases: %w", err)
	}
	for i := range m.Databases {
		d := &m.Databases[i]
		if d.OID == current {
			if d.Relations, err = readRelations(ctx, conn); err != nil {
				return nil, fmt.Errorf("read the names of relations in %s: %w", d.Name, err)
			}
			continue
		}
		d.Relations, err = readOther(ctx, conn, d.Name)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if err != nil {
			d.Relations = nil
		}
	}
	return m.build(), nil
}

// readOther reads the relations of another database of the same server.
func readOther(ctx context.Context, conn *pgx.Conn, database string) ([]MappedRelation, error) {
	config := conn.Config().Copy()
	config.Database = database
	other, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	relations, err := readRelations(ctx, other)
	if e := other.Close(ctx); err == nil {
		err = e
	}
	return relations, err
}

func readRelations(ctx context.Context, conn *pgx.Conn) ([]MappedRelation, error) {
	rows, err := conn.Query(ctx, relationsQuery)
	if err != nil {
		return nil, err
	}
	relations, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (r MappedRelation, err error) {
		// A relation that is dropped meanwhile has no file any more.
		var filenode *uint32
		if err = row.Scan(&r.OID, &filenode, &r.Name, &r.Of, &r.Rows); filenode != nil {
			r.Filenode = *filenode
		}
		return r, err
	})
	return slices.DeleteFunc(relations, func(r MappedRelation) bool { return r.Filenode == 0 }), err
}

var _ recovery.Names = (*Map)(nil)
