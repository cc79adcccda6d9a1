package script

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what shall become of a statement.
type Verdict string

// The verdicts.
const (
	Pass     Verdict = "pass"
	LeaveOut Verdict = "leave out" // it cannot hold in scratch; it is listed
	Refuse   Verdict = "refuse"    // it reaches out of the database; the restore ends
)

// Judgement is a verdict with its reason.
type Judgement struct {
	Verdict Verdict
	Why     string
	// SQL, where it is not empty, is to be executed instead of the statement.
	SQL string
	// Creates is the database that the statement creates.
	Creates string
	// Role is the role that the statement creates.
	Role string
}

// judged are the first words of statements that are looked at closely.
var judged = []string{"copy", "load", "alter", "create", "drop", "set", "comment", "grant", "revoke", "security"}

// Judge decides about a statement that is going to a scratch cluster whose
// superuser has the given name. What reaches out of the database (files,
// programs, libraries, connections) is refused; what belongs to the machine or
// the cluster (tablespaces, ALTER SYSTEM, preloaded libraries) is left out;
// roles come without login and password.
func Judge(p Part, superuser string) Judgement {
	first := statement{tokens: p.tokens(1)}
	if !slices.Contains(judged, first.word(0)) {
		return Judgement{Verdict: Pass}
	}
	t := statement{tokens: p.Tokens(), text: p.Text}
	switch t.word(0) {
	case "copy":
		return t.judgeCopy()
	case "load":
		return refuse("it loads a library into the server")
	case "alter":
		return t.judgeAlter(superuser)
	case "create":
		return t.judgeCreate(superuser)
	case "drop":
		switch {
		case t.word(1) == "tablespace":
			return leaveOut("tablespaces are the machine's")
		case t.word(1) == "subscription":
			return leaveOut("it would connect to the publisher and drop the slot there")
		case slices.Contains([]string{"role", "user", "group"}, t.word(1)) && t.names(superuser):
			return leaveOut("the role is the scratch cluster's own")
		}
	case "set":
		return t.judgeSet()
	case "comment", "grant", "revoke", "security":
		if i := t.find(1, "on"); i > 0 && t.word(i+1) == "tablespace" {
			return leaveOut("tablespaces are the machine's")
		}
	}
	return Judgement{Verdict: Pass}
}

func refuse(why string) Judgement   { return Judgement{Verdict: Refuse, Why: why} }
func leaveOut(why string) Judgement { return Judgement{Verdict: LeaveOut, Why: why} }

// statement is a statement's tokens with its text.
type statement struct {
	tokens []Token
	text   []byte
}

// word is the key word or sign at a place, or "".
func (t statement) word(i int) string {
	if i < 0 || i >= len(t.tokens) || t.tokens[i].Kind == Quoted || t.tokens[i].Kind == String {
		return ""
	}
	return t.tokens[i].Text
}

// name is the name at a place, or "".
func (t statement) name(i int) string {
	if i < 0 || i >= len(t.tokens) {
		return ""
	}
	name, _ := t.tokens[i].Name()
	return name
}

// names reports whether a name is among the tokens.
func (t statement) names(name string) bool {
	return slices.ContainsFunc(t.tokens, func(token Token) bool {
		n, ok := token.Name()
		return ok && n == name
	})
}

// find is the place of the first of some key words outside parentheses, from a
// place on, or -1.
func (t statement) find(from int, words ...string) int {
	depth := 0
	for i := from; i < len(t.tokens); i++ {
		switch w := t.word(i); {
		case w == "(":
			depth++
		case w == ")":
			depth--
		case depth == 0 && w != "" && slices.Contains(words, w):
			return i
		}
	}
	return -1
}

func (t statement) judgeCopy() Judgement {
	i := t.find(1, "from", "to")
	if i < 0 {
		return Judgement{Verdict: Pass} // no COPY that PostgreSQL would take
	}
	switch {
	case t.word(i+1) == "stdin" && t.word(i) == "from":
		return Judgement{Verdict: Pass}
	case t.word(i+1) == "program":
		return refuse("it runs a program on the server")
	case t.word(i+1) == "stdout":
		return leaveOut("nobody reads what it would write")
	}
	return refuse("it reads or writes a file on the server")
}

// copiesFromStdin reports whether COPY data follows.
func (p Part) copiesFromStdin() bool {
	if len(p.Text) == 0 || p.Text[0]|0x20 != 'c' {
		return false
	}
	first := p.tokens(1)
	if len(first) == 0 || !first[0].Is("copy") {
		return false
	}
	t := statement{tokens: p.Tokens(), text: p.Text}
	i := t.find(1, "from")
	return i > 0 && t.word(i+1) == "stdin"
}

