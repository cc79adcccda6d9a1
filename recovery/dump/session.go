package dump

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
	"comeback/recovery/postgres"
)

// session is one session with the scratch server that takes a script's
// statements, one by one, as psql with ON_ERROR_STOP would.
type session struct {
	*restore
	conn *pgconn.PgConn
	// at is the database of the session.
	at string
	// has are the settings that the session was given by become.
	has settings
	// above is the user of the session that may do all for as long as it is that, and
	// lifted says that it is a superuser by that alone.
	above  string
	lifted bool
}

// connect opens a session with another database, and ends the one before.
func (s *session) connect(ctx context.Context, database string) error {
	if err := s.lower(ctx); err != nil {
		return err
	}
	s.close(ctx)
	address, err := postgres.ParseAddress(s.server.URL(database))
	if err != nil {
		return err
	}
	config := &address.Config
	// What fails here is told by the step, not by the server's log.
	config.RuntimeParams["log_min_messages"] = "fatal"
	// The database's own language would hide what a message tells.
	config.RuntimeParams["lc_messages"] = "C"
	// The database's own would end a session that waits while others work, or let it write
	// nothing.
	maps.Copy(config.RuntimeParams, s.server.Cluster().Tools.Unhurried())
	config.RuntimeParams["default_transaction_read_only"] = "off"
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) {
		if n.Severity != "NOTICE" { // "… does not exist, skipping"
			s.env.Meter().Log(n.Severity + ": " + n.Message)
		}
	}
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect to database %s: %w", database, err)
	}
	s.conn, s.at = conn, database
	return nil
}

func (s *session) close(ctx context.Context) {
	if err := s.lower(context.WithoutCancel(ctx)); err != nil {
		s.env.Meter().Log(err.Error()) // the restore has failed by then
	}
	if s.conn != nil {
		// Ending a session has nothing to lose: its work is committed.
		_ = s.conn.Close(context.WithoutCancel(ctx))
		s.conn = nil
	}
}

// execute runs a statement. Roles that it names and that do not exist are
// created first, without login; PostgreSQL itself says which.
func (s *session) execute(ctx context.Context, sql string, data io.Reader) error {
	// In a transaction of the script's own, a failure would end it.
	guarded := data == nil && s.conn.TxStatus() == 'T' && namesRoles.MatchString(sql)
	for {
		if guarded {
			if err := s.run(ctx, "savepoint comeback", nil); err != nil {
				return err
			}
		}
		err := s.run(ctx, sql, data)
		if err == nil && guarded && s.conn.TxStatus() == 'T' {
			return s.run(ctx, "release savepoint comeback", nil)
		}
		role := missingRole(err)
		if role == "" || data != nil || s.roles[role] || !guarded && s.conn.TxStatus() != 'I' { // data are gone
			return err
		}
		if guarded {
			if err := s.run(ctx, "rollback to savepoint comeback", nil); err != nil {
				return err
			}
		}
		if err := s.createRole(ctx, role); err != nil {
			return err
		}
	}
}

// namesRoles are the beginnings of statements that can name a role.
var namesRoles = pattern.New(`(?i)^\s*(alter|grant|revoke|create|set|reassign|comment|security)\s`)

// run sends one statement, with COPY data where there are some.
func (s *session) run(ctx context.Context, sql string, data io.Reader) error {
	if data != nil {
		_, err := s.copy(ctx, sql, data)
		return err
	}
	results := s.conn.Exec(ctx, sql)
	for results.NextResult() {
		rows := results.ResultReader()
		for rows.NextRow() {
		}
		if _, err := rows.Close(); err != nil {
			break // Close tells it again
		}
	}
	return lost(ctx, results.Close())
}

// copy sends the data of a COPY, and counts its rows.
func (s *session) copy(ctx context.Context, sql string, data io.Reader) (rows int64, err error) {
	held := &heldReader{r: data}
	tag, err := s.conn.CopyFrom(ctx, held, sql)
	held.end()
	s.rows.Add(tag.RowsAffected())
	return tag.RowsAffected(), lost(ctx, err)
}

// errLost: the server ended the session.
var errLost = errors.New("the scratch server broke off")

