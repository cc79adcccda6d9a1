package script

import "strings"

// Act is what a statement does, as far as it matters for what may be done
// beside it.
type Act int

// The acts. What is not known in every detail is Unknown.
const (
	Unknown      Act = iota
	Setting          // SET or set_config: of the session alone
	Aside            // touches no table: a sequence's value, a large object and its owner, BEGIN and COMMIT around those
	LoadRows         // COPY … FROM stdin, in text
	BuildIndex       // CREATE INDEX
	AddKey           // ADD CONSTRAINT … PRIMARY KEY, UNIQUE or EXCLUDE
	AddReference     // ADD CONSTRAINT … FOREIGN KEY
	AddTrigger       // CREATE TRIGGER, which nothing but a later change of rows sets off
	AboutIndex       // CLUSTER ON, REPLICA IDENTITY, COMMENT ON INDEX and the like: cheap, after the index
)

// Relation is a name with its schema; the zero value is none.
type Relation struct{ Schema, Name string }

// Effect is what a statement does and to what.
type Effect struct {
	Act Act
	// Table is what it locks, Other what a foreign key refers to. Index is an
	// index in the schema of its table; where a statement names the index
	// alone, Table is zero and Attached, for ATTACH PARTITION, the other one.
	Table, Other, Index, Attached Relation
	// Method is an index's access method, "" for a key's.
	Method string
	// Columns are those that a COPY fills.
	Columns []string
	// Calls says that an expression may call a function that is not
	// PostgreSQL's own, Casts that it names a type that is not.
	Calls, Casts bool
	// Copy is a COPY that options can be added to.
	Copy string
	// First and Then, where they are set, are a constraint in two statements: of a
	// key its index, which can be built beside others, and the constraint on it; of a
	// foreign key the constraint, and the look whether the rows keep to it, which holds
	// its tables less than both in one do.
	First, Then string
}

// Effect says what a statement does. It assumes that search_path is empty: a name
// without a schema is PostgreSQL's own.
func (p Part) Effect() Effect {
	if len(p.Text) == 0 {
		return Effect{}
	}
	t := statement{tokens: p.Tokens(), text: p.Text}
	if len(t.tokens) >= maxTokens {
		return Effect{}
	}
	switch t.word(0) {
	case "set":
		return t.setting()
	case "select":
		return t.selects()
	case "begin", "commit":
		if len(t.tokens) == 1 {
			return Effect{Act: Aside}
		}
	case "copy":
		return t.loads(p)
	case "create":
		if t.word(1) == "trigger" {
			return t.triggers()
		}
		return t.builds()
	case "alter":
		return t.alters()
	case "comment":
		return t.comments()
	}
	return Effect{}
}

// qualified is the schema.name at a place, and the place behind it.
func (t statement) qualified(i int) (Relation, int) {
	if i+2 >= len(t.tokens) || t.word(i+1) != "." {
		return Relation{}, 0
	}
	r := Relation{t.name(i), t.name(i + 2)}
	if r.Schema == "" || r.Name == "" || t.word(i+3) == "." {
		return Relation{}, 0
	}
	return r, i + 3
}

// settings are those that pg_dump and pg_dumpall write. Others may be anything.
var settings = map[string]bool{
	"statement_timeout": true, "lock_timeout": true, "idle_in_transaction_session_timeout": true, "transaction_timeout": true,
	"client_encoding": true, "standard_conforming_strings": true, "escape_string_warning": true, "check_function_bodies": true,
	"xmloption": true, "client_min_messages": true, "row_security": true, "default_tablespace": true,
	"default_table_access_method": true, "default_with_oids": true, "default_toast_compression": true, "search_path": true,
	"datestyle": true, "intervalstyle": true, "timezone": true, "extra_float_digits": true, "bytea_output": true,
}

func (t statement) setting() Effect {
	if settings[t.word(1)] && (t.word(2) == "=" || t.word(2) == "to") {
		return Effect{Act: Setting}
	}
	return Effect{}
}

// asides are functions that neither read nor write a table.
var asides = map[string]bool{"setval": true, "lo_create": true, "lo_open": true, "lo_close": true, "lowrite": true, "loread": true}

