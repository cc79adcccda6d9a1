package tui

import (
	"fmt"
	"strconv"
	"strings"

	tea "charm.land/bubbletea/v2"
)

// answer puts a line to the screen that it was typed for.
func (t *teller) answer(text string) {
	text = strings.TrimRight(text, "\r\n")
	top := t.m.top()
	now := asking{top.screen, top.field()}
	t.owed = true
	if now != t.asked {
		t.say("The question has changed meanwhile; nothing was done with what you typed.")
		return
	}
	if f := now.field; f != nil {
		t.into(f, text)
		return
	}
	words := strings.Fields(text)
	if len(words) == 0 {
		t.standing = true // the question once more, and where it stands
		return
	}
	p := t.page()
	if n, err := strconv.Atoi(words[0]); err == nil && (len(p.picks) > 0 || len(words) > 1) {
		if n < 1 || n > len(p.picks) {
			t.wrong(text)
			return
		}
		p.picks[n-1].to()
		p = t.page() // what can be done depends on the row
		if words = words[1:]; len(words) == 0 {
			if !chooses(p) {
				t.say(fmt.Sprintf("%d is chosen; say what with it, like: %d %s", n, n, firstWord(p)))
				return
			}
			words = []string{keyEnter}
		}
	}
	key, ok := keyFor(p, strings.Join(words, " "))
	if !ok {
		t.wrong(text)
		return
	}
	t.press(key)
}

// into types a line into a field. The word that drops it stands alone.
func (t *teller) into(f *field, text string) {
	if strings.TrimSpace(text) == keyEscape {
		t.press(tea.KeyPressMsg{Code: tea.KeyEscape})
		return
	}
	f.drop(0, len(f.runes))
	f.at = 0
	f.insert(text)
	t.press(tea.KeyPressMsg{Code: tea.KeyEnter})
}

func (t *teller) wrong(text string) {
	t.prose(fmt.Sprintf("There is no answer %q here, and nothing was done.", text))
}

func (t *teller) press(k tea.KeyPressMsg) {
	_, cmd := t.m.Update(k)
	t.run(cmd)
}

// chooses reports whether enter does something with the row that the cursor is
// on.
func chooses(p page) bool {
	for _, b := range p.keys {
		if b.key == keyEnter {
			return true
		}
	}
	return false
}

// firstWord is what could be done with a row.
func firstWord(p page) string {
	if len(p.keys) == 0 {
		return "..."
	}
	return strings.TrimSuffix(strings.Split(p.keys[0].does, ",")[0], "...")
}

// specialKeys are the keys that have names.
var specialKeys = map[string]rune{
	keyEnter: tea.KeyEnter, keyEscape: tea.KeyEscape, "back": tea.KeyEscape, keyUp: tea.KeyUp, keyDown: tea.KeyDown, "left": tea.KeyLeft, "right": tea.KeyRight,
	keyHome: tea.KeyHome, keyEnd: tea.KeyEnd, "pgup": tea.KeyPgUp, "pgdn": tea.KeyPgDown, keyPageDown: tea.KeyPgDown,
}

// keyFor is the key that an answer means: a key by its name, or by what it does
// here.
func keyFor(p page, text string) (tea.KeyPressMsg, bool) {
	lower := strings.ToLower(text)
	if code, ok := specialKeys[lower]; ok {
		return tea.KeyPressMsg{Code: code}, true
	}
	if text == keySpace {
		return tea.KeyPressMsg{Code: ' ', Text: " "}, true
	}
	if r := []rune(text); len(r) == 1 {
		return tea.KeyPressMsg{Code: r[0], Text: text}, true
	}
	for _, b := range append(append([]binding{}, p.keys...), p.leave, binding{"q", "quit"}, binding{"?", "help"}, binding{"s", "status"}, binding{"c", "people"}) {
		if b.key == "" || !strings.HasPrefix(strings.ToLower(strings.TrimSuffix(b.does, "...")), lower) {
			continue
		}
		key, _, _ := strings.Cut(b.key, "/") // "+/-" is the first of them
		if key == "" {
			key = b.key
		}
		if k, ok := keyFor(page{}, key); ok {
			return k, true
		}
	}
	return tea.KeyPressMsg{}, false
}