// lost marks a failure that is no answer of the server's.
func lost(ctx context.Context, err error) error {
	pg, answer := errors.AsType[*pgconn.PgError](err)
	if err == nil || ctx.Err() != nil || answer && !strings.HasPrefix(pg.Code, "57P") { // 57P: it is shutting down
		return err
	}
	return fmt.Errorf("%w: %w", errLost, err)
}

// heldReader ends with end, after which nothing is read any more: pgconn reads
// beside its caller, and goes on for a moment when the connection breaks.
type heldReader struct {
	mu    sync.Mutex
	r     io.Reader
	ended bool
}

func (h *heldReader) Read(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ended {
		return 0, io.ErrClosedPipe
	}
	return h.r.Read(p)
}

func (h *heldReader) end() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = true
}

// createRole creates a role by a session of its own: the script's may be another role's by
// then. A transaction of the script's, which would not see it at once, creates it itself.
func (s *session) createRole(ctx context.Context, role string) error {
	sql := "create role " + quoteName(role) + " nologin"
	create := s.asSuperuser
	if s.conn.TxStatus() == 'T' {
		create = func(ctx context.Context, sql string) error { return s.run(ctx, sql, nil) }
	}
	if err := create(ctx, sql); err != nil {
		return fmt.Errorf("create role %s: %w", role, err)
	}
	s.roles[role] = true
	s.env.Meter().Log("role " + role + " is missing, created without login")
	return nil
}

// promote makes superusers of roles that are given what only superusers are, for as long as
// it is given, and tells those that were none; demote takes it back.
func (s *session) promote(ctx context.Context, roles ...string) (made []string, err error) {
	for _, role := range roles {
		was, err := s.isSuperuser(ctx, role)
		if err == nil && !was {
			made, err = append(made, role), s.asSuperuser(ctx, "alter role "+quoteName(role)+" superuser")
		}
		if err != nil {
			return made, fmt.Errorf("make %s a superuser: %w", role, err)
		}
	}
	return made, nil
}

func (s *session) demote(ctx context.Context, roles ...string) error {
	for _, role := range roles {
		if err := s.asSuperuser(ctx, "alter role "+quoteName(role)+" nosuperuser"); err != nil {
			return fmt.Errorf("take back that %s is a superuser: %w", role, err)
		}
	}
	return nil
}

// lift lets the session's user do all until the session has another one: what it may do may
// come behind thousands of statements that need it.
func (s *session) lift(ctx context.Context, role string) error {
	if s.above == role {
		return nil
	}
	if err := s.lower(ctx); err != nil {
		return err
	}
	made, err := s.promote(ctx, role)
	s.above, s.lifted = role, len(made) > 0
	return err
}

// lower takes back what lift gave.
func (s *session) lower(ctx context.Context) error {
	role, lifted := s.above, s.lifted
	s.above, s.lifted = "", false
	if !lifted {
		return nil
	}
	return s.demote(ctx, role)
}

// settleUser takes back what another user of the session was given than it has now, and, before
// a statement about roles, what any was: the script decides who is a superuser.
func (s *session) settleUser(ctx context.Context, p script.Part) error {
	if s.above == "" || s.above == s.user() && !aboutRoles.Match(p.Text) {
		return nil
	}
	return s.lower(ctx)
}

var aboutRoles = pattern.New(`(?i)^\s*(alter|drop)\s+(role|user|group)\s`)

// owns remarks that roles own what only superusers are given.
func (r *restore) owns(roles ...string) {
	for _, role := range roles {
		r.remark("role " + role + " owns what PostgreSQL gives superusers alone, and is none")
	}
}

// remark is told once.
func (r *restore) remark(text string) {
	if !slices.Contains(r.remarks, text) {
		r.remarks = append(r.remarks, text)
	}
}

