package tui

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"comeback/recovery"
)

// sgr is the only escape sequence that a screen may hold.
var sgr = regexp.MustCompile("\x1b\\[[0-9;]*m")

// fits checks what holds for every screen in every state: no line is wider and
// no screen higher than the terminal, the mode can be read, and nothing but
// looks is an escape sequence.
func (d *driver) fits() {
	d.t.Helper()
	v := d.m.View()
	fail := func(format string, args ...any) {
		d.t.Helper()
		d.t.Fatalf("%T at %dx%d: %s\n%q", d.m.top().screen, d.m.width, d.m.height, fmt.Sprintf(format, args...), v.Content)
	}
	lines := strings.Split(v.Content, "\n")
	if len(lines) > d.m.height {
		fail("%d lines", len(lines))
	}
	for i, text := range lines {
		for _, w := range []int{ansi.StringWidth(text), ansi.StringWidthWc(text)} {
			if w > d.m.width {
				fail("line %d has %d cells", i+1, w)
			}
		}
		for _, r := range sgr.ReplaceAllString(text, "") {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
				fail("line %d holds %U", i+1, r)
			}
		}
	}
	if c := v.Cursor; c != nil && (c.X < 0 || c.X >= d.m.width || c.Y < 0 || c.Y >= len(lines)) {
		fail("the cursor stands at %d,%d", c.X, c.Y)
	}
	if d.m.width >= 20 && !regexp.MustCompile("LOOKING|REHEARSAL|REAL").MatchString(lines[0]) {
		fail("the mode is not in line 1")
	}
	if d.m.width >= 60 && d.m.height >= liveFrame && !strings.Contains(v.Content, "LIVE: ") {
		fail("nothing says whether live is changed")
	}
}

// events are what a run may do next in a state, sensible or not.
func randomEvent(r *rand.Rand, session *fakeSession) recovery.Payload {
	plan := session.plan
	step := plan.Steps[r.IntN(len(plan.Steps))].ID
	text := strings.Repeat("word ", r.IntN(40)) + strings.Repeat("x", r.IntN(200))
	resource := recovery.Resource{Kind: recovery.Directory, ID: fmt.Sprint("/tmp/", r.IntN(4), text)}
	who := []string{"ops1", "ops2", text}[r.IntN(3)]
	switch r.IntN(26) {
	case 0:
		return recovery.RunStarted{Run: "7c31", System: text, Mode: recovery.Rehearsal, Operator: text}
	case 1, 2, 3:
		return recovery.StepStarted{Step: step, Attempt: 1 + r.IntN(3)}
	case 4, 5:
		return recovery.StepFinished{Step: step, Outcome: recovery.Outcome{Says: text, Exceptions: []string{text}, Reached: &recovery.Reached{Component: text, Evidence: []string{text}}}}
	case 6:
		return recovery.StepFailed{Step: step, Error: text, Hint: text, Outcome: check("a check", false, text, text)}
	case 7, 8:
		return recovery.Waiting{Step: step, For: []recovery.WaitFor{recovery.WaitTicks, recovery.WaitDecision, recovery.WaitApproval,
			recovery.WaitCredentials, recovery.WaitTerminal, "the moon"}[r.IntN(6)], Cause: text, Hint: text + " SOME_KEY and $OTHER"}
	case 9:
		return recovery.Ticked{Step: step, Item: r.IntN(3), How: recovery.TickNotDone, By: "ops1", Note: text}
	case 10:
		return recovery.Decided{Step: step, Choice: recovery.ChooseContinue, Reason: text, By: text}
	case 11:
		return recovery.ClaimMade{Step: step, Resource: resource}
	case 12:
		return recovery.ClaimReleased{Resource: resource}
	case 13:
		return recovery.StopAsked{By: text, Reason: text}
	case 14:
		return recovery.StepSkipped{Step: step, Why: text}
	case 15:
		return recovery.CleanupStarted{}
	case 16:
		return recovery.LeaseTaken{By: who, From: text, Reason: text}
	case 17, 18:
		return recovery.LeaseHanded{By: text, To: who}
	case 19:
		return recovery.RunResumed{Reason: text, By: who, BootID: text, Unattended: r.IntN(2) == 0}
	case 20:
		return recovery.StepGone{Step: step, Why: text}
	case 21, 22:
		session.mu.Lock()
		defer session.mu.Unlock()
		a, err := recovery.Amend(session.state.PlanSHA256, recovery.Amended{Says: text, By: who, Why: text, Skip: []string{step}[:r.IntN(2)], Redo: []string{step}[:r.IntN(2)]})
		if err != nil {
			panic(err)
		}
		return a
	case 23:
		return recovery.Approved{Step: step, Role: text, PlanSHA256: text, By: who}
	case 25:
		return recovery.ClockStepped{By: recovery.Duration(2 * time.Hour)}
	case 24:
		return recovery.Notified{About: text, Error: text[:min(len(text), r.IntN(2))]}
	}
	return recovery.Noted{Text: text, By: text}
}

