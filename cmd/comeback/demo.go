package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/execute"
	"comeback/recovery/postgres"
	"comeback/recovery/report"
	"comeback/shop"

	"github.com/spf13/cobra"
)

// demoOptions are what `comeback demo` was asked for.
type demoOptions struct {
	dir               string
	keep, plain, stop bool
	scale             int
}

func (a *app) demoCommand() *cobra.Command {
	o := demoOptions{scale: demoScale}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "A shop with real data, backups and an incident, to try all this on",
		Long: `Builds a real shop in one directory: a PostgreSQL server under steady writes,
uploads, configuration, a deployed application, and the backups of them all. Then
a migration deletes every order and drops the carts, a clean-up job deletes
uploads, somebody changes a setting and deploys a fix in a hurry. On a terminal it opens the console on the rehearsal;
otherwise, or with --plain, it rehearses by itself to just before the incident.

It changes nothing outside its directory, and removes everything but the signed
report, DIR/report. With --keep the shop stays open: its runbook is DIR/shop.md,
and DIR/env says what to export. A demo in the same DIR takes the place of an
earlier one: its shop, its runs and its report go.
` + exitCodes,
		Example: `  comeback demo
  comeback demo --dir demo --keep
  comeback demo --stop --dir demo          # ends a shop that was kept`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.stop && o.keep {
				return usage("see comeback demo --help", "--stop ends the shop that --keep would leave open: give one of them")
			}
			if o.stop {
				return a.stopDemo(cmd.Context(), o.dir)
			}
			return a.demo(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.dir, "dir", "", "build it in `DIR` (default a new temporary directory)")
	f.BoolVar(&o.keep, "keep", false, "leave the shop open when the rehearsal has ended")
	f.BoolVar(&o.plain, "plain", false, "rehearse by itself, one line per transition, instead of the console")
	f.BoolVar(&o.stop, "stop", false, "end a shop that was kept, and remove all but its report")
	return cmd
}

const (
	// demoScale is enough to be worth a restore, and built in seconds.
	demoScale = 40_000
	// demoRate is the writes a second that go on all the time.
	demoRate = 20
	// demoIdentity is the name that the demo's key signs as.
	demoIdentity = "comeback-demo"
)

// demo is one demo under way.
type demo struct {
	*app  // with a state, a home and a key of the demo's own
	place *demoPlace
	shop  *shop.Shop
	key   report.Key
	// recipient is whom the configuration is encrypted for.
	recipient string
	tell      *demoTeller
	// moment is the one just before the harm, as --to takes it.
	moment string
}

// demo builds the shop, ruins it, rehearses its recovery and removes it.
func (a *app) demo(ctx context.Context, o demoOptions) error {
	if _, err := postgres.FindTools(0); err != nil {
		return err
	}
	place, err := a.openPlace(ctx, o.dir)
	if err != nil {
		return err
	}
	d := &demo{app: a.within(place), place: place, tell: &demoTeller{out: a.out, now: a.now}}
	err = d.play(ctx, o)
	// Whatever has happened, what is not asked for goes.
	kept, left := d.leave(ctx, o.keep && err == nil)
	switch {
	case left != nil:
		return errors.Join(err, recovery.Errorf("remove it by hand, or try: comeback demo --stop --dir "+place.dir, "clean up after the demo: %w", left).WithExit(recovery.WithExceptions))
	case ctx.Err() != nil:
		fmt.Fprintf(a.err, "comeback: the demo was %s; its shop is gone\n", clean(context.Cause(ctx).Error()))
		return &exitError{recovery.Interrupted}
	case kept:
		d.tell.kept(place, d.moment)
	}
	return err
}

// within is the app as it works in a demo: nothing of the user's own state,
// keys or databases is seen.
func (a *app) within(place *demoPlace) *app {
	own := map[string]string{
		"COMEBACK_STATE": place.state(), "COMEBACK_SCRATCH": place.scratch(), "HOME": place.home(),
		"DATABASE_URL": shop.Layout{Dir: place.shop}.URL("shop", "shop"), "ADMIN_URL": shop.Layout{Dir: place.shop}.URL("postgres", "shop"), "SSH_AUTH_SOCK": "",
		"CONFIG_IDENTITY": place.identity(), "APP_DIR": shop.Layout{Dir: place.shop}.App(),
	}
	d := *a
	d.lookup = func(name string) (string, bool) {
		if name == "APP_URL" {
			return place.app, place.app != ""
		}
		if v, ok := own[name]; ok {
			return v, v != ""
		}
		return a.lookup(name)
	}
	for name, v := range own {
		d.environ = d.with(name, v)
	}
	// Nothing of a demo outlives it.
	d.tether = os.Getpid()
	d.secrets = execute.NewSecrets(d.lookup, nil, execute.KnownSecrets...)
	return &d
}

// play is the demo from its first act to its last.
func (d *demo) play(ctx context.Context, o demoOptions) error {
	d.tell.title(d.place)
	if err := d.build(ctx, o.scale); err != nil {
		return err
	}
	incident, err := d.incident(ctx)
	if err != nil {
		return err
	}
	d.tell.heading("THE REHEARSAL", fmt.Sprintf("back to just before xid %d, in scratch", incident.Harm.XID))
	writes := len(d.shop.Commits())
	d.moment = fmt.Sprintf("before-xid:%d", incident.Harm.XID)
	c := choices{mode: recovery.Rehearsal, to: d.moment, scratch: d.place.scratch()}
	var ended error
	if !o.plain && d.interactive() {
		// Who tries the real thing there is asked whether the shop is open. Without it the
		// plan says what is missing.
		if d.place.app, err = d.shop.Serve(ctx, false); err != nil {
			d.tell.done("the shop is not open to visitors: " + err.Error())
		} else {
			d.environ = d.with("APP_URL", d.place.app)
		}
		ended = d.consoleRunbook(ctx, d.place.runbook(), request{choices: c})
	} else {
		ended = d.rehearseDemo(ctx, c)
	}
	var exit *exitError
	if ended != nil && !errors.As(ended, &exit) {
		return ended
	}
	if err := d.shop.StopWrites(); err != nil {
		return err
	}
	r, published, err := d.publish(context.WithoutCancel(ctx))
	if err != nil {
		return errors.Join(err, ended)
	}
	if !published {
		d.tell.line("\nNothing was rehearsed, so there is no report.")
		return ended
	}
	d.tell.ending(d.place, r, len(d.shop.Commits())-writes)
	return ended
}

// cleanupTime is how long the end of a demo may take.
const cleanupTime = 2 * time.Minute

// leave ends the shop or, where it is to be kept, lets it live on alone; all
// else that nobody asked for is removed.
func (d *demo) leave(ctx context.Context, keep bool) (kept bool, err error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
	defer cancel()
	defer func() { err = errors.Join(err, d.place.close()) }()
	if keep && d.shop != nil {
		err := d.shop.Detach(ctx)
		if err == nil {
			d.place.app, err = d.shop.Serve(ctx, true)
		}
		if err == nil {
			err = os.WriteFile(d.place.env(), d.place.exports(), 0o600)
		}
		if err == nil {
			return true, os.RemoveAll(d.place.home())
		}
		return false, errors.Join(err, d.shop.Close(), d.remove(ctx, d.place))
	}
	if d.shop != nil {
		err = d.shop.Close()
	}
	return false, errors.Join(err, d.remove(ctx, d.place))
}
