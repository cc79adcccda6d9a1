package tui

import (
	"context"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// screen is one thing that the console shows. Its methods are called from the
// event loop only.
type screen interface {
	// page says what is shown where the body has w by h cells. It changes
	// nothing.
	page(w, h int) page
	// key handles a key; handled is false for keys that are not its own.
	key(k tea.KeyPressMsg) (cmd tea.Cmd, handled bool)
	// field is what a person types into, or nil. While there is one, only
	// esc, enter and ctrl+c are more than text.
	field() *field
}

// opener is a screen that asks for something when it is shown, the first time
// and each time that it is come back to.
type opener interface{ open() tea.Cmd }

// closer is a screen that must end what it began when it is left.
type closer interface{ close() }

// passing is a screen that goes by itself once what it asks is settled.
type passing interface{ gone() bool }

// model is the one model of the console: a stack of screens, of which the top
// one is seen, and the run that some of them show.
type model struct {
	ctx      context.Context
	desk     Desk
	now      func() time.Time
	operator string
	theme    theme
	// everySecond asks for the next beat of the clock.
	everySecond func() tea.Cmd
	// hung ends when the terminal is gone or the process was asked to end, as
	// hangUp says; terminal is what programs know the terminal by.
	hung     context.Context
	hangUp   context.CancelFunc
	terminal string
	// canSuspend reports whether a shell can take this process up again.
	canSuspend func() bool
	// titles says that the terminal's window has a title.
	titles bool

	width, height int
	stack         []shown
	run           *attached
	ending        Ending
	// byLines says that the screens are told line by line, and not drawn;
	// exec takes the terminal for a program.
	byLines bool
	exec    func(tea.ExecCommand, tea.ExecCallback) tea.Cmd
	// said is what came of a key that the screen does not show, until the
	// next one; that a key does nothing is said until the time of passes.
	said   string
	passes time.Time
	// astray is until when what is typed was meant for a question that is over.
	astray time.Time
	// sought is the word that / looked for in the rows of a screen.
	sought sought
	// outages are what people have told of the outages of runbooks, by path.
	outages map[string]recovery.OutageNoted
	// overlooked says that there are runs which cannot be listed.
	overlooked error
	// pasted gives the commands of a text what they need to be carried out here. Every text
	// with a command about a run goes through it before it is laid out.
	pasted func(text string) string
	// cards are the scenario of a rehearsal.
	cards []Card
}

// shown is a screen on the stack, scrolled to a line. Once a person scrolls, the
// focus is let out of sight until they press one of the screen's own keys.
type shown struct {
	screen
	scroll   int
	scrolled bool
}

// most is how many lines of a text are shown: all of it where it is told, and nothing
// else has to be in sight.
func (m *model) most(lines int) int {
	if m.byLines {
		return 0
	}
	return lines
}

func (m *model) top() *shown { return &m.stack[len(m.stack)-1] }

// Init asks for what the first screens show.
func (m *model) Init() tea.Cmd {
	cmds := []tea.Cmd{m.everySecond()}
	for i := range m.stack {
		if s, ok := m.stack[i].screen.(opener); ok {
			cmds = append(cmds, s.open())
		}
	}
	if m.run != nil {
		cmds = append(cmds, m.run.feed.next(m.run))
	}
	return tea.Batch(cmds...)
}

// Update handles one message.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	cmd := m.handle(msg)
	return m, tea.Batch(cmd, m.settle())
}

func (m *model) handle(msg tea.Msg) tea.Cmd {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
	case secondMsg:
		if !m.passes.IsZero() && !m.now().Before(m.passes) {
			m.said, m.passes = "", time.Time{}
		}
		if home, ok := m.top().screen.(*homeScreen); ok {
			return tea.Batch(home.beat(), m.everySecond())
		}
		return m.everySecond()
	case answer:
		if m.shows(msg.to) {
			return msg.apply()
		}
	case heardMsg:
		var ring tea.Cmd
		if msg.to == m.run && m.run.rings(msg.snapshot) {
			ring = bell
		}
		msg.to.take(msg.snapshot)
		if msg.over {
			msg.to.feed.stop()
			return ring
		}
		return tea.Batch(ring, msg.to.feed.next(msg.to))
	case hungUpMsg:
		m.ending.HungUp = true
		return tea.Quit
	case tea.PasteMsg:
		if f := m.top().field(); f != nil {
			f.insert(msg.Content)
		}
	case tea.KeyPressMsg:
		return m.press(msg)
	case tea.MouseWheelMsg:
		m.wheel(msg.Button)
	case tea.MouseClickMsg:
		m.click(msg)
	}
	return nil
}

