package report

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// Live is what a recovery did to what is live.
type Live struct {
	// Confirm is the name that a person had to type, Confirmed who did.
	Confirm   string         `json:"confirm,omitempty"`
	Confirmed []Confirmation `json:"confirmed"`
	// Effects are what the plan said it would do, but to what is GivenBack; Targets are the
	// live targets as they were read then.
	Effects recovery.Effects `json:"effects"`
	Targets []LiveTarget     `json:"targets"`
	// NothingReplaced says that the run was to put something in the place of what is live, and
	// did not, or gave it back: then nothing was lost, and none of the effects came to pass.
	NothingReplaced bool `json:"nothing_replaced,omitempty"`
	// GivenBack are the components of which that is so, where it is not so of others.
	GivenBack []string `json:"given_back,omitempty"`
	// Losses are what going back has lost.
	Losses []Loss `json:"losses"`
	// Old is what was replaced, and until when it stays.
	Old []recovery.Old `json:"old_data"`
	// HandedOver is what was restored and left beside, servers running.
	HandedOver []recovery.HandedOver `json:"handed_over,omitempty"`
	// Expired is what was removed for good, Settled what to-dos of the parent
	// were said to be done.
	Expired []recovery.Old `json:"expired,omitempty"`
	Settled []string       `json:"settled,omitempty"`
	// ToDo is what people have to do now.
	ToDo []string `json:"to_do"`
	// Unprotected is what is not backed up again.
	Unprotected []string `json:"not_protected"`
}

// Confirmation is a typed name.
type Confirmation struct {
	At   time.Time `json:"at"`
	By   string    `json:"by"`
	Plan string    `json:"plan_sha256"`
	// Told is what they were told that it costs.
	Told []string `json:"told,omitempty"`
}

// LiveTarget is a live target before the run and after it.
type LiveTarget struct {
	ID     recovery.TargetID `json:"id"`
	Name   string            `json:"name"`
	Before recovery.Identity `json:"before"`
	// After is missing where the run did not change it, or gave it back.
	After recovery.Identity `json:"after,omitempty"`
}

// Loss is what a component has lost, and when that was counted.
type Loss struct {
	At time.Time `json:"at"`
	recovery.Loss
}

// live is nil where the plan writes to nothing live.
func (s *source) live() *Live {
	if len(s.plan.Live) == 0 && len(s.state.HandedOver) == 0 {
		return nil
	}
	l := &Live{HandedOver: s.state.HandedOver, Expired: s.plan.Expires, Settled: s.plan.Settled, Confirm: s.plan.Confirm, Confirmed: []Confirmation{}, Targets: []LiveTarget{},
		Losses: []Loss{}, Old: list(s.state.Old), ToDo: []string{}, Unprotected: []string{}}
	l.NothingReplaced = s.lostNothing()
	back := func(component string) bool { return !l.NothingReplaced && s.lostNothingOf(component) }
	l.Effects = recovery.Effects{}
	for _, of := range s.plan.Live {
		if back(of.Component) {
			l.GivenBack = append(l.GivenBack, of.Component)
			continue
		}
		l.Effects.Add(of.Effects)
	}
	if len(s.state.Amendments) > 0 { // the moment may be another one
		l.Effects.Gone = nil
		for _, loss := range s.state.Loses {
			if back(loss.Component) {
				continue
			}
			l.Effects.Gone = append(l.Effects.Gone, loss.Says()...)
		}
	}
	for _, c := range s.state.Confirmations {
		l.Confirmed = append(l.Confirmed, Confirmation{At: c.At.UTC(), By: c.By, Plan: c.PlanSHA256, Told: c.Loss})
	}
	for _, t := range s.plan.Targets {
		if t.Changes() {
			l.Targets = append(l.Targets, LiveTarget{ID: t.ID, Name: t.Name, Before: t.Identity, After: s.identity(t.ID)})
		}
	}
	for _, loss := range s.state.Losses {
		if !l.NothingReplaced && !back(loss.Component) {
			l.Losses = append(l.Losses, Loss{At: loss.At.UTC(), Loss: loss.Loss})
		}
	}
	l.ToDo = append(l.ToDo, s.state.ToDos()...)
	l.Unprotected = append(l.Unprotected, s.state.Unprotected()...)
	return l
}

// lostNothing reports whether the run was to replace something live, and has ended without.
// Earlier forms go by what was to be.
func (s *source) lostNothing() bool {
	return s.format() >= tellsDecided && s.plan.LostNothing(&s.state)
}

// lostNothingOf reports the same of one component.
func (s *source) lostNothingOf(component string) bool {
	return s.format() >= tellsDecided && s.plan.LostNothingOf(&s.state, component)
}

