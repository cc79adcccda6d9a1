package tui

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// key handles the keys that all screens of a run have: notes and the log for
// everybody, and what only the commander may.
func (a *attached) key(m *model, on screen, asks *asker, k tea.KeyPressMsg) (tea.Cmd, bool) {
	key := k.String()
	switch key {
	case "l", "/":
		log := newLog(m, a)
		if key == "/" {
			log.find = &field{}
		}
		return m.push(log), true
	case "f":
		return m.push(newFiles(m, "run "+a.plan.Run, a.session.Dir())), true
	case "v":
		if !a.previews() {
			return nil, false
		}
		return a.rows(m), true
	}
	if offered, known := a.offers(m, key); !offered {
		return nil, known
	}
	asks.err = nil
	switch key {
	case "n":
		a.asksNote(m, on, asks)
	case "o":
		a.asksOutage(m, on, asks)
	case "x":
		return a.play(m, on, asks), true
	case "p":
		return a.holds(m, on, asks), true
	case "d":
		return m.detach(), true
	case "T":
		return a.takesOver(m, asks), true
	case "h", "S":
		return a.givesOrStops(m, asks, key), true
	}
	return nil, true
}

// offers reports whether a key acts on the run now; known, whether it is one of the run's all
// the same, which does nothing once that is over.
func (a *attached) offers(m *model, key string) (offered, known bool) {
	switch key {
	case "o":
		offered = !a.over && a.plan.Mode == recovery.Recovery
	case "x":
		offered = a.nextCard(m) != 0
	case "p":
		offered = a.holdsBefore(m) != ""
	case "n", "d", "h", "T", "S":
		return !a.over, true
	}
	return offered, offered
}

// asksNote asks for a note that the journal keeps.
func (a *attached) asksNote(m *model, on screen, asks *asker) {
	asks.asks(&prompt{label: "NOTE > ", does: "keep in the journal", then: func(text string) tea.Cmd {
		if text == "" {
			return nil
		}
		return a.ask(m, on, recovery.Command{Kind: recovery.DoNote, Text: text}, func(err error) tea.Cmd {
			asks.refused(err)
			return nil
		})
	}})
}

// asksOutage asks when the outage began.
func (a *attached) asksOutage(m *model, on screen, asks *asker) {
	asks.asks(&prompt{label: "OUTAGE BEGAN (02:43, ~02:43, nothing: unknown) > ", does: "note it", check: func(text string) error {
		_, err := readOutage(text, m.now())
		return err
	}, then: func(text string) tea.Cmd {
		o, err := readOutage(text, m.now())
		if err != nil {
			return nil // check has refused it
		}
		return a.ask(m, on, recovery.Command{Kind: recovery.DoOutage, Outage: o}, func(err error) tea.Cmd {
			asks.refused(err)
			return nil
		})
	}})
}

// holds lets the run ask for the name again before it changes live.
func (a *attached) holds(m *model, on screen, asks *asker) tea.Cmd {
	return a.ask(m, on, recovery.Command{Kind: recovery.DoHold}, func(err error) tea.Cmd {
		asks.err = err
		return nil
	})
}

// takesOver takes the command, which another one has.
func (a *attached) takesOver(m *model, asks *asker) tea.Cmd {
	if a.mine(m) {
		asks.err = recovery.Errorf("h hands the command over", "you command this run already")
		return nil
	}
	return m.push(newTakeOver(m, a))
}

// givesOrStops hands the command over, or stops the run, as only its commander may.
func (a *attached) givesOrStops(m *model, asks *asker, key string) tea.Cmd {
	if asks.err = a.refusal(m); asks.err != nil {
		return nil
	}
	if key == "h" {
		return m.push(newHandOver(m, a))
	}
	return m.push(newStop(m, a))
}

// keys are what line 24 says about them.
func (a *attached) keys(m *model) []binding {
	if a.over {
		return []binding{{"l", "log"}}
	}
	if a.previews() {
		return append([]binding{{"v", "rows"}}, a.commanding(m)...)
	}
	return a.commanding(m)
}

// commanding are the keys of who commands, or of who watches.
func (a *attached) commanding(m *model) []binding {
	if !a.mine(m) {
		return []binding{{"n", "note"}, {"l", "log"}, {"d", "detach"}, {"T", "take over..."}, {"s", "status"}, {"f", "files"}}
	}
	stop := binding{"S", "stop..."}
	if a.state.Stop != nil {
		stop.does = "what is left"
	}
	if a.plan.Mode == recovery.Recovery {
		keys := []binding{{"n", "note"}, {"l", "log"}}
		if before := a.holdsBefore(m); before != "" {
			keys = append(keys, binding{"p", "hold before " + before})
		}
		return append(keys, binding{"d", "detach"}, stop, binding{"s", "status"}, binding{"h", "hand over..."}, binding{"o", "outage"}, binding{"f", "files"})
	}
	return append(a.cardKey(m), binding{"n", "note"}, binding{"l", "log"}, binding{"d", "detach"}, stop, binding{"s", "status"}, binding{"h", "hand over..."}, binding{"f", "files"})
}

// holdsBefore is the stage before which this operator can hold a recovery, so that it asks
// for the name again; "" where nobody can: it asks already, or live is being changed.
func (a *attached) holdsBefore(m *model) string {
	if a.over || a.plan.Confirm == "" || !a.mine(m) || a.state.Stop != nil || len(a.state.Confirmations) == 0 || a.state.HeldBackBy != "" {
		return ""
	}
	for i := range a.state.Steps {
		if st := &a.state.Steps[i]; a.plan.ChangesLive(st.Step) {
			if st.State != recovery.ToDo || st.Interrupted {
				return ""
			}
			return strconv.Itoa(st.Stage + 1)
		}
	}
	return ""
}