// selects knows SELECT pg_catalog.f(literals).
func (t statement) selects() Effect {
	if t.name(1) != "pg_catalog" || t.word(2) != "." || t.word(4) != "(" || t.word(len(t.tokens)-1) != ")" {
		return Effect{}
	}
	for i := 5; i < len(t.tokens)-1; i++ {
		switch token := t.tokens[i]; {
		case token.Kind == String, token.Is(","), token.Is("-"), token.Is("true"), token.Is("false"):
		case token.Kind == Other && token.Text[0] >= '0' && token.Text[0] <= '9':
		default:
			return Effect{}
		}
	}
	switch f := t.name(3); {
	case asides[f]:
		return Effect{Act: Aside}
	case f == "set_config" && t.tokens[5].Kind == String && settings[strings.Trim(t.tokens[5].Text, "'")]:
		return Effect{Act: Setting}
	}
	return Effect{}
}

// loads knows COPY schema.table (columns) FROM stdin.
func (t statement) loads(p Part) Effect {
	table, i := t.qualified(1)
	if !p.Copies || i == 0 || t.word(i) != "(" {
		return Effect{}
	}
	e := Effect{Act: LoadRows, Table: table}
	for i++; ; i += 2 {
		if t.name(i) == "" {
			return Effect{}
		}
		e.Columns = append(e.Columns, t.name(i))
		if t.word(i+1) == ")" {
			break
		}
		if t.word(i+1) != "," {
			return Effect{}
		}
	}
	if t.word(i+2) != "from" || t.word(i+3) != "stdin" || i+4 != len(t.tokens) {
		return Effect{}
	}
	e.Copy = string(t.text[t.tokens[0].Start:t.tokens[i+3].End])
	return e
}

// builds knows CREATE [UNIQUE] INDEX name ON [ONLY] schema.table USING method ….
func (t statement) builds() Effect {
	i := 1
	if t.word(i) == "unique" {
		i++
	}
	if t.word(i) != "index" || t.name(i+1) == "" || t.word(i+2) != "on" {
		return Effect{}
	}
	name := t.name(i + 1)
	if i += 3; t.word(i) == "only" {
		i++
	}
	table, i := t.qualified(i)
	if i == 0 || t.word(i) != "using" || t.find(i, "tablespace") > 0 {
		return Effect{}
	}
	e := Effect{Act: BuildIndex, Table: table, Index: Relation{table.Schema, name}, Method: t.name(i + 1)}
	e.Calls, e.Casts = t.foreign(i)
	return e
}

// triggers knows CREATE TRIGGER name … ON schema.table ….
func (t statement) triggers() Effect {
	on := t.find(3, "on")
	if t.name(2) == "" || on < 0 {
		return Effect{}
	}
	table, i := t.qualified(on + 1)
	if i == 0 {
		return Effect{}
	}
	return Effect{Act: AddTrigger, Table: table}
}

// foreign looks from a place on for functions, operators and types that are not
// PostgreSQL's own.
func (t statement) foreign(from int) (calls, casts bool) {
	for i := from; i < len(t.tokens); i++ {
		if t.word(i) == "operator" && t.word(i+1) == "(" && t.name(i+2) != "pg_catalog" {
			calls = true
		}
		if t.word(i) != "." || t.name(i-1) == "pg_catalog" {
			continue
		}
		calls = calls || t.word(i+2) == "("
		casts = casts || t.word(i-2) == ":" || t.word(i-2) == "as"
	}
	return calls, casts
}

// Keys reports whether one of some columns is in what an index or a key is over: its
// first list.
func (p Part) Keys(columns map[string]bool) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	depth := 0
	for i := range t.tokens {
		switch t.word(i) {
		case "(":
			depth++
		case ")":
			if depth--; depth == 0 {
				return false
			}
		}
		if depth > 0 && columns[t.name(i)] {
			return true
		}
	}
	return false
}