// TestView_AnyKeyAnySizeAnyState presses keys at random, in terminals of random
// size, while a run does things at random.
func TestView_AnyKeyAnySizeAnyState(t *testing.T) {
	keys := []string{"enter", "enter", "enter", "esc", "up", "down", "down", "left", "right", "home", "end", "pgup", "pgdown", "space", "backspace",
		"ctrl+u", "ctrl+w", "=a", "=latest", "1", "2", "3", "n", "t", "l", "/", "w", "S", "k", "v", "r", "g", "?", "N", "q", "ctrl+c", "d", "h", "T", "a", "-", "ctrl+z", "4", "5", "6", "o", "s", "c", "y", "f"}
	for seed := range uint64(40) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			r := rand.New(rand.NewPCG(seed, 7))
			desk := shopDesk()
			switch r.IntN(4) {
			case 0:
				if seed%2 == 1 {
					desk.planErr = errRefused
				}
			case 1:
				desk.rows[1].Surveys = shopRows()[0].Surveys
			case 2:
				for i := range 60 {
					b := desk.rows[0].Surveys[1].Backups[0]
					b.ID = fmt.Sprint("db/", i, ".sql.gz")
					desk.rows[0].Surveys[1].Backups = append(desk.rows[0].Surveys[1].Backups, b)
					desk.runs = append(desk.runs, KnownRun{ID: fmt.Sprint(i), System: "shop", Started: ten})
				}
			}
			twoCopies(desk)
			if seed%3 == 0 {
				approved(desk)
				died(desk)
			}
			d := drive(t, desk, Options{Start: Start{Runbook: shopMD}})
			if seed%2 == 0 {
				toRun(d, desk)
			}
			ended := false
			for range 250 {
				switch n := r.IntN(10); {
				case n == 0:
					d.size(20+r.IntN(181), 5+r.IntN(56))
				case n == 1:
					d.clock = d.clock.Add(time.Duration(r.IntN(4000)) * time.Second)
				case n == 2 && !ended:
					desk.session.add(d.clock.Sub(ten), randomEvent(r, desk.session))
				case n == 3 && r.IntN(8) == 0 && d.m.run != nil && !ended:
					select {
					case desk.session.samples <- recovery.Sample{At: d.clock, Here: []recovery.Watcher{{Operator: hostile, Terminal: "console"}, {Operator: "ops2"}}[:r.IntN(3)]}:
					case <-time.After(time.Millisecond): // nobody listens any more
					}
				case n == 3:
					select { // what has come in the meantime
					case msg := <-d.msgs:
						d.update(msg)
					default:
					}
				case n == 4 && !ended && r.IntN(60) == 0:
					ended = true
					if r.IntN(2) == 0 {
						desk.session.add(d.clock.Sub(ten), recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "ended"})
					}
					desk.session.end()
				default:
					d.press(keys[r.IntN(len(keys))])
				}
				d.fits()
			}
		})
	}
}

// TestView_TinyTerminals draws every scene in terminals that are far too small.
func TestView_TinyTerminals(t *testing.T) {
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d, _ := s.show(t, Options{})
			for w := 1; w <= 130; w += 13 {
				for _, h := range []int{1, 3, 5, 6, 9, 10, 24, 60} {
					d.size(w, h)
					d.fits()
				}
			}
		})
	}
}

// hostile is what an object's name or a server's message may hold.
const hostile = "\x1b[2J\x1b[31mred\x1b]0;title\a\x1b]52;c;aGk=\x1b\\\u009b5mC1\u202egnp\u2066x\u200b\r\n\tz\x00\x7f\xff\xc3(\x1bP+q\x1b\\ \x1b[?1049l世界é́"

