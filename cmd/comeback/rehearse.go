package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"comeback/recovery"
	"comeback/recovery/limits"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/tui"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// request is what `comeback rehearse` or `comeback recover` was asked for.
type request struct {
	choices
	plain, json, dryRun bool
	// ask asks for answers line by line, also where no terminal is there.
	ask bool
	key string
	// confirm is the name of the live target, as a person has typed it; outage
	// when it began.
	confirm string
	outage  recovery.OutageNoted
	// auto chooses what most needs a proof, within limits.
	auto   bool
	limits limits.Limits
}

func (a *app) rehearseCommand() *cobra.Command {
	o := request{choices: choices{mode: recovery.Rehearsal}}
	cmd := &cobra.Command{
		Use:   "rehearse RUNBOOK",
		Short: "Restore into scratch, check, time and clean up, with a report",
		Long: `Runs the runbook's stages into scratch directories and scratch servers that the
run creates and removes. Live systems are out of reach. On a terminal it opens
the console, or with --plain tells it line by line, with questions; elsewhere it
prints one line per transition, and items to tick count as talked through.

With --auto it needs nobody: it takes what most needs a proof (a copy that was
never proven, the one whose proof is the oldest, else a backup by chance), gives way
to everything else on the host, and refuses to begin where it would take more disk
than --max-disk or less memory than --min-memory is free. It is stopped where it takes
more disk after all, or leaves the host less than half of that memory, but not once it
was resumed; these limits hold for every rehearsal that nobody watches. Signed (--key), its report is filed in the copies. It does not go with
--to, --look, --only-table, --keep, --ask or --scenario.

MOMENT is "latest" (the default), an RFC 3339 time with offset, "10 minutes
ago", lsn:3/7A21F0C8 (nothing at or after it), before-xid:81214,
after-xid:81213, or a backup's id as ` + "`comeback moments`" + ` lists it.
` + anchorHelp + `
` + inCopyHelp + exitCodes,
		Example: `  comeback rehearse shop.md
  comeback rehearse shop.md --to 2026-11-23T02:41:07+01:00 --plain
  comeback rehearse shop.md --to db/2026-11-22.sql.gz --copy offsite
  comeback rehearse shop.md --to before-xid:81214 --look
  comeback rehearse shop.md --to db/2026-11-22.sql.gz --only-table carts
  comeback rehearse shop.md --auto --key /etc/comeback/key --max-disk 50GB
  comeback rehearse shop.md --scenario friday-evening.md
  comeback rehearse shop.md --on db1
  comeback rehearse s3://shop-backups-offsite/shop   # with the runbook that lies there
  comeback rehearse s3://shop-backups-offsite/shop --as-of "2 hours ago"   # before it was emptied
  comeback rehearse shop.md --dry-run`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if !o.auto {
				return a.carryOut(cmd.Context(), args[0], o)
			}
			if o.to != "" || o.look || o.table != "" || o.keep || o.ask || o.scenario != "" {
				return usage("leave out one of them", "--auto chooses the moment and asks nobody: it does not go with --to, --look, --only-table, --keep, --ask or --scenario")
			}
			return a.auto(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.auto, "auto", false, "rehearse what most needs a proof, without anybody")
	sizeVar(f, &o.limits.Disk, "max-disk", "where nobody watches: never take more disk than this, like 50GB; no limit if it is not given, or 0")
	sizeVar(f, &o.limits.Memory, "min-memory", "where nobody watches: refuse to begin while less memory is free than this, like 2GB; no limit if it is not given, or 0")
	a.signersFlag(cmd)
	f.StringVar(&o.to, "to", "", "the `MOMENT` to go back to (default latest)")
	a.flags(&o, f)
	f.StringVar(&o.scenario, "scenario", "", "play the cards of this Markdown `FILE`: each ## section is one, and x shows the next while people rehearse")
	f.StringVar(&o.table, "only-table", "", "restore only this `TABLE` of a dump, to see whether the lost rows are there; proves nothing else")
	f.BoolVar(&o.keep, "keep", false, "leave the files of what was restored when the rehearsal ends well; its servers end with it (elsewhere they stay), and comeback stop RUN removes what was left")
	return cmd
}

// anchorHelp says whose moment a moment is.
const anchorHelp = `It is a moment of one component, and the others come back as they were then. Where
several databases come back, each has transactions and a log of its own: say with
--component whose xid or LSN it is.`

// flags are those that every request has.
func (a *app) flags(o *request, f *pflag.FlagSet) {
	f.StringVar(&o.component, "component", "", "the `COMPONENT` that decides the moment (default the database that the runbook restores first)")
	f.StringVar(&o.copy, "copy", "", "restore from this `COPY` only")
	f.StringVar(&o.engine, "engine", "", "use this `ENGINE` only: dump, pitr, pgbackrest, wal-g and the like")
	f.StringVar(&o.scratch, "scratch", "", "make the scratch directory in `DIR` (default $COMEBACK_SCRATCH or /var/tmp)")
	f.Var(thenFlag{a}, "as-of", "read copies in buckets that keep versions as they were at a `TIME` before somebody deleted or overwrote what is in them")
	runFlags(f, &o.key, &o.plain, &o.json)
	f.BoolVar(&o.ask, "ask", false, "with questions, line by line, also where the input is not a terminal")
	f.BoolVar(&o.dryRun, "dry-run", false, "print the plan as JSON and do nothing")
	f.BoolVar(&o.look, "look", false, "stop before the copy is opened, so that you can look (comeback look RUN) and still choose another moment")
}

// consoleKeyed runs a runbook in the console and, with a key, signs what it has started
// there and what has ended unsigned: nobody else's run, though it began after it.
func (a *app) consoleKeyed(ctx context.Context, path string, o request) error {
	if o.key == "" {
		return a.consoleRunbook(ctx, path, o)
	}
	key, err := a.findKey(ctx, o.key)
	if err != nil {
		return err
	}
	ended := a.consoleRunbook(ctx, path, o)
	for _, id := range o.begun.all() {
		r, err := a.load(id)
		if err == nil {
			err = a.signEnded(ctx, r, key)
		}
		ended = a.unsigned(ended, err)
	}
	return ended
}

// consoleBegun is consoleKeyed, and claims no success where the console was left before a run
// was begun in it.
func (a *app) consoleBegun(ctx context.Context, path string, o request) error {
	o.begun = &begun{}
	err := a.consoleKeyed(ctx, path, o)
	if err == nil && len(o.begun.all()) == 0 {
		fmt.Fprintln(a.err, "comeback: nothing was begun")
		err = &exitError{recovery.NotEnded}
	}
	return err
}

// begun are the runs that a console has started, in their order.
type begun struct {
	mu   sync.Mutex
	runs []string
}

// add does nothing where nobody asks for them.
func (b *begun) add(run string) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = append(b.runs, run)
}

