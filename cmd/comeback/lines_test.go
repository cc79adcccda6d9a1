package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"comeback/recovery"

	"github.com/charmbracelet/x/ansi"
)

// conversation is the real program on a real terminal, told line by line.
type conversation struct {
	*terminal
	read int
}

func converse(t *testing.T, r *rig, dir string, args ...string) *conversation {
	t.Helper()
	return &conversation{terminal: openTerminal(t, r, dir, 200, 50, args...)}
}

// hears waits for texts, one after the other, in what was told since the last
// time.
func (c *conversation) hears(texts ...string) {
	c.t.Helper()
	deadline := time.After(3 * time.Minute)
	for _, text := range texts {
		for ended := c.ended; ; {
			c.mu.Lock()
			changed, all := c.changed, ansi.Strip(c.raw.String())
			c.mu.Unlock()
			if i := strings.Index(all[c.read:], text); i >= 0 {
				c.read += i + len(text)
				break
			}
			if ended == nil {
				c.t.Fatalf("it ended without saying %q:\n%s", text, all)
			}
			select {
			case <-changed:
			case <-ended:
				ended = nil
			case <-deadline:
				c.t.Fatalf("it never said %q:\n%s", text, all)
			}
		}
	}
}

func (c *conversation) answers(line string) {
	c.t.Helper()
	c.press(line + "\n")
}

// A whole rehearsal by questions and answers: from the first screen over an item
// to tick and a check that fails to the signed report.
func TestLines_wholeWay(t *testing.T) {
	l, r := theShop(t), newRig(t)
	book := runbook(t, fmt.Sprintf("{url: %q}", l.CopyURL()), l.before[:1], `
`+"```sql"+`
-- check: a check that cannot hold
-- on: database
-- expect: = 1
select 2;
`+"```"+`

## Open
Owner: on-call.

- [ ] Somebody has looked
`)
	withKey(t, r)
	c := converse(t, r, filepath.Dir(book), "--plain")
	c.hears("WOULD IT SAVE US?", "1 shop", "ANSWER")
	c.answers("1")
	c.hears("WHAT HAPPENED?", "6 Nothing: this is a rehearsal", "signing")
	c.answers("6")
	c.hears("GO BACK TO WHICH MOMENT?", "ANSWER")
	c.answers("1")
	c.hears("NOTHING IS CHOSEN YET")
	c.answers("t")
	c.hears("TYPE GO TO")
	c.answers(fmt.Sprintf("before-xid:%d", l.incident.Harm.XID))
	c.hears("-- moment", "ANSWER")
	c.answers("use")
	c.hears("PLAN", "ANSWER: enter start the rehearsal")
	c.answers("start")
	c.hears("Run ", "FAILED", "a check that cannot hold", "1 Look", "2 Try again", "3 Go on anyway...")
	c.answers("3")
	c.hears("TYPE REASON")
	c.answers("it cannot hold, and we know")
	c.hears("WAITS FOR YOU", "1 [ ] Somebody has looked", "ANSWER")
	c.answers("1 done")
	c.hears("REHEARSED WITH EXCEPTIONS", "ANSWER")
	c.answers("sign")
	c.hears("SIGN THE REPORT", "1 id_ed25519", "ANSWER")
	c.answers("1")
	c.hears("SIGNED by id_ed25519")
	c.answers("quit")
	if code := c.ends(); code != int(recovery.WithExceptions) {
		t.Errorf("exit %d", code)
	}
	verifiesWithStockTools(t, r.only(t), filepath.Join(r.environ["HOME"], ".ssh", "id_ed25519"))
}

// A colleague attaches line by line, notes, is handed the command in the
// console, decides, and the first one goes on watching.
func TestLines_handOver(t *testing.T) {
	r, dir, first := waiting(t)
	theirs := &rig{t: t, state: r.state, scratch: r.scratch, environ: map[string]string{}}
	for k, v := range r.environ {
		theirs.environ[k] = v
	}
	theirs.environ["USER"] = "ops2"
	c := converse(t, theirs, dir, "attach", "--plain")
	c.hears("WAITS FOR ops1", "1 [ ] Somebody has looked", "ANSWER")
	c.answers("1 done")
	c.hears("There is no answer")
	c.answers("note")
	c.hears("TYPE NOTE")
	c.answers("I have looked at it")
	c.hears("note by ops2: I have looked at it")
	first.shows("I have looked at it")
	first.press("h")
	first.shows("HAND THE COMMAND OVER", "ops2")
	first.press("1", enter)
	c.hears("ops1 handed the command over to ops2", "WAITS FOR YOU", "ANSWER")
	first.shows("WAITS FOR ops2")
	c.answers("hand over")
	c.isTold("HAND THE COMMAND OVER", "ops1")
	c.answers("1")
	first.shows("WAITS FOR YOU")
	c.isTold("WAITS FOR ops1")
	first.press("h")
	first.shows("HAND THE COMMAND OVER", "ops2")
	first.press("1", enter)
	c.isTold("WAITS FOR YOU", "space done")
	c.answers("1 done")
	c.hears("NOTHING WAS CHECKED")
	first.shows("NOTHING WAS CHECKED")
	c.answers("quit")
	if code := c.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d", code)
	}
	first.press("q")
	first.ends()
}

// A connection that is lost ends the questions and nothing else: whoever comes back
// is asked the same one.
func TestLines_outlived(t *testing.T) {
	r, dir := newRig(t), filepath.Dir(filesBook(t, somebodyLooks))
	c := converse(t, r, dir, "rehearse", "shop.md", "--to", "pages.tar", "--plain")
	c.isTold("PLAN", "start the rehearsal")
	c.answers("start")
	c.isTold("WAITS FOR YOU", "1 [ ] Somebody has looked")
	if err := c.cmd.Process.Signal(syscall.SIGHUP); err != nil { // as the kernel does when the other end has gone
		t.Fatal(err)
	}
	if code := c.ends(); code != int(recovery.NotEnded) {
		t.Errorf("exit %d", code)
	}
	c = converse(t, r, dir, "attach", "--plain")
	c.isTold("WAITS FOR YOU", "1 [ ] Somebody has looked")
	c.answers("1 done")
	c.hears("NOTHING WAS CHECKED")
	c.answers("quit")
	if code := c.ends(); code != int(recovery.CameBack) {
		t.Errorf("exit %d", code)
	}
	if state := r.stateOf(t, filepath.Base(r.only(t))); len(state.Interruptions) != 0 {
		t.Errorf("interruptions %v", state.Interruptions)
	}
}

// Where nobody can answer, --plain asks nothing, as in a timer.
func TestLines_nobodyToAsk(t *testing.T) {
	r := newRig(t)
	if got := r.run(t.Context(), "--plain"); got.code != recovery.Usage || !strings.Contains(got.err, "there is nobody to ask") {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
	if got := r.run(t.Context(), "--ask"); got.code != recovery.CameBack {
		t.Errorf("exit %d, %s%s", got.code, got.out, got.err)
	}
	if left, err := os.ReadDir(r.state); err != nil || len(left) > 0 {
		t.Errorf("left in the state: %v, %v", left, err)
	}
}
