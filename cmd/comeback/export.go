package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/filing"
	"comeback/recovery/report"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

// exportAsked is what `comeback report export` was asked for.
type exportAsked struct {
	runbook, since, until, html string
	offline                     bool
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
digests of the signed originals, which are what proves anything. With --signers the
keys of this host count only where your list names them.

Exit codes:
  0    written
  1    the page could not be written, or runs or the list of signers cannot be read
  2    the command, the runbook or its environment is wrong
  3    refused: the runbook was found in a copy, and nobody has named it
  130  interrupted`,
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
	a.signersFlag(cmd)
	f.BoolVar(&o.offline, "no-check", false, "leave out the check: look at no copy and no server")
	return cmd
}

// period is what was asked for, in the zone of now.
func (o exportAsked) period(now time.Time) (report.Period, error) {
	p := report.Period{Until: now, Made: now}
	var err error
	if p.Since, err = day(o.since, now.Location()); err != nil {
		return p, usage("write it like --since 2026-01-01", "--since is not a day: %q", o.since)
	}
	if o.until != "" {
		if p.Until, err = day(o.until, now.Location()); err != nil || p.Until.Before(p.Since) {
			return p, usage("write it like --until 2026-12-31", "--until is not a day after --since: %q", o.until)
		}
	}
	return p, nil
}

// day reads a day, like 2026-12-24, as its beginning in a zone.
func day(text string, zone *time.Location) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, err
	}
	return recovery.StartOfDay(t, zone), nil
}

func (a *app) export(ctx context.Context, o exportAsked) error {
	p, err := o.period(a.now())
	if err != nil {
		return err
	}
	b, _, err := a.open(ctx, o.runbook)
	if err != nil {
		return err
	}
	p.System = b.System
	if !o.offline { // it also fetches what other hosts have filed
		w := a.waits(true)
		defer w.end()
		assessment, err := a.assess(ctx, b, false, w, nil)
		w.end()
		if err != nil {
			return err
		}
		p.Assessment = &assessment
	}
	if err := a.exportRuns(&p); err != nil {
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
	if err := writePage(o.html, page); err != nil {
		return recovery.Errorf("make room, or choose another with --html", "write the page: %w", err)
	}
	fmt.Fprintf(a.out, "wrote %s: %s of %s\n", o.html, count(int64(len(p.Runs)), "run"), b.System)
	return nil
}

// writePage writes a page whole or not at all; what is no file, such as a pipe, is given it.
func writePage(path string, page []byte) error {
	if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
		return os.WriteFile(path, page, 0o600)
	}
	return durable.Replace(path, page)
}

// exportRuns adds the runs of this host, and those that were fetched from copies.
func (a *app) exportRuns(p *report.Period) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	own, err := home.List()
	if err != nil {
		return err
	}
	t, err := a.trust(home, own)
	if err != nil {
		return err
	}
	if a.signersOf(home).Named { // an auditor's own list is overruled by no key of the host
		t = t.ByListAlone()
	}
	filed, err := home.Filed().List()
	if err != nil {
		return err
	}
	for _, runs := range [][]runner.Past{own, filed} {
		for _, r := range runs {
			fetched := filing.IsFetched(home, r.Dir)
			if fetched && filing.HasHere(home, r) || r.Plan != nil && r.Plan.System != p.System {
				continue
			}
			began := r.State.Started
			if r.Plan != nil && began.IsZero() {
				began = r.Plan.Created
			}
			of := report.Numbered{Report: r.ReportSHA256}
			if fetched || r.Brought { // what else this host keeps, it has numbered
				of.Host = r.State.Host
			}
			if r.Plan == nil || p.Holds(began) {
				e := report.Export(r.ID, r.Dir, t.Options(r))
				of.Stranger = !t.Here(r) && !e.Known
				e.Host, e.Stranger = of.Host, of.Stranger
				if r.Plan != nil {
					e.Number = r.Plan.Number
				}
				p.Runs = append(p.Runs, e)
			} else if !t.Here(r) {
				v, err := t.Verify(r)
				of.Stranger = err != nil || !v.Known()
			}
			if r.Plan != nil {
				of.Number, of.Previous = r.Plan.Number, r.Plan.Previous
				p.Known = append(p.Known, of)
			}
		}
	}
	slices.SortStableFunc(p.Runs, func(x, y report.Exported) int {
		return cmp.Or(cmp.Compare(x.Number, y.Number), cmp.Compare(x.Host, y.Host), cmp.Compare(x.Run, y.Run))
	})
	return nil
}
