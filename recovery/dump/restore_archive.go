package dump

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/recovery/postgres"
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
		if err := s.define(ctx, path); err != nil {
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
	all := func() error { return r.pgRestore(ctx, path, "restore", c.definitions+c.rows) }
	if c.alone > maxAlone || r.jobs < 2 {
		return all()
	}
	if err := r.pgRestore(ctx, path, "definitions", c.definitions, "--section=pre-data"); err != nil {
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
	return all()
}

// createAnew creates the database again, without anything in it.
func (s *session) createAnew(ctx context.Context, c contents) error {
	if err := s.run(ctx, "drop database "+quoteName(s.database)+" with (force)", nil); err != nil {
		return fmt.Errorf("drop database %s: %w", s.database, err)
	}
	return s.createFrom(ctx, c)
}

// contents are what an archive says before it is restored.
type contents struct {
	// definitions and rows are how many entries there are in the sections before and of
	// the data; tables those of which rows come.
	definitions, rows int
	tables            int64
	roles             []string
	// superusers are roles that are given what only superusers are; subscriptions are of that
	// kind where that is so.
	superusers    []string
	subscriptions bool
	extensions    []string
	// create is the archive's own CREATE DATABASE, settings what it says about
	// the database besides.
	create   script.Part
	settings []script.Part
	// alone is how many indexes and keys call functions that are not PostgreSQL's own, so
	// that nothing may be beside them in a script; too many where names are without
	// their schemas, as old majors wrote them.
	alone int
}

// readContents reads the archive's table of contents as pg_restore shows it.
func (r *restore) readContents(ctx context.Context, path string) (contents, error) {
	tools := r.server.Cluster().Tools
	c := contents{subscriptions: tools.SubscribesAsSuperuser()}
	var list bytes.Buffer
	cmd := recovery.Cmd{Path: tools.Program("pg_restore"), Args: []string{"--list", "--section=pre-data", "--section=data", path}, Dir: "/", Env: programEnv,
		User: userOf(r.handle), Stdout: &list}
	if err := r.env.Command(ctx, cmd); err != nil {
		return c, r.unreadableArchive(err)
	}
	for line := range strings.Lines(list.String()) {
		switch m := listed.FindStringSubmatch(line); {
		case m == nil:
		case m[1] == "TABLE DATA":
			c.tables++
			c.rows++
		case m[1] != "":
			c.rows++
		default:
			c.definitions++
		}
	}
	// All statements without the data, through a pipe: a catalogue can be
	// large.
	out, in := io.Pipe()
	scanned := make(chan error, 1)
	go func() {
		err := c.scan(script.NewReader(out))
		out.CloseWithError(err) // nil is io.EOF, which nobody sees
		scanned <- err
	}()
	cmd.Args = []string{"--create", "--section=pre-data", "--section=post-data", "--no-tablespaces", "--file=-", path}
	cmd.Stdout = in
	err := r.env.Command(ctx, cmd)
	in.Close()
	if scanErr := <-scanned; scanErr != nil && !errors.Is(scanErr, script.ErrCutOff) {
		return c, scanErr
	}
	if err != nil {
		return c, r.unreadableArchive(err)
	}
	return c, nil
}

// listed is an entry of a list of contents, "3361; 0 16402 TABLE DATA public orders
// shop"; what it is where that is of the data.
var listed = pattern.New(`^\d+; \d+ \d+ (?:(TABLE DATA|SEQUENCE SET|BLOBS) )?`)

// unreadableArchive is pg_restore's refusal of the archive itself.
func (r *restore) unreadableArchive(err error) error {
	hint := "choose another dump or another copy: this archive is damaged or cut off"
	if strings.Contains(err.Error(), "unsupported version") {
		hint = fmt.Sprintf("install a newer PostgreSQL, at least %d", postgres.MajorForArchive(r.args.Head.Archive))
	}
	return recovery.Errorf(hint, "read the contents of %s: %w", r.args.Backup, err)
}

// scan collects what must be there before the restore begins.
func (c *contents) scan(r *script.Reader) error {
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read the contents of the archive: %w", err)
		}
		if p.Kind != script.Statement {
			continue
		}
		summary := p.Summary()
		c.roles = append(c.roles, script.Roles(p)...)
		if role := script.SuperuserOwner(p, c.subscriptions); role != "" && !slices.Contains(c.superusers, role) {
			c.superusers = append(c.superusers, role)
		}
		if e := p.Effect(); (e.Act == script.BuildIndex || e.Act == script.AddKey) && (e.Calls || e.Casts) {
			c.alone++
		}
		if strings.HasPrefix(summary, "SET search_path ") {
			c.alone = maxAlone + 1
		}
		if rest, ok := strings.CutPrefix(summary, "CREATE EXTENSION "); ok {
			rest = strings.TrimPrefix(rest, "IF NOT EXISTS ")
			name, _, _ := strings.Cut(rest, " ")
			c.extensions = append(c.extensions, strings.Trim(name, `"`))
		}
		switch j := script.Judge(p, superuser); {
		case j.Creates != "":
			c.create = p
			c.create.Text = bytes.Clone(p.Text)
		case aboutDatabase.MatchString(summary):
			p.Text = bytes.Clone(p.Text)
			c.settings = append(c.settings, p)
		case j.Verdict != script.Pass:
			return recovery.Errorf("restore a dump as pg_dump writes it",
				"the archive is refused: %s: %s", summary, j.Why).WithExit(recovery.Refused)
		}
	}
}

// aboutDatabase are the statements that pg_restore gives only with --create.
var aboutDatabase = pattern.New(`^(ALTER DATABASE |COMMENT ON DATABASE |SECURITY LABEL .*ON DATABASE |(GRANT|REVOKE) .* ON DATABASE |ALTER ROLE .* IN DATABASE )`)

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
	if err := s.promote(ctx, s.superusers(c)...); err != nil {
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

// createFrom creates the database with the archive's own encoding and locale.
func (s *session) createFrom(ctx context.Context, c contents) error {
	sql := "create database " + quoteName(s.database) + " template template0 encoding 'UTF8'"
	s.anyLocale = true
	if j := script.Judge(c.create, superuser); j.Creates == s.database {
		sql, s.anyLocale = string(c.create.Text), !saysLocale(c.create)
	}
	if err := s.create(ctx, s.database, sql); err != nil {
		return fmt.Errorf("create database %s: %w", s.database, err)
	}
	return nil
}

// finish gives the database its settings, once the data are in: some of them
// (read only, a timeout) would have been in the way.
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
		User: userOf(r.handle), Stderr: says}
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
	rest  []byte
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

func (l *restoreLog) Write(b []byte) (int, error) {
	l.rest = append(l.rest, b...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok && len(l.rest) < bufio.MaxScanTokenSize {
			return len(b), nil
		}
		if !ok {
			line, rest = l.rest, nil
		}
		l.line(string(line))
		l.rest = append(l.rest[:0], rest...)
	}
}

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
