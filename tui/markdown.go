package tui

import (
	"fmt"
	"strings"
	"sync"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// newMarkdown shows a Markdown document as people read it.
func newMarkdown(m *model, title, text string) *pagerScreen {
	s := newPager(m, title, text)
	s.markdown = text
	return s
}

var markdownParser = sync.OnceValue(func() parser.Parser { return goldmark.New().Parser() })

// renderMarkdown lays a document out in w cells: headings stand out, lists and
// tables are aligned, blocks of code stay as they are behind a bar, and front
// matter is shown as such a block. Everything is ASCII but what the document
// says.
func renderMarkdown(source string, w int) []line {
	source = strings.ReplaceAll(source, "\r\n", "\n")
	r := &markdownRenderer{w: max(8, w)}
	if front, rest, ok := cutFrontMatter(source); ok {
		r.code(strings.Split(front, "\n"), 0)
		r.gap()
		source = rest
	}
	r.source = []byte(source)
	r.blocks(markdownParser().Parse(text.NewReader(r.source)), 0)
	for len(r.out) > 0 && len(r.out[len(r.out)-1]) == 0 {
		r.out = r.out[:len(r.out)-1]
	}
	return r.out
}

// cutFrontMatter separates the YAML at the beginning of a runbook from what
// follows.
func cutFrontMatter(source string) (front, rest string, ok bool) {
	body, ok := strings.CutPrefix(source, "---\n")
	if !ok {
		return "", source, false
	}
	front, rest, ok = strings.Cut(body, "\n---\n")
	if !ok {
		return "", source, false
	}
	return front, rest, true
}

// markdownRenderer collects lines.
type markdownRenderer struct {
	source []byte
	w      int
	out    []line
}

func (r *markdownRenderer) gap() {
	if n := len(r.out); n > 0 && len(r.out[n-1]) > 0 {
		r.out = append(r.out, nil)
	}
}

// add puts lines behind an indentation.
func (r *markdownRenderer) add(indent int, lines ...line) {
	for _, l := range lines {
		if indent > 0 {
			l = append(say(strings.Repeat(" ", indent)), l...)
		}
		r.out = append(r.out, l)
	}
}

// room is what an indentation leaves.
func (r *markdownRenderer) room(indent int) int { return max(8, r.w-indent) }

func (r *markdownRenderer) blocks(parent ast.Node, indent int) {
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		r.block(n, indent)
	}
}

func (r *markdownRenderer) block(n ast.Node, indent int) {
	switch n := n.(type) {
	case *ast.Heading:
		r.gap()
		lines := wrapSpans(r.inline(n, strong), r.room(indent))
		r.add(indent, lines...)
		if n.Level < 3 {
			width := 0
			for _, l := range lines {
				width = max(width, l.cells())
			}
			r.add(indent, as(strong, strings.Repeat(string("=-"[n.Level-1]), width)))
		}
		r.gap()
	case *ast.Paragraph, *ast.TextBlock:
		r.paragraph(n, indent)
		if _, tight := n.(*ast.TextBlock); !tight {
			r.gap()
		}
	case *ast.List:
		r.list(n, indent)
	case *ast.FencedCodeBlock:
		r.code(r.raw(n), indent)
		r.gap()
	case *ast.CodeBlock, *ast.HTMLBlock:
		r.code(r.raw(n), indent)
		r.gap()
	case *ast.ThematicBreak:
		r.add(indent, as(faint, strings.Repeat("-", r.room(indent))))
		r.gap()
	case *ast.Blockquote:
		inner := &markdownRenderer{source: r.source, w: r.room(indent) - 2}
		inner.blocks(n, 0)
		for n := len(inner.out); n > 0 && len(inner.out[n-1]) == 0; n-- {
			inner.out = inner.out[:n-1]
		}
		for _, l := range inner.out {
			r.add(indent, append(as(faint, "> "), l...))
		}
		r.gap()
	default:
		r.blocks(n, indent)
	}
}

func (r *markdownRenderer) list(list *ast.List, indent int) {
	number := list.Start
	for item := list.FirstChild(); item != nil; item = item.NextSibling() {
		mark := "- "
		if list.IsOrdered() {
			mark = fmt.Sprintf("%d. ", number)
			number++
		}
		inner := &markdownRenderer{source: r.source, w: r.room(indent + len(mark))}
		inner.blocks(item, 0)
		for len(inner.out) > 0 && len(inner.out[len(inner.out)-1]) == 0 && list.IsTight {
			inner.out = inner.out[:len(inner.out)-1]
		}
		for i, l := range inner.out {
			if i == 0 {
				l = append(say(mark), boxed(l)...)
			} else if len(l) > 0 {
				l = append(say(strings.Repeat(" ", len(mark))), l...)
			}
			r.add(indent, l)
		}
	}
	if list.Parent() != nil && list.Parent().Kind() != ast.KindListItem {
		r.gap()
	}
}

// raw are the lines of a block of code.
func (r *markdownRenderer) raw(n ast.Node) []string {
	var lines []string
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		lines = append(lines, strings.TrimRight(string(segment.Value(r.source)), "\n"))
	}
	if html, ok := n.(*ast.HTMLBlock); ok && html.HasClosure() {
		lines = append(lines, strings.TrimRight(string(html.ClosureLine.Value(r.source)), "\n"))
	}
	return lines
}

// code shows lines as they are behind a bar. One that is too long goes on in the
// next line, so that nothing that runs is hidden.
func (r *markdownRenderer) code(lines []string, indent int) {
	for _, text := range lines {
		text = clean(text)
		for first := true; first || text != ""; first = false {
			part := head(text, r.room(indent)-2)
			if part == "" && text != "" {
				part = text // narrower than a character: the frame cuts it
			}
			text = text[len(part):]
			r.add(indent, as(faint, "| ").say(part))
		}
	}
}

// inline is the text of a block as spans.
func (r *markdownRenderer) inline(parent ast.Node, k look) line {
	var out line
	for n := parent.FirstChild(); n != nil; n = n.NextSibling() {
		switch n := n.(type) {
		case *ast.Text:
			out = out.and(k, unescaped(string(n.Segment.Value(r.source))))
			switch {
			case n.HardLineBreak():
				out = out.and(k, "\n")
			case n.SoftLineBreak():
				out = out.and(k, " ")
			}
		case *ast.String:
			out = out.and(k, string(n.Value))
		case *ast.CodeSpan:
			var b strings.Builder
			for t := n.FirstChild(); t != nil; t = t.NextSibling() {
				if t, ok := t.(*ast.Text); ok {
					b.Write(t.Segment.Value(r.source))
				}
			}
			out = out.and(k, "`"+b.String()+"`")
		case *ast.Emphasis:
			out = append(out, r.inline(n, strong)...)
		case *ast.Link:
			label := r.inline(n, k)
			out = append(out, label...)
			if url := string(n.Destination); url != label.words() {
				out = out.and(faint, " ("+url+")")
			}
		case *ast.AutoLink:
			out = out.and(k, string(n.URL(r.source)))
		case *ast.Image:
			out = append(out.and(k, "[image: "), r.inline(n, k)...).and(k, "]")
		case *ast.RawHTML:
			for i := range n.Segments.Len() {
				segment := n.Segments.At(i)
				out = out.and(k, string(segment.Value(r.source)))
			}
		default:
			out = append(out, r.inline(n, k)...)
		}
	}
	return out
}

// words is the text of a line without its looks.
func (l line) words() string {
	var b strings.Builder
	for _, s := range l {
		b.WriteString(s.text)
	}
	return b.String()
}
