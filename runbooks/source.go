package runbooks

import (
	"bytes"
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"

	"comeback/pattern"
)

// MaxSize is the size of the largest file that Parse reads, in bytes.
const MaxSize = 1 << 20

// A file beyond these bounds is not a runbook, and reading it would take time in
// the square of the length of its lines or of the depth of its lists.
const (
	maxLine    = 16 << 10 // bytes
	maxNesting = 50
)

// source is a file with \n line ends and without a byte order mark, so that a
// runbook means the same whoever saved it.
type source struct {
	text  []byte
	lines []int // the offset at which each line begins
}

func newSource(file []byte) *source {
	text := bytes.TrimPrefix(file, []byte("\uFEFF"))
	text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	text = bytes.ReplaceAll(text, []byte("\r"), []byte("\n"))
	s := &source{text: text, lines: []int{0}}
	for i, c := range text {
		if c == '\n' {
			s.lines = append(s.lines, i+1)
		}
	}
	return s
}

// line is the 1-based number of the line that holds an offset.
func (s *source) line(offset int) int {
	return sort.Search(len(s.lines), func(i int) bool { return s.lines[i] > offset })
}

// at is the position of an offset; one outside the file becomes its nearest end.
func (s *source) at(offset int) Pos {
	offset = max(0, min(offset, len(s.text)))
	line := s.line(offset)
	return Pos{line, 1 + utf8.RuneCount(s.text[s.lines[line-1]:offset])}
}

// bytesOf is a line, by its 1-based number, without its end.
func (s *source) bytesOf(line int) []byte {
	from, to := s.lines[line-1], len(s.text)
	if line < len(s.lines) {
		to = s.lines[line]
	}
	return bytes.TrimSuffix(s.text[from:to], []byte("\n"))
}

// readable checks that the file is text that can be read as a runbook at all.
func readable(file []byte) (Problem, bool) {
	fail := func(at Pos, says, do string) (Problem, bool) {
		return Problem{Pos: at, Severity: Error, Says: says, Do: do}, false
	}
	start := Pos{1, 1}
	if len(file) > MaxSize {
		return fail(start, fmt.Sprintf("the file has more than %d bytes, and a runbook has not", MaxSize),
			"give the runbook, not the data that it restores")
	}
	if bytes.HasPrefix(file, []byte("\xFF\xFE")) || bytes.HasPrefix(file, []byte("\xFE\xFF")) {
		return fail(start, "the file is UTF-16", "save it as UTF-8")
	}
	if i := bytes.IndexByte(file, 0); i >= 0 {
		return fail(newSource(file[:i]).at(i), "the file is binary: it holds a zero byte",
			"give the Markdown file of the runbook")
	}
	for i := 0; i < len(file); {
		r, n := utf8.DecodeRune(file[i:])
		if r == utf8.RuneError && n == 1 {
			return fail(newSource(file[:i]).at(i), fmt.Sprintf("byte 0x%02X is not UTF-8", file[i]),
				"save the file as UTF-8")
		}
		i += n
	}
	return Problem{}, true
}

// invisible reports whether a rendered page would not show r, or would show
// the text around it in another order than it runs in.
func invisible(r rune) bool {
	switch {
	case r == '\n', r == '\t':
		return false
	case unicode.IsControl(r), unicode.In(r, unicode.Zl, unicode.Zp, unicode.Bidi_Control):
		return true
	}
	return r == '\uFEFF' || r == '\u200B' || r == '\u2060'
}

var nesting = pattern.New(`^(?:[ \t]*(?:>|[-*+][ \t]|[0-9]{1,9}[.)][ \t])){51,}`)

// beyondBounds lists the lines that are too long or too deep.
func (s *source) beyondBounds() Problems {
	var problems Problems
	for i := range s.lines {
		line := s.bytesOf(i + 1)
		if len(line) > maxLine {
			problems.add(Error, Pos{i + 1, 1}, fmt.Sprintf("the line has %d bytes, and a runbook's has at most %d", len(line), maxLine),
				"write it as several lines")
		} else if nesting.Match(line) {
			problems.add(Error, Pos{i + 1, 1}, fmt.Sprintf("lists and quotes are nested more than %d deep", maxNesting),
				"write it flat")
		}
	}
	return problems
}

// findInvisible reports characters that a reader of the page cannot see.
func (p *parser) findInvisible() {
	for i, r := range string(p.src.text) {
		if invisible(r) && !p.problems.full() {
			p.fail(p.src.at(i), fmt.Sprintf("the character U+%04X cannot be seen", r), "delete it")
		}
	}
}

// excerpt is a part of a source, line by line: the front matter, or a fenced
// block without the indentation of the list that it stands in.
type excerpt struct {
	src    *source
	text   string
	starts []int // the offset in the source of each line
	indent []int // how many spaces each line has that stand for a part of a tab
}

// lines are the excerpt's lines without their ends.
func (e *excerpt) lines() []string {
	return strings.Split(strings.TrimSuffix(e.text, "\n"), "\n")
}

// at translates a line and a column of the excerpt, both from 1, to the file's;
// what lies outside becomes the nearest place inside.
func (e *excerpt) at(line, column int) Pos {
	if len(e.starts) == 0 {
		return Pos{1, 1}
	}
	line = max(1, min(line, len(e.starts)))
	p := e.src.at(e.starts[line-1])
	last := 1 + utf8.RuneCount(e.src.bytesOf(p.Line))
	p.Column = max(p.Column, min(p.Column+column-1-e.indent[line-1], last))
	return p
}

// offset is where a position of the file stands in it.
func (s *source) offset(at Pos) int {
	offset := s.lines[at.Line-1]
	for range at.Column - 1 {
		_, n := utf8.DecodeRune(s.text[offset:])
		offset += n
	}
	return offset
}
