package runbooks

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

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

var headerLine = regexp.MustCompile(`^([ \t]*(#|--)[ \t]*)([A-Za-z][A-Za-z_-]*)([ \t]*:[ \t]*)(.*?)[ \t]*$`)

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

// An action is what a marker makes of a block.
type action struct {
	marker    string // as people write it
	what      string
	languages []string // the first is the one to suggest
}

var (
	shellAction = action{"# run:", "a shell script", []string{"sh", "bash", "shell", ""}}
	sqlAction   = action{"-- check:", "a query", []string{"sql", "pgsql", "postgresql", "postgres", ""}}
	yamlAction  = action{"", "YAML", []string{"yaml", "yml", ""}}

	actionKeys = []string{"restore", "check", "switch"}
	actionKey  = regexp.MustCompile(`^(restore|check|switch)[ \t]*:`)
	topKey     = regexp.MustCompile(`^([A-Za-z_-]+)[ \t]*:(?:[ \t]|$)`)
)

// readFence reads a block and says whether a marker makes it run. A block with
// a marker that could not be read is returned as what it is on the page.
func (p *parser) readFence(e *excerpt, at Pos, language string) (block Block, runs bool) {
	hash, hashRest := e.headers("#")
	if find(hash, "run") != nil {
		p.agreesWith(shellAction, at, language)
		return p.readShell(e, at, language, hash, hashRest), true
	}
	dash, dashRest := e.headers("--")
	if find(dash, "check") != nil {
		p.agreesWith(sqlAction, at, language)
		return p.readSQLCheck(e, at, dash, dashRest), true
	}
	if m := actionKey.FindStringSubmatch(e.firstLine()); m != nil {
		a := yamlAction
		a.marker = m[1] + ":"
		p.agreesWith(a, at, language)
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

// agreesWith reports a block whose language says something else than its marker.
func (p *parser) agreesWith(a action, at Pos, language string) {
	if !slices.Contains(a.languages, language) {
		p.fail(at, fmt.Sprintf("`%s` makes this block %s, and it is marked `%s`", a.marker, a.what, language),
			fmt.Sprintf("write `%s` after the backticks, or remove the marker", a.languages[0]))
	}
}

// almostRuns reports a block that does not run, though its author seems to have
// meant it to.
func (p *parser) almostRuns(e *excerpt, language string, hash, dash []header) {
	for _, style := range []struct {
		action
		headers []header
		key     string
		others  []string
	}{
		{shellAction, hash, "run", []string{"in", "timeout"}},
		{sqlAction, dash, "check", []string{"on", "expect"}},
	} {
		if !slices.Contains(style.languages, language) {
			continue
		}
		for _, h := range style.headers {
			if distance(h.Key, style.key, 1) <= 1 {
				p.fail(h.Pos, fmt.Sprintf("`%s` does not make a block run", h.Key), fmt.Sprintf("write `%s`", style.marker))
				return
			}
			if slices.Contains(style.others, h.Key) {
				p.fail(h.Pos, fmt.Sprintf("the block has `%s:` but no `%s`, so it never runs", h.Key, style.marker),
					fmt.Sprintf("write `%s NAME` on its first line", style.marker))
				return
			}
		}
	}
	if slices.Contains(yamlAction.languages[:2], language) {
		if m := topKey.FindStringSubmatch(e.firstLine()); m != nil {
			if near, ok := nearest(m[1], actionKeys); ok {
				p.fail(e.at(1+slices.Index(e.lines(), e.firstLine()), 1),
					fmt.Sprintf("`%s` does nothing", m[1]), fmt.Sprintf("write `%s`", near))
				p.unclear = true
				return
			}
		}
	}
	for i, line := range e.lines() {
		if m := lateMarker.FindStringSubmatch(line); m != nil {
			p.warn(e.at(i+1, 1), fmt.Sprintf("`%s` is not at the top of its block, so the block never runs", m[1]),
				"write it on the block's first line")
			return
		}
	}
}

var lateMarker = regexp.MustCompile(`^[ \t]*(# run:|-- check:)`)
