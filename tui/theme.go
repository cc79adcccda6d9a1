package tui

import (
	"github.com/charmbracelet/colorprofile"
	"github.com/charmbracelet/x/ansi"
)

// look is how a span is drawn. A look repeats what the words say.
type look uint8

const (
	plain     look = iota
	strong         // headings, names, the chosen row
	faint          // what can be overlooked
	good           // done, ok, held
	busy           // running
	warn           // waits, exceptions, over budget
	bad            // failed, refused
	scratch        // the words of a rehearsal
	danger         // the words of a recovery
	caretMark      // no text: where the cursor stands
	looks
)

// theme turns looks into escape sequences.
type theme struct {
	styles [looks]ansi.Style
	// ascii says that the terminal shows nothing else, whatever the locale says.
	ascii bool
	// vt100 says that it is one.
	vt100 bool
}

// newTheme decides from the environment: the sixteen colours of the terminal's
// own palette, or with NO_COLOR, whatever its value, none at all.
func newTheme(environ []string) theme {
	t := theme{ascii: !speaksUTF8(environ) || isVT100(environ), vt100: isVT100(environ)}
	t.styles[strong] = t.styles[strong].Bold()
	if !t.vt100 {
		t.styles[faint] = t.styles[faint].Faint()
	}
	t.styles[warn] = t.styles[warn].Bold()
	t.styles[bad] = t.styles[bad].Bold()
	t.styles[scratch] = t.styles[scratch].Bold()
	t.styles[danger] = t.styles[danger].Bold().Reverse(true)
	if profileOf(environ) <= colorprofile.ASCII {
		return t
	}
	t.styles[good] = t.styles[good].ForegroundColor(ansi.Green)
	t.styles[busy] = t.styles[busy].ForegroundColor(ansi.Cyan)
	t.styles[warn] = t.styles[warn].ForegroundColor(ansi.Yellow)
	t.styles[bad] = t.styles[bad].ForegroundColor(ansi.Red)
	t.styles[scratch] = t.styles[scratch].ForegroundColor(ansi.Cyan)
	t.styles[danger] = t.styles[danger].ForegroundColor(ansi.Red)
	return t
}

func (t theme) style(k look, text string) string {
	if text == "" || len(t.styles[k]) == 0 {
		return text
	}
	return t.styles[k].Styled(text)
}