func (b *begun) all() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.runs)
}

// consoleRun starts a plan and shows its run in the console, which asks for the name of
// the target where nobody has typed it; with a key it signs what has ended unsigned.
func (a *app) consoleRun(ctx context.Context, b *book, p *recovery.Plan, o request) error {
	key, err := a.keyFor(ctx, o.key) // one that is not there is better noticed now
	if err != nil {
		return err
	}
	run, err := a.start(ctx, b, p, inConsole.terminal(), runner.Launch{Confirm: o.confirm})
	if err != nil {
		return err
	}
	ended := a.show(ctx, tui.Start{Session: run}, choices{mode: p.Mode})
	if key == nil {
		return ended
	}
	r, err := a.load(p.Run)
	if err != nil {
		return errors.Join(ended, err)
	}
	return a.unsigned(ended, a.signEnded(ctx, r, *key))
}

// signEnded signs and files a run, if it has ended, nobody has signed it and nobody else
// has commanded it to its end.
func (a *app) signEnded(ctx context.Context, r runner.Past, key report.Key) error {
	if r.ReportSHA256 == "" || r.Signed {
		return nil
	}
	if by := r.State.Lease; by != "" && by != a.operator() {
		fmt.Fprintf(a.out, "run %s was taken over by %s, who answers for it: comeback report sign %s\n", r.ID, clean(by), r.ID)
		return nil
	}
	signed, err := a.sign(ctx, r.Dir, key)
	if err != nil {
		return fmt.Errorf("run %s ended, unsigned: %w", r.ID, err)
	}
	fmt.Fprintf(a.out, "signed by %s\n", signed)
	a.tellFiled(ctx, r.Dir, func(line string) { fmt.Fprintln(a.out, line) })
	return nil
}

