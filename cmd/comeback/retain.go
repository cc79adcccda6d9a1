package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/plan"

	"github.com/spf13/cobra"
)

// retainAsked is what `comeback retain` was asked for.
type retainAsked struct {
	runbook, component string
	copies             []string
	remove             bool
}

func (a *app) retainCommand() *cobra.Command {
	var o retainAsked
	cmd := &cobra.Command{
		Use: "retain RUNBOOK [COMPONENT]", Short: "Say which backups stay in the copies, and remove the others when asked to",
		Long: `Holds the backups that comeback has taken against what the runbook's components
ask for: ` + "`retain: [14 daily, 8 weekly, 12 monthly]`" + ` keeps the newest of each of so
many days, ISO weeks and months that have one. Without it everything stays.

Nothing is removed unless --remove is given. The newest backup that can be restored
never goes, nor the newest that a signed rehearsal has proven, also by a key that is
not known here or on another host, nor what a run restores that has not ended, on
whatever host, nor what a kept one needs: the log since the oldest kept base backup,
packs that snapshots share. What others have put into a copy is left alone, as is what
the copy has locked. In a bucket that keeps versions, what is removed is there until
its lifecycle ends it.

Exit codes:
  0    told, or removed
  2    the command, the runbook or its environment is wrong
  3    refused: a backup of the component is at work on this host
  5    a copy could not be looked at, or did not remove what was to go`,
		Example: `  comeback retain shop.md
  comeback retain shop.md database --copy nearby --remove`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 || len(args) == 2 {
				return nil
			}
			return usage("write: comeback retain RUNBOOK [COMPONENT]", "comeback retain takes a RUNBOOK and a COMPONENT, not %d words", len(args))
		},
		ValidArgsFunction: a.runbookComponent,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.runbook = args[0]; len(args) == 2 {
				o.component = args[1]
			}
			return a.retain(cmd.Context(), o)
		},
	}
	cmd.Flags().StringSliceVar(&o.copies, "copy", nil, "look at this `COPY` only; may be given several times")
	a.signersFlag(cmd)
	cmd.Flags().BoolVar(&o.remove, "remove", false, "remove what may go; without it nothing is changed")
	return cmd
}

