package script

// Drops reports whether a statement is one of those with which a script of pg_dump --clean
// begins: it takes away what may not be there.
func Drops(p Part) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	switch t.word(0) {
	case "drop":
		return true
	case "alter":
		return t.actsByDrop()
	case "select":
		return t.word(1) == "pg_catalog" && t.word(2) == "." && t.word(3) == "lo_unlink"
	}
	return t.emptiesView()
}

// actsByDrop knows ALTER … name DROP … and ALTER … name ALTER COLUMN name DROP …: drop may as
// well be the name of a table, a column or a schema.
func (t statement) actsByDrop() bool {
	i := 2
	if t.word(1) == "foreign" || t.word(1) == "materialized" {
		i++
	}
	if t.word(i) == "if" && t.word(i+1) == "exists" {
		i += 2
	}
	if t.word(i) == "only" {
		i++
	}
	for t.name(i) != "" && t.word(i+1) == "." {
		i += 2
	}
	if i++; t.word(i) == "alter" && t.word(i+1) == "column" && t.name(i+2) != "" {
		i += 3
	}
	return t.word(i) == "drop"
}

// emptiesView knows CREATE OR REPLACE VIEW … AS SELECT NULL::type AS name, …: before a view
// can be dropped on whose table's key it depends, and the key on it, it is made one that
// depends on nothing. The one with which it comes back reads a table.
func (t statement) emptiesView() bool {
	if t.word(0) != "create" || t.word(1) != "or" || t.word(2) != "replace" || t.word(3) != "view" {
		return false
	}
	as := t.find(4, "as")
	if as < 0 || t.word(as+1) != "select" {
		return false
	}
	for i := as + 2; ; {
		if t.word(i) != "null" || t.word(i+1) != ":" || t.word(i+2) != ":" || t.find(i, "from") > 0 {
			return false
		}
		name := t.find(i, "as") + 1
		if name == 0 || t.name(name) == "" {
			return false
		}
		if name == len(t.tokens)-1 {
			return true
		}
		if t.word(name+1) != "," {
			return false
		}
		i = name + 2
	}
}