// carryOut runs a runbook in the mode that was asked for. Where the name of the target
// was given, nobody is asked anything.
func (a *app) carryOut(ctx context.Context, path string, o request) error {
	o.asked = a.now()
	if o.ask && o.confirm != "" {
		return usage("leave out one of them", "--ask asks for the name of the target, and --confirm gives it to be asked nothing")
	}
	if shown := a.front(style{plain: o.plain, ask: o.ask}); !o.json && !o.dryRun && o.confirm == "" && shown != inLines {
		if o.limits != (limits.Limits{}) {
			return usage("add --auto or --json, or leave it out", "--max-disk and --min-memory are limits of a rehearsal that nobody watches")
		}
		o.plain = shown == byLines
		return a.consoleBegun(ctx, path, o)
	}
	if o.scenario != "" {
		return usage("leave out --scenario, or begin it on a terminal", "--scenario is played by people, and here is nobody to show a card to")
	}
	if o.look && !o.dryRun {
		return usage("leave out --look, or begin it on a terminal without --plain and --confirm", "--look waits for a person who looks, and here is none")
	}
	if o.to == "" && o.mode == recovery.Rehearsal {
		o.to = string(recovery.WantLatest)
	}
	if o.key != "" { // better noticed now than after the survey, or the run
		if _, err := a.findKey(ctx, o.key); err != nil {
			return err
		}
	}
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
		if p.OfRecovery && o.mode != recovery.Recovery {
			continue
		}
		say.line("", "%s, line %d: warning: %s; %s", path, p.Line, p.Says, p.Do)
	}
	cat, err := a.surveyShown(ctx, b, true)
	if err != nil {
		return err
	}
	if o.mode == recovery.Recovery {
		for _, text := range a.receivedSays(b, func(string) bool { return false }) {
			say.line("", "warning: %s", text)
		}
	}
	p, err := a.planShown(ctx, b, cat, o.choices)
	tellRefused(say, cat, err)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.printPlan(p)
	}
	if o.limits != (limits.Limits{}) {
		if err := o.limits.Hold(p); err != nil {
			return err
		}
	}
	return a.runPlanned(ctx, b, p, o, say)
}

// runPlanned carries out a plan where nobody can be asked, in plain lines or
// events: every run that begins without anybody begins here.
func (a *app) runPlanned(ctx context.Context, b *book, p *recovery.Plan, o request, say *plainWriter) error {
	if p.Mode == recovery.Recovery {
		if b.found && !previews(p) {
			return notNamed(b.path, "nobody is asked about it here")
		}
		if err := checkConfirmed(p, o.confirm); err != nil {
			return err
		}
		if err := checkPeople(p); err != nil {
			return err
		}
		tellEffects(say, p)
	} else if err := a.rehearsesUnasked(b); err != nil {
		return err
	}
	if err := checkNeeds(p, b.secrets); err != nil {
		return err
	}
	for _, text := range p.Warnings {
		say.line("", "warning: %s", text)
	}
	if err := a.tellExpired(say, p); err != nil {
		return err
	}
	// A key that is not there is better noticed now than after the restore.
	key, err := a.keyFor(ctx, o.key)
	if err != nil {
		return err
	}
	if warning := runner.LogoutWarning(a.environ); warning != "" {
		say.line("", "warning: %s", warning)
	}
	run, err := a.start(ctx, b, p, inLines.terminal(), runner.Launch{Unattended: true, Confirm: o.confirm, Outage: o.outage, MaxDisk: o.limits.Disk, MinMemory: o.limits.Memory})
	if err != nil {
		return err
	}
	defer run.Close()
	if o.json {
		say = &plainWriter{out: a.err, now: a.now, redact: a.said, json: a.out}
	}
	return a.follow(ctx, run, say, key)
}

// printPlan prints plan.json.
func (a *app) printPlan(p *recovery.Plan) error {
	b, err := plan.Encode(p)
	if err != nil {
		return err
	}
	_, err = a.out.Write(b)
	return err
}

// concluded says how a run ended, where its report is and whether it is signed.
func (a *app) concluded(ctx context.Context, r runner.Past, key *report.Key, say *plainWriter) error {
	s := r.State
	if s.Result == "" {
		return recovery.Errorf("take it up again: comeback resume "+r.ID, "the runner of run %s died", r.ID).WithExit(recovery.NotEnded)
	}
	say.line("", "%s: %s", r.Plan.Headline(&r.State), s.Says)
	say.line("", "report: %s", r.Dir)
	if key != nil {
		signed, err := a.sign(ctx, r.Dir, *key)
		if err != nil {
			say.line("", "ended, unsigned: %v", err)
			return a.unsigned(ending(s.Exit), err)
		}
		say.line("", "signed by %s", signed)
		a.tellFiled(context.Background(), r.Dir, func(line string) { say.line("", "%s", line) })
	} else if _, carried := a.lookup(fromEnv); !r.Signed && !carried { // where it was carried from it is signed
		say.line("", "ended, unsigned; sign it with: comeback report sign %s", s.Run)
	}
	return ending(s.Exit)
}

// ending is how a command ends whose run has ended with a code.
func ending(code recovery.Exit) error {
	if code == recovery.CameBack {
		return nil
	}
	return &exitError{code}
}

// unsigned is how a command ends whose run has ended, and could not be signed as was asked
// for: that is told, and counts as an exception of what has ended well.
func (a *app) unsigned(ended, err error) error {
	if err == nil {
		return ended
	}
	a.tell(err)
	if ended == nil {
		return &exitError{recovery.WithExceptions}
	}
	return ended
}

func suffixed(text, suffix string) string {
	if text == "" {
		return ""
	}
	return text + suffix
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