// preloading are settings that load code or choose places on the machine.
var preloading = []string{"session_preload_libraries", "local_preload_libraries", "shared_preload_libraries",
	"dynamic_library_path", "default_tablespace", "temp_tablespaces"}

func (t statement) judgeAlter(superuser string) Judgement {
	switch t.word(1) {
	case "system":
		return leaveOut("the scratch server has settings of its own")
	case "tablespace":
		return leaveOut("tablespaces are the machine's")
	case "subscription":
		if t.find(3, "enable", "refresh", "connection") > 0 {
			return leaveOut("a copy must not subscribe")
		}
	case "database":
		i := t.find(3, "set")
		switch {
		case i > 0 && t.word(i+1) == "tablespace":
			return leaveOut("tablespaces are the machine's")
		case i > 0 && slices.Contains(preloading, t.word(i+1)):
			return leaveOut(whyNot(t.word(i + 1)))
		}
	case "role", "user":
		if t.word(2) == "mapping" {
			break
		}
		if i := t.find(3, "set"); i > 0 && slices.Contains(preloading, t.word(i+1)) {
			return leaveOut(whyNot(t.word(i + 1)))
		}
		if t.name(2) == superuser {
			return leaveOut("the role is the scratch cluster's own")
		}
		if t.find(3, "set", "reset", "rename") < 0 {
			return Judgement{Verdict: Pass, SQL: t.withoutLogin(3)}
		}
	}
	return Judgement{Verdict: Pass}
}

func (t statement) judgeCreate(superuser string) Judgement {
	switch t.word(1) {
	case "tablespace":
		return leaveOut("tablespaces are the machine's")
	case "subscription":
		if !t.connectFalse() {
			return refuse("it would connect to the publisher and take a slot there")
		}
	case "database":
		return Judgement{Verdict: Pass, Creates: t.name(2), SQL: t.withoutTablespace()}
	case "role", "user", "group":
		if t.word(1) == "user" && t.word(2) == "mapping" {
			break
		}
		if t.name(2) == superuser {
			return leaveOut("the role is the scratch cluster's own")
		}
		return Judgement{Verdict: Pass, Role: t.name(2), SQL: t.withoutLogin(3)}
	}
	return Judgement{Verdict: Pass}
}

// connectFalse reports whether CREATE SUBSCRIPTION says WITH (connect = false).
func (t statement) connectFalse() bool {
	for i := range t.tokens {
		if t.word(i) == "connect" && t.word(i+1) == "=" {
			value := strings.Trim(strings.ToLower(t.tokens[min(i+2, len(t.tokens)-1)].Text), "'")
			return value == "false" || value == "off" || value == "0"
		}
	}
	return false
}

func (t statement) judgeSet() Judgement {
	i := 1
	if w := t.word(i); w == "session" || w == "local" {
		i++
	}
	if !slices.Contains(preloading, t.word(i)) || i+2 >= len(t.tokens) {
		return Judgement{Verdict: Pass}
	}
	if v := t.tokens[i+2]; v.Text == "''" || v.Is("default") {
		return Judgement{Verdict: Pass}
	}
	return leaveOut(whyNot(t.word(i)))
}

// whyNot is why a setting is left out.
func whyNot(setting string) string {
	if strings.Contains(setting, "tablespace") {
		return "tablespaces are the machine's"
	}
	return "it would load code that is the source's"
}

// withoutLogin is CREATE or ALTER ROLE with NOLOGIN instead of LOGIN and without
// the password, which are nothing that scratch needs.
func (t statement) withoutLogin(from int) string {
	var b strings.Builder
	from = min(from, len(t.tokens))
	b.Write(t.text[t.tokens[0].Start:t.tokens[from-1].End])
	for i := from; i < len(t.tokens); i++ {
		switch t.word(i) {
		case "login", "nologin", "encrypted", "unencrypted":
			continue
		case "password":
			i++ // its value, a literal or NULL
			continue
		}
		// A number is a token for each of its digits.
		if t.tokens[i].Start > t.tokens[i-1].End {
			b.WriteByte(' ')
		}
		b.Write(t.text[t.tokens[i].Start:t.tokens[i].End])
	}
	b.WriteString(" NOLOGIN")
	return b.String()
}

// withoutTablespace is CREATE DATABASE without its TABLESPACE.
func (t statement) withoutTablespace() string {
	i := t.find(3, "tablespace")
	if i < 0 {
		return ""
	}
	end := i + 1
	if t.word(end) == "=" {
		end++
	}
	if end >= len(t.tokens) {
		return ""
	}
	return fmt.Sprintf("%s%s", t.text[:t.tokens[i].Start], t.text[t.tokens[end].End:])
}
