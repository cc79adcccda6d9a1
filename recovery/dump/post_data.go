package dump

import (
	"context"
	"fmt"
	"io"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
)

// postData gives the database what an archive holds beside its rows: indexes, keys,
// foreign keys, triggers. pg_restore writes them as a script, and they go beside each
// other as those of any script: it would itself hold one foreign key up for another, and
// read and hash both tables of each.
func (r *restore) postData(ctx context.Context, path string, c contents) error {
	run := &scriptRun{session: session{restore: r}, key: r.args.Backup, source: &source{}, progress: &feed{meter: r.env.Meter()}, skipped: map[string]bool{}}
	defer run.close(ctx)
	defer func() { run.endCrew(ctx) }()
	if err := run.connect(ctx, r.database); err != nil {
		return err
	}
	run.startCrew(ctx)
	if err := run.weigh(ctx, c.refer); err != nil {
		return err
	}
	out, in := io.Pipe()
	cmd := recovery.Cmd{Path: r.server.Cluster().Tools.Program("pg_restore"), Args: []string{"--section=post-data", "--no-tablespaces", "--file=-", path}, Dir: "/", Env: programEnv,
		User: userOf(r.handle), Stdout: in}
	wrote := make(chan error, 1)
	go func() {
		err := r.env.Command(ctx, cmd)
		wrote <- err
		in.CloseWithError(err) // nil is io.EOF
	}()
	err := run.first(run.all(ctx, script.NewReader(out)))
	var broke error // what pg_restore broke off for by itself
	select {
	case broke = <-wrote:
	default:
		out.Close()
		<-wrote
	}
	switch {
	case broke != nil && ctx.Err() == nil:
		return r.unreadableArchive(broke)
	case err == nil:
		r.facts["indexes and constraints"] = run.how()
	}
	return err
}

// lookedAt is from how many bytes on a table that a foreign key is about is vacuumed.
const lookedAt = 1 << 20

// weigh tells the crew how much work each table is that holds rows, and lets it vacuum
// those that foreign keys are about: they are then looked at along their indexes, and
// nobody has to find out again which rows are there.
func (s *scriptRun) weigh(ctx context.Context, refer map[script.Relation]bool) error {
	if s.beside == nil {
		return nil
	}
	result := s.conn.ExecParams(ctx, `select n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid), pg_catalog.pg_stat_get_tuples_inserted(c.oid)
		from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind = 'r' and c.oid >= 16384 and pg_catalog.pg_relation_size(c.oid) > 0`, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return lost(ctx, fmt.Errorf("look how large the tables are: %w", result.Err))
	}
	for _, row := range result.Rows {
		table := script.Relation{Schema: string(row[0]), Name: string(row[1])}
		size, err := strconv.ParseInt(string(row[2]), 10, 64)
		if err != nil {
			return fmt.Errorf("look how large the tables are: %w", err)
		}
		rows, err := strconv.ParseInt(string(row[3]), 10, 64)
		if err != nil {
			return fmt.Errorf("look how large the tables are: %w", err)
		}
		s.fed[table] = size + rows*perRow
		if size < lookedAt || !refer[table] {
			continue
		}
		name := lockName(table)
		s.crew.Add(crew.Task{Cost: size, Locks: []crew.Lock{{Relation: name, Mode: crew.Validate}}, Do: s.do(func(ctx context.Context, w *session) error {
			s.env.Meter().Note("look at the rows of " + name)
			if err := w.run(ctx, "vacuum (truncate off) "+name, nil); err != nil {
				return fmt.Errorf("look at the rows of %s: %w", name, err)
			}
			return nil
		})})
	}
	return nil
}
