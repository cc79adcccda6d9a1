package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

// exportAsked is what `comeback report export` was asked for.
type exportAsked struct {
	runbook, since, until, html, signers string
	offline                              bool
}

func (a *app) exportCommand() *cobra.Command {
	var o exportAsked
	cmd := &cobra.Command{
		Use: "export RUNBOOK", Short: "One page for an auditor: every run of a period, and how the copies stand", Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		Long: `Writes one self-contained HTML page: every run of the system that began in the
period, on this host or filed in a copy, also those that failed, were refused, were
never signed or have not ended; gaps in their numbers; who, what, targets against
what was achieved; exceptions; trends over the rehearsals; the findings of a check
made now, with their owners, and the copies that were never restored from; and the
digests of the signed originals, which are what proves anything.`,
		Example: "  comeback report export shop.md --since 2026-01-01 --html shop-2026.html --signers allowed_signers",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runbook = args[0]
			return a.export(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.since, "since", "", "the first `DAY` of the period, like 2026-01-01")
	f.StringVar(&o.until, "until", "", "the last `DAY` of the period (default today)")
	f.StringVar(&o.html, "html", "-", "write the page into this `FILE`; - is standard output")
	f.StringVar(&o.signers, "signers", "", "your own allowed_signers `FILE`, by which signers are named")
	f.BoolVar(&o.offline, "no-check", false, "leave out the check: look at no copy and no server")
	return cmd
}

func (a *app) export(ctx context.Context, o exportAsked) error {
	zone := a.now().Location()
	since, err := time.ParseInLocation(time.DateOnly, o.since, zone)
	if err != nil {
		return usage("write it like --since 2026-01-01", "--since is not a day: %q", o.since)
	}
	p := report.Period{Since: since, Until: a.now(), Made: a.now()}
	if o.until != "" {
		day, err := time.ParseInLocation(time.DateOnly, o.until, zone)
		if err != nil || day.Before(since) {
			return usage("write it like --until 2026-12-31", "--until is not a day after --since: %q", o.until)
		}
		p.Until = day.AddDate(0, 0, 1).Add(-time.Second)
	}
	verify := report.VerifyOptions{Now: a.now()}
	if o.signers != "" {
		if verify.AllowedSigners, err = report.ReadAllowedSigners(o.signers); err != nil {
			return err
		}
	}
	b, _, err := a.open(o.runbook)
	if err != nil {
		return err
	}
	p.System = b.System
	if !o.offline { // it also fetches what other hosts have filed
		assessment, _, err := a.assess(ctx, b, false)
		if err != nil {
			return err
		}
		p.Assessment = &assessment
	}
	if err := a.exportRuns(&p, verify); err != nil {
		return err
	}
	page, err := p.HTML()
	if err != nil {
		return err
	}
	if o.html == "-" {
		_, err = a.out.Write(page)
		return err
	}
	if err := os.WriteFile(o.html, page, 0o600); err != nil {
		return recovery.Errorf("choose another with --html", "write the page: %w", err)
	}
	fmt.Fprintf(a.out, "wrote %s: %s of %s\n", o.html, count(int64(len(p.Runs)), "run"), b.System)
	return nil
}

// exportRuns adds the runs of this host, and those that were fetched from copies.
func (a *app) exportRuns(p *report.Period, verify report.VerifyOptions) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, h := range []runner.Home{home, filedHome(home)} {
		runs, err := h.List()
		if err != nil {
			return err
		}
		for _, r := range runs {
			if seen[r.ID] || r.Plan != nil && r.Plan.System != p.System {
				continue
			}
			seen[r.ID] = true
			began := r.State.Started
			if r.Plan != nil {
				p.Numbers = append(p.Numbers, r.Plan.Number)
				if began.IsZero() {
					began = r.Plan.Created
				}
			}
			if r.Plan == nil || !began.Before(p.Since) && !began.After(p.Until) {
				p.Runs = append(p.Runs, report.Export(r.ID, r.Dir, verify))
			}
		}
	}
	number := func(e report.Exported) int {
		if e.Report == nil {
			return 0
		}
		return e.Report.Number
	}
	slices.SortStableFunc(p.Runs, func(x, y report.Exported) int {
		return cmp.Or(cmp.Compare(number(x), number(y)), cmp.Compare(x.Run, y.Run))
	})
	return nil
}
