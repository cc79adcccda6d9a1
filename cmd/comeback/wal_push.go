package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/plan"
	"comeback/recovery/push"
	"comeback/storage"

	"github.com/spf13/cobra"
)

// walPushed is what `comeback wal push` was asked for.
type walPushed struct {
	runbook, path    string
	component, spool string
	catchUp          bool
	forget           []string
}

func (a *app) walPushCommand() *cobra.Command {
	var o walPushed
	cmd := &cobra.Command{
		Use: "push RUNBOOK PATH", Short: "Archive a segment of the log: for archive_command",
		Long: `Brings a file of a server's pg_wal into the copies of the runbook, compressed, as
archive_command asks for it. Success means that it is durable in as many copies as
the component's ` + "`quorum`" + ` says (1 if it says nothing), and in a spool on this host for
the others; later pushes, or --catch-up, bring it to them. What the server has ready
behind it goes along. What a copy lacks that the runbook does not name any more stays in
the spool until it is named again, or given up with --forget. Of several databases
--catch-up brings the log of each that has a spool here, unless --component names one.

The server runs it as its own user, with its own environment: that user must be
able to read the runbook and to write to the state directory and to the copies, and
needs the values that the addresses of copies refer to.

A copy that has the file with the same content is as good as one that was given it;
with other content it is an error. Nothing is overwritten. It writes nothing but
errors, which PostgreSQL puts into its log.

Exit codes:
  0    durable in the quorum of copies
  1    not yet: the server asks again by itself
  2    the command, the runbook or its environment is wrong
  3    a copy holds other content under the name
  130  interrupted: not yet, as with 1`,
		Example: `  archive_command = 'COMEBACK_STATE=/var/lib/comeback /usr/local/bin/comeback wal push /etc/comeback/shop.md %p'
  comeback wal push shop.md --catch-up`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 2 && !o.catchUp || len(args) == 1 && o.catchUp {
				return nil
			}
			return usage("write: comeback wal push RUNBOOK %p, or comeback wal push RUNBOOK --catch-up", "comeback wal push needs RUNBOOK and PATH, or --catch-up")
		},
		ValidArgsFunction: runbookFile,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.runbook = args[0]; len(args) == 2 {
				o.path = args[1]
			}
			return a.walPush(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.component, "component", "", "the `COMPONENT` whose log it is, where the runbook has several")
	cmd.Flags().StringVar(&o.spool, "spool", "", "the `DIRECTORY` of what copies still lack (default in the state directory)")
	cmd.Flags().BoolVar(&o.catchUp, "catch-up", false, "bring what is in the spool to the copies that lack it, and nothing else")
	cmd.Flags().StringSliceVar(&o.forget, "forget", nil, "with --catch-up, give up what the spool holds for this `COPY`, which the runbook does not name any more; may be given several times")
	return cmd
}

func (a *app) walPush(ctx context.Context, o walPushed) error {
	if len(o.forget) > 0 && !o.catchUp {
		return usage("write: comeback wal push RUNBOOK --catch-up --forget COPY", "--forget is for --catch-up")
	}
	b, err := a.openPushed(ctx, o.runbook)
	if err != nil {
		return err
	}
	if o.catchUp {
		return a.catchUp(ctx, b, o)
	}
	options, err := a.pusher(ctx, b, o)
	if err != nil {
		return err
	}
	_, err = push.Push(ctx, options, o.path)
	return err
}

// catchUp brings what waits on this host to the copies that lack it: of the component
// that was named, or of every database that has a spool here. One that fails keeps no
// other one waiting.
func (a *app) catchUp(ctx context.Context, b *book, o walPushed) error {
	for _, name := range o.forget {
		if _, named := b.Copy(name); named {
			return usage("take it out of the runbook first, if it is to get nothing any more", "the runbook names the copy %s", name)
		}
	}
	components, err := a.spooled(ctx, b, o)
	if err != nil {
		return err
	}
	total := 0
	var errs []error
	for _, name := range components {
		o.component = name
		options, err := a.pusher(ctx, b, o)
		n := 0
		if err == nil {
			options.Forget = o.forget
			n, err = push.CatchUp(ctx, options)
		}
		if total += n; err != nil && len(components) > 1 {
			err = fmt.Errorf("%s: %w", name, err)
		}
		errs = append(errs, err)
	}
	if err = errors.Join(errs...); total > 0 || err == nil {
		fmt.Fprintf(a.out, "brought %s to copies that lacked them\n", count(int64(total), "file"))
	}
	return err
}