// press routes a key: ctrl+c asks to leave whatever is shown, ctrl+z suspends, a
// field gets the rest while there is one, then the screen, then what is the same
// everywhere.
func (m *model) press(k tea.KeyPressMsg) tea.Cmd {
	top := m.top()
	m.said, m.passes = "", time.Time{}
	switch k.Keystroke() {
	case keyBreak:
		return m.leave()
	case keySuspend:
		if m.canSuspend() {
			return suspend()
		}
		return nil
	}
	if m.goesAstray(k) {
		return nil
	}
	if cmd, handled := top.key(k); handled {
		top.scrolled = false
		return cmd
	}
	if f := top.field(); f != nil {
		switch k.String() {
		case keyPageDown, keyPageUp: // what is above what is typed can be read
			m.scroll(true, map[string]int{keyPageDown: 1, keyPageUp: -1}[k.String()])
			return nil
		}
		top.scrolled = false
		f.key(k)
		return nil
	}
	switch k.String() {
	case "?":
		return m.push(newHelp(m))
	case "s":
		return m.push(newStatus(m))
	case "c":
		return m.push(newPeople(m))
	case "y":
		if c, ok := top.screen.(copier); ok {
			return m.copyOut(c)
		}
	case "/":
		return m.find()
	case "q":
		return m.leave()
	case keyEscape:
		return m.back()
	case keyPageDown, keyDown:
		m.scroll(k.String() == keyPageDown, 1)
	case keyPageUp, keyUp:
		m.scroll(k.String() == keyPageUp, -1)
	default:
		if by := map[string]int{"n": 1, "N": -1}[k.String()]; by != 0 && m.sought.in == top.screen {
			m.findRow(by)
			return nil
		}
		if k.Text != "" {
			name := clean(k.Text)
			if strings.TrimSpace(name) == "" {
				name = k.String() // "space"
			}
			m.said, m.passes = name+" is no key here; ? says which are", m.now().Add(wrongKey)
		}
	}
	return nil
}

// overtaken is called before a screen goes by itself. Whoever types into it goes on for a
// moment, and none of that is a key of what is shown instead.
func (m *model) overtaken() {
	if f := m.top().field(); f != nil && len(f.runes) > 0 && !m.byLines {
		m.astray = m.now().Add(afterAnswer)
	}
}

// goesAstray reports whether a key was meant for a question that is over, and says so.
func (m *model) goesAstray(k tea.KeyPressMsg) bool {
	if typed := k.Text != "" || k.String() == keyEnter || k.String() == "backspace"; !typed || !m.now().Before(m.astray) {
		return false
	}
	m.astray = m.now().Add(afterAnswer)
	m.said, m.passes = "the question is over; not taken", m.astray
	return true
}

// wrongKey is how long it is said that a key does nothing, in the place of what
// else stands on line 23.
const wrongKey = 3 * time.Second

// scroll moves the body of the top screen by a line or a page.
func (m *model) scroll(page bool, by int) {
	d, top := m.draw(), m.top()
	if page {
		by *= max(1, d.rows-1)
	}
	top.scroll, top.scrolled = min(max(0, d.scroll+by), d.most), true
}

// push shows another screen on top.
func (m *model) push(s screen) tea.Cmd {
	m.stack = append(m.stack, shown{screen: s})
	if s, ok := s.(opener); ok {
		return s.open()
	}
	return nil
}

// back leaves the top screen, unless it is the last.
func (m *model) back() tea.Cmd {
	if len(m.stack) == 1 {
		return nil
	}
	m.pop()
	if s, ok := m.top().screen.(opener); ok {
		return s.open()
	}
	return nil
}

func (m *model) pop() {
	if s, ok := m.top().screen.(closer); ok {
		s.close()
	}
	m.stack = m.stack[:len(m.stack)-1]
}

