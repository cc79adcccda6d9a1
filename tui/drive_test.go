package tui

import (
	"context"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// patience is how long a test waits for what must come.
const patience = time.Minute

// driver plays the part of Bubble Tea: it runs commands beside the test and
// hands their messages to Update, one at a time.
type driver struct {
	t    *testing.T
	m    *model
	msgs chan tea.Msg
	ctx  context.Context
	quit bool
	// clipped is what was copied to the terminal's clipboard.
	clipped string
	// bells is how often the terminal's bell was rung.
	bells int
	// clock is what the model sees; tests move it.
	clock time.Time
}

func drive(t *testing.T, desk Desk, o Options) *driver {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	d := &driver{t: t, msgs: make(chan tea.Msg), ctx: ctx, clock: ten}
	o.Desk, o.Operator = desk, "ops1"
	o.Now = func() time.Time { return d.clock }
	if o.Environ == nil {
		o.Environ = []string{"TERM=xterm-256color", "LANG=C.UTF-8"}
	}
	d.m = newModel(ctx, o)
	d.m.everySecond = func() tea.Cmd { return nil }
	d.run(d.m.Init())
	return d
}

// run runs a command beside the test.
func (d *driver) run(cmd tea.Cmd) {
	if cmd == nil {
		return
	}
	go func() {
		msg := cmd()
		if batch, ok := msg.(tea.BatchMsg); ok {
			for _, cmd := range batch {
				d.run(cmd)
			}
			return
		}
		if v := reflect.ValueOf(msg); msg == nil || v.Kind() == reflect.Slice {
			return
		}
		select {
		case d.msgs <- msg:
		case <-d.ctx.Done():
		}
	}()
}

func (d *driver) update(msg tea.Msg) {
	if _, ok := msg.(tea.QuitMsg); ok {
		d.quit = true
		return
	}
	if raw, ok := msg.(tea.RawMsg); ok && raw.Msg == "\a" {
		d.bells++
	}
	if clip := reflect.TypeOf(tea.SetClipboard("")()); reflect.TypeOf(msg) == clip {
		d.clipped = reflect.ValueOf(msg).String()
	}
	_, cmd := d.m.Update(msg)
	d.run(cmd)
}

// clipboard waits for what was copied.
func (d *driver) clipboard() string {
	d.t.Helper()
	d.until("the clipboard", func() bool { return d.clipped != "" })
	return d.clipped
}

// until handles messages until the screen is as it should be.
func (d *driver) until(what string, holds func() bool) {
	d.t.Helper()
	deadline := time.After(patience)
	for !holds() {
		select {
		case msg := <-d.msgs:
			d.update(msg)
		case <-deadline:
			d.t.Fatalf("waited in vain for %s; the screen is\n%s", what, d.screen())
		}
	}
}

// sees waits for a text on the screen.
func (d *driver) sees(text string) {
	d.t.Helper()
	d.until(fmt.Sprintf("%q", text), func() bool { return strings.Contains(d.screen(), text) })
}

// hears waits until the console has heard all of the run that it shows.
func (d *driver) hears(s *fakeSession) {
	d.t.Helper()
	d.until("the events", func() bool {
		a := d.m.run
		if a == nil || a.over {
			return true
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return a.state.Seq == uint64(len(s.events))
	})
}

// press types keys: names such as "enter", or text that is typed letter by
// letter after a "=".
func (d *driver) press(keys ...string) {
	d.t.Helper()
	for _, name := range keys {
		if text, ok := strings.CutPrefix(name, "="); ok {
			for _, r := range text {
				d.update(tea.KeyPressMsg{Code: r, Text: string(r)})
			}
			continue
		}
		d.update(keyOf(name))
	}
}

func keyOf(name string) tea.KeyPressMsg {
	special := map[string]tea.KeyPressMsg{
		"enter": {Code: tea.KeyEnter}, "esc": {Code: tea.KeyEscape}, "up": {Code: tea.KeyUp}, "down": {Code: tea.KeyDown},
		"left": {Code: tea.KeyLeft}, "right": {Code: tea.KeyRight}, "home": {Code: tea.KeyHome}, "end": {Code: tea.KeyEnd},
		"pgup": {Code: tea.KeyPgUp}, "pgdown": {Code: tea.KeyPgDown}, "space": {Code: ' ', Text: " "},
		"tab": {Code: tea.KeyTab}, "backspace": {Code: tea.KeyBackspace}, "delete": {Code: tea.KeyDelete},
	}
	if k, ok := special[name]; ok {
		return k
	}
	if letter, ok := strings.CutPrefix(name, "ctrl+"); ok {
		return tea.KeyPressMsg{Code: rune(letter[0]), Mod: tea.ModCtrl}
	}
	return tea.KeyPressMsg{Code: rune(name[0]), Text: name}
}

// screen is what is shown, without escape sequences.
func (d *driver) screen() string { return ansi.Strip(d.m.View().Content) }

func (d *driver) size(w, h int) { d.update(tea.WindowSizeMsg{Width: w, Height: h}) }
