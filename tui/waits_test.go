package tui

import (
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
)

const signature = armorBegin + "\n" +
	"U1NIU0lHAAAAAQAAADMAAAALc3NoLWVkMjU1MTkAAAAgocQKGUCMcuczi5wgB0pxthmFTg\n" +
	"tgtgtg==\n" + armorEnd + "\n"

func TestWaits_Approval(t *testing.T) {
	t.Run("signed here, by a watcher too", func(t *testing.T) {
		d, desk := onRun(t, approved, func(d *driver, f *fakeDesk) { approving(d, f); watcher(d, f) })
		d.press("1", "enter")
		d.sees("WANTED")
		d.press("down")
		d.sees("not the key that the runbook names")
		d.press("enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoApprove, Step: "check/approval", By: "ops1", Signature: "signature of " + planDigest + " by SHA256:x1fQ8vZk2"})
		desk.session.add(7*time.Minute, recovery.Approved{Step: "check/approval", Role: "lead", PlanSHA256: planDigest, By: "ops1"},
			recovery.StepFinished{Step: "check/approval"})
		d.sees("lead approved digest 5e0b 77a1 c93d")
	})
	t.Run("a refusal stays with the keys", func(t *testing.T) {
		d, desk := onRun(t, approved, approving)
		desk.session.refuse = recovery.Errorf("sign with the key that the runbook names", "this key is not lead's")
		d.press("1", "enter")
		d.sees("WANTED")
		d.press("down", "enter")
		d.sees("this key is not lead's")
		d.sees("SHA256:x1fQ8vZk2")
	})
	t.Run("pasted", func(t *testing.T) {
		for name, paste := range map[string]func(*driver){
			"in brackets": func(d *driver) { d.update(tea.PasteMsg{Content: signature}); d.press("enter") },
			"letter by letter": func(d *driver) {
				for _, line := range strings.Split(strings.TrimSpace(signature), "\n") {
					d.press("="+line, "enter")
				}
			},
		} {
			d, desk := onRun(t, approved, approving)
			d.press("2", "enter")
			paste(d)
			d.wants(desk, recovery.Command{Kind: recovery.DoApprove, Step: "check/approval", By: "ops1", Signature: signature})
			if t.Failed() {
				t.Fatal(name)
			}
		}
	})
	t.Run("what is no signature is not sent", func(t *testing.T) {
		d, desk := onRun(t, approved, approving)
		d.press("2", "enter", "=yes", "enter")
		d.sees("this is no armored SSH signature")
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Errorf("the run was asked for %+v", asked)
		}
	})
	t.Run("gone on without", func(t *testing.T) {
		d, desk := onRun(t, approved, approving)
		d.press("3", "enter", "enter")
		d.sees("this needs a reason")
		d.press("=lead cannot be reached", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoDecide, Step: "check/approval", Choice: recovery.ChooseContinue, Text: "lead cannot be reached", By: "ops1"})
	})
	t.Run("talked through in a rehearsal", func(t *testing.T) {
		d, desk := onRun(t, approved, approving)
		d.press("4", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoTick, Step: "check/approval", How: recovery.TickTalkedThrough, By: "ops1"})
	})
	t.Run("given elsewhere while the key is chosen", func(t *testing.T) {
		d, desk := onRun(t, approved, approving)
		d.press("1", "enter")
		d.sees("WANTED")
		desk.session.add(7*time.Minute, recovery.Approved{Step: "check/approval", Role: "lead", PlanSHA256: planDigest, By: "lead"},
			recovery.StepFinished{Step: "check/approval"})
		d.sees("LOG ")
	})
}

func TestWaits_Credentials(t *testing.T) {
	t.Run("renewed elsewhere", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, expired)
		d.press("1", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoDecide, Step: "database/copy", Choice: recovery.ChooseRetry, By: "ops1"})
	})
	t.Run("typed", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, expired)
		d.press("2", "enter", "=q1 hunter2")
		if strings.Contains(d.screen(), "hunter2") {
			t.Fatalf("a secret is on the screen\n%s", d.screen())
		}
		d.press("enter")
		want := []recovery.Command{{Kind: recovery.DoSecret, Step: "database/copy", Name: "OFFSITE_KEY", Value: "q1 hunter2", By: "ops1"}}
		d.wants(desk, want...)
		d.until("the cursor to try again", func() bool { return d.m.top().screen.(*waitingScreen).menu.cursor == 0 })
		d.press("enter")
		d.wants(desk, append(want, recovery.Command{Kind: recovery.DoDecide, Step: "database/copy", Choice: recovery.ChooseRetry, By: "ops1"})...)
	})
}