// spooled are the components to catch up with. Of several databases those have a spool
// of which something was pushed on this host.
func (a *app) spooled(ctx context.Context, b *book, o walPushed) ([]string, error) {
	databases := plan.RestoredDatabases(b.Runbook)
	if o.component != "" || o.spool != "" || len(databases) < 2 {
		c, err := theDatabase(b, o.component, byFlag)
		return []string{c.Name}, err
	}
	var names []string
	for _, c := range databases {
		dir, err := a.movedSpool(ctx, b, c, "")
		if err != nil {
			return nil, err
		}
		if _, err := os.Stat(dir); err == nil {
			names = append(names, c.Name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return nil, recovery.Errorf("run it as the user who archives the log", "look whether log of %s waits here: %w", c.Name, err)
		}
	}
	return names, nil
}

// openPushed opens a runbook whose log is pushed.
func (a *app) openPushed(ctx context.Context, path string) (*book, error) {
	b, _, err := a.openFollowed(ctx, path)
	if err != nil {
		return nil, err
	}
	if inCopy(b.path) { // the log would wait for that one copy
		return nil, usage("copy it to a file of this host, and give that", "the log is pushed by a runbook that is on this host, and %s is in a copy", b.path)
	}
	return b, nil
}

// pusher gives what a push of a runbook's log needs, a spool with it.
func (a *app) pusher(ctx context.Context, b *book, o walPushed) (push.Options, error) {
	options, err := a.pushOptions(b, o)
	if err == nil {
		options.Spool, err = a.movedSpool(ctx, b, options.Component, o.spool)
	}
	return options, err
}

// pushOptions are what every push and fetch of a runbook's log is given.
func (a *app) pushOptions(b *book, o walPushed) (push.Options, error) {
	c, err := theDatabase(b, o.component, byFlag)
	if err != nil {
		return push.Options{}, err
	}
	options := push.Options{Component: c, Now: a.now, Quorum: 1}
	if text := c.Settings.Text("quorum"); text != "" {
		if options.Quorum, err = strconv.Atoi(text); err != nil {
			return options, usage("write a number, like 2", "the quorum of %s is %q", c.Name, text)
		}
	}
	open := opener(b.secrets)
	for _, cp := range plan.Copies(b.Runbook) {
		options.Copies = append(options.Copies, push.Copy{Name: cp.Name, Open: func(ctx context.Context) (storage.Store, error) { return open(ctx, cp) }})
	}
	return options, nil
}

// spoolOf is the spool of a component's log on this host.
func (a *app) spoolOf(b *book, c recovery.Component, asked string) (string, error) {
	if asked != "" {
		return filepath.Abs(asked)
	}
	home, err := a.home()
	if err != nil {
		return "", recovery.Errorf("give --spool, or set COMEBACK_STATE", "find the spool: %w", err).WithExit(recovery.Usage)
	}
	return push.SpoolIn(home.Dir, b.System, c.Name), nil
}

// movedSpool is spoolOf, with what an earlier version has left in it.
func (a *app) movedSpool(ctx context.Context, b *book, c recovery.Component, asked string) (string, error) {
	spool, err := a.spoolOf(b, c, asked)
	if err != nil || asked != "" {
		return spool, err
	}
	home, err := a.home()
	if err != nil {
		return "", err
	}
	var copies []string
	for _, cp := range plan.Copies(b.Runbook) {
		copies = append(copies, cp.Name)
	}
	return spool, push.MoveSpool(ctx, home.Dir, b.System, c.Name, copies)
}

// walFetch is restore_command over a runbook's copies. Only what is proven to be
// absent ends with 1, which PostgreSQL takes for the end of the log.
func (a *app) walFetch(ctx context.Context, o walPushed, name, path string) error {
	failed := func(err error) error {
		return &recovery.Error{What: err.Error(), Hint: recovery.HintOf(err), Exit: fetchFailed, Err: err}
	}
	b, _, err := a.openFollowed(ctx, o.runbook)
	if err != nil {
		return failed(err)
	}
	options, err := a.pushOptions(b, o)
	if err != nil {
		return failed(err)
	}
	options.Spool, _ = a.spoolOf(b, options.Component, o.spool) // for hints only
	found, err := push.Fetch(ctx, options, name, path)
	switch {
	case err != nil:
		return failed(fmt.Errorf("fetch %s: %w", name, err))
	case !found:
		return &exitError{1}
	}
	return nil
}
