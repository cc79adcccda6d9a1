package tui

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// pagerScreen shows a text of any length: a runbook, a report, a plan, a log.
type pagerScreen struct {
	m     *model
	title string
	// source gives the lines; a live log grows.
	source func() []string
	// read is set where the text is still to be read; isMarkdown says that it is a
	// document which people read otherwise than it is written.
	read       func(context.Context) (string, error)
	isMarkdown bool
	reading    bool
	err        error
	// over is the screen beneath, which says how the frame looks.
	over screen

	// first is the first line shown; follow keeps the newest line in sight.
	first  int
	follow bool
	left   int
	// raw shows lines as they are, cut at the edge; otherwise they are wrapped.
	raw bool

	find  *field
	found string
	miss  bool

	// folded are the lines as they are shown, for width and length.
	folded        []string
	width, length int
	// markdown is a document that is shown as people read it, unless raw; styled
	// are its lines with their looks, beside folded.
	markdown string
	styled   []line
}

// newPager shows a text that is at hand.
func newPager(m *model, title, text string) *pagerScreen {
	s := &pagerScreen{m: m, title: title, over: m.top().screen}
	s.set(text)
	return s
}

// findRows is how many rows of a list are searched.
const findRows = 500

// newFind searches what the top screen shows, with what is out of sight there.
func newFind(m *model) *pagerScreen {
	p := m.top().page(m.width, findRows)
	var b strings.Builder
	blank := true
	for _, l := range p.body {
		text := strings.TrimRight(l.words(), " ")
		if text != "" || !blank {
			b.WriteString(text + "\n")
		}
		blank = text == ""
	}
	s := newPager(m, "what this screen shows", b.String())
	s.find = &field{}
	return s
}

// newDocument reads a text from the desk and shows it.
func newDocument(m *model, title, path string) *pagerScreen {
	s := newReading(m, title, func(ctx context.Context) (string, error) { return m.desk.Text(ctx, path) })
	s.isMarkdown = strings.HasSuffix(path, ".md")
	return s
}

// newReading shows a text that is read first.
func newReading(m *model, title string, read func(context.Context) (string, error)) *pagerScreen {
	s := newPager(m, title, "")
	s.read, s.reading = read, true
	return s
}

// newLog shows a run's log as it grows.
func newLog(m *model, a *attached) *pagerScreen {
	s := newPager(m, "log of run "+a.plan.Run+", the newest lines", "")
	s.source, s.follow, s.raw = func() []string {
		lines := make([]string, len(a.log))
		for i, l := range a.log {
			lines[i] = l.text
		}
		return lines
	}, true, true
	return s
}