// poison appends hostile text to every string that people are shown.
func poison(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			poison(v.Elem())
		}
	case reflect.Slice:
		for i := range v.Len() {
			poison(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(v.MapIndex(k))
			poison(e)
			v.SetMapIndex(k, e)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			switch name := v.Type().Field(i).Name; name {
			case "ID", "Kind", "After", "Writes", "Args", "Mode", "State": // names that link things
			default:
				if v.Type().Field(i).IsExported() {
					poison(v.Field(i))
				}
			}
		}
	case reflect.String:
		if v.CanSet() {
			v.SetString(v.String() + hostile)
		}
	}
}

func TestView_HostileTextIsHarmless(t *testing.T) {
	for _, environ := range [][]string{{"TERM=xterm", "LANG=C.UTF-8"}, {"TERM=xterm", "LANG=C", "NO_COLOR=yes"}} {
		for _, s := range scenes {
			t.Run(s.name+"/"+environ[1], func(t *testing.T) {
				t.Parallel()
				d, desk := s.show(t, Options{Environ: environ})
				if run := d.m.run; run != nil { // nobody else reads what is poisoned now
					run.feed.stop()
					for range run.feed.out {
					}
				}
				for _, v := range []any{desk.systems, desk.runs, desk.opened, desk.rows, desk.session.plan, desk.keys} {
					poison(reflect.ValueOf(v))
				}
				if run := d.m.run; run != nil {
					poison(reflect.ValueOf(&run.state))
					for i := range run.log {
						run.log[i].text += hostile
					}
					for id, sample := range run.samples {
						sample.Phase, sample.Note = hostile+sample.Phase, hostile
						run.samples[id] = sample
					}
				}
				switch s := d.m.top().screen.(type) {
				case *pagerScreen:
					s.title += hostile
				case *momentScreen:
					s.err = recovery.Errorf(hostile, "%s", hostile)
				case *homeScreen:
					s.attachErr = recovery.Errorf(hostile, "%s", hostile)
				}
				for _, size := range sizes {
					d.size(size.w, size.h)
					d.fits()
				}
				if strings.Contains(environ[1], "=C.") {
					return
				}
				for _, r := range d.m.View().Content {
					if r > unicode.MaxASCII {
						t.Fatalf("%U on a terminal without UTF-8", r)
					}
				}
			})
		}
	}
}

// TestView_ColourNeverStandsAlone draws every scene with and without colour: the
// words are the same, and without it there is none.
func TestView_ColourNeverStandsAlone(t *testing.T) {
	allowed := regexp.MustCompile(`^\x1b\[(1|2|7|1;7)?m$`)
	for _, s := range scenes {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			d, _ := s.show(t, Options{})
			d.m.theme = newTheme([]string{"TERM=xterm", "LANG=C.UTF-8"})
			coloured := d.screen()
			for _, environ := range [][]string{{"NO_COLOR=yes", "TERM=xterm-256color", "LANG=C.UTF-8"}, {"NO_COLOR=0", "TERM=xterm", "LANG=C.UTF-8"},
				{"TERM=vt220", "LANG=C.UTF-8"}, {"TERM=xterm-mono", "LANG=C.UTF-8"}} {
				d.m.theme = newTheme(environ)
				for _, seq := range sgr.FindAllString(d.m.View().Content, -1) {
					if !allowed.MatchString(seq) {
						t.Fatalf("%v: the screen holds %q", environ, seq)
					}
				}
				if plain := d.screen(); plain != coloured {
					t.Errorf("%v: with colour:\n%s\nwithout:\n%s", environ, coloured, plain)
				}
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	plan := shopPlan()
	session := newFakeSession(plan)
	m := newModel(b.Context(), Options{Desk: shopDesk(), Now: func() time.Time { return ten.Add(6 * time.Minute) }, Operator: "ops1",
		Environ: []string{"TERM=xterm", "LANG=C.UTF-8"}})
	f := &fakeDesk{session: session}
	copied(f)
	a := &attached{session: session, plan: plan}
	a.state = recovery.NewState(plan)
	for _, e := range session.events {
		a.state = recovery.Fold(a.state, e)
	}
	for i := range logKept {
		a.log = append(a.log, logLine{at: ten, text: fmt.Sprintf("10:00:00 database: redo in progress, elapsed time: %d.00 s", i)})
	}
	m.run, m.stack = a, append(m.stack, shown{screen: &runScreen{m: m, run: a}})
	for _, size := range sizes {
		b.Run(fmt.Sprintf("%dx%d", size.w, size.h), func(b *testing.B) {
			m.Update(tea.WindowSizeMsg{Width: size.w, Height: size.h})
			for b.Loop() {
				_ = m.View()
			}
		})
	}
}
