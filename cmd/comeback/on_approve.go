package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/recovery/remote"
)

// approvalWaits is what a run on a host wants to have approved: the step that waits,
// the bytes of plan.json and what has changed it since. The digest is made of them
// here, so that nobody signs one without its plan.
type approvalWaits struct {
	Step       string
	Plan       []byte
	Amendments []recovery.Amended
}

// approvalGiven is an approval that was made here for a run there.
type approvalGiven struct{ Run, Step, Signature string }

// approveOn signs, here, the plan of a run that waits for an approval on a host, after
// a person has read what it is and said yes.
func (a *app) approveOn(ctx context.Context, name, id, key string) error {
	host, conn, err := a.dial(ctx, name, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	var answer bytes.Buffer
	if err := conn.Ask(ctx, askApproval, []byte(id), mostTold, &answer); err != nil {
		return err
	}
	var waits approvalWaits
	if err := json.Unmarshal(answer.Bytes(), &waits); err != nil {
		return fmt.Errorf("understand %s: %w", host.Name(), err)
	}
	p, state, asked, err := waits.read(id, a.now())
	if err != nil {
		return err
	}
	a.showApproval(host, p, state, asked)
	yes := a.yes(ctx)
	if ctx.Err() != nil {
		return recovery.Errorf("", "%w", context.Cause(ctx)).WithExit(recovery.Interrupted)
	}
	if !yes {
		return recovery.Errorf("say yes to sign it: comeback approve "+id+" --on "+string(host), "the plan of run %s is not approved", id).WithExit(recovery.Refused)
	}
	signature, found, err := a.signApproval(ctx, asked, key)
	if err != nil {
		return err
	}
	body, err := json.Marshal(approvalGiven{asked.Run, asked.Step, signature})
	if err == nil {
		err = conn.Ask(ctx, askApprove, body, 0, io.Discard)
	}
	if err == nil {
		a.tellApproved(asked, found)
	}
	return err
}

// read makes of what a host has told the plan as it is now, and what is asked for. It
// refuses a plan of another run, and one in which that step is no approval.
func (w approvalWaits) read(id string, now time.Time) (*recovery.Plan, recovery.State, approvalAsked, error) {
	refused := func(format string, args ...any) (*recovery.Plan, recovery.State, approvalAsked, error) {
		return nil, recovery.State{}, approvalAsked{}, recovery.Errorf("look at the run on its host before anybody signs: comeback status "+id, "refused: "+format, args...).WithExit(recovery.Refused)
	}
	p, err := plan.Decode(w.Plan)
	if err != nil {
		return refused("the plan of run %s cannot be read: %w", id, err)
	}
	if p.Run != id {
		return refused("what came as the plan of run %s is that of run %s", id, p.Run)
	}
	state, sum := recovery.NewState(p), sha256.Sum256(w.Plan)
	state.PlanSHA256 = hex.EncodeToString(sum[:])
	for _, change := range w.Amendments {
		e, err := recovery.NewEvent(now, change)
		if err != nil {
			return refused("a change of the plan of run %s cannot be read: %w", id, err)
		}
		state = recovery.Fold(state, e)
	}
	if len(state.Unknown) > 0 {
		return refused("the plan of run %s was not changed as its host says: %s", id, strings.Join(state.Unknown, "; "))
	}
	st := state.Step(w.Step)
	if st == nil || st.Kind != recovery.KindApproval {
		return refused("no step %q of run %s is an approval", w.Step, id)
	}
	var args recovery.ApprovalArgs
	if err := st.Decode(&args); err != nil {
		return refused("%w", err)
	}
	return p, state, approvalAsked{Run: id, Role: args.Role, Key: args.Key, Step: st.ID, Digest: state.PlanSHA256}, nil
}

// showApproval tells a person what the signature is for, and asks.
func (a *app) showApproval(host remote.Host, p *recovery.Plan, state recovery.State, asked approvalAsked) {
	say := func(format string, args ...any) { fmt.Fprintln(a.out, clean(fmt.Sprintf(format, args...))) }
	say("run %s of %s waits for %s to approve the plan %s", p.Run, host.Name(), asked.Role, asked.Digest)
	say("  %s of %s, to %s", p.Mode, p.System, state.Moment.String())
	for _, t := range p.Targets {
		does := "writes to"
		if t.Changes() {
			does = "changes what is live:"
		}
		if t.Name != "" {
			does += " " + t.Name + ","
		}
		say("  %s %s", does, t.Place)
	}
	for _, change := range state.Amendments {
		say("  changed since by %s: %s", change.By, change.Says)
	}
	fmt.Fprintf(a.out, "Sign it as %s? (yes/no) ", clean(asked.Role))
}