func (s *session) isSuperuser(ctx context.Context, role string) (is bool, err error) {
	conn, err := s.server.Connect(ctx, superuser)
	if err != nil {
		return false, lost(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	err = conn.QueryRow(ctx, "select rolsuper from pg_catalog.pg_roles where rolname = $1", role).Scan(&is)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, fmt.Errorf("the role %s is not there for others yet", role)
	}
	return is, lost(ctx, err)
}

func (s *session) asSuperuser(ctx context.Context, sql string) error {
	conn, err := s.server.Connect(ctx, superuser)
	if err != nil {
		return lost(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return lost(ctx, err)
}

var noRole = pattern.New(`(?s)^role "(.*)" does not exist$`)

// missingRole is the role whose absence is the error, or "".
func missingRole(err error) string {
	if m := noRole.FindStringSubmatch(messageOf(err)); m != nil {
		return m[1]
	}
	return ""
}

// messageOf is PostgreSQL's message, or "" where the error is not the server's.
func messageOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Message
	}
	if restore, ok := errors.AsType[*roleError](err); ok {
		return restore.says
	}
	return ""
}

func codeOf(err error) string {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pg.Code
	}
	return ""
}

func quoteName(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// The SQLSTATE codes that are told apart.
const (
	undefinedObject = "42704" // also an unknown setting
	duplicateObject = "42710"
	duplicateSchema = "42P06"
	duplicateBase   = "42P04"
	noDatabase      = "3D000"
	copyFailed      = "57014" // the client, which is us, ended a COPY
	notReady        = "55000" // also a materialized view that was not filled
)

// nothingThere are the codes of a DROP that finds nothing.
var nothingThere = []string{undefinedObject, "42P01", "42883", "42703", "3F000", noDatabase}

// notHere are the codes of a setting, or of a value of one, that this server does not have.
var notHere = []string{undefinedObject, "22023", "42602"}

// noProvider: a label is of a library that the server has not loaded.
var noProvider = pattern.New(`(?s)^security label provider ".*" is not loaded$`)

// forgive decides about a statement that failed: a nil error says that the
// script goes on, as a person who reads the message would let it, or when it was
// executed otherwise.
func (s *session) forgive(ctx context.Context, p script.Part, err error) error {
	code, summary := codeOf(err), p.Summary()
	if s.conn.TxStatus() != 'I' { // a failed transaction of the script's own
		return err
	}
	switch {
	case script.Drops(p) && slices.Contains(nothingThere, code):
		s.notDropped++
	case strings.HasPrefix(summary, "SET ") && code == undefinedObject:
		s.leave(p, fmt.Sprintf("PostgreSQL %d does not know this setting", s.server.Cluster().Tools.Major))
	case script.SetsDefault(p) && slices.Contains(notHere, code):
		s.leave(p, messageOf(err))
	case script.MakesPublic(p) && code == duplicateSchema:
	case (strings.HasPrefix(summary, "CREATE ROLE ") || strings.HasPrefix(summary, "CREATE USER ")) && code == duplicateObject:
	case strings.HasPrefix(summary, "SECURITY LABEL ") && noProvider.MatchString(messageOf(err)):
		s.leaveOut(p, messageOf(err))
	case strings.HasPrefix(summary, "REFRESH MATERIALIZED VIEW ") && (strings.HasPrefix(code, "08") || strings.HasPrefix(code, "HV") || s.unfilled && code == notReady):
		s.unfilled = true
		s.exceptions = append(s.exceptions, fmt.Sprintf("%s%s: %s; the scratch server reaches no other", s.lineOf(p.Line), summary, messageOf(err)))
	case postgres.NotAllowed(err):
		return s.permit(ctx, p, err)
	default:
		return err
	}
	return nil
}

// user is the role that the script has made the session's user, where that was created for it;
// else "".
func (s *session) user() string {
	if role := s.conn.ParameterStatus("session_authorization"); s.roles[role] {
		return role
	}
	return ""
}

// copyRows executes a COPY. What its user may do comes behind the rows, and rows do not come
// twice: it is a superuser from there on.
func (s *session) copyRows(ctx context.Context, sql string, data io.Reader) error {
	if role := s.user(); role != "" && s.conn.TxStatus() == 'I' {
		if err := s.lift(ctx, role); err != nil {
			return err
		}
	}
	return s.execute(ctx, sql, data)
}

// permit executes what the server does not let even its superuser do as it is written: who
// owns must be a superuser, too, who makes things as their owner may need rights that come
// behind them, and who has granted a membership there must be the one that the cluster began
// with.
func (s *session) permit(ctx context.Context, p script.Part, err error) error {
	if role := script.SuperuserOwner(p, s.server.Cluster().Tools.SubscribesAsSuperuser()); s.roles[role] {
		s.owns(role)
		return s.executeAbove(ctx, p, role)
	}
	if role := s.user(); role != "" && role != s.above && !script.Grants(p) {
		if err := s.lift(ctx, role); err != nil {
			return err
		}
		return s.execute(ctx, string(p.Text), nil)
	}
	if sql := script.WithoutGrantor(p); sql != "" {
		if err := s.execute(ctx, sql, nil); err != nil {
			return err
		}
		s.remark("memberships of roles are as granted by the scratch cluster's superuser: PostgreSQL lets nobody else have granted them")
		return nil
	}
	return err
}

// executeAbove executes a statement while a role is a superuser.
func (s *session) executeAbove(ctx context.Context, p script.Part, role string) error {
	made, err := s.promote(ctx, role)
	if err == nil {
		err = s.execute(ctx, string(p.Text), nil)
	}
	return errors.Join(err, s.demote(ctx, made...))
}

// maxLeftOut bounds what is listed one by one.
const maxLeftOut = 50

// leave lists a statement that is not executed, and that nobody misses.
func (r *restore) leave(p script.Part, why string) { r.list(&r.leftOut, p, why) }

// leaveOut lists a statement that is not executed, and that is missed.
func (r *restore) leaveOut(p script.Part, why string) { r.list(&r.missing, p, why) }

func (r *restore) list(among *[]string, p script.Part, why string) {
	text := fmt.Sprintf("%s%s (%s)", r.lineOf(p.Line), p.Summary(), why)
	r.env.Meter().Log("left out: " + text)
	r.leftOuts++
	switch {
	case len(*among) < maxLeftOut:
		*among = append(*among, text)
	case len(*among) == maxLeftOut:
		*among = append(*among, "more, which the step's log lists")
	}
}

var copyLine = pattern.New(`(?m)^COPY .*?, line (\d+)`) // what is said of a JSON value stands before it

// failed is a statement's failure for people, in PostgreSQL's own words. Its
// details, which may hold people's data, are left to the step's log.
func (s *session) failed(p script.Part, err error) error {
	if !p.Copies {
		return s.failedAt(p, p.Line, err)
	}
	_, err = s.failedCopy(p, err, func(row int64) int64 { return p.Line + row })
	return err
}

// failedCopy is the failure of a COPY, with the line of the row that is at fault
// where PostgreSQL tells.
func (s *session) failedCopy(p script.Part, err error, lineOf func(row int64) int64) (line int64, failure error) {
	line = p.Line
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		if m := copyLine.FindStringSubmatch(pg.Where); m != nil {
			var row int64
			if _, scan := fmt.Sscan(m[1], &row); scan == nil {
				line = max(line, lineOf(row))
			}
		}
	}
	return line, s.failedAt(p, line, err)
}

func (s *session) failedAt(p script.Part, line int64, err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || errors.Is(err, errLost) {
		return fmt.Errorf("restore %s: %s%w", s.args.Backup, s.lineOf(p.Line), err)
	}
	tools := s.server.Cluster().Tools
	hint := tools.HintFor(pg.Message)
	if hint == "" {
		hint = tools.HintFor(pg.Detail)
	}
	if hint == "" && postgres.Major(s.args.Head.Server) > tools.Major {
		hint = fmt.Sprintf("install PostgreSQL %d: the dumped server was that, and the scratch server is %d", postgres.Major(s.args.Head.Server), tools.Major)
	}
	if hint == "" {
		hint = "look at that line of the dump; if the dump is at fault, choose another one"
		if !s.args.Head.Form.script() {
			hint = "look at that statement: pg_restore --file=- writes it; if the dump is at fault, choose another one"
		}
	}
	return recovery.Errorf(hint, "restore %s: %s%s: %s", s.args.Backup, s.lineOf(line), p.Summary(), pg.Message)
}

// lineOf says where a statement stands: an archive has no lines.
func (r *restore) lineOf(line int64) string {
	if !r.args.Head.Form.script() {
		return ""
	}
	return fmt.Sprintf("line %d: ", line)
}
