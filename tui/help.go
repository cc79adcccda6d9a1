package tui

import "strings"

// newHelp lists the keys of the screen that is shown, and what is the same on
// all of them.
func newHelp(m *model) *pagerScreen {
	w, h := m.width, bodyHeight(m.height)
	p := m.top().page(w, h)
	var b strings.Builder
	if text := words(m.top().screen); text != "" {
		b.WriteString("THIS SCREEN\n")
		for i, par := range strings.Split(text, "\nFor example: ") {
			if i > 0 {
				par = "For example: " + par
			}
			for _, l := range wrap(par, w-4) {
				b.WriteString("  " + l + "\n")
			}
		}
		b.WriteString("\n")
	}
	b.WriteString("KEYS HERE\n")
	for _, k := range append(p.keys, p.leave) {
		if k.key == "" {
			continue
		}
		does := k.does
		if strings.HasSuffix(does, "...") {
			does = strings.TrimSuffix(does, "...") + ", asks first"
		}
		b.WriteString("  " + pad(k.key, 12) + does + "\n")
	}
	b.WriteString(`
KEYS EVERYWHERE
  up down     move; pgup and pgdn by a page
  enter       do what the last line says
  esc         back; it never changes anything
  q           quit, while only looking; during a run it asks how to leave
  ctrl+c      like q, also while typing; ctrl+z suspends
  s c y       status to paste, people to call, copy what the screen is about
  mouse       a click puts the cursor on a row and chooses nothing, the wheel
              scrolls; hold shift to mark text
  Leaving is not stopping: a run goes on without its console.
  /           finds a word: in lists the next row that has it, in texts the
              place; n goes on, N goes back. In texts w wraps, left and right
              move sideways

WHAT THE FRAME SAYS
  line 1      system, mode, the clock with its offset from UTC, and how long
              the run has taken of the RTO
  the rules   ---- looking, .... rehearsal, ==== recovery
  LIVE        whether a live system is changed
  last line   the keys; three dots mean that it asks first

WHO COMMANDS
  One operator holds the command of a run: ticks, decisions, the stop. Everybody
  else watches and may write notes (n). h hands the command over, T takes it
  with a reason; the journal tells of both.

WORDS
  to do, running, done, WAITS (for a person), FAILED,
  passed over (failed, and a person went on with a reason), skipped
  a hope      a backup that no signed rehearsal has restored
  exact to    commit: between two transactions; second: as a service's clock
              says; backup: the backup's own moment, nothing between

HOW A RUN ENDS
  exit 0      came back, or rehearsed and cleaned up; every check held
  exit 1      failed
  exit 2      the command, the runbook or its environment is wrong
  exit 3      refused by a guard
  exit 4      not ended: detached, or waiting for a person
  exit 5      with exceptions, or not cleaned up
  exit 130    interrupted and stopped
`)
	return newPager(m, "help", b.String())
}
