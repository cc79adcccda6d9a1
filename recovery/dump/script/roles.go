package script

import "slices"

// nobody are the words that stand where a role can stand and name none.
var nobody = []string{"public", "current_user", "session_user", "current_role", "none", "default"}

// Roles are the roles that a statement of a dump names: owners, grantees,
// those of policies, default privileges and user mappings.
func Roles(p Part) []string {
	t := statement{tokens: p.Tokens(), text: p.Text}
	var roles []string
	add := func(i int) {
		if i >= len(t.tokens) {
			return
		}
		token := t.tokens[i]
		name, ok := token.Name()
		if token.Kind == String && len(token.Text) > 2 && token.Text[0] == '\'' { // SET SESSION AUTHORIZATION 'shop'
			name, ok = token.Text[1:len(token.Text)-1], true
		}
		if ok && (token.Kind != Word || !slices.Contains(nobody, name)) && !slices.Contains(roles, name) {
			roles = append(roles, name)
		}
	}
	// list takes the names after a place, up to what is no comma.
	list := func(i int) {
		for {
			if t.word(i) == "group" {
				i++
			}
			add(i)
			if t.word(i+1) != "," {
				return
			}
			i += 2
		}
	}
	first, second := t.word(0), t.word(1)
	for i := range t.tokens {
		next := t.word(i + 1)
		switch w := t.word(i); {
		case w == "owner" && next == "to" && first == "alter":
			add(i + 2)
		case w == "authorization" && (first == "set" || first == "create" && second == "schema"):
			add(i + 1)
		case w == "for" && (next == "role" || next == "user") && first == "alter" && second == "default":
			list(i + 2)
		case w == "granted" && next == "by" && (first == "grant" || first == "revoke"):
			add(i + 2)
		}
	}
	switch {
	case first == "grant":
		list(t.after("to"))
	case first == "revoke":
		list(t.after("from"))
	case first == "alter" && second == "default":
		if i := t.after("grant"); i < len(t.tokens) {
			list(t.after("to"))
		} else {
			list(t.after("from"))
		}
	case (first == "create" || first == "alter") && second == "policy":
		if i := t.after("to"); t.word(i-2) != "rename" {
			list(i)
		}
	case first == "create" && second == "user" && t.word(2) == "mapping":
		list(t.after("for"))
	}
	return roles
}

// WithoutGrantor is a GRANT or REVOKE of a role's membership without who granted it; "" where
// a statement is none, or says nothing of that. From 16 on that is the cluster's first
// superuser or who may administer the role, and the source's may have another name.
func WithoutGrantor(p Part) string {
	t := statement{tokens: p.Tokens(), text: p.Text}
	if first := t.word(0); first != "grant" && first != "revoke" || t.find(1, "on") >= 0 {
		return ""
	}
	i := len(t.tokens) - 3 // it stands last
	if i < 1 || t.word(i) != "granted" || t.word(i+1) != "by" {
		return ""
	}
	return string(t.text[t.tokens[0].Start:t.tokens[i-1].End]) + string(t.text[t.tokens[i+2].End:])
}

// SuperuserOwner is the role that a statement makes the owner of what only superusers are
// given, with subscriptions before 16; "" where it does nothing of the kind.
func SuperuserOwner(p Part, subscriptions bool) string {
	t := statement{tokens: p.Tokens(), text: p.Text}
	if t.word(0) != "alter" {
		return ""
	}
	switch t.word(1) + " " + t.word(2) {
	case "event trigger", "foreign data":
	default:
		if t.word(1) != "subscription" || !subscriptions {
			return ""
		}
	}
	if i := t.find(2, "owner"); i > 0 && t.word(i+1) == "to" {
		return t.name(i + 2)
	}
	return ""
}

// Grants reports whether a statement says what roles may do, which depends on who executes it.
func Grants(p Part) bool {
	t := statement{tokens: p.Tokens(), text: p.Text}
	return t.word(0) == "grant" || t.word(0) == "revoke" || t.word(0) == "alter" && t.word(1) == "default"
}

// after is the place after a key word outside parentheses; past the end where
// there is none.
func (t statement) after(word string) int {
	if i := t.find(1, word); i >= 0 {
		return i + 1
	}
	return len(t.tokens)
}
