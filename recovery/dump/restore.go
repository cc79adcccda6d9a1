package dump

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"

	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
	"comeback/recovery/written"
	"comeback/storage"
)

// restoreKind feeds the dump to the scratch cluster. An interruption leaves a
// cluster with a part of it, and the next attempt makes a new one; the files of
// an archive that were fetched are not fetched again.
type restoreKind struct{ engine }

func (restoreKind) Name() string { return "dump.restore" }

func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	s, err := openScratch(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	server, m, again, err := k.emptyServer(ctx, env, s)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer server.LogTo(nil)
	r := newRestore(s, env, server, k.Jobs)
	r.syncEvery, r.again = k.SyncEvery, again
	stop := s.writeback(ctx)
	running, end := written.Roomy(ctx, s.handle.Room, nil) // how far a dump shrinks nobody knows before
	o, err := r.do(running)
	full := end()
	stop()
	if err != nil && full != nil {
		return o, fmt.Errorf("stop the restore before the disk is full: %w", full)
	}
	if err == nil {
		o.Facts[recovery.SystemIdentifier] = m.System
	}
	return o, err
}

// emptyServer is the server of a cluster that nothing was restored into yet, and
// marks it as begun. again reports that an earlier attempt had begun.
func (k restoreKind) emptyServer(ctx context.Context, env recovery.Env, s scratch) (server *postgres.Server, m mark, again bool, err error) {
	m, ok, err := s.mark()
	if err != nil {
		return nil, m, false, err
	}
	if again = m.Begun; ok && !again && m.Boot == ledger.Boot() {
		var c postgres.Cluster
		if c, err = s.cluster(k.Installed(), m); err == nil {
			server, err = postgres.Revive(ctx, env, c, postgres.StartOptions{Crashed: s.giveUp}, m.System, "postgres")
		}
		if err != nil && !errors.Is(err, recovery.ErrGone) && !errors.Is(err, fs.ErrNotExist) {
			return nil, m, false, err
		}
	}
	if server == nil {
		tools, _, _, err := choose(k.Installed(), s.args.Head)
		if err != nil {
			return nil, m, again, err
		}
		if server, m, err = s.fresh(ctx, env, tools); err != nil {
			return nil, m, again, err
		}
	}
	server.LogTo(env.Meter().Log)
	m.Begun = true
	return server, m, again, s.setMark(m)
}

// restore is one restore under way, and what is to be reported of it.
type restore struct {
	scratch
	env    recovery.Env
	server *postgres.Server
	jobs   int
	// syncEvery is about how many bytes are fetched between two checkpoints;
	// again says that an earlier attempt had begun.
	syncEvery int64
	again     bool
	// database is where the component is found in the end.
	database   string
	facts      map[string]string
	roles      map[string]bool // created without login
	leftOut    []string        // at most maxLeftOut of those that are counted
	missing    []string        // the same of those that are exceptions
	leftOuts   int
	remarks    []string
	exceptions []string
	notDropped int
	// unfilled says that a materialized view could not be filled.
	unfilled bool
	rows     atomic.Int64
	// translated counts the rows that went in as tuples.
	translated atomic.Int64
	// along counts the foreign keys that were looked at along indexes.
	along atomic.Int64
	// anyLocale says that the dump does not tell the database's locale.
	anyLocale bool
	// only is the table that alone comes back; nil for all.
	only *only
}

func newRestore(s scratch, env recovery.Env, server *postgres.Server, jobs int) *restore {
	return &restore{scratch: s, env: env, server: server, jobs: jobs, only: newOnly(s.args.Table), syncEvery: defaultSyncEvery, facts: map[string]string{}, roles: map[string]bool{}}
}

// do restores, and reports what was restored.
func (r *restore) do(ctx context.Context) (recovery.Outcome, error) {
	run := r.archiveFiles
	if r.args.Head.Form.script() {
		run = r.script
	}
	err := run(ctx)
	if err == nil && r.only != nil {
		err = r.count(ctx)
	}
	if err != nil {
		return recovery.Outcome{}, serverError(r.server, err)
	}
	return r.outcome(ctx)
}

// superuser is the role that restores.
const superuser = "postgres"

// name is the database to create where the dump creates none.
func (r *restore) name() string {
	switch {
	case r.args.Database != "":
		return r.args.Database
	case r.args.Head.Database != "":
		return r.args.Head.Database
	}
	return r.args.Component
}

