package runbooks

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"time"

	"comeback/pattern"

	"github.com/yuin/goldmark/ast"
	md "github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// markdown finds blocks only: what stands inside a line is prose to us.
var markdown = sync.OnceValue(func() md.Parser { return md.NewParser(md.WithBlockParsers(md.DefaultBlockParsers()...)) })

// body goes through the Markdown and gathers the stages.
type body struct {
	*parser
	base  int // the offset of the Markdown in the file
	stage *Stage
	// stages are the stages' names in small letters.
	stages map[string]Pos
	// used are the stage's lines that are not prose.
	used map[int]bool
	// list is the list that the stage's last block has its items from.
	list ast.Node
	// folded counts the <details> that are open.
	folded int
	// owner and budget are where the stage has them.
	owner, budget Pos
	titled        bool
}

func (p *parser) readBody(offset int) {
	b := &body{parser: p, base: offset, stages: map[string]Pos{}}
	document := markdown().Parse(text.NewReader(p.src.text[offset:]))
	for n := document.FirstChild(); n != nil; n = n.NextSibling() {
		if h, ok := n.(*ast.Heading); ok && h.Level <= 2 {
			b.heading(h)
		} else {
			b.node(n, n)
		}
	}
	b.endStage(len(p.src.lines) + 1)
	if len(p.rb.Stages) == 0 {
		p.fail(p.src.at(len(p.src.text)), "the runbook has no stage", "write `## NAME` above what is to be done")
	}
}

// position is where a node begins.
func (b *body) position(n ast.Node) Pos { return b.src.at(b.base + max(0, n.Pos())) }

// heading ends a stage, and begins the next one if it is of the second level.
func (b *body) heading(h *ast.Heading) {
	at := b.position(h)
	at.Column = 1
	title := strings.TrimSpace(strings.ReplaceAll(string(h.Lines().Value(b.src.text[b.base:])), "\n", " "))
	b.endStage(at.Line)
	if h.Level == 1 {
		if !b.titled {
			b.titled, b.rb.Title = true, title
		}
		return
	}
	if title == "" {
		b.fail(at, "this stage has no name", "write `## NAME`")
	}
	if first, twice := b.stages[strings.ToLower(title)]; twice && title != "" {
		b.fail(at, fmt.Sprintf("there is a stage `%s` already, on line %d", title, first.Line), "give this one another name")
	} else {
		b.stages[strings.ToLower(title)] = at
	}
	b.stage = &Stage{Pos: at, Name: title}
	b.used = map[int]bool{}
	for line := at.Line; line <= b.lastLine(h); line++ {
		b.used[line] = true
	}
	if h.Lines().Len() > 0 && !bytes.HasPrefix(bytes.TrimLeft(b.src.bytesOf(at.Line), " "), []byte("#")) {
		b.used[b.lastLine(h)+1] = true // the line of dashes under it
	}
	b.list, b.owner, b.budget = nil, Pos{}, Pos{}
}

// lastLine is the last line that belongs to a node's own text.
func (b *body) lastLine(n ast.Node) int {
	lines := n.Lines()
	if lines.Len() == 0 {
		return b.position(n).Line
	}
	last := lines.At(lines.Len() - 1)
	return b.src.line(b.base + max(last.Start, last.Stop-1))
}

// endStage completes the stage that ends before a line.
func (b *body) endStage(before int) {
	if b.stage == nil {
		return
	}
	var prose []string
	for line := b.stage.Line; line < before && line <= len(b.src.lines); line++ {
		if b.used[line] {
			continue
		}
		s := strings.TrimRight(string(b.src.bytesOf(line)), " \t")
		if s != "" || len(prose) > 0 && prose[len(prose)-1] != "" {
			prose = append(prose, s)
		}
	}
	b.stage.Prose = strings.TrimSpace(strings.Join(prose, "\n"))
	b.rb.Stages = append(b.rb.Stages, *b.stage)
	b.stage = nil
}

// node reads one block of the document and what it contains; top is the block
// of the document's own level that it stands in.
func (b *body) node(n, top ast.Node) {
	switch n := n.(type) {
	case *ast.FencedCodeBlock:
		b.fence(n)
		return
	case *ast.CodeBlock:
		b.indented(n)
		return
	case *ast.HTMLBlock:
		b.html(n)
		return
	case *ast.ListItem:
		b.item(n, top)
	case *ast.Paragraph:
		b.paragraph(n, n == top)
		return
	}
	for c := n.FirstChild(); c != nil; c = c.NextSibling() {
		b.node(c, top)
	}
}

var (
	tick       = pattern.New(`^\[([ xX])\][ \t\n]`)
	almostTick = pattern.New(`^(\[\]|\[[ xX]\][^ \t\n(\[:])`)
	glued      = pattern.New(`^[-*+]\[[ xX]?\] `)
)

