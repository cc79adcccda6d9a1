package tui

import "slices"

// binding is a key and what it does, as line 24 shows it: "enter open". Three
// dots behind the words mean that the console asks first.
type binding struct{ key, does string }

func (b binding) after(l line) line {
	if len(l) > 0 {
		l = l.say("  ")
	}
	return l.and(strong, b.key).say(" " + b.does)
}

// forward puts some keys before all others, in their order: line 24 has room for the first.
func forward(keys []binding, first ...string) []binding {
	rank := func(b binding) int {
		if i := slices.Index(first, b.key); i >= 0 {
			return i
		}
		return len(first)
	}
	keys = slices.Clone(keys)
	slices.SortStableFunc(keys, func(a, b binding) int { return rank(a) - rank(b) })
	return keys
}

// The keys that mean the same everywhere.
const (
	keyUp       = "up"
	keyDown     = "down"
	keyEnter    = "enter"
	keyEscape   = "esc"
	keySpace    = "space"
	keyTab      = "tab"
	keyPageUp   = "pgup"
	keyPageDown = "pgdown"
	keyHome     = "home"
	keyEnd      = "end"
	keyBreak    = "ctrl+c"
	keySuspend  = "ctrl+z"
	keyCopy     = "ctrl+y" // y, where somebody types
)

var (
	escBack = binding{keyEscape, "back"}
	qQuit   = binding{"q", "quit"}
)

// move is where a cursor goes in a list of n rows, of which a page shows some. A
// list that is shown whole leaves the page keys to the screen.
func move(key string, cursor, n, page int) (int, bool) {
	if n == 0 {
		return cursor, false
	}
	switch key {
	case keyUp:
		cursor--
	case keyDown:
		cursor++
	case keyPageUp, keyPageDown:
		if n <= page {
			return cursor, false
		}
		if key == keyPageUp {
			page = -page
		}
		cursor += page
	case keyHome:
		cursor = 0
	case keyEnd:
		cursor = n - 1
	default:
		return cursor, false
	}
	return max(0, min(cursor, n-1)), true
}
