package main

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/plan"
	"comeback/recovery/rescue"
	"comeback/storage"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// rescuing is what `comeback rescue` was asked for.
type rescuing struct {
	request
	xids []uint
	// since and until are moments between which something was written.
	since, until string
	tables       []string
	preview      bool
	// What a person wants beyond what is done by itself: names of tables, of
	// triggers as TABLE.TRIGGER, and TABLE=NAME.
	into, remove, overwrite, disable []string
}

func (a *app) rescueCommand() *cobra.Command {
	var o rescuing
	cmd := &cobra.Command{
		Use:   "rescue RUNBOOK",
		Short: "Bring some rows or tables back into the live database",
		Long: `Brings back the rows that a transaction removed or changed, and leaves everything
else in the live database as it is. The component is restored twice into scratch,
to just before the transaction and to just after it; what differs is what the
transaction did. With --preview it ends there, after it has looked up what live has
of each row. Otherwise it waits until somebody has looked at the preview (comeback
rescue show RUN) and typed the name of the database, and brings the rows back in
one transaction, whose undo was written and tried before.

Rows that live misses are inserted; rows that it has as the transaction left them
get their values from before. Rows that were changed since are in conflict and
left alone, as are rows without what they refer to.

Several transactions come back together: each row as it was before the first of them
that did anything to it. Where others changed the same tables in between, the
component is restored twice more, and rows that these changed are in conflict, too.

With --to MOMENT whole tables come back: one that live does not have as it was, any
other under another name with --into TABLE=NAME.

With --since MOMENT what was written after it, up to --until MOMENT, is merged back:
after a recovery, what the old system had taken down that the moment had not. Every
table that differs is listed; what was deleted since is deleted only where
--remove-added says so.
` + inCopyHelp + exitCodes,
		Example: `  comeback rescue shop.md --xid 81214 --preview
  comeback rescue shop.md --xid 81214 --table orders --table order_items
  comeback rescue shop.md --xid 81214 --plain --confirm db1/shop
  comeback rescue shop.md --xid 81214 --xid 81220 --xid 81231
  comeback rescue shop.md --xid 81214 --remove-added orders --without-trigger orders.audit
  comeback rescue shop.md --to "1 hour ago" --table carts --into carts=carts_rescued
  comeback rescue shop.md --since before-xid:81214 --until lsn:3/7A21F0C8 --preview
  comeback rescue s3://shop-backups-offsite/shop --xid 81214 --preview
  comeback rescue show 7c31
  comeback rescue choose 7c31 --overwrite orders
  comeback rescue undo 7c31`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error { return a.rescue(cmd.Context(), args[0], o) },
	}
	f := cmd.Flags()
	f.UintSliceVar(&o.xids, "xid", nil, "bring back what the transaction `N` removed or changed; again for more; comeback moments --around lists them")
	f.StringVar(&o.to, "to", "", "bring whole tables back as they were at a `MOMENT`")
	f.StringVar(&o.since, "since", "", "bring back what was written after a `MOMENT`")
	f.StringVar(&o.until, "until", "", "with --since: and before this `MOMENT` (default latest)")
	f.StringArrayVar(&o.tables, "table", nil, "only this `TABLE`; again for more (default all that the transaction changed)")
	o.chooseFlags(f)
	f.BoolVar(&o.preview, "preview", false, "change nothing: end when it is known what would be done")
	f.StringVar(&o.component, "component", "", "rescue this `COMPONENT` (default the database that the runbook restores first); needed for an xid or LSN where there are several")
	confirmFlag(f, &o.confirm, "the live database")
	a.signersFlag(cmd)
	a.rescueFlags(&o, f)
	cmd.AddCommand(a.rescueShowCommand(), a.rescueChooseCommand(), a.rescueUndoCommand())
	return cmd
}

// rescueFlags are those of a request that a rescue has, too.
func (a *app) rescueFlags(o *rescuing, f *pflag.FlagSet) {
	var all pflag.FlagSet
	a.flags(&o.request, &all)
	for _, name := range []string{"copy", "as-of", "scratch", "key", "plain", "json", "dry-run"} {
		f.AddFlag(all.Lookup(name))
	}
	asksNothing(f)
}

