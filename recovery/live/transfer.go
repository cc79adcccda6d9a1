package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"

	"golang.org/x/sync/errgroup"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/said"
)

// private makes the directory of the dump, or proves that the one that is there is ours alone:
// pg_dump opens by their paths what it writes there.
func private(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the directory of the dump: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return fmt.Errorf("look at the directory of the dump: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ok || int(st.Uid) != os.Geteuid() {
		return recovery.Errorf("find out who has put it there, and stop the run", "refused: %s is no private directory of this run", dir).WithExit(recovery.Refused)
	}
	return nil
}

// dump writes the restored database to a directory. Subscriptions are left out:
// made anew they would reach for the slots of the old ones.
func (l *load) dump(ctx context.Context, dir string) error {
	var tables int64
	err := l.scratch.QueryRow(ctx, "select count(*) from pg_class where relkind in ('r', 'm') and relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')").Scan(&tables)
	if err != nil {
		return fmt.Errorf("count the tables of the restored database: %w", err)
	}
	l.env.Meter().Phase("dump the restored database", tables, recovery.InTables)
	config := l.scratch.Config()
	conninfo, env, err := postgres.ProgramAddress(l.from.Address, config, config.Database, unhurried(l.from.Tools)...)
	if err != nil {
		return err
	}
	args := []string{"--dbname", conninfo, "--format=directory", "--file", dir, "--compress=1", "--no-sync", "--no-subscriptions",
		"--no-password", "--verbose", "--jobs", l.jobs()}
	says := &programLog{meter: l.env.Meter(), counts: dumped}
	cmd := recovery.Cmd{Path: l.from.Tools.Program("pg_dump"), Args: args, Dir: "/", Env: env, Stderr: &said.Lines{Each: says.line}}
	return l.explainProgram(ctx, "dump the restored database", l.env.Command(ctx, cmd), says)
}

// restore fills the new database.
func (l *load) restore(ctx context.Context, dir string) error {
	conninfo, env, err := program(l.Address, l.conn.Config(), l.beside, l.major)
	if err != nil {
		return err
	}
	var list bytes.Buffer
	cmd := recovery.Cmd{Path: l.from.Tools.Program("pg_restore"), Args: []string{"--list", dir}, Dir: "/", Env: programEnv, Stdout: &list}
	if err := l.env.Command(ctx, cmd); err != nil {
		return fmt.Errorf("read the dump of the restored database: %w", err)
	}
	var entries int64
	for line := range strings.Lines(list.String()) {
		if !strings.HasPrefix(line, ";") && strings.TrimSpace(line) != "" {
			entries++
		}
	}
	args := []string{"--dbname", conninfo, "--exit-on-error", "--no-password", "--verbose", "--jobs", l.jobs()}
	lacking, err := l.lackingSpaces(ctx)
	if err != nil {
		return err
	}
	if len(lacking) > 0 {
		args = append(args, "--no-tablespaces")
		l.result.Remarks = append(l.result.Remarks, "the live server has no tablespace "+strings.Join(lacking, ", ")+": everything lies in the default tablespace of the database")
	}
	if err := l.before(ctx, "load database %s", l.beside); err != nil {
		return err
	}
	l.env.Meter().Phase("load database "+l.beside, entries, recovery.InItems)
	says := &programLog{meter: l.env.Meter(), counts: restored}
	cmd = recovery.Cmd{Path: l.from.Tools.Program("pg_restore"), Args: append(args, dir), Dir: "/", Env: env, Stderr: &said.Lines{Each: says.line}}
	return l.explainProgram(ctx, "load database "+l.beside, l.env.Command(ctx, cmd), says)
}

// lackingSpaces are the tablespaces that the restored database uses and the live
// server does not have.
func (l *load) lackingSpaces(ctx context.Context) ([]string, error) {
	used, err := names(ctx, l.scratch, "select distinct spcname::text from pg_class c join pg_tablespace t on t.oid = c.reltablespace where spcname <> 'pg_global' order by 1")
	if err != nil {
		return nil, fmt.Errorf("list the tablespaces of the restored database: %w", err)
	}
	have, err := names(ctx, l.conn, "select spcname::text from pg_tablespace")
	if err != nil {
		return nil, fmt.Errorf("list the tablespaces of the live server: %w", err)
	}
	var lacking []string
	for _, name := range used {
		if !slices.Contains(have, name) {
			lacking = append(lacking, name)
		}
	}
	return lacking, nil
}

