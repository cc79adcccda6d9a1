package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/exclusive"
	"comeback/recovery/filing"
	"comeback/recovery/plan"

	"github.com/spf13/cobra"
)

// retainPatience is how long backups that are at work are waited for, all together.
const retainPatience = 6 * time.Hour

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
many days, ISO weeks and months that have one. Without it every backup stays.

Nothing is removed unless --remove is given. The newest backup that can be restored
never goes, nor the newest by the clock of the copy, nor the newest that a signed rehearsal has proven (where none has checked
anything: restored), also by a key that is not known here or on another host, nor the last three in which there was more than
there is since (see comeback check), nor what a run restores that has not ended, on whatever host, nor what a kept one needs: the log since the oldest kept base backup,
packs that snapshots share. What others have put into a copy is left alone, as is what
the copy has locked. In a bucket that keeps versions, what is removed is there until
its lifecycle ends it.

A backup that says it is of a time still to come, or that was copied from elsewhere,
takes no day, week or month from others, and stays as long as it would by what it says
or by the clock of the copy. Where that and the clock of this host differ by more than
ten minutes, nothing is removed there.

While something is removed of a component, no backup of it begins on this host; one
that is at work is waited for, six hours at most, after the other components.

Exit codes:
  0    told, or removed
  1    failed
  2    the command, the runbook or its environment is wrong
  3    refused: a backup of a component was at work on this host all that time; what
       could be removed of the others was
  5    a copy could not be looked at, or did not remove what was to go, or its clock
       and this host's differ
  130  interrupted`,
		Example: `  comeback retain shop.md
  comeback retain shop.md database --copy nearby --remove`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return usage("write: comeback retain RUNBOOK", "comeback retain needs RUNBOOK")
			case 1, 2:
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
	options, err := a.backupOptions(ctx, b, backupAsked{component: o.component, copies: o.copies})
	if err != nil {
		return err
	}
	r := retention{app: a, asked: o, book: b, options: options, keeps: map[string]backup.Keep{}, told: map[string]bool{}}
	for _, c := range options.Components {
		if r.keeps[c.Name], err = backup.ParseKeep(c.Settings["retain"]); err != nil {
			return err
		}
	}
	if o.remove && b.found {
		return notNamed(b.path, "its retain: says what is removed")
	}
	if err := r.learn(ctx); err != nil {
		return err
	}
	if o.remove {
		err = r.remove(ctx)
	} else {
		err = r.look(ctx, options.Components)
	}
	if err == nil && !o.remove {
		fmt.Fprintln(a.out)
		a.sayRetained("Nothing was removed. To do it: add --remove")
	}
	if err == nil && r.incomplete {
		return &exitError{recovery.WithExceptions}
	}
	return err
}

// retention is one call of `comeback retain`.
type retention struct {
	app     *app
	asked   retainAsked
	book    *book
	options backup.Options
	keeps   map[string]backup.Keep
	// unread are the copies that did not tell what is proven.
	unread map[string]error
	proven func(recovery.Backup) []backup.Prover
	meant  []recovery.Backup
	// incomplete says that something could not be looked at, or not be removed.
	incomplete bool
	// told is of what copies it was said that they could not be looked at, and why.
	told map[string]bool
}

// missed says that something could not be looked at in a copy, why, and what to do; of a copy
// that cannot be reached at all once, whatever is missed in it.
func (r *retention) missed(what, copy, says string, err error) {
	r.incomplete = true
	why := copy
	if !catalogue.Unreachable(err) {
		why += "\x00" + what + "\x00" + err.Error()
	}
	if r.told[why] {
		return
	}
	r.told[why] = true
	r.app.sayRetained("%-10s %-10s %s   %v", what, copy, says, err)
	if hint := recovery.HintOf(catalogue.Explain(err, copy)); hint != "" {
		r.app.sayRetained("%-21s next: %s", "", hint)
	}
}

// learn reads what is proven: what other hosts have proven, the copies know.
func (r *retention) learn(ctx context.Context) error {
	home, err := r.app.home()
	if err != nil {
		return err
	}
	w := r.app.waits(true)
	w.on("reading what other hosts have filed")
	filed, err := filing.FetchAll(ctx, home, copiesOf(r.book))
	w.end()
	if err != nil {
		return err
	}
	proofs, _, err := r.app.proofs(r.book.System)
	if err != nil {
		return err
	}
	r.unread, r.proven, r.meant = filed.Unread, filing.Provers(proofs), check.Meant(proofs)
	for _, cp := range r.options.Copies {
		if err := r.unread[cp.Name]; err != nil {
			r.missed("", cp.Name, "WHAT IS PROVEN COULD NOT BE READ, and nothing is removed there", err)
		}
	}
	return nil
}

// remove looks at one component after the other, and removes. Each is held only for its
// own time. What a backup is at work on comes last, and is waited for; what is held all
// that time is a refusal, when the others are done.
func (r *retention) remove(ctx context.Context) error {
	var busy []recovery.Component
	for _, c := range r.options.Components {
		free, err := r.held(ctx, c, nil, r.look)
		if !free {
			busy = append(busy, c)
		} else if err != nil {
			return err
		}
	}
	until := r.app.now().Add(r.app.atMost(retainPatience))
	var refused error
	for _, c := range busy {
		left := until.Sub(r.app.now())
		free, err := r.held(ctx, c, func(target string, by exclusive.Holder, since time.Time) time.Duration {
			r.app.sayWaiting(r.app.waitingFor(target, by, since))
			return left
		}, func(ctx context.Context, components []recovery.Component) error {
			// Hours may have passed.
			if err := r.learn(ctx); err != nil {
				return err
			}
			return r.look(ctx, components)
		})
		if !free {
			r.app.sayRetained("%-10s %-10s NOT LOOKED AT   %v", c.Name, "", err)
			refused = err
		} else if err != nil {
			return err
		}
	}
	return refused
}

// held does something with a component while no backup of it is at work on this host.
// Where one is, it is not free, and the error says who.
func (r *retention) held(ctx context.Context, c recovery.Component, waits patient, do func(context.Context, []recovery.Component) error) (free bool, err error) {
	place, release, err := r.app.holdBackupsOf(ctx, r.book.System, exclusive.Holder{Work: retainWork}, waits, c.Name)
	if err != nil {
		return recovery.ExitOf(err) != recovery.Refused, err
	}
	r.options.Place = place
	err = do(ctx, []recovery.Component{c})
	return true, errors.Join(err, release())
}

// look tells of components what stays and what goes, and removes it where that was asked
// for.
func (r *retention) look(ctx context.Context, components []recovery.Component) error {
	a := r.app
	home, err := a.home()
	if err != nil {
		return err
	}
	runs, err := home.List()
	if err != nil {
		return err
	}
	restored := aftermath.Restored(runs, r.book.System, a.now())
	w := a.waits(true)
	cat, err := a.surveyAll(ctx, catalogue.Options{Components: components, Copies: r.options.Copies, Engines: r.options.Engines, OpenStore: r.options.OpenStore, Progress: w.survey})
	w.end()
	if err != nil {
		return err
	}
	for _, refused := range cat.Refused() {
		r.missed(strings.Join(refused.Components, ", "), refused.Copy, "NOT LOOKED AT", refused.Err)
	}
	for _, c := range components {
		for _, cp := range plan.Copies(r.book.Runbook) {
			for _, s := range cat.Surveys {
				if s.Component != c.Name || s.Copy != cp.Name {
					continue
				}
				o := r.asked
				o.remove = o.remove && r.unread[cp.Name] == nil && r.oneClock(ctx, cp)
				ok, err := a.retainIn(ctx, o, r.options, c, cp, s, r.keeps[c.Name], r.proven, r.meant, restored)
				if err != nil {
					return err
				}
				r.incomplete = r.incomplete || !ok
			}
		}
	}
	return nil
}

// oneClock reports whether a copy's clock is that of this host, and says so where it is not.
func (r *retention) oneClock(ctx context.Context, cp recovery.Copy) bool {
	store, err := r.options.OpenStore(ctx, cp)
	if err != nil {
		return true // whoever looks at it says that
	}
	skew, err := r.app.skew(ctx, store)
	if err == nil && skew != nil {
		err = backup.OneClock(cp.Name, *skew)
	}
	if err != nil {
		r.missed("", cp.Name, "WHOSE CLOCK IS RIGHT IS NOT KNOWN, and nothing is removed there", err)
	}
	return err == nil
}

// retainIn is one component, in one copy, by one engine.
func (a *app) retainIn(ctx context.Context, o retainAsked, options backup.Options, c recovery.Component, cp recovery.Copy, s recovery.Survey, keep backup.Keep, proven func(recovery.Backup) []backup.Prover, meant []recovery.Backup, restored func(recovery.Backup) string) (ok bool, err error) {
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
	p, err := backup.Prune(ctx, backup.PruneOptions{Component: c, Engine: engine, Survey: s, Store: store, Keep: keep, Zone: time.Local, Proven: proven, Meant: meant, Restored: restored, Now: a.now,
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
	says := count(int64(removed), "backup")
	if len(p.Log) > 0 && len(refused) == 0 {
		says += " and " + count(int64(len(p.Log)), "file") + " of the log"
	}
	a.sayRetained("  removed %s", says)
	for _, err := range refused {
		a.sayRetained("  NOT REMOVED   %v", err)
	}
	return len(refused) == 0, ctx.Err()
}

func (a *app) sayRetained(format string, args ...any) {
	fmt.Fprintln(a.out, clean(a.redact(fmt.Sprintf(format, args...))))
}
