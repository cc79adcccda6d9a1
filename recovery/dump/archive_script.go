package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/recovery/written"
	"comeback/said"
)

// maxAlone is how many tables, indexes and keys there may be in an archive's script that
// nothing may be beside: pg_restore does more of them beside each other.
const maxAlone = 10

// mostlyBeside reports, once an archive's definitions are in, whether most of its rows and
// of what comes behind them may be done beside each other in a script.
func (r *restore) mostlyBeside(ctx context.Context) (bool, error) {
	s := &session{restore: r}
	defer s.close(ctx)
	if err := s.connect(ctx, r.database); err != nil {
		return false, err
	}
	if err := s.run(ctx, "select pg_catalog.set_config('search_path', '', false)", nil); err != nil {
		return false, err
	}
	known, err := s.ask(ctx)
	if err != nil || !known.safe {
		return false, err
	}
	alone := 0
	for _, facts := range known.relations {
		if facts.kind == "r" && !facts.loads {
			alone++
		}
	}
	return alone <= maxAlone, nil
}

// errInserts says that an archive holds its rows as INSERT statements: of any length, and
// in a script one after the other.
var errInserts = errors.New("the archive holds its rows as INSERT statements")

// loadAndBuild gives the database what an archive holds beside its definitions: rows,
// indexes, keys, foreign keys, triggers. pg_restore writes them as a script, and they go
// beside each other as those of any script: it would itself copy a table in one session
// and mark none of its rows as seen by everybody, hold one foreign key up for another, and
// read and hash both tables of each. One pg_restore writes 200 MB of rows a second, and a
// session copies 35 to 70. It fails with errInserts before it has put in anything.
func (r *restore) loadAndBuild(ctx context.Context, path string, c contents) error {
	behind := []string{"--section=data", "--section=post-data"}
	if c.rights > 0 {
		list, err := r.listBehind(ctx, path, behind)
		if err != nil {
			return err
		}
		behind = []string{list}
	}
	run := r.archiveRun(c.tables)
	defer run.close(ctx)
	defer func() { run.endCrew(ctx) }()
	if err := run.connect(ctx, r.database); err != nil {
		return err
	}
	run.foreseen = r.foreseeArchive(ctx, path, c)
	run.startCrew(ctx)
	if err := run.written(ctx, path, append(behind, c.withoutLabels()...)...); err != nil {
		return err
	}
	run.note()
	r.facts["rows"] = fmt.Sprint(r.rows.Load())
	return nil
}

// listBehind lists what stands in sections behind the definitions, and of these what roles may
// do: pg_restore writes that behind indexes and keys.
func (r *restore) listBehind(ctx context.Context, path string, sections []string) (argument string, err error) {
	before, err := r.entriesOf(ctx, path, "--section=pre-data")
	if err != nil {
		return "", err
	}
	behind, err := r.entriesOf(ctx, path, sections...)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, e := range slices.Concat(slices.DeleteFunc(before, func(e entry) bool { return !e.right() }), behind) {
		b.WriteString(e.line + "\n")
	}
	return r.writeList(b.String())
}

// archiveRun is a script that pg_restore writes of an archive, with so many items.
func (r *restore) archiveRun(items int64) *scriptRun {
	return &scriptRun{session: session{restore: r}, key: r.args.Backup, source: &source{}, skipped: map[string]bool{}, archive: true,
		progress: &feed{meter: r.env.Meter(), total: items, unit: recovery.InItems}}
}

// written executes the script that pg_restore writes of a part of the archive. Its output is a file of the
// program's own: what it has written when it ends is all there, however long it takes to
// execute it.
func (s *scriptRun) written(ctx context.Context, path string, part ...string) error {
	out, in, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("read what pg_restore writes: %w", err)
	}
	defer out.Close()
	says := &restoreLog{meter: s.env.Meter()}
	cmd := recovery.Cmd{Path: s.server.Cluster().Tools.Program("pg_restore"), Args: append(part, "--no-tablespaces", "--file=-"), Dir: "/", Env: programEnv,
		User: userOf(s.handle), Stdout: in, Stderr: &said.Lines{Each: says.line}}
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
	s.progress.start()
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
	case broke != nil && (err == nil || errors.Is(err, script.ErrCutOff)):
		return s.broken(ctx, broke, says)
	case err != nil:
		return err
	}
	return nil
}

// follow shows how far a program has read the archive that is its standard input: a
// file's place is the same for all who have it from each other.
func (s *scriptRun) follow(archive *os.File) (end func()) {
	info, err := archive.Stat()
	if err != nil {
		return func() {} // whoever reads it tells
	}
	s.progress.measure(info.Size(), recovery.InBytes)
	return written.Watch(func() {
		if at, err := archive.Seek(0, io.SeekCurrent); err == nil {
			s.progress.reach(at)
		}
	})
}
