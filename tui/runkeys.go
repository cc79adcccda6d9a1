package tui

import (
	"strconv"

	tea "charm.land/bubbletea/v2"

	"comeback/recovery"
)

// key handles the keys that all screens of a run have: notes and the log for
// everybody, and what only the commander may.
func (a *attached) key(m *model, on screen, asks *asker, k tea.KeyPressMsg) (tea.Cmd, bool) {
	switch k.String() {
	case "l", "/":
		log := newLog(m, a)
		if k.String() == "/" {
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
	case "o":
		if a.over || a.plan.Mode != recovery.Recovery {
			return nil, false
		}
	case "x":
		if a.nextCard(m) == 0 {
			return nil, false
		}
	case "p":
		if a.holdsBefore(m) == "" {
			return nil, false
		}
	case "n", "d", "h", "T", "S":
		if a.over {
			return nil, true
		}
	default:
		return nil, false
	}
	asks.err = nil
	switch k.String() {
	case "n":
		asks.asks(&prompt{label: "NOTE > ", does: "keep in the journal", then: func(text string) tea.Cmd {
			if text == "" {
				return nil
			}
			return a.ask(m, on, recovery.Command{Kind: recovery.DoNote, Text: text}, func(err error) tea.Cmd {
				asks.refused(err)
				return nil
			})
		}})
	case "o":
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
	case "x":
		return a.play(m, on, asks), true
	case "p":
		return a.ask(m, on, recovery.Command{Kind: recovery.DoHold}, func(err error) tea.Cmd {
			asks.err = err
			return nil
		}), true
	case "d":
		return m.detach(), true
	case "T":
		if a.mine(m) {
			asks.err = recovery.Errorf("h hands the command over", "you command this run already")
			return nil, true
		}
		return m.push(newTakeOver(m, a)), true
	case "h", "S":
		switch asks.err = a.refusal(m); {
		case asks.err != nil:
		case k.String() == "h":
			return m.push(newHandOver(m, a)), true
		default:
			return m.push(newStop(m, a)), true
		}
	}
	return nil, true
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
