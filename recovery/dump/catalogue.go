package dump

import (
	"context"
	_ "embed"
	"fmt"
	"strconv"
	"strings"

	"comeback/recovery/dump/script"
)

// catalogue is what the server says of the database that a script has made so
// far, as far as it decides what may be done beside something else.
type catalogue struct {
	// safe says that nothing which is not PostgreSQL's own takes part in a
	// COPY, an index or a constraint unseen: event triggers, operators written
	// in SQL, a search_path.
	safe bool
	// domains says the same of the checks of domains.
	domains   bool
	relations map[script.Relation]relationFacts
}

// relationFacts are about one relation.
type relationFacts struct {
	kind    string // as in pg_class.relkind
	columns int    // that a COPY fills
	// receives are the functions by which PostgreSQL itself receives values of the
	// columns in its binary format; types of others have none here.
	receives map[string]string
	// worded are the columns of text that is compared as a language does.
	worded map[string]bool
	// loads says that its rows can come beside those of others: it is an empty
	// table without triggers, rules and indexes, and neither its checks and
	// generated columns nor its types run a function that may read a table.
	loads bool
}

//go:embed catalogue.sql
var catalogueSQL string

// ask reads the catalogue.
func (s *session) ask(ctx context.Context) (*catalogue, error) {
	c := &catalogue{relations: map[script.Relation]relationFacts{}}
	result := s.conn.ExecParams(ctx, catalogueSQL, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, lost(ctx, fmt.Errorf("look at what the script has made: %w", result.Err))
	}
	for _, row := range result.Rows {
		// The first one, without a name, is about all.
		name := script.Relation{Schema: string(row[0]), Name: string(row[1])}
		yes := string(row[5]) == "t"
		if name.Name == "" {
			c.safe, c.domains = yes, string(row[2]) == "t"
			continue
		}
		columns, err := strconv.Atoi(string(row[3]))
		if err != nil {
			return nil, fmt.Errorf("look at what the script has made: %w", err)
		}
		facts := relationFacts{kind: string(row[2]), columns: columns, loads: yes, receives: map[string]string{}}
		// Between names are letters that no encoding has within another one.
		if len(row[4]) > 0 {
			facts.worded = map[string]bool{}
			for column := range strings.SplitSeq(string(row[4]), "\x01") {
				facts.worded[column] = true
			}
		}
		for column := range strings.SplitSeq(string(row[6]), "\x02") {
			name, receive, _ := strings.Cut(column, "\x01")
			facts.receives[name] = receive
		}
		c.relations[name] = facts
	}
	return c, nil
}

// settings are those of a session, by name: what it takes to make another
// session like it.
type settings map[string]string

// settings reads what was set in the session, and of what building changes that which
// nobody but the server's configuration has set.
func (s *session) settings(ctx context.Context) (set, configured settings, err error) {
	result := s.conn.ExecParams(ctx, `select name, setting, source from pg_catalog.pg_settings
		where source = 'session' and context in ('user', 'superuser') or name in ('`+buildMemory+`', '`+buildHelpers+`')`, nil, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, nil, lost(ctx, fmt.Errorf("read the settings of the session: %w", result.Err))
	}
	set, configured = settings{}, settings{}
	for _, row := range result.Rows {
		switch string(row[2]) {
		case "session":
			set[string(row[0])] = string(row[1])
		case "configuration file", "default":
			configured[string(row[0])] = string(row[1])
		}
	}
	return set, configured, nil
}

// become gives the session other settings.
func (s *session) become(ctx context.Context, now settings) error {
	for name := range s.has {
		if _, ok := now[name]; !ok {
			if err := s.run(ctx, "reset "+quoteName(name), nil); err != nil {
				return fmt.Errorf("reset %s: %w", name, err)
			}
		}
	}
	for name, value := range now {
		if had, ok := s.has[name]; ok && had == value {
			continue
		}
		set := s.conn.ExecParams(ctx, "select pg_catalog.set_config($1, $2, false)", [][]byte{[]byte(name), []byte(value)}, nil, nil, nil).Read()
		if set.Err != nil {
			return lost(ctx, fmt.Errorf("set %s: %w", name, set.Err))
		}
	}
	s.has = now
	return nil
}
