// Package tui is the console: what a person sees from the first look at a
// system to the signed report of its rehearsal.
//
// It is a viewer: a run lives elsewhere, and goes on when the console is left or
// lost. Everything that a screen shows of a run follows from recovery.State and
// samples, so that a console that comes later shows what the one before showed.
// One operator commands a run; in front of everybody else the same console
// watches, and refuses the keys that command.
//
// It asks for everything else through [Desk]. It never does I/O of its own
// beyond the terminal, never decides what a run does, and never looks at a clock
// but the one that it is given.
//
// What it promises on every screen, from 80x24 up:
//
//   - Line 1 names the system, the mode, the clock with its offset, and how
//     long the run has taken. Lines 2 and 22 are the rule of the mode: '-'
//     while looking, '.' in a rehearsal, '=' in a recovery.
//   - Line 23 answers whether a live system is changed. Line 24 holds the
//     keys; "..." after a key means that it asks first.
//   - A state is a word. Colour repeats it and never replaces it.
//   - While a person types, no letter is a shortcut. Nothing is preselected
//     where a choice has consequences: there is no default moment.
//   - What comes from outside (log lines, names of objects, messages of
//     servers) cannot move the cursor, change colours or hide text: every
//     string is made harmless where it is drawn, in one place.
//   - Nothing moves but the clock and what a run reports, four times a second
//     at most.
//
// One file holds one screen; they share one model (model.go), which owns the
// stack of screens and routes keys to the top one. Screens return lines of
// words with looks (line.go); only the frame turns them into escape sequences
// (frame.go, theme.go).
package tui