// A failure whose next step is another value of a variable lets it be typed: the runner's
// environment was fixed when it began.
func TestWaits_DecisionByAVariable(t *testing.T) {
	d, desk := onRun(t, twoCopies, func(d *driver, f *fakeDesk) {
		copied(f)
		f.session.add(6*time.Minute, recovery.StepFailed{Step: "database/replay", Error: "the server of /srv/pg runs, and the component's address leads to db1, which is not this machine",
			Hint: "let ${DATABASE_URL} name this machine, such as localhost in the place of db1; or let db1 lead here (/etc/hosts), then try again"},
			recovery.Waiting{Step: "database/replay", For: recovery.WaitDecision})
		d.sees("CAUSE")
	})
	d.sees("2 Type DATABASE_URL...")
	d.press("2", "enter", "=postgres://shop:hunter2@localhost/shop")
	if strings.Contains(d.screen(), "hunter2") {
		t.Fatalf("a secret is on the screen\n%s", d.screen())
	}
	d.press("enter")
	want := recovery.Command{Kind: recovery.DoSecret, Step: "database/replay", Name: "DATABASE_URL", Value: "postgres://shop:hunter2@localhost/shop", By: "ops1"}
	d.wants(desk, want)
	d.until("the cursor to try again", func() bool { return d.m.top().screen.(*waitingScreen).menu.cursor == 0 })
	d.press("enter")
	d.wants(desk, want, recovery.Command{Kind: recovery.DoDecide, Step: "database/replay", Choice: recovery.ChooseRetry, By: "ops1"})
}

// What does not open a backup can be typed anew, by the name that the wait says, whether or not
// the runbook says where it is found; or another moment's backup is taken.
func TestWaits_CredentialsUnfit(t *testing.T) {
	d, desk := onRun(t, twoCopies, func(d *driver, f *fakeDesk) {
		ticked(f)
		f.session.add(75*time.Second, recovery.StepStarted{Step: "database/copy", Attempt: 1})
		f.session.add(2*time.Minute, recovery.Waiting{Step: "database/copy", For: recovery.WaitCredentials,
			Cause: "config/etc.tar.age cannot be decrypted with ${IDENTITY}: it was not encrypted for this identity",
			Hint:  "give ${IDENTITY} the identity of one of those whom it was encrypted for, as its text or as the name of a file, then try again"})
		d.clock = ten.Add(3 * time.Minute)
		d.sees("cannot be decrypted with ${IDENTITY}")
	})
	d.sees("2 Type IDENTITY...")
	d.sees("4 Other moment...")
	d.press("2", "enter", "=AGE-SECRET-KEY-1QQ", "enter")
	d.wants(desk, recovery.Command{Kind: recovery.DoSecret, Step: "database/copy", Name: "IDENTITY", Value: "AGE-SECRET-KEY-1QQ", By: "ops1"})
}

// twoWait is a desk whose run waits for ticks, and since later for credentials, before
// anybody attaches to it: of what comes after that a screen can show the one without the
// other, and what a person may have begun to answer stays on it.
func twoWait(f *fakeDesk) {
	twoCopies(f)
	f.session.happen(append(starts(f), expires...))
}

func alsoExpires(f *fakeDesk) { f.session.happen(expires) }

var expires = []timed{
	{time.Minute, recovery.StepStarted{Step: "database/copy", Attempt: 1}},
	{2 * time.Minute, recovery.Waiting{Step: "database/copy", For: recovery.WaitCredentials, Cause: "ExpiredToken: The provided token has expired.", Hint: "aws sso login --profile backups"}},
}