func (s *pagerScreen) set(text string) {
	lines := strings.Split(strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\n"), "\n")
	for i := range lines {
		lines[i] = clean(lines[i])
	}
	s.source, s.folded = func() []string { return lines }, nil
}

func (s *pagerScreen) field() *field { return s.find }

func (s *pagerScreen) open() tea.Cmd {
	if !s.reading {
		return nil
	}
	return ask(s.m.ctx, s, s.read, func(text string, err error) tea.Cmd {
		s.reading, s.err = false, err
		s.set(text)
		if s.isMarkdown {
			s.markdown = text
		}
		return nil
	})
}

// lines are what is shown, folded to w cells.
func (s *pagerScreen) lines(w int) []string {
	source := s.source()
	if s.raw {
		return source
	}
	if s.folded == nil || s.width != w || s.length != len(source) {
		s.width, s.length = w, len(source)
		if s.markdown == "" {
			s.folded = fold(source, w)
		} else {
			s.styled = renderMarkdown(s.markdown, w)
			s.folded = make([]string, len(s.styled))
			for i, l := range s.styled {
				s.folded[i] = clean(l.words())
			}
		}
	}
	return s.folded
}

// fold wraps the lines that do not fit, between words where it can. What comes
// after the first part of a line stands under its text.
func fold(source []string, w int) []string {
	out := make([]string, 0, len(source))
	for _, text := range source {
		if fits(text, w) {
			out = append(out, text)
			continue
		}
		indent := hanging(text)
		if indent > w/2 {
			indent = 0
		}
		for room, lead := w, ""; text != ""; room, lead = w-indent, strings.Repeat(" ", indent) {
			part := head(text, room)
			if part == "" { // a character that is wider than the line
				_, size := utf8.DecodeRuneInString(text)
				part = text[:size]
			}
			if i := strings.LastIndexByte(part, ' '); len(part) < len(text) && text[len(part)] != ' ' && i > indent {
				part = part[:i]
			}
			out = append(out, lead+strings.TrimRight(part, " "))
			text = strings.TrimLeft(text[len(part):], " ")
		}
	}
	return out
}

// hanging is where the text of a line begins: behind its indentation, and behind
// a word in capitals that stands before it like a name.
func hanging(text string) int {
	if i := strings.IndexFunc(text, func(r rune) bool { return r != ' ' }); i > 0 {
		return i
	}
	const name = 8
	if len(text) <= name || text[name-1] != ' ' || text[name] == ' ' {
		return 0
	}
	if word := strings.TrimRight(text[:name], " "); word != strings.ToUpper(word) || strings.Contains(word, " ") {
		return 0
	}
	return name
}

// at is the first line that is shown where the pager has room for h.
func (s *pagerScreen) at(n, h int) int {
	last := max(0, n-h)
	if s.follow {
		return last
	}
	return min(max(0, s.first), last)
}

func (s *pagerScreen) room() (w, h int) { return s.m.width, max(1, bodyHeight(s.m.height)-1) }

func (s *pagerScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	w, h := s.room()
	n := len(s.lines(w))
	if s.find != nil {
		switch k.String() {
		case keyEscape:
			s.find = nil
			return nil, true
		case keyEnter:
			s.found, s.find = strings.ToLower(s.find.text()), nil
			s.search(1, true)
			return nil, true
		}
		return nil, false
	}
	first := s.at(n, h)
	switch k.String() {
	case keyUp, "k":
		first--
	case keyDown, "j":
		first++
	case keyPageUp, "b":
		first -= h
	case keyPageDown, keySpace:
		first += h
	case keyHome, "g":
		first = 0
	case keyEnd, "G":
		first = n
	case "left":
		s.left = max(0, s.left-w/2)
		return nil, true
	case "right":
		if s.raw {
			s.left += w / 2
		}
		return nil, true
	case "w":
		s.raw, s.left, s.folded = !s.raw, 0, nil
		return nil, true
	case "/":
		s.find, s.miss = &field{}, false
		return nil, true
	case "n":
		s.search(1, false)
		return nil, true
	case "N":
		s.search(-1, false)
		return nil, true
	case "q":
		return s.m.back(), true
	default:
		return nil, false
	}
	s.first = min(max(0, first), max(0, n-h))
	s.follow = s.follow && s.first >= n-h || k.String() == keyEnd || k.String() == "G"
	return nil, true
}

// turn scrolls by some lines.
func (s *pagerScreen) turn(by int) {
	w, h := s.room()
	n := len(s.lines(w))
	s.first = min(max(0, s.at(n, h)+by), max(0, n-h))
	s.follow = s.follow && s.first >= n-h
}

// search goes to the next line that holds what is looked for.
func (s *pagerScreen) search(by int, here bool) {
	w, h := s.room()
	lines := s.lines(w)
	if s.found == "" || len(lines) == 0 {
		return
	}
	from := s.at(len(lines), h)
	if !here {
		from += by
	}
	for i := range lines {
		at := ((from+i*by)%len(lines) + len(lines)) % len(lines)
		if strings.Contains(strings.ToLower(lines[at]), s.found) {
			s.first, s.follow, s.miss = at, false, false
			return
		}
	}
	s.miss = true
}

// unwraps is what w does.
func (s *pagerScreen) unwraps() string {
	switch {
	case s.markdown == "":
		return "wrap"
	case s.raw:
		return "as people read it"
	}
	return "as it is written"
}

func (s *pagerScreen) page(w, h int) page {
	under := s.over.page(w, h)
	p := page{
		system: under.system, aside: under.aside, mode: under.mode, focus: -1, live: under.live, liveLook: under.liveLook,
		keys:  []binding{{"/", "find"}, {"n", "next"}, {"pgup/pgdn", "page"}, {"w", s.unwraps()}, {"y", "copy"}},
		leave: escBack,
	}
	switch {
	case s.reading:
		p.body = []line{as(strong, s.title), as(faint, "reading ..")}
		return p
	case s.err != nil:
		p.body = append([]line{as(strong, s.title), nil}, s.m.trouble("REFUSED", s.err, w)...)
		return p
	}
	lines := s.lines(w)
	h = max(1, h-1)
	first := s.at(len(lines), h)
	last := min(len(lines), first+h)
	where := fmt.Sprintf("%d-%d of %d", min(first+1, last), last, len(lines))
	if s.follow {
		where += ", follows"
	}
	p.body = append(p.body, spread(as(strong, s.title), say(where), w))
	for i, text := range lines[first:last] {
		l := s.show(text)
		if s.styled != nil && !s.raw && len(l) <= 1 { // nothing of it is what is looked for
			l = s.styled[first+i]
		}
		p.body = append(p.body, l)
	}
	switch {
	case s.find != nil:
		// The field stands in the last line, where the eye is after pressing /.
		for len(p.body) <= h {
			p.body = append(p.body, nil)
		}
		p.body[h] = s.find.line("FIND > ", w)
		p.keys, p.leave = []binding{{keyEnter, "find"}}, binding{keyEscape, "drop"}
	case s.miss:
		p.note = fmt.Sprintf("%q is not here", s.found)
	case s.found != "":
		p.note = fmt.Sprintf("find %q", s.found)
	}
	return p
}

// show is one line of the text, with what is looked for marked.
func (s *pagerScreen) show(text string) line {
	text = clean(text)
	if s.left > 0 {
		skipped := head(text, s.left)
		text = text[len(skipped):]
	}
	if s.found != "" {
		if lower := strings.ToLower(text); len(lower) == len(text) {
			if i := strings.Index(lower, s.found); i >= 0 {
				return say(text[:i]).and(strong, text[i:i+len(s.found)]).say(text[i+len(s.found):])
			}
		}
	}
	return say(text)
}
