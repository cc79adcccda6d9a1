package runbooks

import (
	"fmt"
	"strings"

	"comeback/pattern"

	"github.com/yuin/goldmark/ast"
)

// anyMarker is what a block that runs begins with, in whatever language.
var anyMarker = pattern.New(`(?mi)^[ \t]*(#[ \t]*(?:run|wait|start)|--[ \t]*(?:check|wait)|restore|check|switch|approve)[ \t]*:`)

// indented warns of a block that looks like one that runs but has no fence.
func (b *body) indented(n *ast.CodeBlock) {
	s := strings.TrimLeft(string(n.Lines().Value(b.src.text[b.base:])), "\n")
	if m := anyMarker.FindStringIndex(s); m != nil && m[0] == 0 {
		b.warn(b.position(n), "this block has no fence, so it never runs", "put it between lines of three backticks")
	}
}

// html warns of what a page does not show.
func (b *body) html(n *ast.HTMLBlock) {
	segments := n.Lines()
	for i := range segments.Len() {
		segment := segments.At(i)
		line := string(segment.Value(b.src.text[b.base:]))
		if m := anyMarker.FindString(line); m != "" {
			b.warn(b.src.at(b.base+segment.Start), fmt.Sprintf("`%s` stands in HTML, so it never runs", strings.TrimSpace(m)),
				"take it out of the HTML, or delete it")
		}
		lower := strings.ToLower(line)
		b.folded += strings.Count(lower, "<details") - strings.Count(lower, "</details")
	}
	b.folded = max(0, b.folded)
}

// unfolded warns of a block that runs but is folded away on the page.
func (b *body) unfolded(at Pos) {
	if b.folded > 0 {
		b.warn(at, "this block runs, and the page folds it away", "take it out of `<details>`")
	}
}

// findNoBreakSpaces reports spaces that are none to YAML and to a shell.
func (p *parser) findNoBreakSpaces() {
	for i := range p.src.lines {
		if !p.runs[i+1] {
			continue
		}
		line := string(p.src.bytesOf(i + 1))
		if j := strings.Index(line, "\u00A0"); j >= 0 {
			p.fail(Pos{i + 1, 1 + len([]rune(line[:j]))}, "this is a no-break space", "write an ordinary space")
		}
	}
}
