package execute_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"comeback/recovery"
	"comeback/recovery/execute"
)

// talk is a block that asks for a name and a password, and goes on until it is
// told to end.
const talk = `test -t 0 && test -t 1 && test -t 2
exec 3<>/dev/tty
echo "a $TERM of $(stty size)"
printf 'name? '; read name
stty -echo; printf 'password? '; read password; stty echo; echo
echo "hello $name, $(printf %s "$password" | wc -c) characters"
printf 'more? '; read more
echo "$more, $(stty size)"
`

func talkStep() recovery.Step {
	s := shellStep(talk, func(a *recovery.ShellArgs) { a.Terminal = true })
	s.MayPass = true
	return s
}

// person reads what a terminal shows and types.
type person struct {
	t *testing.T
	*execute.Terminal
	lines *bufio.Reader
	said  strings.Builder
}

func sit(t *testing.T, r *rig, columns, rows int) *person {
	t.Helper()
	terminal, err := r.Terminal("s", "ops1", execute.Screen{Columns: columns, Rows: rows, Term: "xterm-256color"})
	if err != nil {
		t.Fatal(err)
	}
	return &person{t: t, Terminal: terminal, lines: bufio.NewReader(terminal)}
}

// until reads up to a text.
func (p *person) until(text string) {
	p.t.Helper()
	for !strings.Contains(p.said.String(), text) {
		b, err := p.lines.ReadByte()
		if err != nil {
			p.t.Fatalf("%v before %q; it said %q", err, text, p.said.String())
		}
		p.said.WriteByte(b)
	}
}

func (p *person) types(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatal(err)
	}
}

// begin runs a run in the background; its end is awaited with the test's.
func (r *rig) begin(ctx context.Context, t *testing.T) <-chan recovery.State {
	ended := make(chan recovery.State, 1)
	go func() {
		s, err := r.Run(ctx)
		if err != nil {
			t.Error(err)
		}
		ended <- s
	}()
	return ended
}

// A program that talks with a person waits for a terminal, gets it, keeps it
// when the person is cut off, and is recorded as the terminal showed it.
func TestTerminal(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Rehearsal, recovery.Recovery} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, nil, func(p *recovery.Plan, _ *execute.Options) { p.Mode = mode }, talkStep())
			ended := r.begin(t.Context(), t)
			if w := <-r.waiting; w.For != recovery.WaitTerminal || w.Hint == "" {
				t.Fatalf("it waits for %+v", w)
			}
			first := sit(t, r, 100, 30)
			first.until("a xterm-256color of 30 100")
			first.until("name? ")
			first.types("ops\n")
			first.until("password? ")
			first.types("correct horse\n")
			first.until("more? ")
			if _, err := r.Terminal("other", "ops1", execute.Screen{}); err == nil {
				t.Error("a step that is not there has a terminal")
			}

			second := sit(t, r, 80, 24) // sees what was said, and takes the seat
			second.until("hello ops, 13 characters")
			if _, err := io.Copy(io.Discard, first); !errors.Is(err, os.ErrClosed) {
				t.Errorf("who was there before reads on: %v", err)
			}
			if _, err := first.Write([]byte("x")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("who was there before types on: %v", err)
			}
			second.Close() // cut off; the program goes on
			third := sit(t, r, 80, 24)
			third.Resize(90, 40)
			third.types("more\n")
			third.until("more, 40 90")
			if rest, err := io.ReadAll(third.lines); err != nil {
				t.Errorf("after its end: %q, %v", rest, err)
			}
			s := <-ended
			if s.Result != recovery.ResultPassed {
				t.Fatalf("ended as %s: %s", s.Result, s.Says)
			}
			b, err := os.ReadFile(r.dir + "/artifacts/s.2.log")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "horse") || !strings.Contains(string(b), " name? ops\n") || !strings.Contains(string(b), " more, 40 90\n") {
				t.Errorf("the log is %q", b)
			}
			if len(s.Notes) > 0 { // it was one person all the time
				t.Errorf("notes %+v", s.Notes)
			}
			if d := s.Step("s").Decisions; len(d) != 1 || d[0].By != "ops1" || d[0].Choice != recovery.ChooseRetry {
				t.Errorf("decisions %+v", d)
			}
		})
	}
}

