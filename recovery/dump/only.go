package dump

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/dump/script"
)

// only picks one table out of a dump: its definition without indexes,
// constraints and triggers, its rows, and what a definition may build on, such as
// schemas, types and functions.
type only struct {
	schema, name string
	// found says that the dump creates it, rows how many it has in the end.
	found bool
	rows  int64
}

// newOnly reads the name of a table as people write it, "carts" or "app.carts",
// letter by letter as the catalogue has it; nil where none is asked for.
func newOnly(table string) *only {
	if table == "" {
		return nil
	}
	schema, name, ok := strings.Cut(table, ".")
	if !ok {
		return &only{schema: "public", name: table}
	}
	return &only{schema: schema, name: name}
}

func (o *only) String() string {
	if o.schema == "public" {
		return o.name
	}
	return o.schema + "." + o.name
}

// part is what a statement of a dump is to one table.
type part int

const (
	apart   part = iota // of something else
	beneath             // a definition may build on it; its failure alone harms nobody
	setting             // how what follows is to be read
	itself              // its definition or its rows
)

// around are the things that a table may be built on.
var around = []string{"schema", "extension", "type", "domain", "collation", "function", "procedure", "aggregate", "sequence", "operator", "cast"}

// judge says what a statement is.
func (o *only) judge(p script.Part) part {
	t := p.Tokens()
	if len(t) < 2 {
		return apart
	}
	switch {
	case t[0].Is("set"):
		return setting
	case t[0].Is("select"):
		if slices.ContainsFunc(t[:min(len(t), 4)], func(t script.Token) bool { return t.Is("set_config") }) {
			return setting
		}
	case t[0].Is("copy"):
		return o.rowsIf(o.names(t[1:]))
	case t[0].Is("insert") && t[1].Is("into"):
		return o.rowsIf(o.names(t[2:]))
	case t[0].Is("create"):
		t = t[1:]
		for len(t) > 0 && slices.ContainsFunc([]string{"or", "replace", "unlogged", "foreign"}, t[0].Is) {
			t = t[1:]
		}
		switch {
		case len(t) == 0:
		case t[0].Is("table") && o.names(t[1:]):
			o.found = true
			return itself
		case slices.ContainsFunc(around, t[0].Is):
			return beneath
		}
	}
	return apart
}

// rowsIf is a statement with rows: the table's, or another's.
func (o *only) rowsIf(its bool) part {
	if its {
		return itself
	}
	return apart
}

// names reports whether tokens begin with the table's name.
func (o *only) names(t []script.Token) bool {
	if len(t) == 0 {
		return false
	}
	first, ok := t[0].Name()
	if ok && len(t) > 2 && t[1].Is(".") {
		second, ok := t[2].Name()
		return ok && first == o.schema && second == o.name
	}
	return ok && first == o.name
}

// defineOnly executes what an archive says before its data, as far as it is of the
// table.
func (s *session) defineOnly(ctx context.Context, path string) error {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	failed, err := s.scanArchive(ctx, path, func(r *script.Reader) error { return s.defineFrom(ctx, r) }, "--section=pre-data", "--no-owner", "--no-tablespaces")
	if failed != nil && !errors.Is(failed, script.ErrCutOff) {
		return failed
	}
	if err = cmp.Or(err, failed); err != nil {
		return s.unreadableArchive(err)
	}
	return s.absent()
}

func (s *session) defineFrom(ctx context.Context, r *script.Reader) error {
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
		what := s.only.judge(p)
		if j := script.Judge(p, superuser); what == apart || j.Verdict != script.Pass {
			continue
		}
		if err := s.execute(ctx, string(p.Text), nil); err != nil && !s.passes(what, p, err) {
			return s.failed(p, err)
		}
	}
}

// passes notes the failure of what the table may not even be built on.
func (s *session) passes(what part, p script.Part, err error) bool {
	if what == itself || messageOf(err) == "" {
		return false
	}
	s.env.Meter().Log("comeback: passed over: " + p.Summary() + ": " + messageOf(err))
	return true
}

// absent refuses a dump that does not create the table.
func (r *restore) absent() error {
	if r.only.found {
		return nil
	}
	return recovery.Errorf("write the name as the database has it, with its schema where that is not public; a view has no rows of its own",
		"%s holds no table %s", r.args.Backup, r.only).WithExit(recovery.Refused)
}

// loadOnly loads the rows of the table from an archive.
func (r *restore) loadOnly(ctx context.Context, path string) error {
	return r.pgRestore(ctx, path, "restore", 1, "--data-only", "--schema", r.only.schema, "--table", r.only.name)
}

// count counts the rows that came, and refuses a table that has none of its own.
func (r *restore) count(ctx context.Context) error {
	conn, err := r.server.Connect(ctx, r.database)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	var kind string
	table := quoteName(r.only.schema) + "." + quoteName(r.only.name)
	if err := conn.QueryRow(ctx, "select relkind::text from pg_class where oid = to_regclass($1)", table).Scan(&kind); err != nil {
		return fmt.Errorf("look at %s: %w", r.only, err)
	}
	if kind == "p" {
		return recovery.Errorf("name one of its partitions", "%s is partitioned: its rows are in its partitions", r.only).WithExit(recovery.Refused)
	}
	r.env.Meter().Phase("count the rows", 0, recovery.NoUnit)
	if err := conn.QueryRow(ctx, "select count(*) from "+table).Scan(&r.only.rows); err != nil {
		return fmt.Errorf("count the rows of %s: %w", r.only, err)
	}
	return nil
}

// pointFacts are what the engine keeps with a point.
type pointFacts struct {
	// Table is the only one that comes back; empty for all.
	Table string `json:"table,omitempty"`
	// Source is how large the database was that was dumped; 0 where nobody has recorded it.
	Source int64 `json:"source,omitempty,string"`
}

// factsOf are what the engine has kept with a point.
func factsOf(p recovery.Point) (f pointFacts, err error) {
	if len(p.Facts) == 0 {
		return f, nil
	}
	if err := json.Unmarshal(p.Facts, &f); err != nil {
		return f, recovery.Errorf("choose the moment again with this version of comeback", "read the facts of the point of %s: %w", p.Component, err)
	}
	return f, nil
}
