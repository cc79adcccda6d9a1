package dump

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
)

// maxAlone is how many statements that nothing may be beside an archive's script may have:
// pg_restore does others meanwhile.
const maxAlone = 10

// postData gives the database what an archive holds beside its rows: indexes, keys,
// foreign keys, triggers. pg_restore writes them as a script, and they go beside each
// other as those of any script: it would itself hold one foreign key up for another, and
// read and hash both tables of each. Where little of a script may be beside anything it
// does that itself.
func (r *restore) postData(ctx context.Context, path string, c contents) error {
	run := &scriptRun{session: session{restore: r}, key: r.args.Backup, source: &source{}, progress: &feed{meter: r.env.Meter()}, skipped: map[string]bool{}}
	defer run.close(ctx)
	defer func() { run.endCrew(ctx) }()
	if err := run.connect(ctx, r.database); err != nil {
		return err
	}
	safe := c.alone <= maxAlone
	if safe {
		if err := run.run(ctx, "select pg_catalog.set_config('search_path', '', false)", nil); err != nil {
			return err
		}
		known, err := run.ask(ctx)
		if err != nil {
			return err
		}
		safe = known.safe
	}
	if !safe {
		return r.pgRestore(ctx, path, -1, "--section=post-data")
	}
	r.env.Meter().Phase("indexes and constraints", 0, recovery.InItems)
	run.progress.building.Store(true)
	run.startCrew(ctx)
	if err := run.weigh(ctx, c.refer); err != nil {
		return err
	}
	return run.postScript(ctx, path)
}

// postScript executes the script that pg_restore writes. Its output is a file of the
// program's own: what it has written when it ends is all there, however long it takes to
// execute it.
func (s *scriptRun) postScript(ctx context.Context, path string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("read what pg_restore writes: %w", err)
	}
	defer out.Close()
	cmd := recovery.Cmd{Path: s.server.Cluster().Tools.Program("pg_restore"), Args: []string{"--section=post-data", "--no-tablespaces", "--file=-", path}, Dir: "/", Env: programEnv,
		User: userOf(s.handle), Stdout: in}
	wrote := make(chan error, 1)
	go func() {
		wrote <- s.env.Command(ctx, cmd)
		in.Close() // it is written through already
	}()
	err = s.first(s.all(ctx, script.NewReader(out)))
	if err == nil && (s.begins != 1 || s.dumps != 0) {
		err = s.cutOff("the end of what pg_restore writes is missing")
	}
	var broke error // of itself, not because nobody reads on
	select {
	case broke = <-wrote:
	default:
		out.Close()
		<-wrote
	}
	switch {
	case broke != nil && errors.Is(err, script.ErrCutOff):
		return s.unreadableArchive(broke)
	case err != nil:
		return err
	}
	s.facts["statements beside the rows"] = s.how()
	return nil
}

// lookedAt is from how many bytes on a table that a foreign key is about is vacuumed; a
// variable for tests.
var lookedAt int64 = 1 << 20

// weigh tells the crew how much work each table is that holds rows, and lets it vacuum
// those that foreign keys are about before anything is built on them: they are then
// looked at along their indexes, and nobody has to find out again which rows are there.
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
		if size >= lookedAt && refer[table] {
			s.vacuums[table], s.vacuumed[table] = s.vacuum(table, size, crew.Validate), true
		}
	}
	return nil
}

// vacuum is the task of finding out once which rows of a table are there; mode keeps what
// is to come behind it.
func (s *scriptRun) vacuum(table script.Relation, cost int64, mode crew.Mode) crew.Task {
	name := lockName(table)
	return crew.Task{Cost: cost, Locks: []crew.Lock{{Relation: name, Mode: mode}}, Do: s.do(func(ctx context.Context, w *session) error {
		s.env.Meter().Note("look at the rows of " + name)
		if err := w.run(ctx, "vacuum (truncate off) "+name, nil); err != nil {
			return fmt.Errorf("look at the rows of %s: %w", name, err)
		}
		return nil
	})}
}