// Whoever loses the command of a run types no more into its programs, and the new commander
// goes on with them.
func TestTerminal_takenOver(t *testing.T) {
	for name, c := range map[recovery.CommandKind]recovery.Command{
		recovery.DoTakeOver: {By: "ops2", Text: "my shift"},
		recovery.DoHandOver: {By: "ops1", To: "ops2"},
	} {
		t.Run(string(name), func(t *testing.T) {
			r := newRig(t, nil, func(p *recovery.Plan, _ *execute.Options) { p.Mode = recovery.Recovery }, talkStep())
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := r.begin(ctx, t)
			<-r.waiting
			first := sit(t, r, 80, 24)
			first.until("name? ")
			c.Kind = name
			if err := r.Do(c); err != nil {
				t.Fatal(err)
			}
			if _, err := first.Write([]byte("ops\n")); !errors.Is(err, os.ErrClosed) {
				t.Errorf("who commands no more types on: %v", err)
				stop()
				<-ended
				return
			}
			if _, err := io.Copy(io.Discard, first); !errors.Is(err, os.ErrClosed) {
				t.Errorf("who commands no more reads on: %v", err)
			}
			terminal, err := r.Terminal("s", "ops2", execute.Screen{Columns: 80, Rows: 24})
			if err != nil {
				t.Fatal(err)
			}
			second := &person{t: t, Terminal: terminal, lines: bufio.NewReader(terminal)}
			if err := r.Do(recovery.Command{Kind: recovery.DoHandOver, By: "ops1", To: "ops2"}); err != nil { // it is theirs already
				t.Fatal(err)
			}
			second.types("ops\n")
			second.until("password? ")
			second.types("correct horse\n")
			second.until("more? ")
			second.types("more\n")
			s := <-ended
			if s.Result != recovery.ResultPassed {
				t.Errorf("ended as %s: %s", s.Result, s.Says)
			}
			if len(s.Notes) != 1 || s.Notes[0].By != "comeback" || s.Notes[0].Text != `ops2 sits at the terminal of "run: smoke" now` {
				t.Errorf("of who sat there it is noted: %+v", s.Notes)
			}
		})
	}
}

// The interrupt key reaches the program; its failure is a person's to decide,
// and a stopped run ends one that goes on.
func TestTerminal_ends(t *testing.T) {
	for _, mode := range []recovery.Mode{recovery.Rehearsal, recovery.Recovery} {
		t.Run(string(mode), func(t *testing.T) {
			r := newRig(t, nil, func(p *recovery.Plan, _ *execute.Options) { p.Mode = mode }, talkStep())
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			ended := r.begin(ctx, t)
			<-r.waiting
			p := sit(t, r, 80, 24)
			p.until("name? ")
			p.types("\x03")
			if w := <-r.waiting; w.For != recovery.WaitDecision {
				t.Fatalf("it waits for %+v", w)
			}
			if _, err := io.ReadAll(p.lines); err != nil {
				t.Errorf("after its end: %v", err)
			}
			if _, err := r.Terminal("s", "ops1", execute.Screen{}); err == nil {
				t.Error("a step that waits for a decision has a terminal")
			}
			if err := r.Do(recovery.Command{Kind: recovery.DoDecide, Step: "s", Choice: recovery.ChooseRetry, By: "ops1"}); err != nil {
				t.Fatal(err)
			}
			if w := <-r.waiting; w.For != recovery.WaitTerminal {
				t.Fatalf("it waits for %+v", w)
			}
			p = sit(t, r, 80, 24)
			p.until("name? ")
			stop()
			if s := <-ended; s.Result != recovery.ResultInterrupted {
				t.Errorf("ended as %s: %s", s.Result, s.Says)
			}
			if _, err := io.ReadAll(p.lines); err != nil {
				t.Errorf("after the run's end: %v", err)
			}
		})
	}
}

// A daemon that a recovery starts from a terminal may keep it: the step does
// not wait for that.
func TestTerminal_daemon(t *testing.T) {
	pidFile := filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("setsid sh -c 'trap \"\" HUP; echo $$ >%s; exec sleep 600' &\nuntil test -s %[1]s; do :; done\n", pidFile)
	r := newRig(t, nil, func(p *recovery.Plan, _ *execute.Options) { p.Mode = recovery.Recovery },
		shellStep(script, func(a *recovery.ShellArgs) { a.Terminal = true }))
	t.Cleanup(func() {
		b, err := os.ReadFile(pidFile)
		if err != nil {
			t.Fatal(err)
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil {
			t.Fatal(err)
		}
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Errorf("the daemon did not outlive its block: %v", err)
		}
	})
	ended := r.begin(t.Context(), t)
	<-r.waiting
	p := sit(t, r, 80, 24)
	if s := <-ended; s.Result != recovery.ResultPassed {
		t.Errorf("ended as %s: %s", s.Result, s.Says)
	}
	if _, err := io.ReadAll(p.lines); err != nil {
		t.Errorf("after its end: %v", err)
	}
}

// Where nobody is there a rehearsal leaves it out and says so, and a recovery
// fails.
func TestTerminal_unattended(t *testing.T) {
	s := newRig(t, nil, unattended, talkStep()).run(t)
	if s.Result != recovery.ResultExceptions || !slices.Contains(s.Step("s").Outcome.Exceptions, "not executed: smoke, because it talks with a person, and nobody is there") {
		t.Errorf("a rehearsal ended as %s: %s", s.Result, s.Says)
	}
	if s := newRig(t, nil, recovering, talkStep()).run(t); s.Result != recovery.ResultFailed || !strings.Contains(s.Says, "nobody is there") {
		t.Errorf("a recovery ended as %s: %s", s.Result, s.Says)
	}
}