func (a *app) rescue(ctx context.Context, path string, o rescuing) error {
	if err := o.check(); err != nil {
		return err
	}
	console := !o.plain && !o.json && !o.dryRun && a.interactive()
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
	p, err := a.rescuePlan(ctx, b, o, console, say, true)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.printPlan(p)
	}
	if console {
		return a.consoleRun(ctx, b, p, o.request)
	}
	return a.runPlanned(ctx, b, p, o.request, say)
}

// check refuses a request that does not say what is to be brought back.
func (o *rescuing) check() error {
	asked := 0
	for _, given := range []bool{len(o.xids) > 0, o.to != "", o.since != ""} {
		if given {
			asked++
		}
	}
	switch {
	case asked > 1:
		return usage("say one of --xid, --to and --since, and rescue the rest by another run", "what is to be brought back is said in several ways, which exclude each other")
	case asked != 1:
		return usage("say one of: --xid N for the rows that a transaction removed or changed, --to MOMENT with --table for whole tables, --since MOMENT for what was written after it",
			"it is not said what is to be brought back")
	case o.to != "" && len(o.tables) == 0:
		return usage("name it with --table", "it is not said which table is to be brought back from %s", o.to)
	case o.until != "" && o.since == "":
		return usage("give --since, too", "--until alone is no span")
	}
	for _, n := range o.xids {
		if n == 0 || n > math.MaxUint32 {
			return usage("write its number as comeback moments --around lists it", "%d is no transaction", n)
		}
	}
	if o.since != "" && o.until == "" {
		o.until = string(recovery.WantLatest)
	}
	return nil
}

// rescuePlan finds what the transaction did, resolves both copies and looks at
// live. Where it is wanted it shows what it waits for.
func (a *app) rescuePlan(ctx context.Context, b *book, o rescuing, look bool, say *plainWriter, shown bool) (*recovery.Plan, error) {
	c, err := rescued(b, o.component)
	if err != nil {
		return nil, err
	}
	asked := a.now() // what is relative is so to this, however long the survey takes
	cat, err := a.surveyShown(ctx, b, shown)
	if err != nil {
		return nil, err
	}
	if o.component == "" {
		of, err := o.logOf(cat, b, asked)
		if err == nil && of != "" {
			c, err = rescued(b, of)
		}
		if err != nil {
			tellRefused(say, cat, err)
			return nil, err
		}
	}
	args := rescue.Args{Component: c.Name, Address: c.Settings.Text("url"), Tables: o.tables, All: o.since != "" && len(o.tables) == 0}
	if args.Choices, err = o.chosen(); err != nil {
		return nil, err
	}
	w := a.waits(shown)
	f := plan.Finding{Runbook: b.Runbook, Catalogue: cat, Engines: engines(), OpenStore: opener(b.secrets), Component: c, Copy: o.copy, Asked: asked, Waits: w.on, Progress: w.scan,
		Open: func(ctx context.Context, s recovery.Survey) (recovery.Engine, storage.Store, error) {
			return a.openSurvey(ctx, b, s)
		}}
	var found plan.Found
	if len(o.xids) > 0 {
		found, err = f.Transactions(ctx, o.xids, len(o.tables) > 0)
	} else {
		found, err = f.Between(ctx, cmp.Or(o.until, o.to), o.since)
	}
	w.end()
	tellRefused(say, cat, err)
	if err != nil {
		return nil, err
	}
	target, err := rescue.Look(ctx, c, b.secrets.Expand)
	if err != nil {
		return nil, err
	}
	args.Live, args.Identity, args.XIDs, args.Changes = target.ID, target.Identity, found.XIDs, found.Changes[0]
	args.SameCluster = found.Before.Backup.Details[recovery.SystemIdentifier] == target.Identity[recovery.SystemIdentifier]
	return a.planRescue(b, o, found.Want, plan.RescueOptions{Component: c.Name, Before: found.Before, After: found.After, Further: found.Further, Target: target,
		Locks: args.Locks(),
		Steps: func(copies []plan.Copied, scratch recovery.Target) []recovery.Step {
			args.Before, args.After, args.Scratch = copies[0].Before, copies[0].After, scratch.ID
			for i, c := range copies[1:] {
				args.Further = append(args.Further, rescue.Around{Before: c.Before, After: c.After, Changes: found.Changes[i+1]})
			}
			return rescue.Steps(args, !o.preview, look)
		}})
}