func (a *app) retain(ctx context.Context, o retainAsked) (err error) {
	b, _, err := a.open(ctx, o.runbook)
	if err != nil {
		return err
	}
	options, err := a.backupOptions(b, backupAsked{component: o.component, copies: o.copies})
	if err != nil {
		return err
	}
	keeps := map[string]backup.Keep{}
	for _, c := range options.Components {
		if keeps[c.Name], err = backup.ParseKeep(c.Settings["retain"]); err != nil {
			return err
		}
	}
	// What other hosts have proven, the copies know.
	w := a.waits(true)
	w.on("reading what other hosts have filed")
	filed, err := a.fetchAllFiled(ctx, b)
	w.end()
	if err != nil {
		return err
	}
	if o.remove && b.found {
		return notNamed(b.path, "its retain: says what is removed")
	}
	proofs, _, err := a.proofs(b.System)
	if err != nil {
		return err
	}
	proven := provers(proofs)
	if o.remove {
		release, err := a.holdBackups(ctx, &options)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	restored, err := a.restoredHere(b.System)
	if err != nil {
		return err
	}
	w = a.waits(true)
	cat, err := a.surveyAll(ctx, catalogue.Options{Components: options.Components, Copies: options.Copies, Engines: options.Engines, OpenStore: options.OpenStore, Progress: w.survey})
	w.end()
	if err != nil {
		return err
	}
	incomplete := false
	for _, r := range cat.Refusals {
		incomplete = true
		a.sayRetained("%-10s %-10s NOT LOOKED AT   %v", r.Component, r.Copy, r.Err)
	}
	for _, cp := range options.Copies {
		if err := filed.unread[cp.Name]; err != nil {
			incomplete = true
			a.sayRetained("%-10s %-10s WHAT IS PROVEN COULD NOT BE READ, and nothing is removed there   %v", "", cp.Name, err)
		}
	}
	for _, c := range options.Components {
		for _, cp := range plan.Copies(b.Runbook) {
			for _, s := range cat.Surveys {
				if s.Component != c.Name || s.Copy != cp.Name {
					continue
				}
				o := o
				o.remove = o.remove && filed.unread[cp.Name] == nil
				ok, err := a.retainIn(ctx, o, options, c, cp, s, keeps[c.Name], proven, restored)
				if err != nil {
					return err
				}
				incomplete = incomplete || !ok
			}
		}
	}
	if !o.remove {
		a.sayRetained("\nNothing was removed. To do it: add --remove")
	}
	if incomplete {
		return &exitError{recovery.WithExceptions}
	}
	return nil
}

// provers gives the signers of those proofs that restored a backup.
func provers(proofs []check.Proof) func(recovery.Backup) []string {
	return func(k recovery.Backup) (signers []string) {
		for _, p := range proofs {
			if !p.Passed || !slices.ContainsFunc(p.Points, func(pt recovery.Point) bool {
				return pt.Copy == k.Copy && pt.Backup.ID == k.ID && pt.Component == k.Component
			}) {
				continue
			}
			switch {
			case p.Signed:
				signers = append(signers, backup.Known)
			case p.Stranger != nil:
				signers = append(signers, p.Stranger.Fingerprint)
			}
		}
		return signers
	}
}

// retainIn is one component, in one copy, by one engine.
func (a *app) retainIn(ctx context.Context, o retainAsked, options backup.Options, c recovery.Component, cp recovery.Copy, s recovery.Survey, keep backup.Keep, proven func(recovery.Backup) []string, restored func(recovery.Backup) string) (ok bool, err error) {
	engine, ok := recovery.EngineNamed(options.Engines, s.Engine)
	if !ok {
		return true, nil
	}
	if _, takes := engine.(recovery.Capturer); !takes {
		return true, nil
	}
	store, err := options.OpenStore(ctx, cp)
	if err != nil {
		a.sayRetained("%-10s %-10s NOT LOOKED AT   %v", c.Name, cp.Name, err)
		return false, nil
	}
	p, err := backup.Prune(ctx, backup.PruneOptions{Component: c, Engine: engine, Survey: s, Store: store, Keep: keep, Zone: time.Local, Proven: proven, Restored: restored, Now: a.now,
		System: options.System, Host: options.Host, Place: options.Place})
	if err != nil {
		a.sayRetained("%-10s %-10s NOT LOOKED AT   %v", c.Name, cp.Name, err)
		return false, ctx.Err()
	}
	if len(p.Kept) == 0 && len(p.Going) == 0 {
		return true, nil
	}
	a.sayRetained("%-10s %-10s %s of %s, %s to go", c.Name, cp.Name, count(int64(len(p.Kept)), "backup"), s.Engine, recovery.FormatBytes(p.Bytes()))
	for _, k := range p.Kept {
		if len(k.Why) > 0 {
			a.sayRetained("  stays  %s   %s", k.ID, strings.Join(k.Why, "; "))
		}
	}
	for _, g := range p.Going {
		a.sayRetained("  goes   %s   %s", g.Manifest.ID, count(int64(len(g.Objects)), "object"))
	}
	if len(p.Log) > 0 {
		a.sayRetained("  goes   %s of the log and of names in it, before the oldest base backup that stays", count(int64(len(p.Log)), "file"))
	}
	for _, r := range p.Remarks {
		a.sayRetained("  %s", r)
	}
	if !o.remove || len(p.Going) == 0 && len(p.Log) == 0 {
		return true, nil
	}
	removed, refused := p.Remove(ctx)
	a.sayRetained("  removed %s", count(int64(removed), "backup"))
	for _, err := range refused {
		a.sayRetained("  NOT REMOVED   %v", err)
	}
	return len(refused) == 0, ctx.Err()
}

func (a *app) sayRetained(format string, args ...any) {
	fmt.Fprintln(a.out, clean(a.redact(fmt.Sprintf(format, args...))))
}
