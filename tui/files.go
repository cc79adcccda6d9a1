package tui

import (
	"context"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// filesScreen lists the documents of a run: its plan, its report, every log.
type filesScreen struct {
	m          *model
	about, dir string
	over       screen
	list       []File
	have       bool
	err        error
	cursor     int
}

func newFiles(m *model, about, dir string) *filesScreen {
	return &filesScreen{m: m, about: about, dir: dir, over: m.top().screen}
}

func (s *filesScreen) field() *field { return nil }

func (s *filesScreen) open() tea.Cmd {
	return ask(s.m.ctx, s, func(ctx context.Context) ([]File, error) { return s.m.desk.Files(ctx, s.dir) }, func(list []File, err error) tea.Cmd {
		s.list, s.err, s.have = list, err, true
		s.cursor = max(0, min(s.cursor, len(list)-1))
		return nil
	})
}

func (s *filesScreen) key(k tea.KeyPressMsg) (tea.Cmd, bool) {
	if cursor, ok := move(k.String(), s.cursor, len(s.list), 10); ok {
		s.cursor = cursor
		return nil, true
	}
	switch k.String() {
	case keyEnter:
		if s.cursor < len(s.list) {
			return s.read(s.cursor), true
		}
		return nil, true
	case "g":
		return s.open(), true
	}
	return nil, false
}

func (s *filesScreen) read(i int) tea.Cmd {
	s.cursor = i
	return s.m.push(newDocument(s.m, s.list[i].Name+" of "+s.about, s.list[i].Path))
}

func (s *filesScreen) clip() (what, text string) {
	if s.cursor < len(s.list) {
		return "the path", s.list[s.cursor].Path
	}
	return "", ""
}

func (s *filesScreen) page(w, h int) page {
	under := s.over.page(w, h)
	p := page{
		system: under.system, aside: under.aside, mode: under.mode, focus: -1, live: under.live, liveLook: under.liveLook,
		keys: []binding{{keyEnter, "read"}, {"y", "copy the path"}, {"g", "again"}}, leave: escBack,
	}
	p.body = []line{as(strong, "FILES of "+s.about).say("   ").say(cutLeft(clean(s.dir), max(8, w-20))).fit(w), nil}
	switch {
	case s.err != nil:
		p.body = append(p.body, s.m.trouble("REFUSED", s.err, w)...)
		return p
	case !s.have:
		p.body = append(p.body, as(faint, "looking .."))
		return p
	}
	t := table{w: w, columns: []column{
		{title: "NAME"}, {title: "SIZE", width: 7, right: true, keep: 2}, {title: "WRITTEN", width: 16, keep: 1},
	}}
	p.body = append(p.body, t.titles())
	for i, f := range s.list {
		k := plain
		if i == s.cursor {
			k, p.focus = strong, len(p.body)
		}
		p.pick(len(p.body), func() { s.cursor = i })
		p.body = append(p.body, t.row(mark(i == s.cursor), span{f.Name, k}, span{recovery.FormatBytes(f.Size), plain}, span{stamp(f.Modified, s.m.now()), plain}))
	}
	return p
}