// planRescue completes a rescue's plan with what every new run has.
func (a *app) planRescue(b *book, o rescuing, want recovery.Want, r plan.RescueOptions) (*recovery.Plan, error) {
	common, err := a.newRun(b, o.scratch)
	if err != nil {
		return nil, err
	}
	r.Options = common
	r.Moment.Want = want
	p, err := plan.Rescue(r)
	if err != nil {
		return nil, err
	}
	return fitting(p)
}

// newRun is what the plan of every new run has.
func (a *app) newRun(b *book, asked string) (plan.Options, error) {
	home, err := a.home()
	if err != nil {
		return plan.Options{}, err
	}
	history, err := home.History(b.System)
	if err != nil {
		return plan.Options{}, err
	}
	scratch, err := a.scratchToWrite(asked, "--scratch")
	if err != nil {
		return plan.Options{}, err
	}
	id, err := a.newID(home)
	return plan.Options{Runbook: b.Runbook, Source: b.source, Engines: engines(), Run: id, Number: history.Number, Previous: history.Previous,
		Scratch: scratch, Created: a.now(), Expected: history.Expected, Warnings: readThen(b)}, err
}

// rescued is the database of the runbook whose rows come back.
func rescued(b *book, name string) (recovery.Component, error) {
	all := plan.RestoredDatabases(b.Runbook)
	if len(all) == 0 {
		return recovery.Component{}, usage("give a stage a block with `restore: COMPONENT`", "the runbook restores no database")
	}
	if name == "" {
		return all[0], nil
	}
	i := slices.IndexFunc(all, func(c recovery.Component) bool { return c.Name == name })
	if i < 0 {
		return recovery.Component{}, usage("choose a database that the runbook restores", "the runbook restores no database %q", name)
	}
	return all[i], nil
}

// logOf is the database of whose log the transactions and positions are; "" where there are
// none.
func (o *rescuing) logOf(cat catalogue.Catalogue, b *book, now time.Time) (string, error) {
	for _, n := range o.xids {
		return plan.LogOf(cat, plan.Restored(b.Runbook), fmt.Sprintf("transaction %d", n))
	}
	for _, text := range []string{o.to, o.since, o.until} {
		if w, err := recovery.ParseWant(text, now); err == nil && w.OfLog() { // what cannot be read is refused where it is resolved
			return plan.LogOf(cat, plan.Restored(b.Runbook), text)
		}
	}
	return "", nil
}

// chosen are the choices by their tables.
func (o *rescuing) chosen() ([]rescue.Chosen, error) {
	var all []rescue.Chosen
	of := func(table string) *rescue.Chosen {
		i := slices.IndexFunc(all, func(c rescue.Chosen) bool { return c.Table == table })
		if i < 0 {
			all, i = append(all, rescue.Chosen{Table: table}), len(all)
		}
		return &all[i]
	}
	for _, text := range o.into {
		table, name, ok := strings.Cut(text, "=")
		if !ok || table == "" || name == "" {
			return nil, usage("write it like --into carts=carts_rescued", "--into %q is not TABLE=NAME", text)
		}
		of(table).Into = name
	}
	for _, table := range o.remove {
		of(table).Remove = true
	}
	for _, table := range o.overwrite {
		of(table).Overwrite = true
	}
	for _, text := range o.disable {
		i := strings.LastIndex(text, ".")
		if i <= 0 || i == len(text)-1 {
			return nil, usage("write it like --without-trigger orders.audit", "--without-trigger %q is not TABLE.TRIGGER", text)
		}
		of(text[:i]).Disable = append(of(text[:i]).Disable, text[i+1:])
	}
	return all, nil
}