// What keeps a machine waiting is not behind what people have still to do.
func TestWaits_Several(t *testing.T) {
	const ticks, credentials = "The maintenance page is up", "not a failure"
	t.Run("the machine first", func(t *testing.T) {
		d, _ := onRun(t, twoWait, func(d *driver, _ *fakeDesk) { d.sees(credentials) })
		d.sees("2 steps WAIT: w")
	})
	t.Run("each is reached", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, func(d *driver, f *fakeDesk) {
			started(f)
			d.sees(ticks)
			alsoExpires(f)
		})
		d.sees("2 steps WAIT: w")
		d.sees(ticks) // what is being answered stays
		d.press("esc")
		d.hears(desk.session)
		d.sees("LOG ")
		d.press("w")
		d.sees(credentials)
		d.press("w")
		d.sees(ticks)
		d.press("tab")
		d.sees(credentials)
		d.press("esc")
		d.sees("LOG ")
		d.press("enter")
		d.sees(ticks)
		d.press("w", "1", "enter")
		d.wants(desk, recovery.Command{Kind: recovery.DoDecide, Step: "database/copy", Choice: recovery.ChooseRetry, By: "ops1"})
		desk.session.add(3*time.Minute, recovery.Decided{Step: "database/copy", Choice: recovery.ChooseRetry, By: "ops1"}, recovery.StepStarted{Step: "database/copy", Attempt: 2})
		d.sees(ticks)
	})
	t.Run("an answer under way is waited for", func(t *testing.T) {
		d, desk := onRun(t, twoWait, func(d *driver, _ *fakeDesk) { d.sees(credentials) })
		desk.session.refuse = recovery.Errorf("renew them", "they are as old as before")
		d.press("1", "enter", "w")
		d.sees("they are as old as before")
	})
}

func TestWaits_Terminal(t *testing.T) {
	d, desk := onRun(t, nil, func(d *driver, f *fakeDesk) {
		copied(f)
		f.session.add(6*time.Minute, recovery.Waiting{Step: "check/carts", For: recovery.WaitTerminal})
		d.sees("comeback terminal 7c31")
	})
	d.press("1", "enter")
	d.wants(desk, recovery.Command{Kind: recovery.DoDecide, Step: "check/carts", Choice: recovery.ChooseRetry, By: "ops1"})
}

func TestWaits_Skip(t *testing.T) {
	d, desk := onRun(t, nil, failing)
	d.press("4", "enter", "=there were none before", "enter")
	want, err := recovery.Amend(planDigest, recovery.Amended{Says: "skip carts are there", Why: "there were none before", By: "ops1", Skip: []string{"check/carts"}})
	if err != nil {
		t.Fatal(err)
	}
	d.wants(desk, recovery.Command{Kind: recovery.DoAmend, Amend: &want, By: "ops1"})
	desk.session.add(9*time.Minute, want)
	d.sees("AMENDED")
	if len(d.m.run.state.Unknown) > 0 {
		t.Errorf("the amendment is not understood: %v", d.m.run.state.Unknown)
	}
}

