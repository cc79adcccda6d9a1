package runbooks

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"comeback/pattern"

	"github.com/yuin/goldmark/ast"
)

// fence reads a fenced block, which runs if a marker inside it says so.
func (b *body) fence(n *ast.FencedCodeBlock) {
	at := b.position(n)
	e := b.excerpt(n)
	last := at.Line + len(e.starts)
	if b.closed(at, last+1) {
		last++
	} else {
		b.fail(at, "this block is not closed", "write a line of three backticks below its last line")
	}
	block, runs := b.readFence(e, at, language(n, b.src.text[b.base:]))
	if runs {
		b.unfolded(at)
		for line := at.Line; line <= last; line++ {
			b.runs[line] = true
		}
	}
	switch {
	case b.stage != nil:
		for line := at.Line; line <= last; line++ {
			b.used[line] = true
		}
		b.stage.Blocks = append(b.stage.Blocks, block)
	case runs:
		b.fail(at, "this block stands in no stage", "put it under a `## ` heading")
	default:
		b.rb.loose = append(b.rb.loose, block)
	}
}

func (b *body) excerpt(n *ast.FencedCodeBlock) *excerpt {
	e := &excerpt{src: b.src}
	var content strings.Builder
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		e.starts = append(e.starts, b.base+segment.Start)
		e.indent = append(e.indent, segment.Padding)
		content.Write(segment.Value(b.src.text[b.base:]))
	}
	e.text = content.String()
	return e
}

// closed reports whether a line closes the fence that opens at a position.
func (b *body) closed(open Pos, line int) bool {
	if line > len(b.src.lines) {
		return false
	}
	mark := bytes.TrimLeft(b.src.text[b.src.offset(open):], " \t>")[:1]
	rest := bytes.TrimLeft(b.src.bytesOf(line), " \t>")
	return len(rest) >= 3 && len(bytes.TrimLeft(bytes.TrimRight(rest, " \t"), string(mark))) == 0
}

// language is the first word of a fence's info string, in small letters.
func language(n *ast.FencedCodeBlock, text []byte) string {
	if n.Info == nil {
		return ""
	}
	words := strings.Fields(strings.ToLower(string(n.Info.Segment.Value(text))))
	if len(words) == 0 {
		return ""
	}
	return words[0]
}

// header is a line "# key: value" or "-- key: value" at the top of a block.
type header struct {
	Pos        // of the key
	ValueAt    Pos
	Key, Value string
}

var headerLine = pattern.New(`^([ \t]*(#|--)[ \t]*)([A-Za-z][A-Za-z_-]*)([ \t]*:[ \t]*)(.*?)[ \t]*$`)

// headers reads the lines of the kind "# key: value" that a block begins with,
// and says at which line of the block, from 0, the rest begins.
func (e *excerpt) headers(comment string) (headers []header, rest int) {
	for i, line := range e.lines() {
		m := headerLine.FindStringSubmatch(line)
		switch {
		case len(headers) == 0 && (strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#!")):
			continue
		case m == nil || m[2] != comment:
			return headers, i
		}
		column := 1 + len([]rune(m[1]))
		headers = append(headers, header{
			Pos:     e.at(i+1, column),
			ValueAt: e.at(i+1, column+len(m[3])+len(m[4])),
			Key:     strings.ToLower(m[3]), Value: m[5],
		})
	}
	return headers, len(e.lines())
}

// An action is what markers make of a block.
type action struct {
	comment   string // how its markers begin
	markers   []string
	what      string
	languages []string // the first is the one to suggest
}

var (
	shellAction = action{"# ", []string{"run", "wait", "start"}, "a shell script", []string{"sh", "bash", "shell", ""}}
	sqlAction   = action{"-- ", []string{"check", "wait"}, "a query", []string{"sql", "pgsql", "postgresql", "postgres", ""}}
	yamlAction  = action{"", []string{"restore", "check", "switch", "approve"}, "YAML", []string{"yaml", "yml", ""}}

	actionKey = pattern.New(`^(restore|check|switch|approve)[ \t]*:`)
	topKey    = pattern.New(`^([A-Za-z_-]+)[ \t]*:(?:[ \t]|$)`)
)

// readFence reads a block and says whether a marker makes it run. A block with
// a marker that could not be read is returned as what it is on the page.
func (p *parser) readFence(e *excerpt, at Pos, language string) (block Block, runs bool) {
	hash, hashRest := e.headers("#")
	if m := shellAction.marker(hash); m != nil {
		p.agreesWith(shellAction, m.Key, at, language)
		return p.readShell(e, at, language, *m, hash, hashRest), true
	}
	dash, dashRest := e.headers("--")
	if m := sqlAction.marker(dash); m != nil {
		p.agreesWith(sqlAction, m.Key, at, language)
		return p.readSQLCheck(e, at, *m, dash, dashRest), true
	}
	if m := actionKey.FindStringSubmatch(e.firstLine()); m != nil {
		p.agreesWith(yamlAction, m[1], at, language)
		return p.readAction(e, at), true
	}
	p.almostRuns(e, language, hash, dash)
	return Doc{Pos: at, Language: language, Text: e.text}, false
}

// firstLine is the block's first line that is neither empty nor a comment.
func (e *excerpt) firstLine() string {
	for _, line := range e.lines() {
		if s := strings.TrimSpace(line); s != "" && !strings.HasPrefix(s, "#") && !strings.HasPrefix(s, "--") {
			return line
		}
	}
	return ""
}

func find(headers []header, key string) *header {
	i := slices.IndexFunc(headers, func(h header) bool { return h.Key == key })
	if i < 0 {
		return nil
	}
	return &headers[i]
}

// marker is the first header that makes a block do something; nil if none does.
func (a action) marker(headers []header) *header {
	i := slices.IndexFunc(headers, func(h header) bool { return slices.Contains(a.markers, h.Key) })
	if i < 0 {
		return nil
	}
	return &headers[i]
}

// agreesWith reports a block whose language says something else than its marker.
func (p *parser) agreesWith(a action, marker string, at Pos, language string) {
	if !slices.Contains(a.languages, language) {
		p.fail(at, fmt.Sprintf("`%s%s:` makes this block %s, and it is marked `%s`", a.comment, marker, a.what, language),
			fmt.Sprintf("write `%s` after the backticks, or remove the marker", a.languages[0]))
	}
}
