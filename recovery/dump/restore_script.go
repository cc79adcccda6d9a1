package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/storage"
)

// script restores a plain script as it streams from the copy: object, sum,
// decompression, statements.
func (r *restore) script(ctx context.Context) (err error) {
	object := r.args.Objects[0]
	progress := &feed{meter: r.env.Meter(), total: object.Size, unit: recovery.InBytes}
	if r.again {
		says := fmt.Sprintf("%s is read again from its beginning: a script goes into the server as it comes, and cannot be taken up in the middle", object.Key)
		if err := r.env.Meter().Checkpoint(ctx, says); err != nil {
			return err
		}
	}
	src, err := r.open(ctx, object, storage.ReadOptions{Progress: progress.read})
	if err != nil {
		return err
	}
	defer src.in.Close()
	progress.data()
	text, err := unpack(r.args.Head.Packing, src)
	if err != nil {
		return truncated(object.Key, src, err)
	}
	defer text.Close()

	run := &scriptRun{session: session{restore: r}, key: object.Key, source: src, progress: progress, skipped: map[string]bool{}}
	defer run.close(ctx)
	defer func() { run.endCrew(ctx) }()
	stop := run.watch(ctx)
	defer stop()
	if r.jobs > 1 && r.only == nil {
		run.foreseen = r.foreseeScript(ctx, object)
	}
	if err := run.begin(ctx); err != nil {
		return err
	}
	if err := run.first(run.all(ctx, script.NewReader(text))); err != nil {
		return err
	}
	if err := run.complete(); err != nil {
		return err
	}
	if run.only != nil {
		if err := run.absent(); err != nil {
			return err
		}
	}
	sum, err := src.finish()
	if err != nil {
		return truncated(object.Key, src, err)
	}
	r.facts["sha256"], r.facts["bytes"] = sum, fmt.Sprint(object.Size)
	run.note()
	r.facts["rows"] = fmt.Sprint(r.rows.Load())
	return nil
}

// scriptRun is a script on its way into the server.
type scriptRun struct {
	session
	*beside
	key      string
	source   *source
	progress *feed
	// dumps and clusters count the beginnings of dumps whose ends have not
	// come yet; begins those that were seen at all.
	begins, dumps, clusters int
	// statements counts those that were executed, handed those of them that
	// the crew did, ahead the indexes that it began before their place had come.
	statements, handed, ahead int
	// chain is how long the longest chain of statements took in the databases that are
	// behind it.
	chain time.Duration
	// created are the databases that the script creates; skipped those that
	// were not asked for, skipping is set while the script is in one of them.
	created  []string
	skipped  map[string]bool
	skipping bool
	// foreseen is what is known beforehand of what stands behind the rows.
	foreseen *outlook
	// archive says that pg_restore writes the script, behind its definitions.
	archive bool
}

// begin connects to where the script starts: a database of its own, unless it
// creates that itself.
func (s *scriptRun) begin(ctx context.Context) error {
	in := "postgres"
	if s.args.Head.Creates {
		in = beginsIn(s.args.Head.Database)
	}
	if err := s.connect(ctx, in); err != nil {
		return err
	}
	if s.args.Head.Form == clusterScript && initial(s.args.Database) {
		s.database = s.args.Database
	}
	if s.args.Head.Form == clusterScript || s.args.Head.Creates {
		return nil
	}
	s.database = s.name()
	defer s.startCrew(ctx)
	if err := s.clear(ctx, s.database); err != nil {
		return err
	}
	s.anyLocale = true
	if err := s.run(ctx, "create database "+quoteName(s.database)+" template template0 "+s.encoding(), nil); err != nil {
		return fmt.Errorf("create database %s: %w", s.database, err)
	}
	return s.connect(ctx, s.database)
}

// encoding is how a database is made for a script that does not say how its own was:
// by the encoding that its rows are in.
func (s *scriptRun) encoding() string {
	switch rows := s.args.Head.Encoding; {
	case strings.EqualFold(rows, "SQL_ASCII"): // any bytes, which no other encoding takes
		return "encoding 'SQL_ASCII' locale 'C'"
	case rows != "" && !strings.EqualFold(rows, "UTF8"):
		s.remarks = append(s.remarks, fmt.Sprintf("the dump is written in %s and does not say how its database was made; the restored one has the encoding UTF8", rows))
	}
	return "encoding 'UTF8'"
}

// all executes the script's parts in turn.
func (s *scriptRun) all(ctx context.Context, r *script.Reader) error {
	for {
		p, err := r.Next()
		if errors.Is(err, io.EOF) && s.source.failure() == nil {
			if err := s.undoEarly(ctx); err != nil {
				return err
			}
			s.handStatistics()
			return s.lower(ctx)
		}
		if err != nil {
			return s.unreadable(err)
		}
		switch p.Kind {
		case script.Comment:
			s.comment(strings.TrimSpace(string(p.Text)))
		case script.Command:
			err = s.command(ctx, p)
		case script.Statement:
			err = s.statement(ctx, r, p)
			// As psql does: the server says how strings are to be read.
			r.StandardStrings(s.conn.ParameterStatus("standard_conforming_strings") != "off")
		}
		if err != nil {
			return err
		}
	}
}

// unreadable is a script that could not be read or split.
func (s *scriptRun) unreadable(err error) error {
	switch {
	case s.source.failure() != nil:
		return s.source.failure()
	case errors.Is(err, script.ErrCutOff):
		return s.cutOff(err.Error())
	case errors.Is(err, script.ErrCommand):
		return recovery.Errorf("restore a dump as pg_dump writes it", "restore %s: refused: %w", s.key, err).WithExit(recovery.Refused)
	case errors.Is(err, script.ErrTooLong):
		return recovery.Errorf("dump without --inserts, or with fewer rows in each, and restore that", "restore %s: %w", s.key, err)
	}
	return truncated(s.key, s.source, err)
}

