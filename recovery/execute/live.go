package execute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// confirmedFor is how long a typed name counts before the first change of live;
// what that change has begun it also ends. Where nobody is there to type it again, a name
// that was given at the start counts for as long as the run goes on: the restore before that
// change may take hours.
const confirmedFor = 30 * time.Minute

// errName says that a step can go on only when a person has typed the name of
// what it changes.
var errName = errors.New("nobody has typed the name of what is about to be changed")

// beforeLive proves, immediately before an attempt at a step that writes to
// anything but scratch, that it may: where it changes live, or is a block that
// may, a person has typed the name for this very plan; where it changes live, the
// run still holds the target; and every target is the one that was planned for.
func (x *Executor) beforeLive(ctx context.Context, s recovery.Step) error {
	var targets []recovery.Target
	for _, id := range s.Writes {
		t, err := x.target(id)
		if err != nil {
			return err
		}
		if !t.Scratch {
			targets = append(targets, t)
		}
	}
	if x.Plan.NeedsName(s) {
		if err := x.confirmed(s); err != nil {
			return err
		}
	}
	if x.Plan.ChangesLive(s) && x.Hold != nil {
		if err := x.Hold(ctx); err != nil {
			return err
		}
	}
	for _, t := range targets {
		if err := x.identify(ctx, t, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// confirmed refuses a step for which nobody has typed the name: for this plan,
// by whoever commands it now, not long ago.
func (x *Executor) confirmed(s recovery.Step) error {
	state := x.State()
	why := unconfirmed(x.Plan, &state, s, x.Now(), x.Unattended)
	if why == "" {
		return nil
	}
	what := s.Says
	if x.Plan.Expires != nil { // the step's words name only what it removes itself
		what = "the run"
	}
	refusal := recovery.Errorf("type its name when the run asks for it, or give it at the start: --confirm "+recovery.ShellWord(x.Plan.Confirm),
		"refused: %s %s, and %s", what, x.Plan.Does(), why).WithExit(recovery.Refused)
	refusal.Err = errName
	return refusal
}

// Confirmed refuses to take up, where nobody can be asked, a run that could not change live
// when it comes to that, after all the work before it: no name that was typed counts for it
// as it is taken up. A run that somebody holds back asks them.
func Confirmed(p *recovery.Plan, state *recovery.State) error {
	if state.HeldBackBy != "" || state.Stop != nil || !state.Cleaning.IsZero() { // a run that ends only gives back
		return nil
	}
	for _, st := range state.Steps {
		if !p.NeedsName(st.Step) || st.State == recovery.Done || st.State == recovery.Passed || st.State == recovery.Skipped {
			continue
		}
		if why := unconfirmed(p, state, st.Step, state.At, true); why != "" {
			return recovery.Errorf("give it again: --confirm "+recovery.ShellWord(p.Confirm)+"; or take the run up where somebody is there to be asked",
				"refused: run %s %s, nobody would be there to type its name, and %s", p.Run, p.Does(), why).WithExit(recovery.Refused)
		}
	}
	return nil
}

// unconfirmed is why a step that changes live, or a block that may, may not do so; empty where
// the name counts for it. Where nobody can be asked, a name that counted when the run was taken
// up counts on. For a block, which is the same whatever moment the run goes to, it counts for as
// long as the operator stays.
func unconfirmed(p *recovery.Plan, state *recovery.State, s recovery.Step, now time.Time, unattended bool) string {
	n := len(state.Confirmations)
	if n == 0 {
		return "nobody has typed its name"
	}
	c := state.Confirmations[n-1]
	if unattended {
		now = takenUp(state, c)
	}
	passedOn := ""
	if c.By != state.Lease {
		passedOn = fmt.Sprintf("%s typed its name, and %s commands the run now", c.By, state.Lease)
	}
	more, age := losesMore(state, c.Seq), now.Sub(c.At)
	switch begun := begunSince(p, state, c.Seq, s.ID); {
	case !p.ChangesLive(s) && begun:
		return ""
	case !p.ChangesLive(s):
		return passedOn
	case c.PlanSHA256 != state.PlanSHA256:
		return "the plan was changed after its name was typed"
	case len(more) > 0:
		return "more is lost than was said when its name was typed: also rows of " + strings.Join(more, ", ")
	case begun:
		return ""
	case state.HeldBackBy != "":
		return state.HeldBackBy + " holds the run before that"
	case passedOn != "":
		return passedOn
	case age < 0:
		return "nobody can tell how long ago its name was typed: the clock was put back since"
	case age > confirmedFor:
		return fmt.Sprintf("its name was typed %s ago", recovery.FormatSpan(age))
	}
	return ""
}

// takenUp is when a run was taken up last since its name was typed; where its runner has
// lived since, when that was.
func takenUp(state *recovery.State, c recovery.ConfirmationState) time.Time {
	if n := len(state.Interruptions); n > 0 && state.Interruptions[n-1].Seq > c.Seq {
		return state.Interruptions[n-1].To
	}
	return c.At
}

// losesMore lists the tables that a count since that event says are lost too, where the
// plan had counted what is lost.
func losesMore(state *recovery.State, since uint64) []string {
	var more []string
	for _, now := range state.Losses {
		i := slices.IndexFunc(state.Loses, func(l recovery.LiveLoss) bool { return l.Component == now.Component && l.Loss != nil })
		if i >= 0 && now.Seq > since {
			more = append(more, now.Beyond(*state.Loses[i].Loss)...)
		}
	}
	return more
}

// begunSince reports whether a step that changes live has ended well since that event: what
// follows belongs to it.
func begunSince(p *recovery.Plan, state *recovery.State, since uint64, but string) bool {
	return slices.ContainsFunc(state.Steps, func(st recovery.StepState) bool {
		return st.ID != but && st.State == recovery.Done && st.EndedSeq > since && p.ChangesLive(st.Step)
	})
}

// nameMissing makes a wait of an attempt for which nobody has typed the name;
// where nobody can be asked for it, it is a refusal.
func (x *Executor) nameMissing(s recovery.Step, err error) (recovery.Waiting, bool) {
	if !errors.Is(err, errName) || x.nobody() || x.state.Stop != nil {
		return recovery.Waiting{}, false
	}
	return recovery.Waiting{Step: s.ID, For: recovery.WaitName, Cause: err.Error(),
		Hint: fmt.Sprintf("type %s; anything else %s nothing", x.Plan.Confirm, verb(x.Plan))}, true
}

// confirm takes a typed name, for the plan that was read when it was typed. Steps that waited for it go on.
func (x *Executor) confirm(c recovery.Command) error {
	if x.Plan.Confirm == "" {
		return recovery.Errorf("", "run %s changes nothing live, so there is no name to type", x.Plan.Run)
	}
	if err := CheckName(x.Plan, c.Text); err != nil {
		return err
	}
	if c.PlanSHA256 != "" && c.PlanSHA256 != x.state.PlanSHA256 {
		return recovery.Errorf("read what it changes and loses now, then type "+x.Plan.Confirm,
			"refused: the plan was changed before the name arrived, and it was typed for the plan before that").WithExit(recovery.Refused)
	}
	held := x.state.HeldBackBy != ""
	if err := x.recordLocked(recovery.Confirmed{Name: c.Text, PlanSHA256: x.state.PlanSHA256, By: c.By, Loss: x.state.Gone()}); err != nil {
		return err
	}
	if held && len(x.state.Waits()) > 0 { // who held the run back until now was asked about these
		x.attend()
	}
	return nil
}

// holdBack makes the run ask for the name again before it changes anything live.
func (x *Executor) holdBack(c recovery.Command) error {
	begun := slices.ContainsFunc(x.state.Steps, func(st recovery.StepState) bool {
		return x.Plan.ChangesLive(st.Step) && (st.Interrupted || st.State != recovery.ToDo && st.WaitsFor != recovery.WaitName)
	})
	switch {
	case x.Plan.Confirm == "", x.Plan.OnlyBlocks():
		return recovery.Errorf("", "run %s changes nothing live by itself, so there is nothing to hold it before", x.Plan.Run)
	case begun:
		return recovery.Errorf("let it go on, or stop the run: then what it has changed is given back", "%s is being changed already", x.Plan.Confirm)
	case len(x.state.Confirmations) == 0 || x.state.HeldBackBy != "":
		return recovery.Errorf("type "+x.Plan.Confirm+" when it asks", "run %s asks for the name before it changes anything as it is", x.Plan.Run)
	}
	return x.recordLocked(recovery.HeldBack{By: c.By})
}

// verb is what a run does to its target.
func verb(p *recovery.Plan) string {
	verb, _, _ := strings.Cut(p.Does(), " ")
	return verb
}

// CheckName refuses a typed name that is not the one of the plan's target, or not those of all
// that is removed.
func CheckName(p *recovery.Plan, typed string) error {
	switch {
	case strings.TrimSpace(typed) == p.Confirm:
		return nil
	case p.Expires != nil:
		return recovery.Errorf("type "+p.Confirm+" if all of that is to go",
			"refused: %q does not name what is removed, so nothing is", typed).WithExit(recovery.Refused)
	}
	return recovery.Errorf("type "+p.Confirm+" if that is what you mean to change, else make another plan",
		"refused: %q is not the name of the target, nothing is changed", typed).WithExit(recovery.Refused)
}

// identify refuses a target that is not the one that was planned for, or that
// the run itself has made of it. A step that was cut off in its exchange may have
// made another one of it and not told any more: such a step finds out by itself how
// far it had come, by OIDs or inodes, and refuses anything else.
func (x *Executor) identify(ctx context.Context, t recovery.Target, step string) error {
	if x.Identify == nil {
		return recovery.Errorf("use the version of comeback that made the plan", "refused: nothing here reads the identity of %s", t.ID).WithExit(recovery.Refused)
	}
	state := x.State()
	want := t.Identity
	if now, ok := state.Identities[t.ID]; ok {
		want = now
	}
	found, err := x.Identify(ctx, t)
	if err != nil {
		return fmt.Errorf("read the identity of %s again: %w", name(t), err)
	}
	if len(want) == 0 {
		return recovery.Errorf("make a new plan", "refused: the plan does not say which %s is meant", name(t)).WithExit(recovery.Refused)
	}
	cutOff := slices.ContainsFunc(state.Held(), func(c recovery.ClaimState) bool { return c.Kind.Exchanges() && c.Step == step })
	if differs := want.Differences(found); len(differs) > 0 && !cutOff {
		return recovery.Errorf("find out what happened to it, then make a new plan",
			"refused: %s is not what it was when the plan was made: %s", name(t), strings.Join(differs, "; ")).WithExit(recovery.Refused)
	}
	return nil
}

func name(t recovery.Target) string {
	if t.Name != "" {
		return t.Name
	}
	return t.Place
}

// live is a target that is not scratch, with its identity proven just now.
func (e *env) live(ctx context.Context, t recovery.Target) (recovery.Handle, error) {
	if t.Changes() && e.x.Hold != nil {
		if err := e.x.Hold(ctx); err != nil {
			return recovery.Handle{}, err
		}
	}
	if err := e.x.identify(ctx, t, e.step.ID); err != nil {
		return recovery.Handle{}, err
	}
	return recovery.Handle{Dir: t.Place, Owner: e.x.Owner, Target: t}, nil
}

func (e *env) Held() []recovery.Resource {
	s := e.x.State()
	var held []recovery.Resource
	for _, c := range s.Held() {
		held = append(held, c.Resource)
	}
	return held
}

// exchangedWith are the claims of exchanges and openings that end with a step that opens,
// for all components of its switch: people are in the system from then on. Those that open
// later claim none, so that whatever ends the run finds a system that is new as a whole.
func (x *Executor) exchangedWith(s recovery.Step) []recovery.Resource {
	var all []recovery.Resource
	for _, c := range x.state.Held() {
		if st := x.state.Step(c.Step); (c.Kind.Exchanges() || c.Kind.Opens()) && st != nil && st.SameSwitch(s) {
			all = append(all, c.Resource)
		}
	}
	return all
}