// analyze gives the planner its statistics, which no dump brings: without them the
// first queries of everybody would be slow. A table of which none can be gathered is told.
func (l *load) analyze(ctx context.Context) error {
	if err := l.before(ctx, "analyze database %s", l.beside); err != nil {
		return err
	}
	made, err := l.within(ctx)
	if err != nil {
		return err
	}
	defer made.Close(context.WithoutCancel(ctx))
	all, err := names(ctx, made, `select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
		where c.relkind in ('r', 'm') and c.relpersistence <> 't' and n.nspname not in ('information_schema', 'pg_toast') order by c.relpages desc, 1`)
	if err != nil {
		return fmt.Errorf("list the tables of database %s: %w", l.beside, err)
	}
	l.env.Meter().Phase("analyze database "+l.beside, int64(len(all)), recovery.InTables)
	next := make(chan string, len(all))
	for _, table := range all {
		next <- table
	}
	close(next)
	var mu sync.Mutex
	told := func(table string, err error) error {
		mu.Lock()
		defer mu.Unlock()
		l.env.Meter().Note(table)
		l.env.Meter().Add(1)
		if says := postgres.WithoutStatistics(err); says != "" {
			l.result.Exceptions = append(l.result.Exceptions, fmt.Sprintf("statistics of %s could not be gathered: %s; queries of it may be slow", table, says))
			return nil
		}
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	for range max(1, l.from.Jobs) {
		group.Go(func() error { return l.analyzeNext(ctx, next, told) })
	}
	err = group.Wait()
	slices.Sort(l.result.Exceptions)
	return err
}

// analyzeNext gathers the statistics of tables, one by one, in a session of its own. Names in
// expressions are read as vacuumdb has them read, only as they are written in full.
func (l *load) analyzeNext(ctx context.Context, next <-chan string, told func(table string, err error) error) error {
	conn, err := l.within(ctx)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(ctx, "select pg_catalog.set_config('search_path', '', false)"); err != nil {
		return fmt.Errorf("analyze database %s: %w", l.beside, err)
	}
	for table := range next {
		_, err := conn.Exec(ctx, "analyze "+table)
		if err := told(table, err); err != nil {
			return fmt.Errorf("analyze %s in database %s: %w", table, l.beside, err)
		}
	}
	return nil
}

// explainProgram is the failure of one of PostgreSQL's programs in its words.
func (l *load) explainProgram(ctx context.Context, doing string, err error, says *programLog) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil || says.first == "" {
		return fmt.Errorf("%s: %w", doing, err)
	}
	hint := l.from.Tools.HintFor(says.first)
	if hint == "" {
		hint = "read the step's log, then retry"
	}
	return &recovery.Error{What: doing + ": " + says.first, Hint: hint, Err: err}
}

// programLog follows what pg_dump and pg_restore write to their standard error.
type programLog struct {
	meter  recovery.Meter
	counts *pattern.Pattern
	// first is the first error, in PostgreSQL's words.
	first string
	// quiet is set while a program repeats the command that failed, which may
	// hold people's data or secrets.
	quiet bool
}

var (
	programError = pattern.New(`^(?:pg_dump|pg_restore): (?:\[.*?\] )?(?:error|fatal): (.*)$`)
	dumped       = pattern.New(`^pg_dump: (dumping contents of table .*)$`)
	restored     = pattern.New(`^pg_restore: ((?:creating|processing data for|executing|restoring) .*)$`)
	wrapping     = pattern.New(`^could not execute query: ERROR:  `)
)

func (l *programLog) line(line string) {
	if strings.HasPrefix(line, "pg_") {
		l.quiet = false
	}
	if strings.HasPrefix(line, "Command was:") || strings.HasPrefix(line, "pg_dump: detail: Command was:") {
		l.quiet = true
	}
	if l.quiet {
		return
	}
	l.meter.Log(line)
	if m := programError.FindStringSubmatch(line); m != nil && l.first == "" {
		l.first = wrapping.ReplaceAllString(m[1], "")
	}
	if l.counts == nil {
		return
	}
	if m := l.counts.FindStringSubmatch(line); m != nil {
		l.meter.Add(1)
		l.meter.Note(m[1])
	}
}