// home leaves all screens but the first.
func (m *model) home() tea.Cmd {
	for len(m.stack) > 2 {
		m.pop()
	}
	return m.back()
}

// shows reports whether a screen is still on the stack.
func (m *model) shows(s screen) bool {
	for i := range m.stack {
		if m.stack[i].screen == s {
			return true
		}
	}
	return false
}

// leave quits, or asks first how to leave a run that has not ended.
func (m *model) leave() tea.Cmd {
	if m.run == nil || m.run.over || m.run.ended() {
		return tea.Quit
	}
	if _, ok := m.top().screen.(*leaveScreen); ok {
		return m.detach()
	}
	return m.push(newLeave(m, m.run))
}

// detach ends the console; the run goes on.
func (m *model) detach() tea.Cmd {
	m.letGo()
	return tea.Quit
}

// letGo stops to follow the run.
func (m *model) letGo() {
	if a := m.run; a != nil {
		m.ending.Detached = !a.over && !a.ended()
		a.feed.stop()
		m.run = nil
	}
}

// begin shows a run from its first event on.
func (m *model) begin(s recovery.Session) tea.Cmd {
	m.attach(s)
	return tea.Batch(m.push(&runScreen{m: m, run: m.run}), m.run.feed.next(m.run))
}

func (m *model) attach(s recovery.Session) {
	if m.run != nil {
		m.run.feed.stop()
	}
	m.run = &attached{session: s, plan: s.Plan(), feed: follow(m.ctx, s, m.now().Location())}
	m.run.state = recovery.NewState(m.run.plan)
	m.ending = Ending{Run: m.run.plan.Run, Dir: s.Dir()}
}

// settle brings the screens into line with the run: what waits for a person is
// shown at once, unless that person is typing or has turned away from it, and
// the result follows the end.
func (m *model) settle() tea.Cmd {
	a := m.run
	if a == nil {
		return nil
	}
	m.ending.Ended, m.ending.Exit = a.ended(), a.state.Exit
	m.ending.Lost = a.over && !a.ended()
	switch s := m.top().screen.(type) {
	case passing:
		if s.gone() {
			m.overtaken()
			m.pop()
			return m.settle()
		}
		if w, ok := s.(*waitingScreen); ok {
			w.offersName()
		}
	case *runScreen:
		if s.run != a {
			return nil
		}
		if a.over && a.ended() {
			m.outageOver(a)
			m.overtaken()
			m.pop()
			return m.push(&resultScreen{m: m, run: a, next: follower{m: m}})
		}
		if s.field() != nil {
			return nil
		}
		if st := a.unseen(); st != nil {
			return m.push(newWaiting(m, a, st))
		}
	}
	return nil
}

// View draws the top screen.
func (m *model) View() tea.View {
	d := m.draw()
	if m.theme.vt100 {
		d.text = hold(d.text, m.width)
	}
	v := tea.NewView(d.text)
	v.AltScreen, v.WindowTitle, v.MouseMode = true, m.title(), tea.MouseModeCellMotion
	if d.x >= 0 {
		v.Cursor = tea.NewCursor(d.x, d.y)
		v.Cursor.Blink = false
	}
	return v
}

func (m *model) draw() drawn {
	top := m.top()
	p := top.page(m.width, bodyHeight(m.height))
	p.typing = top.field() != nil
	if m.said != "" {
		p.note = m.said
	}
	return p.frame(m.theme, m.now(), m.width, m.height, top.scroll, !top.scrolled)
}

// secondMsg is a beat of the clock.
type secondMsg struct{}

// hungUpMsg says that the terminal is gone.
type hungUpMsg struct{}

// answer is what a call to the desk came back with. It changes the screen that
// asked, in the event loop, and is dropped if that screen is gone.
type answer struct {
	to    screen
	apply func() tea.Cmd
}

// ask calls the desk outside of the event loop and hands over what it says.
func ask[T any](ctx context.Context, to screen, call func(context.Context) (T, error), then func(T, error) tea.Cmd) tea.Cmd {
	return func() tea.Msg {
		done, ok := calling(ctx)
		if !ok {
			return nil
		}
		defer done()
		v, err := call(ctx)
		return answer{to, func() tea.Cmd { return then(v, err) }}
	}
}
