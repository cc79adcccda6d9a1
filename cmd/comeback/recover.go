package main

import (
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/rescue"
	"comeback/tui"

	"github.com/spf13/cobra"
)

func (a *app) recoverCommand() *cobra.Command {
	o := request{choices: choices{mode: recovery.Recovery}}
	var since string
	cmd := &cobra.Command{
		Use: "recover RUNBOOK", Short: "The real thing: restore beside what is live, check, and switch",
		Long: `Runs the runbook's stages for real. What comes back is restored beside what is
live; live changes only at the runbook's switch, after a person has typed the
name of the target for this very plan, and only if the target is still what it
was. What is replaced stays, and comes back with: comeback switch-back RUN
Shell blocks that run in a recovery may change live, too: none runs before the name
was typed, which is the system's where the runbook switches nothing.

On a terminal it opens the console, which asks for what is not said here. With
--confirm NAME nobody is asked anything: the moment has to be said too, the run is
told line by line, on a terminal as in a script, items to tick count as not done,
which is an exception each (exit 5), and a failure stops it; a runbook with an
approval, or a block that talks with a person, is refused. NAME is what --dry-run prints as "confirm".

MOMENT has no default: "latest", an RFC 3339 time with offset, "10 minutes ago",
lsn:3/7A21F0C8 (nothing at or after it), before-xid:81214, after-xid:81213, or a
backup's id as ` + "`comeback moments`" + ` lists it.
` + anchorHelp + `
` + inCopyHelp + exitCodes,
		Example: `  comeback recover shop.md
  comeback recover shop.md --to before-xid:81214 --dry-run
  comeback recover shop.md --to before-xid:81214 --plain --confirm db1/shop --outage 2026-11-23T02:43:00+01:00
  comeback recover shop.md --to latest --copy offsite
  AWS_REGION=eu-central-1 comeback recover s3://shop-backups-offsite/shop   # the runbook, too
  comeback recover s3://shop-backups-offsite/shop --as-of 2026-11-29T20:00:00+01:00   # before it was emptied
  comeback recover shop.md --on root@db1`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if o.outage, err = parseOutage(since, a.now()); err != nil {
				return err
			}
			return a.carryOut(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.to, "to", "", "the `MOMENT` to go back to; there is no default")
	confirmFlag(f, &o.confirm, "the live target")
	f.StringVar(&since, "outage", "", "when the outage began: a `TIME` with offset, \"~\" before it where it is estimated, or unknown")
	a.signersFlag(cmd)
	a.flags(&o, f)
	return cmd
}

// parseOutage reads when an outage began: an RFC 3339 time, with "~" before it where that is an
// estimate, "10 minutes ago", which is one, or "unknown".
func parseOutage(text string, now time.Time) (recovery.OutageNoted, error) {
	switch text {
	case "":
		return recovery.OutageNoted{}, nil
	case "unknown":
		return recovery.OutageNoted{How: "unknown"}, nil
	}
	how := "known"
	when, estimated := strings.CutPrefix(text, "~")
	if estimated || strings.HasSuffix(strings.TrimSpace(when), "ago") {
		how = "estimated"
	}
	w, err := recovery.ParseWant(when, now)
	switch {
	case err != nil || w.Kind != recovery.WantTime:
		return recovery.OutageNoted{}, usage("write it with its offset, like "+now.Format(time.RFC3339)+", or unknown", "--outage %q is not a time", text)
	case w.Time.After(now):
		return recovery.OutageNoted{}, usage("give the time at which it began", "--outage %s is still to come", text)
	}
	return recovery.OutageNoted{Since: w.Time, How: how}, nil
}

// checkConfirmed refuses a recovery that nobody can be asked about, before
// anything runs, if the name of its target was not given.
func checkConfirmed(p *recovery.Plan, typed string) error {
	switch {
	case p.Confirm == "" && typed == "":
		return nil
	case p.Confirm == "":
		return usage("leave --confirm out", "the plan changes nothing live, so %q is no target of it", typed)
	case typed == "":
		run, it := "recovery", "it"
		if n := len(p.Expires); n > 0 {
			if run = "expiry"; n > 1 {
				it = "them"
			}
		}
		return recovery.Errorf("if that is what you mean: --confirm "+recovery.ShellWord(p.Confirm), "refused: the %s %s, and nobody has named %s", run, p.Does(), it).WithExit(recovery.Refused)
	}
	return execute.CheckName(p, typed)
}

// tellEffects says what a recovery does to live, or an expiry removes, before it begins.
func tellEffects(say *plainWriter, p *recovery.Plan) {
	e, gone := p.Effects(), "gone from live"
	if e.Removes { // nothing of it is
		gone = "removed for good"
	}
	for _, part := range []struct {
		word string
		says []string
	}{{"target", e.Target}, {gone, e.Gone}, {"goes back too", e.GoesBack}, {"to rebuild", e.Rebuild}, {"undo", e.Undo}, {"not undone", e.NotUndone}, {"locks", e.Locks}} {
		for _, text := range part.says {
			say.line("", "%s: %s", part.word, text)
		}
	}
	if n := p.Blocks(); n > 0 {
		say.line("", "live: %s of the runbook will run, shut off from nothing; nobody can tell beforehand what their scripts change", recovery.FormatCount(n, "block"))
	}
	switch {
	case p.OnlyBlocks():
		say.line("", "live: its data untouched; what comes back is left beside it, a database running")
	case p.Confirm != "":
	case previews(p):
		say.line("", "live: untouched; the run ends when it is known what would be done")
	default:
		say.line("", "live: untouched; what comes back is left beside it, a database running")
	}
}

// previews reports whether a plan ends with the preview of a rescue: it changes nothing live,
// and carries out no block of its runbook.
func previews(p *recovery.Plan) bool {
	return p.Confirm == "" && slices.ContainsFunc(p.Steps, func(s recovery.Step) bool { return s.Kind == rescue.KindPreview })
}

// checkNeeds refuses a run that nobody can be asked about if one of its steps would miss a
// value: after the restore, or the switch, that would be late.
func checkNeeds(p *recovery.Plan, secrets *execute.Secrets) error {
	missing, err := notSet(p, secrets)
	if err != nil || len(missing) == 0 {
		return err
	}
	m := missing[0]
	_, err = secrets.Expand("${" + m.Name + "}")
	return recovery.Errorf(recovery.HintOf(err), "refused: %q needs %s, which is not set", m.For, m.Name).WithExit(recovery.Usage)
}

// checkPeople refuses a recovery that nobody can be asked about if one of its steps cannot
// go on without somebody: after the restore that would be late. Items to tick count as not
// done instead, and a failure stops the run.
func checkPeople(p *recovery.Plan) error {
	const hint = "run it from a terminal, without --confirm, where people are asked"
	for _, s := range p.Steps {
		switch s.Kind {
		case recovery.KindApproval:
			return recovery.Errorf(hint, "refused: %q waits for a person's signature, and where nobody is asked the run would stop there", s.Says).WithExit(recovery.Refused)
		case recovery.KindShell, recovery.KindShellWait:
			var args recovery.ShellArgs
			if err := s.Decode(&args); err != nil {
				return err
			}
			if args.Terminal {
				return recovery.Errorf(hint, "refused: %q talks with a person at a terminal, and where nobody is asked the run would stop there", s.Says).WithExit(recovery.Refused)
			}
		}
	}
	return nil
}

// notSet lists the values that steps of a plan would miss, each with where it is found.
func notSet(p *recovery.Plan, secrets *execute.Secrets) (missing []tui.NotSet, err error) {
	unset, err := secrets.Unset(p, kinds())
	for _, u := range unset {
		missing = append(missing, tui.NotSet{Name: u.Name, From: p.Needs[u.Name], For: u.For})
	}
	return missing, err
}
