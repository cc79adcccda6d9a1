package dump

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/said"
)

// programEnv is the environment of pg_restore, whole: none of the source's.
var programEnv = []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "PGCONNECT_TIMEOUT=60"}

// maxMissingRoles bounds the restores that are begun again for a role that the
// contents did not show.
const maxMissingRoles = 10

// archiveFiles restores an archive: its files into scratch, a look into its
// table of contents, the database, pg_restore for the definitions, the rest as a script.
func (r *restore) archiveFiles(ctx context.Context) error {
	path, err := r.download(ctx)
	if err != nil {
		return err
	}
	contents, err := r.readContents(ctx, path)
	if err != nil {
		return err
	}
	r.database = r.name()
	s := &session{restore: r}
	defer s.close(ctx)
	if err := s.prepare(ctx, contents); err != nil {
		return err
	}
	stop := r.watch(ctx)
	defer stop()
	if r.only != nil {
		if err := s.connect(ctx, r.database); err != nil {
			return err
		}
		if err := s.defineOnly(ctx, path); err != nil {
			return err
		}
		return r.loadOnly(ctx, path)
	}
	for again := 0; ; again++ {
		err := r.entries(ctx, s, path, contents)
		if err == nil {
			owners := s.superusers(contents)
			s.owns(owners...)
			return errors.Join(s.demote(ctx, owners...), s.finish(ctx, contents))
		}
		role := missingRole(err)
		if role == "" || r.roles[role] || again == maxMissingRoles {
			return err
		}
		// A role that only data name, as the owner of a large object: from the
		// start, with the role.
		if err := s.createRole(ctx, role); err != nil {
			return err
		}
		if err := s.createAnew(ctx, contents); err != nil {
			return err
		}
	}
}

// entries restores all that an archive holds, its rows as a script where that can be.
func (r *restore) entries(ctx context.Context, s *session, path string, c contents) error {
	if c.alone > maxAlone || r.jobs < 2 {
		return r.all(ctx, path, c)
	}
	if err := r.define(ctx, path, c); err != nil {
		return err
	}
	beside, err := r.mostlyBeside(ctx)
	if err != nil {
		return err
	}
	if beside {
		if err := r.loadAndBuild(ctx, path, c); !errors.Is(err, errInserts) {
			return err
		}
	}
	// pg_restore spares the log of rows only in tables that it has made itself.
	if err := s.createAnew(ctx, c); err != nil {
		return err
	}
	return r.all(ctx, path, c)
}

// define has pg_restore load the definitions, without what roles may do: indexes, which come
// later, are made as the owners of their tables, who may do less in the end than they have done.
func (r *restore) define(ctx context.Context, path string, c contents) error {
	what := "--section=pre-data"
	if c.public != "" {
		var err error
		if what, err = r.useList(ctx, path, func(e entry) bool { return !c.makesPublic(e) }, what); err != nil {
			return err
		}
	}
	return r.pgRestore(ctx, path, "definitions", c.definitions, append(c.withoutLabels(), what, "--no-acl")...)
}

// all has pg_restore load all but what fills materialized views, which may reach for servers
// that scratch does not reach.
func (r *restore) all(ctx context.Context, path string, c contents) error {
	args := c.withoutLabels()
	if c.public != "" || c.fills > 0 {
		list, err := r.useList(ctx, path, func(e entry) bool { return !c.makesPublic(e) && !e.fills() })
		if err != nil {
			return err
		}
		args = append(args, list)
	}
	if err := r.pgRestore(ctx, path, "restore", c.definitions+c.rights+c.rows, args...); err != nil || c.fills == 0 {
		return err
	}
	list, err := r.useList(ctx, path, entry.fills)
	if err != nil {
		return err
	}
	run := r.archiveRun(int64(c.fills))
	defer run.close(ctx)
	if err := run.connect(ctx, r.database); err != nil {
		return err
	}
	return run.written(ctx, path, list)
}

// createAnew creates the database again, without anything in it.
func (s *session) createAnew(ctx context.Context, c contents) error {
	if err := s.run(ctx, "drop database "+quoteName(s.database)+" with (force)", nil); err != nil {
		return fmt.Errorf("drop database %s: %w", s.database, err)
	}
	return s.createFrom(ctx, c)
}

// prepare creates roles and the database, and refuses an archive whose
// extensions are not installed before its data are loaded.
func (s *session) prepare(ctx context.Context, c contents) error {
	if err := s.connect(ctx, "postgres"); err != nil {
		return err
	}
	for _, name := range c.extensions {
		found := s.conn.ExecParams(ctx, "select from pg_available_extensions where name = $1", [][]byte{[]byte(name)}, nil, nil, nil).Read()
		if found.Err != nil {
			return fmt.Errorf("look for extension %s: %w", name, found.Err)
		}
		if len(found.Rows) == 0 {
			says := fmt.Sprintf("extension %q is not available", name)
			return recovery.Errorf(s.server.Cluster().Tools.HintFor(says), "restore %s: %s", s.args.Backup, says)
		}
	}
	for _, role := range c.roles {
		if s.roles[role] {
			continue
		}
		found := s.conn.ExecParams(ctx, "select from pg_roles where rolname = $1", [][]byte{[]byte(role)}, nil, nil, nil).Read()
		if found.Err != nil {
			return fmt.Errorf("look for role %s: %w", role, found.Err)
		}
		if len(found.Rows) == 0 {
			if err := s.createRole(ctx, role); err != nil {
				return err
			}
		}
	}
	if _, err := s.promote(ctx, s.superusers(c)...); err != nil {
		return err
	}
	return s.createFrom(ctx, c)
}

