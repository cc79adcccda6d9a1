package tui

import (
	"slices"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// How much can be typed into a field, in characters. What is cut off a secret or a
// signature would not be seen, so that there is room for any of them.
const (
	fieldLimit = 500
	longLimit  = 16 << 10
)

// field is one line of text that a person types. A secret one shows a star for
// each character.
type field struct {
	runes  []rune
	at     int
	secret bool
	// long fields take a signature.
	long bool
}

// key edits the text; keys that mean nothing to a field are ignored.
func (f *field) key(k tea.KeyPressMsg) {
	switch k.Keystroke() {
	case "left", "ctrl+b":
		f.at = max(0, f.at-1)
	case "right", "ctrl+f":
		f.at = min(len(f.runes), f.at+1)
	case "home", "ctrl+a":
		f.at = 0
	case "end", "ctrl+e":
		f.at = len(f.runes)
	case "backspace", "ctrl+h":
		f.drop(f.at-1, f.at)
	case "delete", "ctrl+d":
		f.drop(f.at, f.at+1)
	case "ctrl+u":
		f.drop(0, f.at)
	case "ctrl+k":
		f.drop(f.at, len(f.runes))
	case "ctrl+w":
		from := f.at
		for from > 0 && f.runes[from-1] == ' ' {
			from--
		}
		for from > 0 && f.runes[from-1] != ' ' {
			from--
		}
		f.drop(from, f.at)
	default:
		f.insert(k.Text)
	}
}

func (f *field) drop(from, to int) {
	from, to = max(0, from), min(to, len(f.runes))
	if from < to {
		f.runes = slices.Delete(f.runes, from, to) // clears what it moves away
		f.at = from
	}
}

// insert types a text at the cursor, what is pasted included. A line end
// becomes a space; of a secret only the one at its end is dropped.
func (f *field) insert(text string) {
	if f.secret {
		text = strings.TrimRight(text, "\r\n")
	} else {
		text = clean(text)
	}
	limit := fieldLimit
	if f.secret || f.long {
		limit = longLimit
	}
	add := []rune(text)
	add = add[:min(len(add), limit-len(f.runes))]
	grown := slices.Concat(f.runes[:f.at], add, f.runes[f.at:])
	f.wipe()
	f.runes = grown
	f.at += len(add)
	clear(add)
}

// text is what stands in the field, without space around it.
func (f *field) text() string { return strings.TrimSpace(string(f.runes)) }

// take gives a secret away and wipes the field.
func (f *field) take() []byte {
	b := make([]byte, 0, 4*len(f.runes))
	for _, r := range f.runes {
		b = append(b, string(r)...)
	}
	f.wipe()
	f.runes, f.at = nil, 0
	return b
}

func (f *field) wipe() { clear(f.runes) }

// line shows the field behind a prompt, scrolled so that the cursor is seen.
func (f *field) line(prompt string, w int) line {
	l := as(strong, prompt)
	room := max(1, w-l.cells()-1)
	text := f.runes
	if f.secret {
		text = []rune(strings.Repeat("*", len(f.runes)))
	}
	before := tail(string(text[:f.at]), room)
	return l.say(before).caret().say(head(string(text[f.at:]), room-cells(before)))
}
