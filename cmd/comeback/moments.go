package main

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/spf13/cobra"
)

// momentsAsked is what `comeback moments` was asked for.
type momentsAsked struct {
	utc bool
	// copy and engine restrict where to look.
	copy, engine string

	switchWAL bool
	wait      time.Duration

	// around, where it is not empty, asks for what happened.
	around string
	span   time.Duration
	limit  int
	harm   bool
	table  string
	json   bool
}

func (a *app) momentsCommand() *cobra.Command {
	o := momentsAsked{}
	cmd := &cobra.Command{
		Use: "moments RUNBOOK", Short: "List what can be restored, and with --around what happened",
		Long: `Lists every backup with the window of moments that it can be taken to, every gap
and what it costs, and how much of the live server's log is in no copy yet. It
reads the copies and asks the live server, and changes nothing; only --switch-wal
touches the live server: it calls pg_switch_wal(), so that the segment that is
being written is closed and archived. Where components come back by several
engines, all their moments follow in one list, in the order of time, each with
how exactly it is reached: to any commit, to any second, or to the backup. --json
prints that list alone, a moment a line. The id of a backup is what --to takes: the
component that has it decides, and the others come back as they were then. A line
says where another component has nothing that early ("without" in --json), or log
that ends before ("beyond", and "until" when): --to refuses it for the whole system.

With --around it reads the archived log and lists what each transaction did, marks
what did harm, and says how to go to just before it. TIME is an RFC 3339 time with
its offset, a time of today in the zone that is shown ("14:30"), "10 minutes ago",
"latest", or xid:N. The log does not tell who did it. Names of tables come from the
live server and from the maps that are saved beside the backups; what none of them
has is a number. What happens on most days at that time is usual, and no harm.
` + inCopyHelp + `
Exit codes:
  0    listed
  1    nothing can be restored, or the log cannot be read
  2    the command, the runbook or its environment is wrong
  3    refused by a guard
  5    listed, but a part of the log could not be read
  130  interrupted; what was found until then is listed`,
		Example: `  comeback moments shop.md
  comeback moments file:///mnt/backups/shop  # where the runbook's host is gone
  comeback moments shop.md --as-of "2 hours ago"   # where somebody has deleted backups from a bucket
  comeback moments shop.md --switch-wal
  comeback moments shop.md --json | jq -r 'select(.engine == "dump").backup'
  comeback moments shop.md --around 14:30 --harm
  comeback moments shop.md --around 2026-11-23T02:41:00+01:00 --span 5m
  comeback moments shop.md --around xid:81214 --span 1m --table orders
  comeback moments shop.md --around "2 hours ago" --span 2h --json | jq .xid`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.judge(cmd); err != nil {
				return err
			}
			if o.json && !cmd.Flags().Changed("limit") {
				o.limit = math.MaxInt // nothing is kept, and whoever reads it may stop
			}
			return a.moments(cmd.Context(), args[0], o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.utc, "utc", false, "show times in UTC instead of the local zone")
	a.signersFlag(cmd)
	f.StringVar(&o.copy, "copy", "", "look into this `COPY` only")
	f.Var(thenFlag{a}, "as-of", "read copies in buckets that keep versions as they were at a `TIME` before somebody deleted or overwrote what is in them")
	f.StringVar(&o.engine, "engine", "", "use this `ENGINE` only: dump, pitr, pgbackrest, wal-g and the like")
	f.BoolVar(&o.switchWAL, "switch-wal", false, "push the live server's unarchived log out (touches live)")
	f.DurationVar(&o.wait, "wait", time.Minute, "how `LONG` --switch-wal waits for the segment to come into the copy")
	f.StringVar(&o.around, "around", "", "list what happened around this `TIME`, or xid:N")
	f.DurationVar(&o.span, "span", defaultSpan, "how `LONG` before and after --around to look")
	f.IntVar(&o.limit, "limit", defaultLimit, "list at most `N` transactions, those nearest to --around; with --json the newest, and all without it")
	f.BoolVar(&o.harm, "harm", false, "list only what did harm")
	f.StringVar(&o.table, "table", "", "list only what touched this table: its `NAME` or number")
	f.BoolVar(&o.json, "json", false, "the list of all moments as JSON, one a line; with --around a transaction a line, the newest first")
	return cmd
}

// judge refuses what does not go together.
func (o momentsAsked) judge(cmd *cobra.Command) error {
	const see = "see comeback moments --help"
	if o.around == "" {
		for _, name := range []string{"span", "limit", "harm", "table"} {
			if cmd.Flags().Changed(name) {
				return usage("add for example --around \"10 minutes ago\"", "--%s needs --around", name)
			}
		}
	}
	switch {
	case o.switchWAL && cmd.Flags().Changed("as-of"):
		return usage("leave out one of them", "--switch-wal waits for what comes into a copy now, and --as-of does not see it")
	case cmd.Flags().Changed("around") && o.around == "":
		return usage(see, "--around is empty")
	case cmd.Flags().Changed("wait") && !o.switchWAL:
		return usage("add --switch-wal", "--wait needs --switch-wal")
	case o.span <= 0 || o.span > maxSpan:
		return usage(fmt.Sprintf("read it in parts: a span of up to %s on both sides of --around", hours(maxSpan)), "--span %s is not between 0 and %s", o.span, hours(maxSpan))
	case o.limit < 1 || o.limit > maxLimit:
		return usage("give a number like 500", "--limit %d is not between 1 and %d", o.limit, maxLimit)
	case o.wait <= 0:
		return usage("give a time like 1m", "--wait %s is no time to wait", o.wait)
	}
	return nil
}

func hours(d time.Duration) string { return fmt.Sprintf("%dh", int(d.Hours())) }

func (a *app) moments(ctx context.Context, path string, o momentsAsked) error {
	b, _, err := a.open(ctx, path)
	if err != nil {
		return err
	}
	if err := knownEngine(o.engine); err != nil {
		return err
	}
	if _, ok := b.Copy(o.copy); o.copy != "" && !ok {
		return usage("choose one of the runbook's copies", "the runbook has no copy %q", o.copy)
	}
	z := zone{at: a.now().Location()}
	if o.utc {
		z.at = time.UTC
	}
	// What was typed is judged before anything is read.
	var center around
	if o.around != "" {
		if center, err = parseAround(o.around, a.now(), z); err != nil {
			return err
		}
	}
	asking := make(chan liveServers, 1)
	go func() { asking <- a.askLive(ctx, b) }()
	cat, err := a.surveyShown(ctx, b, true)
	servers := <-asking
	defer servers.close()
	if err != nil {
		return err
	}
	cat = cat.Only(o.copy, o.engine)
	if o.switchWAL {
		if err := a.switchWAL(ctx, b, cat, servers, o); err != nil {
			return err
		}
		// What is in the copies, and how far live is, has just changed.
		if cat, err = a.surveyShown(ctx, b, true); err != nil {
			return err
		}
		cat = cat.Only(o.copy, o.engine)
		servers.refresh(ctx)
	}
	for _, text := range a.receivedSays(b, func(component string) bool { return servers[component] != nil && servers[component].err == nil }) {
		fmt.Fprintf(a.err, "%s\n", clean(text))
	}
	if o.around != "" {
		return a.whatHappened(ctx, b, cat, servers, center, z, o)
	}
	if o.json {
		nothing := nothingOf(b, cat)
		a.besides(a.err, cat, nothing)
		if err := a.writeMoments(b, cat); err != nil {
			return err
		}
		return nothing
	}
	return a.windows(b, cat, servers, z)
}
