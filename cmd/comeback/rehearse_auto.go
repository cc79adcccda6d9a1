package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/plan"

	"golang.org/x/sys/unix"
)

// auto chooses what most needs a proof, and gives way to everything else on the host.
func (a *app) auto(ctx context.Context, path string, o request) error {
	b, problems, err := a.open(ctx, path)
	if err != nil {
		return err
	}
	// With --json standard output holds events and nothing else.
	say := &plainWriter{out: a.out, now: a.now, redact: a.said}
	if o.json || o.dryRun {
		say.out = a.err
	}
	for _, p := range problems {
		if p.OfRecovery {
			continue
		}
		say.line("", "%s, line %d: warning: %s; %s", path, p.Line, p.Says, p.Do)
	}
	cat, err := a.surveyShown(ctx, b, true)
	if err != nil {
		return err
	}
	tellRefused(say, cat, nil)
	// Without what other hosts have filed it chooses by what this one knows.
	w := a.waits(true)
	w.on("reading what other hosts have filed")
	_, err = a.fetchFiled(ctx, b)
	w.end()
	if err != nil {
		say.line("", "runs of other hosts could not be read: %v", err)
	}
	proofs, _, err := a.proofs(b.System)
	if err != nil {
		return err
	}
	anchor, err := plan.Anchor(plan.Restored(b.Runbook), o.component)
	if err != nil {
		return err
	}
	o.component = anchor.Name
	var copies []string
	for _, c := range plan.Copies(b.Runbook) {
		if o.copy == "" || c.Name == o.copy {
			copies = append(copies, c.Name)
		}
	}
	p, err := a.planNeeded(ctx, b, cat, proofs, anchor.Name, copies, &o, say)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.printPlan(p)
	}
	if err := a.nobodyRecovers(); err != nil {
		return err
	}
	if err := o.limits.Hold(p); err != nil {
		return err
	}
	if a.giveWay != nil {
		if err := a.giveWay(); err != nil {
			say.line("", "it runs with the usual priority: %v", err)
		}
	}
	return a.runPlanned(ctx, b, p, o, say)
}

// nobodyRecovers refuses while a recovery on this host has not ended, of whichever system:
// both would grow on the same disks, and what is free now says nothing of what it still takes.
func (a *app) nobodyRecovers() error {
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if r.Problem != nil || r.Brought || r.Plan.Mode != recovery.Recovery || r.State.Result != "" || a.onItsHost(r, "") != nil {
			continue
		}
		next := "rehearse when it has ended; look at it: comeback status " + r.ID
		if r.Died {
			next = fmt.Sprintf("its runner died: comeback resume %s, or comeback stop %[1]s", r.ID)
		}
		return recovery.Errorf(next, "refused: run %s, a recovery of %s, has not ended, and a rehearsal that nobody waits for gives way to it", r.ID, clean(r.Plan.System)).WithExit(recovery.Refused)
	}
	return nil
}

// planNeeded plans to restore what most needs a proof. What cannot be planned gives way
// to what needs one next, or it would be chosen each time.
func (a *app) planNeeded(ctx context.Context, b *book, cat catalogue.Catalogue, proofs []check.Proof, anchor string, copies []string, o *request, say *plainWriter) (*recovery.Plan, error) {
	var failed error = recovery.Errorf("take a backup: comeback backup "+b.path, "no copy holds anything that could be rehearsed").WithExit(recovery.Refused)
	left, asked := cat, o.engine
	left.Surveys = slices.DeleteFunc(slices.Clone(left.Surveys), func(s recovery.Survey) bool {
		return asked != "" && s.Component == anchor && s.Engine != asked
	})
	for {
		need, ok := check.MostNeeds(left, proofs, anchor, copies, a.now(), b.Rehearse, rand.IntN)
		if !ok {
			return nil, failed
		}
		say.line("", "chosen: %s, because %s", need.Copy, need.Why)
		o.copy, o.engine, o.to = need.Copy, cmp.Or(need.Engine, asked), cmp.Or(need.Backup, string(recovery.WantLatest))
		p, err := a.planShown(ctx, b, cat, o.choices)
		if err != nil && need.Backup != "" { // not everything has a backup from before that one
			say.line("", "%s cannot be reached: %v; the latest instead", o.to, err)
			o.to = string(recovery.WantLatest)
			p, err = a.planShown(ctx, b, cat, o.choices)
		}
		if err == nil || need.Engine == "" || ctx.Err() != nil {
			return p, err
		}
		say.line("", "it cannot be planned: %v", err)
		failed = err
		left.Surveys = slices.DeleteFunc(slices.Clone(left.Surveys), func(s recovery.Survey) bool {
			return s.Component == anchor && s.Copy == need.Copy && s.Engine == need.Engine
		})
	}
}

// lowPriority lets everything else on the host go first.
const lowPriority = 15

// giveWay lowers the priority of every thread of this process, whichever starts the
// run: what is started inherits it.
func giveWay() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err == nil {
			err = unix.Setpriority(unix.PRIO_PROCESS, id, lowPriority)
		}
		if err != nil && !errors.Is(err, unix.ESRCH) { // it has ended meanwhile
			return err
		}
	}
	return nil
}
