package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/plan"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

func (a *app) expireCommand() *cobra.Command {
	o := request{choices: choices{mode: recovery.Recovery}}
	var done string
	cmd := &cobra.Command{
		Use: "expire [RUN]", Short: "Remove what a recovery has put aside, when its time has come", Args: atMostOneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Without RUN it lists what recoveries on this host have put aside or left running,
and what keeps it. With RUN it removes that for good: old data only after its
date and only when no to-do of the run is open, a server that was handed over
only while nobody is connected to it, a tree that was handed over only while no
program uses it. What --done says is remembered, also where nothing may go yet.
Nothing else is touched. It is a run of its
own, a child of RUN, and asks for the name of what it removes: of several things
all their names, with a comma and a space between them.
` + exitCodes,
		Example: `  comeback expire
  comeback expire 7c31
  comeback expire 7c31 --plain --done all --confirm shop_old_7c31`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				for _, name := range []string{"confirm", "done", "dry-run", "key", "plain"} {
					if cmd.Flags().Changed(name) {
						return usage("write: comeback expire RUN --"+name, "--%s is about what one run has left, and none is named", name)
					}
				}
				return a.listOld(cmd.Context(), o.json)
			}
			return a.expire(cmd.Context(), args[0], done, o)
		},
	}
	f := cmd.Flags()
	confirmFlag(f, &o.confirm, "what is removed")
	f.StringVar(&done, "done", "", "the `NUMBERS` of the run's to-dos that are done, like 1,3, or all")
	runFlags(f, &o.key, &o.plain, &o.json)
	asksNothing(f)
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan as JSON and do nothing")
	f.Lookup("json").Usage = "with RUN the events as they stand in the journal; without it what is left, and each to-do, as JSON, one a line"
	return cmd
}

// leftOver is something that a run has put aside or left running, and in words what keeps
// it, empty where it may go.
type leftOver struct {
	recovery.Old
	keeps string
}

// leftOvers are what a run has left, each with what keeps it. Open are the run's
// to-dos that nobody has said to be done, runs all of the host.
func (a *app) leftOvers(ctx context.Context, r runner.Past, open []string, runs []runner.Past) ([]leftOver, error) {
	b, err := a.bookOf(r)
	if err != nil {
		return nil, err
	}
	var left []leftOver
	for _, old := range aftermath.Left(r) {
		if _, ok := expirerOf(r, old); !ok {
			left = append(left, leftOver{old, "its versions stay in place, and go by the rules of their bucket"})
			continue
		}
		why := aftermath.Keeps(r, old, runs, open, a.now())
		there := false
		if why.Why != aftermath.Removed { // else nothing need be asked, and may not be able to answer
			if there, err = a.stillThere(ctx, b, r, old); err != nil {
				return nil, err
			}
		}
		left = append(left, leftOver{old, keeps(why, there)})
	}
	return left, nil
}

// keeps says what keeps something that a run has left; empty where it may go. There says
// that it is still what the run has left.
func keeps(why aftermath.Reason, there bool) string {
	switch {
	case why.Why == aftermath.Removed:
		return "gone"
	case !there:
		return "gone, or live again"
	case why.Why == aftermath.Entered:
		return fmt.Sprintf("kept: run %s let people into it and then gave up; look for what they wrote, then remove it by hand", why.Run)
	case why.Why == aftermath.Undated:
		return "kept: its run did not record since when it is live no more; look for what was written to it since, then remove it by hand"
	case why.Why == aftermath.Early:
		return "kept until " + why.Until.UTC().Format("2 Jan 2006 15:04Z")
	case why.Why == aftermath.Unsettled:
		return "kept: " + toDosOpen(why.Open, "the")
	}
	return ""
}

// stillThere reports whether old data are what the run has put aside.
func (a *app) stillThere(ctx context.Context, b *book, r runner.Past, old recovery.Old) (bool, error) {
	i := slices.IndexFunc(r.Plan.Components, func(c recovery.Component) bool { return c.Name == old.Component })
	if i < 0 {
		return false, fmt.Errorf("look at %s: the plan of run %s has no component %s", old.Place, r.ID, old.Component)
	}
	s, ok := expirerOf(r, old)
	if !ok {
		return false, fmt.Errorf("look at %s: this version knows nothing of its kind", old.Place)
	}
	t, _, err := s.Expire(recovery.SwitchContext{Component: r.Plan.Components[i], Run: r.ID}, old)
	if err != nil {
		return false, err
	}
	now, err := identifier(b.secrets.Expand)(ctx, t)
	if err != nil {
		return false, fmt.Errorf("look at %s: %w", old.Place, err)
	}
	return len(old.Identity.Differences(now)) == 0, nil
}

// expirerOf removes old data of a run, where something can.
func expirerOf(r runner.Past, old recovery.Old) (recovery.Expirer, bool) {
	s, ok := switcher(r.Plan.Switches(old))
	if !ok {
		return nil, false
	}
	e, ok := s.(recovery.Expirer)
	return e, ok
}

// leftLine is something that a run has left, or one of its to-dos, as JSON.
type leftLine struct {
	Run       string    `json:"run"`
	Component string    `json:"component,omitempty"`
	Place     string    `json:"place,omitempty"`
	Until     time.Time `json:"until,omitzero"`
	// ToDo is the number of a to-do that is open.
	ToDo int    `json:"to_do,omitempty"`
	Says string `json:"says"`
	// Keeps says why it stays, nothing where it may go; Error why that is not known.
	Keeps string `json:"keeps,omitempty"`
	Error string `json:"error,omitempty"`
}

// text is the line for people.
func (l leftLine) text() string {
	switch {
	case l.Error != "":
		return l.Run + ": " + l.Error
	case l.ToDo > 0:
		return fmt.Sprintf("%s  to do %d: %s", l.Run, l.ToDo, l.Says)
	}
	return fmt.Sprintf("%s  %s, %s: %s", l.Run, l.Place, l.Says, cmp.Or(l.Keeps, "may go: comeback expire "+l.Run))
}

// listOld lists what the runs of this host have left.
func (a *app) listOld(ctx context.Context, asJSON bool) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	none := true
	lines := json.NewEncoder(a.out)
	lines.SetEscapeHTML(false)
	say := func(l leftLine) error {
		l.Place, l.Says, l.Error = a.redact(l.Place), a.redact(l.Says), a.redact(l.Error)
		if asJSON {
			return lines.Encode(l)
		}
		_, err := fmt.Fprintln(a.out, clean(a.fromThere(l.text())))
		return err
	}
	for _, r := range runs {
		if r.Problem != nil || r.State.Result == "" || len(r.State.Old)+len(r.State.HandedOver) == 0 {
			continue
		}
		none = false
		open := aftermath.Open(r, runs)
		left, err := a.leftOvers(ctx, r, open, runs)
		var all []leftLine
		if err != nil {
			all = append(all, leftLine{Run: r.ID, Error: err.Error()})
		} else {
			for _, l := range left {
				all = append(all, leftLine{Run: r.ID, Component: l.Component, Place: l.Place, Until: l.Until, Says: l.Says, Keeps: l.keeps})
			}
			for i, text := range aftermath.ToDos(r) {
				if slices.Contains(open, text) {
					all = append(all, leftLine{Run: r.ID, ToDo: i + 1, Says: text})
				}
			}
		}
		for _, l := range all {
			if err := say(l); err != nil {
				return err
			}
		}
	}
	if none && !asJSON {
		fmt.Fprintln(a.out, "no recovery on this host has put anything aside, or left anything running")
	}
	return nil
}

func (a *app) expire(ctx context.Context, id, done string, o request) error {
	p, b, err := a.planExpiry(ctx, id, done, o.dryRun)
	if err != nil {
		return err
	}
	return a.runChild(ctx, b, p, o)
}

// planExpiry plans to remove what a run has left and nothing keeps. It leaves nothing
// behind, but remembers which to-dos are done, whether or not anything goes now; dry, it
// remembers nothing.
func (a *app) planExpiry(ctx context.Context, id, done string, dry bool) (*recovery.Plan, *book, error) {
	parent, err := a.load(id)
	if err != nil {
		return nil, nil, err
	}
	if parent.State.Result == "" {
		return nil, nil, recovery.Errorf("wait for its end, or stop it", "refused: run %s has not ended", id).WithExit(recovery.Refused)
	}
	home, err := a.home()
	if err != nil {
		return nil, nil, err
	}
	runs, err := home.List()
	if err != nil {
		return nil, nil, err
	}
	open := aftermath.Open(parent, runs)
	settled, err := settle(aftermath.ToDos(parent), done)
	if err == nil && !dry {
		err = a.remember(home, parent, settled)
	}
	if err != nil {
		return nil, nil, err
	}
	still := slices.DeleteFunc(slices.Clone(open), func(text string) bool { return slices.Contains(settled, text) })
	left, err := a.leftOvers(ctx, parent, still, runs)
	if err != nil {
		return nil, nil, err
	}
	var goes []recovery.Old
	var keeps []string
	for _, l := range left {
		if l.keeps == "" {
			goes = append(goes, l.Old)
		} else {
			keeps = append(keeps, l.Place+": "+l.keeps)
		}
	}
	if len(goes) == 0 {
		return nil, nil, nothingExpires(id, keeps, aftermath.ToDos(parent), still, len(settled) > 0 && !dry)
	}
	b, err := a.bookOf(parent)
	if err != nil {
		return nil, nil, err
	}
	history, err := home.History(parent.Plan.System)
	if err != nil {
		return nil, nil, err
	}
	next, err := a.newID(home)
	if err != nil {
		return nil, nil, err
	}
	p, err := plan.Expire(plan.ExpireOptions{Parent: parent.Plan, Old: goes, Options: plan.Options{
		Source: b.source, Run: next, Number: history.Number, Previous: history.Previous, Created: a.now(), Mode: recovery.Recovery,
		Switchers: switchers(), Expected: history.Expected}})
	if err != nil {
		return nil, nil, err
	}
	for _, text := range aftermath.ToDos(parent) {
		if !slices.Contains(still, text) {
			p.Settled = append(p.Settled, text)
		}
	}
	return p, b, nil
}

// remember keeps what a person says of a run's to-dos.
func (a *app) remember(home runner.Home, parent runner.Past, settled []string) error {
	if len(settled) == 0 {
		return nil
	}
	var said []runner.Settlement
	for _, text := range settled {
		said = append(said, runner.Settlement{ToDo: text, By: a.operator(), At: a.now().UTC()})
	}
	return home.Settle(parent.ID, said...)
}

// nothingExpires is the refusal where all that a run has left is kept.
func nothingExpires(id string, keeps, all, still []string, remembered bool) error {
	if len(keeps) == 0 {
		return recovery.Errorf("list what there is with: comeback expire", "refused: run %s has put nothing aside, and left nothing running", id).WithExit(recovery.Refused)
	}
	hint := "look again then, or list all with: comeback expire"
	if len(still) > 0 {
		var lines []string
		for i, text := range all {
			if slices.Contains(still, text) {
				lines = append(lines, fmt.Sprintf("%d: %s", i+1, text))
			}
		}
		hint = "when they are done, say so with --done NUMBERS; " + strings.Join(lines, "; ")
	}
	if remembered {
		hint = "what --done says is remembered; " + hint
	}
	return recovery.Errorf(hint, "refused: nothing that run %s has left may go: %s", id, strings.Join(keeps, "; ")).WithExit(recovery.Refused)
}

// settle picks the to-dos that a person says are done, by the numbers that they have
// among all of their run: what was said to be done before moves none of them.
func settle(all []string, done string) ([]string, error) {
	if done == "" {
		return nil, nil
	}
	if done == "all" {
		return all, nil
	}
	var settled []string
	for text := range strings.SplitSeq(done, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(text))
		if err != nil || n < 1 || n > len(all) {
			return nil, usage("give the numbers that `comeback expire` lists, or all", "--done %s: the run has no to-do %q", done, strings.TrimSpace(text))
		}
		settled = append(settled, all[n-1])
	}
	return settled, nil
}

// tellExpired says what may go of what earlier runs of the system have put aside.
func (a *app) tellExpired(say *plainWriter, p *recovery.Plan) error {
	if p.Expires != nil {
		return nil
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	for _, text := range expired(runs, p.System, a.now()) {
		say.line("", "%s", text)
	}
	return nil
}

// expired lists the old data of a system whose time has come and which go now, or when the
// to-dos of their run are done, for whoever runs it next.
func expired(runs []runner.Past, system string, now time.Time) []string {
	var says []string
	for _, r := range runs {
		if r.Problem != nil || r.State.System != system || r.State.Result == "" || aftermath.SwitchedBack(r, runs) != "" {
			continue
		}
		open := aftermath.Open(r, runs)
		for _, old := range r.State.Old {
			if _, ok := expirerOf(r, old); !ok {
				continue
			}
			comes := fmt.Sprintf("the time of %s, which run %s has put aside, has come", old.Place, r.ID)
			switch why := aftermath.Keeps(r, old, runs, open, now); why.Why {
			case "":
				says = append(says, comes+": comeback expire "+r.ID)
			case aftermath.Unsettled:
				says = append(says, comes+", and "+toDosOpen(why.Open, "that")+": comeback expire")
			}
		}
	}
	return says
}

// toDosOpen says how many to-dos of a run are open.
func toDosOpen(n int, which string) string {
	if n == 1 {
		return "1 to-do of " + which + " run is open"
	}
	return fmt.Sprintf("%d to-dos of %s run are open", n, which)
}