// open streams an object of the dump, counting what it reads for the report:
// the sum is over the bytes as they are stored.
func (r *restore) open(ctx context.Context, o storage.Object, options storage.ReadOptions) (*source, error) {
	store, err := r.env.Store(ctx, r.args.Copy)
	if err != nil {
		return nil, err
	}
	options.Ahead = storage.Wide
	return &source{in: storage.NewReader(ctx, store, o, options), sum: sha256.New()}, nil
}

// source is an object's bytes, summed as they pass.
type source struct {
	in  io.ReadCloser
	sum hash.Hash
	// err is how reading failed, kept apart from what decompression, which
	// runs beside the restore, makes of it.
	err atomic.Pointer[error]
}

func (s *source) Read(p []byte) (int, error) {
	n, err := s.in.Read(p)
	s.sum.Write(p[:n]) // a hash takes everything
	if err != nil && err != io.EOF {
		s.err.Store(&err)
	}
	return n, err
}

// failure is how the store failed to give the object, or nil.
func (s *source) failure() error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return nil
}

// finish reads what decompression left over, so that the sum and the store's own
// check are over the whole object.
func (s *source) finish() (string, error) {
	if _, err := io.Copy(io.Discard, s); err != nil {
		return "", err
	}
	return hex.EncodeToString(s.sum.Sum(nil)), nil
}

// truncated turns the many ways in which a compressed stream can end early into
// one sentence.
func truncated(key string, s *source, err error) error {
	if failure := s.failure(); failure != nil {
		return failure // the store's own words
	}
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return recovery.Errorf("choose an older dump, and look at what writes them: it was stopped in the middle",
			"%s is cut off: the compressed data end before their end", key)
	}
	return recovery.Errorf("choose another dump or another copy", "%s is damaged: %w", key, err)
}

// outcome is the report of a restore that has ended well.
func (r *restore) outcome(ctx context.Context) (recovery.Outcome, error) {
	conn, err := r.server.Connect(ctx, r.database)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var tables, indexes, size int64
	err = conn.QueryRow(ctx, `select count(*) filter (where relkind in ('r', 'p')), count(*) filter (where relkind in ('i', 'I')),
		pg_database_size(current_database())
		from pg_class c join pg_namespace n on n.oid = c.relnamespace
		where n.nspname <> 'information_schema' and n.nspname !~ '^pg_'`).Scan(&tables, &indexes, &size)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("count what was restored: %w", err)
	}
	h := r.args.Head
	for name, value := range map[string]string{
		"dump": r.args.Backup, "form": h.Form.says(h.Packing), "dumped server": h.Server, "pg_dump": h.Dumper, "begun": when(r.args.Taken),
		"database": r.database, "tables": strconv.FormatInt(tables, 10), "indexes": strconv.FormatInt(indexes, 10), "size": recovery.FormatBytes(size),
	} {
		if value != "" {
			r.facts[name] = value
		}
	}
	took := "every statement of it"
	if r.leftOuts > 0 {
		took += fmt.Sprintf(" but the %d listed as left out", r.leftOuts)
	}
	o := recovery.Outcome{
		Says:       fmt.Sprintf("%s is restored: %d tables, %d indexes, %s", r.args.Backup, tables, indexes, recovery.FormatBytes(size)),
		Facts:      r.facts,
		Bindings:   []recovery.Binding{{Component: r.args.Component, URL: r.server.URL(r.database), Scratch: r.handle.Scratch, AnyLocale: r.anyLocale}},
		Exceptions: r.exceptions,
		Remarks:    r.remarks,
		Reached: &recovery.Reached{Component: r.args.Component, Evidence: []string{
			fmt.Sprintf("the dump was read to its end and PostgreSQL took %s; it was begun %s", took, when(r.args.Taken)),
		}},
	}
	if r.only != nil {
		o.Says = fmt.Sprintf("only %s of %s is restored: %s", r.only, r.args.Backup, recovery.FormatCount(r.only.rows, "row"))
		o.Reached.Evidence = []string{o.Says}
	}
	if r.args.Taken.Known() {
		o.Reached.Time = r.args.Taken.To
	}
	if len(r.roles) > 0 {
		o.Remarks = append(o.Remarks, "roles created without login: "+strings.Join(slices.Sorted(maps.Keys(r.roles)), ", "))
	}
	if r.notDropped > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("%s of the dump found nothing to drop", recovery.FormatCount(r.notDropped, "DROP statement")))
	}
	for _, text := range r.leftOut {
		o.Remarks = append(o.Remarks, "left out: "+text)
	}
	for _, text := range r.missing {
		o.Exceptions = append(o.Exceptions, "left out: "+text)
	}
	return o, nil
}

// databaseOf is the database of a binding that outcome made.
func databaseOf(b recovery.Binding) string {
	u, err := url.Parse(b.URL)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}
