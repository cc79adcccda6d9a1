package tui

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"comeback/recovery"
)

// talker answers a console that is told line by line.
type talker struct {
	t    *testing.T
	in   *io.PipeWriter
	done chan struct{}

	mu     sync.Mutex
	out    bytes.Buffer
	read   int
	more   chan struct{}
	ending Ending
	err    error
}

func (c *talker) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out.Write(b)
	select {
	case c.more <- struct{}{}:
	default:
	}
	return len(b), nil
}

func byLines(t *testing.T, o Options) *talker {
	t.Helper()
	r, w := io.Pipe()
	c := &talker{t: t, in: w, done: make(chan struct{}), more: make(chan struct{}, 1)}
	o.In, o.Out, o.Operator = r, c, "ops1"
	o.Now = func() time.Time { return ten }
	o.Environ = []string{"LANG=C.UTF-8"}
	go func() {
		defer close(c.done)
		c.ending, c.err = Lines(t.Context(), o)
	}()
	t.Cleanup(func() {
		w.Close()
		<-c.done
		for l := range strings.Lines(c.out.String()) { // the terminal would fold it within a word
			if l = strings.TrimSuffix(l, "\n"); cells(l) > linesWidth {
				t.Errorf("a line of %d cells was told: %q", cells(l), l)
			}
		}
	})
	return c
}

// hears waits for texts, one after the other, in what was told since the last
// time.
func (c *talker) hears(texts ...string) {
	c.t.Helper()
	deadline := time.After(patience)
	for _, text := range texts {
		for {
			c.mu.Lock()
			rest := c.out.String()[c.read:]
			i := strings.Index(rest, text)
			if i >= 0 {
				c.read += i + len(text)
			}
			c.mu.Unlock()
			if i >= 0 {
				break
			}
			select {
			case <-c.more:
			case <-deadline:
				c.t.Fatalf("waited in vain for %q after:\n%s", text, rest)
			}
		}
	}
}

// answers types lines, each once it is asked for.
func (c *talker) answers(lines ...string) {
	c.t.Helper()
	for _, l := range lines {
		if _, err := io.WriteString(c.in, l+"\n"); err != nil {
			c.t.Fatal(err)
		}
	}
}

func (c *talker) ends() Ending {
	c.t.Helper()
	select {
	case <-c.done:
	case <-time.After(patience):
		c.t.Fatalf("it does not end:\n%s", c.out.String())
	}
	if c.err != nil {
		c.t.Fatal(c.err)
	}
	return c.ending
}

func TestLines_FromTheFirstQuestionToTheSignature(t *testing.T) {
	desk := shopDesk()
	c := byLines(t, Options{Desk: desk})
	c.hears("1 shop", "yes, 2 findings", "ANSWER: 1 to 4")
	c.answers("1")
	c.hears("WHAT HAPPENED?", "6 Nothing: this is a rehearsal", "signing", "ANSWER: 1 to 6")
	c.answers("6")
	c.hears("GO BACK TO WHICH MOMENT?", "2 00:30:00 today", "ANSWER")
	c.answers("2")
	c.hears("PLAN 7c31", "enter start the rehearsal")
	c.answers("start")
	c.hears("Run 7c31, rehearsal of shop")
	started(desk)
	c.hears("run 7c31 of shop began", "WAITS FOR YOU", "1 [ ] The maintenance page is up", "ANSWER")
	c.answers("1")
	c.hears("1 is chosen; say what with it, like: 1 done")
	c.answers("1 done")
	c.until("a tick", func() bool { return len(desk.session.asked()) == 1 })
	desk.session.add(time.Second, recovery.Ticked{Step: "stop/ticks", Item: 0, How: recovery.TickDone, By: "ops1"})
	c.hears("done by ops1", "[x] The maintenance page is up")
	c.answers("2 not done")
	c.hears("TYPE REASON")
	c.answers("nobody has the password")
	c.until("a reason", func() bool { return len(desk.session.asked()) == 2 })
	if got := desk.session.asked()[1]; got.How != recovery.TickNotDone || got.Item != 1 || got.Text != "nobody has the password" {
		t.Errorf("the run was asked for %+v", got)
	}
	desk.session.add(75*time.Second, recovery.Ticked{Step: "stop/ticks", Item: 1, How: recovery.TickNotDone, By: "ops1", Note: "nobody has the password"}, recovery.StepFinished{Step: "stop/ticks"})
	desk.session.add(8*time.Minute, recovery.StepStarted{Step: "check/carts", Attempt: 1}, recovery.StepFailed{Step: "check/carts", Error: "there is no such table", Outcome: check("carts are there", false, ">= 1", "no result")},
		recovery.Waiting{Step: "check/carts", For: "decision"})
	c.hears("FAILED", "there is no such table", "2 Go on anyway...", "ANSWER")
	c.answers("2")
	c.hears("TYPE REASON")
	c.answers("")
	c.hears("this needs a reason", "TYPE REASON")
	c.answers("known")
	c.until("a decision", func() bool { return len(desk.session.asked()) == 3 })
	if got := desk.session.asked()[2]; got.Choice != recovery.ChooseContinue || got.Text != "known" {
		t.Errorf("the run was asked for %+v", got)
	}
	desk.session.add(9*time.Minute, recovery.Decided{Step: "check/carts", Choice: recovery.ChooseContinue, Reason: "known", By: "ops1"},
		recovery.CleanupStarted{}, recovery.RunEnded{Result: recovery.ResultExceptions, Exit: recovery.WithExceptions, Says: "1 check was passed over"})
	desk.session.end()
	c.hears("REHEARSED WITH EXCEPTIONS", "k sign...")
	c.answers("sign")
	c.hears("FINGERPRINT", "2 id_rsa", "ANSWER")
	c.answers("2")
	c.hears("TYPE PASSPHRASE")
	c.answers("correct horse")
	c.hears("SIGNED by id_rsa")
	c.answers("quit")
	if e := c.ends(); !e.Ended || e.Exit != recovery.WithExceptions || e.Run != "7c31" {
		t.Errorf("the ending is %+v", e)
	}
	if strings.Contains(c.out.String(), "\x1b") || strings.Contains(c.out.String(), "horse") {
		t.Errorf("an escape sequence or a secret was told:\n%q", c.out.String())
	}
}