func (s *scriptRun) cutOff(how string) error {
	return &recovery.Error{What: s.key + " is not whole: " + how, Hint: "choose an older dump, and look at what writes them: it was stopped in the middle", Err: script.ErrCutOff}
}

func (s *scriptRun) comment(line string) {
	switch line {
	case dumpBegins:
		s.begins++
		s.dumps++
	case dumpEnds:
		s.dumps--
	case clusterBegins:
		s.begins++
		s.clusters++
	case clusterEnds:
		s.clusters--
	}
}

// complete refuses a script that pg_dump did not write to its end.
func (s *scriptRun) complete() error {
	switch {
	case s.clusters > 0:
		return s.cutOff("the line “" + clusterEnds + "” is missing")
	case s.dumps > 0:
		return s.cutOff("the line “" + dumpEnds + "” is missing")
	case s.begins == 0:
		return recovery.Errorf("choose another dump", "%s is not a dump of PostgreSQL", s.key)
	}
	if s.database != "" {
		return nil
	}
	switch {
	case s.args.Database != "":
		return recovery.Errorf("set database in the runbook to one of those", "%s holds no database %s, only: %s", s.key, s.args.Database, strings.Join(s.created, ", "))
	case len(s.created) == 0:
		return recovery.Errorf("choose a dump with a database in it", "%s holds no database", s.key)
	}
	s.database = s.created[0]
	return nil
}

// command follows the psql commands that pg_dump writes, and refuses others:
// psql would run programs for some of them.
func (s *scriptRun) command(ctx context.Context, p script.Part) error {
	text := string(p.Text)
	if script.IsRestrict(text) {
		return nil
	}
	if err := s.drain(); err != nil {
		return err
	}
	if err := s.undoEarly(ctx); err != nil {
		return err
	}
	database, ok := script.ParseConnect(text)
	if !ok {
		name, _, _ := strings.Cut(strings.TrimSpace(text), " ")
		return recovery.Errorf("restore a dump as pg_dump writes it, or remove that line if you know what it does",
			"restore %s: refused: line %d: the psql command %.40s is none that pg_dump writes", s.key, p.Line, name).WithExit(recovery.Refused)
	}
	if s.skipping = s.skipped[database]; s.skipping {
		return nil
	}
	if err := s.connect(ctx, database); err != nil {
		return fmt.Errorf("restore %s: line %d: %w", s.key, p.Line, err)
	}
	s.startCrew(ctx)
	return nil
}

// statement judges and executes one statement.
func (s *scriptRun) statement(ctx context.Context, r *script.Reader, p script.Part) error {
	j := script.Judge(p, superuser)
	if s.skipping && (j.Creates != "" || strings.HasPrefix(p.Summary(), "DROP DATABASE ")) {
		s.skipping = false // pg_dumpall drops and creates the next database from within the one before
	}
	if s.skipping {
		if strings.HasPrefix(p.Summary(), "SET standard_conforming_strings ") {
			return s.run(ctx, string(p.Text), nil) // it says how the rest is to be read
		}
		return nil // the reader passes over its data
	}
	switch {
	case j.Verdict == script.Refuse:
		return recovery.Errorf("restore a dump as pg_dump writes it, or remove that statement if you know what it does",
			"restore %s: refused: line %d: %s: %s", s.key, p.Line, p.Summary(), j.Why).WithExit(recovery.Refused)
	case j.Verdict == script.LeaveOut:
		s.leave(p, j.Why)
		return nil
	case j.Creates != "":
		if err := s.drain(); err != nil {
			return err
		}
		return s.createDatabase(ctx, p, j)
	}
	if s.archive && s.handed == 0 && s.rows.Load() == 0 && inserts.Match(p.Text) {
		return errInserts
	}
	s.statements++
	if j.SQL == "" && j.Role == "" {
		if handed, err := s.hand(ctx, r, p); handed || err != nil {
			return err
		}
	} else if err := s.alone(ctx); err != nil {
		return err
	}
	what := itself
	if s.only != nil {
		if what = s.only.judge(p); what == apart {
			return nil // the reader passes over its data
		}
	}
	if err := s.settleUser(ctx, p); err != nil {
		return err
	}
	sql := j.SQL
	if sql == "" {
		sql = string(p.Text)
	}
	execute, data := s.execute, io.Reader(nil)
	if p.Copies {
		execute = s.copyRows
		s.progress.data()
		s.env.Meter().Note(strings.TrimSuffix(p.Summary(), " FROM stdin"))
		data = r.Data()
	} else {
		s.progress.statement(p)
	}
	err := execute(ctx, sql, data)
	switch {
	case err == nil:
		if j.Role != "" {
			s.roles[j.Role] = true
		}
		return nil
	case p.Copies && codeOf(err) == copyFailed:
		if _, cause := io.Copy(io.Discard, r.Data()); cause != nil {
			return s.unreadable(cause)
		}
	case codeOf(err) == noDatabase && (len(s.skipped) > 0 || s.clusters > 0 && s.args.Head.Form == plainScript):
		s.leave(p, "it is about a database that was not asked for")
		return nil
	case messageOf(err) == "" && s.source.failure() != nil:
		return s.source.failure()
	}
	if err := s.forgive(ctx, p, err); err != nil && !s.passes(what, p, err) {
		return s.failed(p, err)
	}
	return nil
}

var inserts = pattern.New(`^INSERT INTO `)