// openedNothing reports whether all that came back are trees that lie beside live: no server
// runs, and nothing was switched. Earlier forms do not tell.
func (r *Report) openedNothing() bool {
	return r.Format >= tellsDecided && r.Live != nil && len(r.Live.Targets) == 0 && len(r.Live.HandedOver) > 0 &&
		!slices.ContainsFunc(r.Live.HandedOver, func(h recovery.HandedOver) bool { return h.Tree == "" })
}

// identity is what a target became; earlier forms tell also what was given back.
func (s *source) identity(id recovery.TargetID) recovery.Identity {
	if was, ok := s.state.GivenBack[id]; ok && s.format() < tellsDecided && s.state.Identities[id] == nil {
		return was
	}
	return s.state.Identities[id]
}

// recoveryPoint is the achieved RPO, of the component that lost most.
func (s *source) recoveryPoint(o *Objective) {
	o.Verdict = Unknown
	lost, replaced := s.plan.TimeLost(&s.state)
	if !replaced {
		o.Says = "nothing live was replaced, so nothing was lost"
		return
	}
	var says []string
	for _, of := range lost.Of {
		switch {
		case of.Nothing:
			says = append(says, of.Component+": nothing live was replaced, so nothing was lost")
		case of.Loss == nil:
			says = append(says, of.Component+": nothing counted what was lost")
		case !of.Loss.Final:
			says = append(says, of.Component+": what is lost was not final when it was counted; at least, "+strings.Join(of.Loss.Says(), ", "))
		default:
			says = append(says, strings.Join(of.Loss.Says(), ", "))
			if of.PutBack {
				says = append(says, of.Component+": the last that is lost says an earlier time than the first, so that its clock was put back and the span is not known")
			}
		}
	}
	o.Says = strings.Join(says, "; ")
	if achieved, known := lost.Judged(o.Target); known {
		o.Achieved, o.Verdict = &achieved, verdict(o.Target, achieved)
	}
}

func (d *document) live(r *Report) {
	if r.Live == nil {
		return
	}
	l := r.Live
	d.heading("Live")
	if l.Confirm != "" && len(l.Confirmed) == 0 {
		d.line("Nobody typed the name %s: nothing live was changed.", code(l.Confirm))
	}
	for _, c := range l.Confirmed {
		d.printf("- %s typed %s at %s, for the plan %s\n", code(c.By), code(l.Confirm), at(c.At), code(c.Plan))
		for _, told := range c.Told {
			d.printf("  - told beforehand: %s\n", short(told))
		}
	}
	d.WriteString("\n")
	var rows [][]string
	for _, t := range l.Targets {
		after := "unchanged"
		if len(t.After) > 0 {
			after = short(t.After.String())
		}
		rows = append(rows, []string{code(t.Name), short(t.Before.String()), after})
	}
	d.table([]string{"target", "before", "after"}, rows)
	for _, loss := range l.Losses {
		for _, says := range loss.Says() {
			d.printf("- lost: %s\n", short(says))
		}
		for _, t := range loss.Tables {
			d.printf("  - %s: %d inserted, %d updated, %d deleted\n", code(t.Table), t.Inserted, t.Updated, t.Deleted)
		}
	}
	effects := l.Effects
	if l.NothingReplaced {
		effects = recovery.Effects{}
		d.printf("- nothing live was replaced, so nothing was lost\n")
	}
	for _, component := range l.GivenBack {
		d.printf("- nothing live of %s was replaced, so nothing of it was lost\n", code(component))
	}
	for _, part := range []struct {
		word string
		says []string
	}{{"went back too", effects.GoesBack}, {"to rebuild", effects.Rebuild}, {"to do", l.ToDo}, {"not undone", effects.NotUndone}, {"**not protected**", l.Unprotected}} {
		for _, says := range part.says {
			d.printf("- %s: %s\n", part.word, short(says))
		}
	}
	for _, old := range l.Old {
		d.printf("- old data of %s: %s, until %s. %s\n", code(old.Component), code(old.Place), at(old.Until), short(old.Says))
	}
	for _, h := range l.HandedOver {
		if h.Tree != "" {
			d.printf("- handed over: %s lies in %s. %s\n", code(h.Component), code(h.Tree), short(h.Says))
			d.printf("- it is removed with %s\n", code("comeback expire "+r.Run))
			continue
		}
		d.printf("- handed over: %s answers at %s. %s\n", code(h.Component), code(h.Address), short(h.Says))
		d.printf("- it lies in %s, and is removed with %s\n", code(h.Place), code("comeback expire "+r.Run))
	}
	for _, old := range l.Expired {
		d.printf("- to be removed for good: %s, %s\n", code(old.Place), short(old.Says))
	}
	for _, text := range l.Settled {
		d.printf("- said to be done: %s\n", short(text))
	}
	if len(l.Old) > 0 {
		d.printf("- it comes back with %s; what was written since is then lost\n", code(fmt.Sprintf("comeback switch-back %s", r.Run)))
	}
	d.WriteString("\n")
}