func TestWaits_Amend(t *testing.T) {
	t.Run("another copy", func(t *testing.T) {
		d, desk := onRun(t, twoCopies, restoreFails)
		d.press("2", "enter", "1", "enter")
		d.sees("AMENDMENT")
		if diff := cmp.Diff([]Choice{{Component: "database", Copy: "offsite"}}, desk.amends); diff != "" {
			t.Errorf("the desk was asked for (-want +got):\n%s", diff)
		}
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Fatalf("before it was confirmed the run was asked for %+v", asked)
		}
		d.press("enter", "enter") // typed too often for the question before
		if asked := desk.session.asked(); len(asked) > 0 {
			t.Fatalf("an enter too many asked the run for %+v", asked)
		}
		d.press("1", "enter")
		amended := d.asked(desk, 1)[0].Amend
		if amended == nil || amended.Before != planDigest || amended.By != "ops1" {
			t.Fatalf("the run was asked for %+v", amended)
		}
		desk.session.add(9*time.Minute, *amended)
		d.hears(desk.session)
		if unknown := d.m.run.state.Unknown; len(unknown) > 0 {
			t.Errorf("the amendment is not understood: %v", unknown)
		}
		d.sees("AMENDED")
	})
	t.Run("another moment", func(t *testing.T) {
		d, desk := onRun(t, nil, restoreFails)
		d.press("2", "enter", "=q7 d", "enter") // no letter is a shortcut
		d.sees("AMENDMENT")
		d.press("esc")
		d.sees("CAUSE")
		if asked := desk.session.asked(); len(asked) > 0 || desk.amends[0].Want != "q7 d" {
			t.Errorf("the run was asked for %+v, the desk for %+v", asked, desk.amends)
		}
	})
	t.Run("a time of day", func(t *testing.T) {
		d, desk := onRun(t, nil, restoreFails)
		d.press("2", "enter", "=09:30", "enter")
		d.sees("AMENDMENT")
		if want := ten.Format("2006-01-02") + "T09:30:00" + ten.Format("Z07:00"); desk.amends[0].Want != want {
			t.Errorf("the desk was asked for %q, not %q", desk.amends[0].Want, want)
		}
	})
	t.Run("a refusal keeps what was typed", func(t *testing.T) {
		d, desk := onRun(t, nil, restoreFails)
		desk.amendErr = errRefused
		d.press("2", "enter", "=2026-11-24T00:00:00+01:00", "enter")
		d.sees("is after the end of the archive")
		d.sees("MOMENT  > 2026-11-24T00:00:00+01:00")
	})
	t.Run("it goes with its wait", func(t *testing.T) {
		d, desk := onRun(t, nil, restoreFails)
		d.press("2", "enter", "=late")
		desk.session.add(8*time.Minute, recovery.Decided{Step: "database/replay", Choice: recovery.ChooseRetry, By: "ops2"}, recovery.StepStarted{Step: "database/replay", Attempt: 2})
		d.sees("LOG ")
	})
}

func TestVariables(t *testing.T) {
	for _, c := range []struct {
		cause, hint string
		want        []string
	}{
		{"", "set $TOKEN or ${OTHER_KEY}", []string{"TOKEN", "OTHER_KEY"}},
		{"DATABASE is not set", "look for it", []string{"DATABASE"}},
		{"DATABASES were not found", "", nil},
		{"TOKEN is not set", "export TOKEN (the vault) and try again", []string{"TOKEN"}},
		{"", "export SECRET", []string{"SECRET"}},
		{"ExpiredToken: AWS says no", "aws sso login --profile backups", nil},
		{"", "A_B A_B C_D E_F G_H", []string{"A_B", "C_D", "E_F"}},
	} {
		plan := shopPlan()
		plan.Needs = map[string]string{"DATABASE": "the vault"}
		a := folded(plan, nil)
		if diff := cmp.Diff(c.want, a.variables(&recovery.StepState{Error: c.cause, Hint: c.hint})); diff != "" {
			t.Errorf("%q, %q (-want +got):\n%s", c.cause, c.hint, diff)
		}
	}
}

func FuzzArmored(f *testing.F) {
	for _, seed := range []string{signature, strings.ReplaceAll(signature, "\n", " "), "x " + armorBegin + armorEnd, armorBegin + " A", "", armorEnd + "AA" + armorBegin} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, ok := armored(text)
		if !ok {
			if got != "" {
				t.Errorf("%q is no signature and gives %q", text, got)
			}
			return
		}
		if again, ok := armored(strings.ReplaceAll(got, "\n", " ")); !ok || again != got {
			t.Errorf("%q becomes %q, and that %q", text, got, again)
		}
		for _, line := range strings.Split(got, "\n") {
			if len(line) > armorWidth {
				t.Errorf("a line of %d bytes", len(line))
			}
		}
	})
}

func FuzzFingerprint(f *testing.F) {
	for _, seed := range []string{approverKey, "ssh-ed25519 !", "", "a b c"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got := fingerprint(text); got != "" && len(got) != len(approverPrint) {
			t.Errorf("%q has the fingerprint %q", text, got)
		}
	})
}

func TestFingerprint(t *testing.T) {
	if got := fingerprint(approverKey); got != approverPrint { // as ssh-keygen -l prints it
		t.Errorf("%s", got)
	}
}
