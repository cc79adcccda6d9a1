package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/dump/crew"
	"comeback/recovery/dump/script"
	"comeback/recovery/written"
)

const (
	// maxAlone is how many tables, indexes and keys there may be in an archive's script that
	// nothing may be beside: pg_restore does them beside each other.
	maxAlone = 10
	// oneWriter is how many sessions can copy what a single pg_restore unpacks. It writes 200
	// MB of rows a second, and a session copies 35 to 70.
	oneWriter = 4
)

// loadAndBuild gives the database what an archive holds beside its definitions: rows,
// indexes, keys, foreign keys, triggers. pg_restore writes them as a script, and they go
// beside each other as those of any script: it would itself copy a table in one session
// and mark none of its rows as seen by everybody, hold one foreign key up for another, and
// read and hash both tables of each. Where there are more sessions than it can write for,
// it copies the rows itself, with as many processes; where little of a script may be
// beside anything, it does all.
func (r *restore) loadAndBuild(ctx context.Context, path string, c contents) error {
	run := &scriptRun{session: session{restore: r}, key: r.args.Backup, source: &source{}, progress: &feed{meter: r.env.Meter()}, skipped: map[string]bool{}}
	defer run.close(ctx)
	defer func() { run.endCrew(ctx) }()
	rows, rest, err := run.asScript(ctx, c)
	if err != nil {
		return err
	}
	if rows {
		run.startCrew(ctx)
		run.progress.total, run.progress.unit = c.tables, recovery.InItems
		if err := run.written(ctx, path, "--section=data", "--section=post-data"); err != nil {
			return err
		}
		r.facts["rows"] = fmt.Sprint(r.rows.Load())
		return nil
	}
	if err := r.pgRestore(ctx, path, c.rows, "--section=data"); err != nil {
		return err
	}
	if !rest {
		return r.pgRestore(ctx, path, -1, "--section=post-data")
	}
	r.env.Meter().Phase("indexes and constraints", 0, recovery.InItems)
	run.progress.building.Store(true)
	run.startCrew(ctx)
	if err := run.weigh(ctx, c.refer); err != nil {
		return err
	}
	return run.written(ctx, path, "--section=post-data")
}

// asScript reports whether an archive's rows, and what comes behind them, are better
// executed as a script, now that the definitions are in.
func (s *scriptRun) asScript(ctx context.Context, c contents) (rows, rest bool, err error) {
	if err := s.connect(ctx, s.database); err != nil {
		return false, false, err
	}
	if c.alone > maxAlone || s.jobs < 2 {
		return false, false, nil
	}
	if err := s.run(ctx, "select pg_catalog.set_config('search_path', '', false)", nil); err != nil {
		return false, false, err
	}
	known, err := s.ask(ctx)
	if err != nil || !known.safe {
		return false, false, err
	}
	alone := 0
	for _, facts := range known.relations {
		if facts.kind == "r" && !facts.loads {
			alone++
		}
	}
	// Whose checks may read other tables come in the archive's order.
	return alone <= maxAlone && (alone > 0 || s.jobs <= oneWriter), true, nil
}

// written executes the script that pg_restore writes. Its output is a file of the
// program's own: what it has written when it ends is all there, however long it takes to
// execute it.
func (s *scriptRun) written(ctx context.Context, path string, sections ...string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("read what pg_restore writes: %w", err)
	}
	defer out.Close()
	says := &restoreLog{meter: s.env.Meter()}
	cmd := recovery.Cmd{Path: s.server.Cluster().Tools.Program("pg_restore"), Args: append(sections, "--no-tablespaces", "--file=-"), Dir: "/", Env: programEnv,
		User: userOf(s.handle), Stdout: in, Stderr: says}
	if s.args.Head.Form == customArchive {
		archive, err := os.Open(path)
		if err != nil {
			return errors.Join(fmt.Errorf("read the archive: %w", err), in.Close())
		}
		defer archive.Close()
		cmd.Stdin = archive
		defer s.follow(archive)()
	} else {
		cmd.Args = append(cmd.Args, path)
	}
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
		return s.broken(ctx, broke, says)
	case err != nil:
		return err
	}
	s.facts["statements"] = s.how()
	return nil
}

// follow shows how far a program has read the archive that is its standard input: a
// file's place is the same for all who have it from each other.
func (s *scriptRun) follow(archive *os.File) (end func()) {
	info, err := archive.Stat()
	if err != nil {
		return func() {} // whoever reads it tells
	}
	s.progress.total, s.progress.unit = info.Size(), recovery.InBytes
	return written.Watch(func() {
		if at, err := archive.Seek(0, io.SeekCurrent); err == nil {
			s.progress.reach(at)
		}
	})
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
			s.vacuums[table], s.told[table] = s.vacuum(table, size), true
		}
	}
	if len(s.vacuums) == 0 {
		return nil
	}
	// Commits do not wait for their log here, and as long as that is not written a VACUUM
	// takes no row for seen by everybody. A new segment writes what came before it.
	if err := s.run(ctx, "select pg_catalog.pg_switch_wal()", nil); err != nil {
		return fmt.Errorf("write the log of the rows: %w", err)
	}
	return nil
}

// vacuum is the task of finding out once which rows of a table are there.
func (s *scriptRun) vacuum(table script.Relation, cost int64) crew.Task {
	name := lockName(table)
	return crew.Task{Cost: cost, Locks: []crew.Lock{{Relation: name, Mode: crew.Validate}}, Do: s.do(func(ctx context.Context, w *session) error {
		s.env.Meter().Note("look at the rows of " + name)
		if err := w.run(ctx, "vacuum (truncate off) "+name, nil); err != nil {
			return fmt.Errorf("look at the rows of %s: %w", name, err)
		}
		return nil
	})}
}
