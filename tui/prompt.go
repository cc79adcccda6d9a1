package tui

import (
	"strings"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// prompt asks for one line of text and does something with it.
type prompt struct {
	// label stands before the text, does on line 24 behind enter.
	label, does string
	// needs is what is missing where nothing was typed; where it is empty
	// nothing is an answer too, and then may be called with "".
	needs string
	// check refuses what was typed, in place; nil takes everything.
	check func(text string) error
	// anew says that it is typed anew where it was refused, letter by letter.
	anew bool
	edit field
	then func(text string) tea.Cmd
}

// unfinished reports whether enter is a line end of a text that is being pasted
// into a terminal that does not bracket what is pasted.
func (p *prompt) unfinished() bool {
	text := p.edit.text()
	return strings.HasPrefix(text, armorBegin) && !strings.Contains(text, armorEnd)
}

// asker is the part of a screen that asks for a line of text, and that shows why
// what was answered was refused.
type asker struct {
	prompt *prompt
	err    error
	// answered is what was asked last, until it is known what came of the answer.
	answered *prompt
}

func (a *asker) field() *field {
	if a.prompt == nil {
		return nil
	}
	return &a.prompt.edit
}

// asks opens a prompt.
func (a *asker) asks(p *prompt) { a.prompt, a.err, a.answered = p, nil, nil }

// refused says what came of an answer: why it was refused, or nil. After a refusal the same is
// asked again, since what a person types then is meant for it; a secret is typed anew.
func (a *asker) refused(err error) {
	if a.err = err; err != nil && a.answered != nil && a.prompt == nil {
		a.prompt = a.answered
	}
	a.answered = nil
}

// drop forgets what was typed.
func (a *asker) drop() {
	if a.prompt != nil {
		a.prompt.edit.wipe()
	}
	a.prompt, a.err, a.answered = nil, nil, nil
}

// answer handles a key while a prompt is open.
func (a *asker) answer(k tea.KeyPressMsg) (tea.Cmd, bool) {
	p := a.prompt
	switch k.String() {
	case keyEscape:
		a.drop()
		return nil, true
	case keyEnter:
		if p.unfinished() {
			p.edit.insert(" ")
			return nil, true
		}
		text := p.edit.text()
		if p.edit.secret {
			text = string(p.edit.runes) // the space around it may be its own
		}
		if text == "" && p.needs != "" {
			a.err = recovery.Errorf("type it, or press esc", "%s", p.needs)
			return nil, true
		}
		if p.check != nil {
			if a.err = p.check(text); a.err != nil {
				return nil, true
			}
		}
		again := *p
		again.edit = field{secret: p.edit.secret, long: p.edit.long}
		if !p.edit.secret && !p.anew {
			again.edit.insert(text)
		}
		a.drop()
		a.answered = &again
		return p.then(text), true
	}
	a.err = nil
	return nil, false
}

// show puts the prompt and a refusal under a page's body.
func (a *asker) show(m *model, p *page, w int) {
	from := len(p.body)
	defer func() { p.pinned += len(p.body) - from }()
	if a.prompt != nil {
		p.focus = from - 1 // what was said last belongs to the question
		p.body = append(p.body, nil)
		p.body = append(p.body, a.foot(w)...)
		p.keys, p.leave = []binding{{keyEnter, a.prompt.does}}, binding{keyEscape, "drop"}
	}
	if a.err != nil {
		p.body = append(append(p.body, nil), m.trouble("REFUSED", a.err, w)...)
		if a.prompt == nil {
			p.focus = len(p.body) - 1
		}
	}
}

// foot is the line of the prompt.
func (a *asker) foot(w int) []line { return []line{a.prompt.edit.line(a.prompt.label, w)} }