// until waits for something that is not told.
func (c *talker) until(what string, holds func() bool) {
	c.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			c.t.Fatalf("waited in vain for %s:\n%s", what, c.out.String())
		}
	}
}

func TestLines_DuringARun(t *testing.T) {
	desk := shopDesk()
	c := byLines(t, Options{Desk: desk, Start: Start{Session: desk.session}})
	c.hears("Run 7c31")
	started(desk)
	ticked := recovery.StepFinished{Step: "stop/ticks", Outcome: recovery.Outcome{Says: "2 of 2 items decided"}}
	desk.session.add(time.Minute, ticked, recovery.StepStarted{Step: "database/copy", Attempt: 1})
	c.hears("database: copy the base backup")
	c.answers("")
	c.hears("STAGE", "2 Restore the database", "running", "ANSWER")
	// What a program prints is told when somebody asks for the log, and only then.
	desk.session.samples <- recovery.Sample{At: ten, Step: "database/copy", Lines: []string{"LOG:  redo starts"}}
	told := func() int {
		c.mu.Lock()
		defer c.mu.Unlock()
		return strings.Count(c.out.String(), "LOG:  redo starts")
	}
	for told() == 0 { // it may be on its way
		c.answers("l")
		c.hears("end of")
	}
	if n := told(); n != 1 {
		t.Errorf("it is told %d times", n)
	}
	c.answers("note")
	c.hears("TYPE NOTE")
	c.answers("support q knows")
	c.until("the note", func() bool { return len(desk.session.asked()) == 1 })
	c.answers("status")
	c.hears("WHAT    rehearsal of shop, run 7c31", "end of status", "ANSWER")
	c.answers("hand over")
	c.hears("HAND THE COMMAND OVER", "1 Another name...")
	c.answers("1")
	c.hears("TYPE HAND OVER TO")
	c.answers("esc")
	c.hears("1 Another name...", "ANSWER")
	c.answers("1")
	c.hears("TYPE HAND OVER TO")
	c.answers("ops2")
	c.until("the hand-over", func() bool { return len(desk.session.asked()) == 2 })
	if got := desk.session.asked()[1]; got.Kind != recovery.DoHandOver || got.To != "ops2" {
		t.Errorf("the run was asked for %+v", got)
	}
	desk.session.add(2*time.Minute, recovery.LeaseHanded{By: "ops1", To: "ops2"})
	c.hears("ops1 handed the command over to ops2")
	c.answers("nonsense")
	c.hears(`There is no answer "nonsense" here, and nothing was done.`)
	c.answers("S")
	c.hears("REFUSED: ops2 commands this run")
	c.answers("detach")
	if e := c.ends(); e != (Ending{Run: "7c31", Dir: desk.session.Dir(), Detached: true}) {
		t.Errorf("the ending is %+v", e)
	}
}

func TestLines_ARecoveryAsksForTheName(t *testing.T) {
	desk := shopDesk()
	forReal(desk)
	c := byLines(t, Options{Desk: desk, Start: Start{Runbook: shopMD}})
	c.hears("signing", "ANSWER")
	c.answers("1")
	c.hears("OUTAGE BEGAN", "TYPE OUTAGE BEGAN")
	c.answers("~09:52")
	c.hears("## RECOVERY: FOR REAL ##", "down ~8m00", "GO BACK TO WHICH MOMENT?")
	c.answers("2")
	c.hears("GONE FROM LIVE", "To change LIVE, type the target, db1/shop", "TYPE the text")
	c.answers("yes")
	c.hears(`"yes" is not the name of the target, nothing is changed`)
	if desk.typed != "" {
		t.Fatal("it began")
	}
	c.answers("db1/shop")
	c.hears("Run 7c31, recovery of shop")
	if desk.typed != "db1/shop" {
		t.Errorf("it began with %q", desk.typed)
	}
}

func TestLines_EndsWithItsInput(t *testing.T) {
	desk := shopDesk()
	c := byLines(t, Options{Desk: desk, Start: Start{Session: desk.session}})
	c.hears("Run 7c31", "ANSWER")
	c.in.Close()
	if e := c.ends(); !e.HungUp || e.Run != "7c31" || len(desk.session.asked()) > 0 {
		t.Errorf("the ending is %+v", e)
	}
}

// What was typed for one question is no answer to the next.
func TestLines_AQuestionThatHasChanged(t *testing.T) {
	desk := shopDesk()
	m := newModel(t.Context(), Options{Desk: desk, Now: func() time.Time { return ten }, Operator: "ops1", Start: Start{Session: desk.session}})
	var out bytes.Buffer
	tell := &teller{m: m, ctx: t.Context(), out: &out, asked: asking{screen: m.stack[0].screen}}
	tell.answer("S")
	if !strings.Contains(out.String(), "The question has changed meanwhile") || len(m.stack) != 2 {
		t.Errorf("it was told %q", out.String())
	}
}