func (t statement) alters() Effect {
	switch t.word(1) {
	case "index":
		return t.altersIndex()
	case "large":
		if owner := t.find(2, "owner"); t.word(2) == "object" && owner > 0 && t.word(owner+1) == "to" && len(t.tokens) == owner+3 {
			return Effect{Act: Aside}
		}
	}
	i := 2
	only := t.word(i) == "only"
	if only {
		i++
	}
	table, i := t.qualified(i)
	if t.word(1) != "table" || i == 0 {
		return Effect{}
	}
	e := Effect{Table: table}
	switch {
	case t.word(i) == "cluster" && t.word(i+1) == "on" && i+3 == len(t.tokens),
		t.word(i) == "replica" && t.word(i+1) == "identity" && t.word(i+2) == "using" && t.word(i+3) == "index" && i+5 == len(t.tokens):
		e.Act = AboutIndex
		return e
	case t.word(i) != "add" || t.word(i+1) != "constraint" || t.name(i+2) == "":
		return Effect{}
	}
	e.Index = Relation{table.Schema, t.name(i + 2)}
	constraint := i + 2
	i += 3
	e.Calls, e.Casts = t.foreign(i)
	switch {
	case t.word(i) == "primary" && t.word(i+1) == "key":
		e.Act = AddKey
		t.inTwo(&e, only, constraint, i, i+2)
	case t.word(i) == "unique":
		e.Act = AddKey
		t.inTwo(&e, only, constraint, i, i+1)
	case t.word(i) == "exclude" && t.word(i+1) == "using":
		e.Act, e.Method = AddKey, t.name(i+2)
	case t.word(i) == "foreign" && t.word(i+1) == "key":
		r := t.find(i, "references")
		if r < 0 {
			return Effect{}
		}
		other, next := t.qualified(r + 1)
		if next == 0 {
			return Effect{}
		}
		e.Act, e.Other, e.Calls = AddReference, other, false // it holds no expression
		t.unlooked(&e, only, constraint, next)
	default:
		return Effect{}
	}
	return e
}

// inTwo writes a key over nothing but columns as an index and a constraint on it.
func (t statement) inTwo(e *Effect, only bool, name, kind, columns int) {
	last := len(t.tokens) - 1
	if !only || t.word(columns) != "(" || t.word(last) != ")" {
		return
	}
	for i := columns + 1; i < last; i++ {
		if (i-columns)%2 == 1 && t.name(i) == "" || (i-columns)%2 == 0 && t.word(i) != "," {
			return
		}
	}
	text := func(i, j int) string { return string(t.text[t.tokens[i].Start:t.tokens[j].End]) }
	e.First = "CREATE UNIQUE INDEX " + text(name, name) + " ON ONLY " + quoted(e.Table.Schema) + "." + quoted(e.Table.Name) + " USING btree " + text(columns, last)
	e.Then = text(0, columns-1) + " USING INDEX " + text(name, name)
}

// unlooked writes a foreign key as one that no row was held against yet, and the look
// at the rows. What says more than which rows it is about and what becomes of them, as
// NOT VALID, stays as it is.
func (t statement) unlooked(e *Effect, only bool, name, options int) {
	if !only || t.find(options, "not") >= 0 || t.find(options, "enforced") >= 0 {
		return
	}
	last, id := t.tokens[len(t.tokens)-1], t.tokens[name]
	e.First = string(t.text[t.tokens[0].Start:last.End]) + " NOT VALID"
	e.Then = "ALTER TABLE ONLY " + quoted(e.Table.Schema) + "." + quoted(e.Table.Name) + " VALIDATE CONSTRAINT " + string(t.text[id.Start:id.End])
}

func quoted(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

// altersIndex knows ATTACH PARTITION and SET STATISTICS.
func (t statement) altersIndex() Effect {
	index, i := t.qualified(2)
	switch {
	case i == 0:
	case t.word(i) == "attach" && t.word(i+1) == "partition":
		if other, end := t.qualified(i + 2); end == len(t.tokens) {
			return Effect{Act: AboutIndex, Index: index, Attached: other}
		}
	case t.word(i) == "alter" && t.word(i+1) == "column" && t.word(i+3) == "set" && t.word(i+4) == "statistics":
		return Effect{Act: AboutIndex, Index: index}
	}
	return Effect{}
}

// comments knows COMMENT ON INDEX, COMMENT ON CONSTRAINT and COMMENT ON TRIGGER.
func (t statement) comments() Effect {
	switch {
	case t.word(1) != "on":
	case t.word(2) == "large" && t.word(3) == "object":
		return Effect{Act: Aside}
	case t.word(2) == "index":
		if index, i := t.qualified(3); i > 0 && t.word(i) == "is" {
			return Effect{Act: AboutIndex, Index: index}
		}
	case (t.word(2) == "constraint" || t.word(2) == "trigger") && t.word(4) == "on":
		if table, i := t.qualified(5); i > 0 && t.word(i) == "is" {
			return Effect{Act: AboutIndex, Table: table}
		}
	}
	return Effect{}
}
