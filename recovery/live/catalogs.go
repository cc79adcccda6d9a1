package live

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
)

// code is what a database has of code that no extension brings along: its functions by their
// names with their arguments, the event triggers that are enabled; and its extensions, and
// which languages it trusts.
type code struct {
	functions  map[string]function
	triggers   []trigger
	extensions []string
	languages  map[string]bool
}

// function is one that a dump would make.
type function struct {
	Schema, Name, Arguments, Language string
	Trusted, Definer                  bool
	Owner                             string
	Source, Library, Settings, Body   string
	// Loading says that rows that are loaded call it.
	Loading bool
}

func (f function) String() string { return fmt.Sprintf("%s.%s(%s)", f.Schema, f.Name, f.Arguments) }

// sum is of what the function does.
func (f function) sum() string { return sumOf(f.Language, f.Source, f.Library, f.Settings, f.Body) }

// trigger is an event trigger, with the function that it calls.
type trigger struct {
	Name, Event, Enabled, Tags, Function            string
	Language, Source, Library, FunctionConfig, Body string
}

func (t trigger) sum() string {
	return sumOf(t.Name, t.Event, t.Enabled, t.Tags, t.Function, t.Language, t.Source, t.Library, t.FunctionConfig, t.Body)
}

func (c code) digest() string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(c.functions)) {
		f := c.functions[name]
		parts = append(parts, name, f.sum(), f.Owner, fmt.Sprint(f.Trusted, f.Definer, f.Loading))
	}
	for _, t := range c.triggers {
		parts = append(parts, t.sum())
	}
	return sumOf(append(parts, c.extensions...)...)
}

// sumOf is a digest of texts, none of which runs into the next.
func sumOf(texts ...string) string {
	sum := sha256.New()
	for _, text := range texts {
		addText(sum, text)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

func addText(sum hash.Hash, text string) {
	var n [8]byte
	binary.BigEndian.PutUint64(n[:], uint64(len(text)))
	sum.Write(n[:])
	sum.Write([]byte(text))
}

// doesQuery is what a function does, of pg_proc p. Its body, where it is one of SQL, is the
// same text on every server of a major; before 14 there was none.
const doesQuery = "p.prosrc, coalesce(p.probin, ''), coalesce(p.proconfig::text, ''), %s"

// functionsQuery are the functions that pg_dump dumps: none of the system, of an extension, or
// that a type has brought along. An aggregate is made of functions, and has no code.
const functionsQuery = `
select n.nspname::text, p.proname::text, pg_get_function_identity_arguments(p.oid), l.lanname::text, l.lanpltrusted, p.prosecdef, pg_get_userbyid(p.proowner)::text, ` + doesQuery + `,
       exists (select from pg_depend d where d.refclassid = 'pg_proc'::regclass and d.refobjid = p.oid and (
         d.classid = 'pg_constraint'::regclass and exists (select from pg_constraint c where c.oid = d.objid and c.contype = 'c')
         or d.classid = 'pg_attrdef'::regclass and exists (select from pg_attrdef f join pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum where f.oid = d.objid and a.attgenerated = 's')
         or d.classid = 'pg_class'::regclass and exists (select from pg_class r where r.oid = d.objid and r.relkind = 'p')))
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where n.nspname not like 'pg\_%%' and n.nspname <> 'information_schema' and p.prokind <> 'a'
       and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i'))`

const triggersQuery = `
select e.evtname::text, e.evtevent::text, e.evtenabled::text, coalesce(e.evttags::text, ''), n.nspname || '.' || p.proname, l.lanname::text, ` + doesQuery + `
  from pg_event_trigger e join pg_proc p on p.oid = e.evtfoid join pg_namespace n on n.oid = p.pronamespace join pg_language l on l.oid = p.prolang
 where e.evtenabled <> 'D' and not exists (select from pg_depend d where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')
 order by e.evtname`

// readCode reads what a database has.
func readCode(ctx context.Context, tx pgx.Tx) (code, error) {
	c := code{functions: map[string]function{}, languages: map[string]bool{}}
	if _, err := tx.Exec(ctx, "set local search_path = ''"); err != nil { // all types with their schemas
		return c, err
	}
	var bodies bool
	if err := tx.QueryRow(ctx, "select current_setting('server_version_num')::int4 >= 140000").Scan(&bodies); err != nil {
		return c, err
	}
	body := "''"
	if bodies {
		body = "coalesce(pg_get_function_sqlbody(p.oid), '')"
	}
	all, err := rows[function](ctx, tx, fmt.Sprintf(functionsQuery, body))
	if err != nil {
		return c, err
	}
	for _, f := range all {
		c.functions[f.String()] = f
	}
	if c.triggers, err = rows[trigger](ctx, tx, fmt.Sprintf(triggersQuery, body)); err != nil {
		return c, err
	}
	if c.extensions, err = namesIn(ctx, tx, "select extname::text from pg_extension order by 1"); err != nil {
		return c, err
	}
	type language struct {
		Name    string
		Trusted bool
	}
	languages, err := rows[language](ctx, tx, "select lanname::text, lanpltrusted from pg_language")
	for _, l := range languages {
		c.languages[l.Name] = l.Trusted
	}
	return c, err
}

// namesIn is names within a transaction.
func namesIn(ctx context.Context, tx pgx.Tx, query string) ([]string, error) {
	found, err := tx.Query(ctx, query)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(found, pgx.RowTo[string])
}