// superusers are those of an archive's roles that were made for it.
func (s *session) superusers(c contents) (made []string) {
	for _, role := range c.superusers {
		if s.roles[role] {
			made = append(made, role)
		}
	}
	return made
}

// createFrom creates the database with the archive's own encoding and locale, and its schema
// public with the archive's owner.
func (s *session) createFrom(ctx context.Context, c contents) error {
	sql := "create database " + quoteName(s.database) + " template template0 encoding 'UTF8'"
	s.anyLocale = true
	if j := script.Judge(c.create, superuser); j.Creates == s.database {
		sql, s.anyLocale = string(c.create.Text), !saysLocale(c.create)
	}
	if err := s.create(ctx, s.database, sql); err != nil {
		return fmt.Errorf("create database %s: %w", s.database, err)
	}
	if len(c.ownsPublic.Text) == 0 {
		return nil
	}
	within := &session{restore: s.restore}
	defer within.close(ctx)
	if err := within.connect(ctx, s.database); err != nil {
		return err
	}
	if err := within.execute(ctx, string(c.ownsPublic.Text), nil); err != nil {
		return within.failed(c.ownsPublic, err)
	}
	return nil
}

// finish gives the database its settings, once the data are in: some of them
// (read only, a timeout) would have been in the way. It tells of what was left out.
func (s *session) finish(ctx context.Context, c contents) error {
	for _, p := range c.settings {
		if j := script.Judge(p, superuser); j.Verdict != script.Pass {
			s.leave(p, j.Why)
			continue
		}
		if err := s.execute(ctx, string(p.Text), nil); err != nil {
			if err := s.forgive(ctx, p, err); err != nil {
				return s.failed(p, err)
			}
		}
	}
	for _, p := range c.labels {
		s.leaveOut(p, "the library that it is for is not loaded")
	}
	return nil
}

// pgRestore runs pg_restore over the files, for a part of them where more
// arguments say so. Entries are how many items that is.
func (r *restore) pgRestore(ctx context.Context, path, phase string, entries int, more ...string) error {
	tools := r.server.Cluster().Tools
	args := []string{"--dbname", r.server.URL(r.database), "--exit-on-error", "--no-tablespaces", "--no-password", "--verbose"}
	args = append(args, more...)
	if r.args.Head.Form != tarArchive && r.jobs > 1 {
		args = append(args, "--jobs", strconv.Itoa(r.jobs))
	}
	r.env.Meter().Phase(phase, int64(entries), recovery.InItems)
	says := &restoreLog{meter: r.env.Meter(), left: entries}
	cmd := recovery.Cmd{Path: tools.Program("pg_restore"), Args: append(args, path), Dir: "/", Env: programEnv,
		User: userOf(r.handle), Stderr: &said.Lines{Each: says.line}}
	if err := r.env.Command(ctx, cmd); err != nil {
		return r.broken(ctx, err, says)
	}
	return nil
}

// broken is how pg_restore failed, by what it said.
func (r *restore) broken(ctx context.Context, err error, says *restoreLog) error {
	if ctx.Err() != nil || says.first == "" {
		return fmt.Errorf("restore %s: %w", r.args.Backup, err)
	}
	hint := r.server.Cluster().Tools.HintFor(says.first)
	switch {
	case hint != "":
	case strings.Contains(says.first, "end of file"), strings.Contains(says.first, "could not find block"), strings.Contains(says.first, "could not read from input"):
		hint = "choose an older dump, and look at what writes them: this archive is cut off or damaged"
	default:
		hint = "read the step's log; if the dump is at fault, choose another one"
	}
	return &recovery.Error{What: "restore " + r.args.Backup + ": " + says.first, Hint: hint, Err: errors.Join(err, says.role())}
}

// restoreLog follows what pg_restore writes to its standard error.
type restoreLog struct {
	meter recovery.Meter
	// first is the first error, in PostgreSQL's words.
	first string
	// left is how many items the contents told of that have not come yet: some majors
	// name more.
	left int
	// quiet is set while pg_restore repeats the command that failed, which may
	// hold secrets.
	quiet bool
}

var (
	restoreError = pattern.New(`^pg_restore: (?:\[.*?\] )?error: (.*)$`)
	restoreItem  = pattern.New(`^pg_restore: ((?:creating|processing data for|executing) .*|processing BLOBS)$`)
	// All large objects are one item or a few, and of a tar archive each is told twice.
	restoreObject = pattern.New(`^pg_restore: (restoring large object .*)$`)
	// What is left out of a section tells nobody anything.
	restoreSkips = pattern.New(`^pg_restore: skipping item \d+ `)
	wrapping     = pattern.New(`^could not execute query: ERROR:  `)
)

func (l *restoreLog) line(line string) {
	if strings.HasPrefix(line, "pg_restore: ") {
		l.quiet = false
	}
	if strings.HasPrefix(line, "Command was:") {
		l.quiet = true
	}
	if l.quiet || restoreSkips.MatchString(line) {
		return
	}
	l.meter.Log(line)
	if m := restoreError.FindStringSubmatch(line); m != nil && l.first == "" {
		l.first = wrapping.ReplaceAllString(m[1], "")
	}
	if m := restoreItem.FindStringSubmatch(line); m != nil {
		if l.left > 0 {
			l.left--
			l.meter.Add(1)
		}
		l.meter.Note(m[1])
	} else if m := restoreObject.FindStringSubmatch(line); m != nil {
		l.meter.Note(m[1])
	}
}

// role is the error about a missing role as the server would give it, or nil.
func (l *restoreLog) role() error {
	if noRole.MatchString(l.first) {
		return &roleError{l.first}
	}
	return nil
}

// roleError is PostgreSQL's message about a missing role, from pg_restore.
type roleError struct{ says string }

func (e *roleError) Error() string { return e.says }
