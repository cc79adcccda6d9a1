package runbooks

import (
	"fmt"
	"strings"
)

// Entry is one line of a listing.
type Entry struct {
	Pos
	// Stage is empty for what stands before the first stage.
	Stage string
	// Runs says that a run does something with it; the others are
	// documentation.
	Runs bool
	// What is what it does: "restore database", or how documentation begins.
	What string
	// Where says in which runs; it is empty for documentation.
	Where Where
}

// Listing says, in the order of the document, what will run and what is
// documentation and will not. Prose is not listed.
func (r *Runbook) Listing() []Entry {
	var list []Entry
	if len(r.Notify) > 0 {
		list = append(list, Entry{Pos: r.NotifyAt, Runs: true, What: "call a person with " + quoteWords(r.Notify), Where: InBoth})
	}
	for _, d := range r.loose {
		list = append(list, entryOf("", d))
	}
	for _, s := range r.Stages {
		for _, b := range s.Blocks {
			list = append(list, entryOf(s.Name, b))
		}
	}
	return list
}

func entryOf(stage string, b Block) Entry {
	e := Entry{Pos: b.Position(), Stage: stage, Runs: true, Where: InBoth}
	switch b := b.(type) {
	case Ticks:
		e.What = "tick 1 item"
		if n := len(b.Items); n > 1 {
			e.What = fmt.Sprintf("tick %d items", n)
		}
	case Approval:
		e.What = "wait for the approval of " + b.Role
	case Restore:
		e.What = "restore " + strings.Join(b.Components, ", ")
	case SQLCheck:
		e.What = fmt.Sprintf("check %q on %s: %s", b.Name, b.On, b.Expect)
	case SQLWait:
		e.What = fmt.Sprintf("wait %q on %s: %s, %s", b.Name, b.On, b.Expect, b.Patience)
	case FilesCheck:
		e.What = fmt.Sprintf("check %q: rows of %s against files of %s", b.Name, b.On, b.Files)
	case SoundCheck:
		e.What = fmt.Sprintf("check %q on %s: %s", b.Name, b.On, strings.Join(b.Sound, ", "))
	case HTTPCheck:
		e.What = fmt.Sprintf("check %q: GET %s: status %d", b.Name, b.URL, b.Status)
		if b.Body != "" {
			e.What += fmt.Sprintf(" and %q", b.Body)
		}
	case Start:
		e.What, e.Where = fmt.Sprintf("start %q with %s, ready: %s", b.Name, b.Interpreter, b.Ready), InRehearsal
	case Switch:
		e.What, e.Where = "switch "+strings.Join(b.Components, ", "), InRecovery
	case Shell:
		e.What, e.Where = fmt.Sprintf("run %q with %s", b.Name, b.Interpreter), b.In
		if b.Terminal {
			e.What += " in a person's terminal"
		}
	case ShellWait:
		e.What, e.Where = fmt.Sprintf("wait %q with %s, %s", b.Name, b.Interpreter, b.Patience), b.In
	case Doc:
		e.Runs, e.Where, e.What = false, "", b.begins()
	}
	return e
}

// begins is the documentation's first line, cut short.
func (d Doc) begins() string {
	for line := range strings.Lines(d.Text) {
		if s := []rune(strings.TrimSpace(line)); len(s) > 60 {
			return string(s[:59]) + "…"
		} else if len(s) > 0 {
			return string(s)
		}
	}
	return "an empty block"
}
