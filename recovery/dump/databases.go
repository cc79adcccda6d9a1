package dump

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/dump/script"
)

// createDatabase executes a script's CREATE DATABASE, where its database is the
// one that was asked for, or the only one.
func (s *scriptRun) createDatabase(ctx context.Context, p script.Part, j script.Judgement) error {
	name := j.Creates
	own := initial(name) && s.args.Head.Form == clusterScript // which brings them along
	if s.args.Database != "" && name != s.args.Database && !own {
		s.skipped[name] = true
		s.leave(p, "database is "+s.args.Database+" in the runbook")
		s.created = append(s.created, name)
		return nil
	}
	if !own && len(s.created) > 0 && s.args.Database == "" {
		return recovery.Errorf("set database in the runbook to the one that is this component's",
			"%s holds several databases: %s, %s", s.key, strings.Join(s.created, ", "), name).WithExit(recovery.Usage)
	}
	sql := j.SQL
	if sql == "" {
		sql = string(p.Text)
	}
	if err := s.create(ctx, name, sql); err != nil {
		return s.failed(p, err)
	}
	if !own {
		s.created = append(s.created, name)
		s.database = name
		s.anyLocale = !saysLocale(p)
	}
	return nil
}

// saysLocale reports whether a CREATE DATABASE says how text sorts: one of an old
// pg_dumpall does where that is not as in its cluster, one that somebody has edited may not.
func saysLocale(p script.Part) bool {
	const name = 3 // tokens end with the database's
	tokens := p.Tokens()
	return slices.ContainsFunc(tokens[min(name, len(tokens)):], func(t script.Token) bool {
		return t.Is("locale") || t.Is("lc_collate") || t.Is("icu_locale") || t.Is("builtin_locale")
	})
}

// initial reports whether a database is one that initdb makes.
func initial(database string) bool { return database == "postgres" || database == "template1" }

// beginsIn is the database that a session is in while it makes another one.
func beginsIn(database string) string {
	if database == "postgres" {
		return "template1"
	}
	return "postgres"
}

// clear removes a database that initdb has made, where a dump brings it along, and
// leaves the session in another one. No other database is removed.
func (s *session) clear(ctx context.Context, name string) error {
	if !initial(name) {
		return nil
	}
	err := s.connect(ctx, beginsIn(name))
	if err == nil {
		err = s.run(ctx, "update pg_database set datistemplate = false where datname = '"+name+"'", nil)
	}
	if err == nil {
		err = s.run(ctx, "drop database if exists "+quoteName(name)+" with (force)", nil)
	}
	if err != nil {
		return fmt.Errorf("make room for database %s: %w", name, err)
	}
	return nil
}

// create makes a database as the dump says. Where this machine does not have
// its locale, the next best is taken, and that is an exception: text sorts
// otherwise than at the source.
func (s *session) create(ctx context.Context, name, sql string) error {
	statement := script.Part{Kind: script.Statement, Text: []byte(sql)}
	encoding := encodingOf(statement)
	if err := s.clear(ctx, name); err != nil {
		return err
	}
	err := s.execute(ctx, sql, nil)
	if err == nil || s.conn.TxStatus() != 'I' || !namesLocale.MatchString(sql) && !ofLocale(encoding) {
		return err
	}
	switch code := codeOf(err); {
	case code == "", code == duplicateBase, strings.HasPrefix(code, "53"), strings.HasPrefix(code, "58"):
		return err
	}
	locale, how := "C", " locale 'C'"
	if encoding == "" || strings.EqualFold(encoding, "UTF8") {
		locale, how = "C.UTF-8", "" // as the cluster has it
	}
	if !slices.ContainsFunc(statement.Tokens(), func(t script.Token) bool { return t.Is("template") }) {
		how += " template template0" // any other is of one encoding
	}
	if s.execute(ctx, script.WithoutLocale(statement)+how, nil) != nil {
		return err // the first failure is the one to tell
	}
	s.exceptions = append(s.exceptions, fmt.Sprintf("database %s has the locale %s, because PostgreSQL says: %s; text may sort otherwise than at the source",
		name, locale, messageOf(err)))
	return nil
}

// ofLocale reports whether an encoding goes with some locales alone, which an old pg_dumpall
// leaves out where its template0 has it.
func ofLocale(encoding string) bool {
	return encoding != "" && !strings.EqualFold(encoding, "UTF8") && !strings.EqualFold(encoding, "SQL_ASCII")
}

var namesLocale = pattern.New(`(?i)locale|lc_collate|lc_ctype`)

// encodingOf is the encoding that a CREATE DATABASE names, or "".
func encodingOf(p script.Part) string {
	tokens := p.Tokens()
	for i, t := range tokens {
		if !t.Is("encoding") || i+1 >= len(tokens) {
			continue
		}
		value := tokens[i+1]
		if value.Is("=") && i+2 < len(tokens) {
			value = tokens[i+2]
		}
		name := strings.Trim(value.Text, "'")
		if strings.ContainsAny(name, `'"\`) {
			return ""
		}
		return name
	}
	return ""
}