// item reads a list item that may have a box to tick.
func (b *body) item(n *ast.ListItem, top ast.Node) {
	first := n.FirstChild()
	if first == nil || first.Type() != ast.TypeBlock || first.Lines().Len() == 0 || first.Kind() == ast.KindFencedCodeBlock {
		return
	}
	s := string(first.Lines().Value(b.src.text[b.base:]))
	at := b.position(n)
	m := tick.FindStringSubmatch(s + "\n")
	switch {
	case m == nil && almostTick.MatchString(s):
		b.warn(at, "this item has no box to tick", "write `- [ ] ` with a space in and after the box")
		return
	case m == nil:
		return
	case m[1] != " ":
		b.warn(at, "this item is ticked in the file, and every run asks for it anew", "write `- [ ]`")
	}
	words := strings.Join(strings.Fields(strings.TrimPrefix(s, m[0][:3])), " ")
	if words == "" {
		b.fail(at, "this item says nothing", "write what is to be ticked")
		return
	}
	if b.stage == nil {
		b.fail(at, "this item stands in no stage", "put it under a `## ` heading")
		return
	}
	for line := at.Line; line <= b.lastLine(first); line++ {
		b.used[line] = true
	}
	item := Tick{Pos: at, Text: words}
	if last := len(b.stage.Blocks) - 1; b.list == top && last >= 0 {
		if ticks, ok := b.stage.Blocks[last].(Ticks); ok {
			ticks.Items = append(ticks.Items, item)
			b.stage.Blocks[last] = ticks
			return
		}
	}
	b.list = top
	b.stage.Blocks = append(b.stage.Blocks, Ticks{Pos: at, Items: []Tick{item}})
}

var (
	ownerLine = pattern.New(`(?i)\b(owner|budget)[ \t]*:`)
	firstWord = pattern.New(`^[*_ \t]*([A-Za-z]+)[*_ \t]*:`)
)

// paragraph finds the line "Owner: …. Budget: …." in a stage.
func (b *body) paragraph(n *ast.Paragraph, ownLevel bool) {
	for i := range n.Lines().Len() {
		segment := n.Lines().At(i)
		line := string(segment.Value(b.src.text[b.base:]))
		at := b.src.at(b.base + segment.Start)
		if glued.MatchString(line) {
			b.warn(at, "this is not an item to tick", "write `- [ ] ` with a space after the dash")
		}
		m := firstWord.FindStringSubmatch(line)
		if b.stage == nil || !ownLevel || m == nil {
			continue
		}
		switch key := strings.ToLower(m[1]); {
		case key == "owner" || key == "budget":
			b.used[at.Line] = true
			b.ownerAndBudget(at, line)
		case distance(key, "owner", 2) <= 1 || distance(key, "budget", 2) <= 2:
			near, _ := nearest(key, []string{"owner", "budget"})
			if near != "" {
				b.warn(at, fmt.Sprintf("`%s:` gives a stage neither an owner nor a budget", m[1]),
					fmt.Sprintf("write `%s:`", strings.ToUpper(near[:1])+near[1:]))
			}
		}
	}
}

func (b *body) ownerAndBudget(at Pos, line string) {
	line = strings.NewReplacer("*", " ", "_", " ").Replace(strings.TrimRight(line, "\n"))
	marks := ownerLine.FindAllStringSubmatchIndex(line, -1)
	for i, m := range marks {
		end := len(line)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		key, raw := strings.ToLower(line[m[2]:m[3]]), line[m[1]:end]
		value := strings.Trim(raw, " \t.,;|")
		keyAt := Pos{at.Line, at.Column + len([]rune(line[:m[0]]))}
		valueAt := keyAt
		if j := strings.Index(raw, value); value != "" {
			valueAt.Column = at.Column + len([]rune(line[:m[1]+j]))
		}
		seen := &b.owner
		if key == "budget" {
			seen = &b.budget
		}
		switch {
		case *seen != Pos{}:
			b.fail(keyAt, fmt.Sprintf("the stage has another %s on line %d", key, seen.Line), "keep one of them")
			continue
		case value == "":
			b.fail(keyAt, fmt.Sprintf("the stage's %s is empty", key), "write it or remove the word")
		case key == "owner":
			b.stage.Owner = value
			b.checkOwner(valueAt, value)
		default:
			b.stage.Budget, _ = b.durationText(valueAt, "Budget", value, time.Second)
		}
		*seen = keyAt
	}
}

// checkOwner warns of an owner whom the front matter does not name.
func (b *body) checkOwner(at Pos, owner string) {
	var roles []string
	for _, person := range b.rb.People {
		if strings.EqualFold(person.Role, owner) {
			return
		}
		if person.Role != "" {
			roles = append(roles, person.Role)
		}
	}
	if len(roles) == 0 || !b.frontOK {
		return
	}
	do := "add this role under `people`, or write one of " + strings.Join(roles, ", ")
	if near, ok := nearest(owner, roles); ok {
		do = fmt.Sprintf("write `%s`", near)
	}
	b.warn(at, fmt.Sprintf("nobody under `people` is `%s`", owner), do)
}
