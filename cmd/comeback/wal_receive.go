package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/push"

	"github.com/spf13/cobra"
)

func (a *app) walReceiveCommand() *cobra.Command {
	var o walPushed
	var slot, dir string
	cmd := &cobra.Command{
		Use: "receive RUNBOOK", Short: "Follow a server's log through a slot, where archive_command cannot be set", Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		Long: `Runs pg_receivewal on a replication slot, which it makes where it is missing, and
brings each segment that is finished into the copies, as ` + "`comeback wal push`" + ` does. It
runs until it is asked to end; a service of ` + "`comeback schedule`" + ` keeps it running where
the component's ` + "`receiver`" + ` names the slot. The role of ` + "`admin:`" + ` or ` + "`url:`" + ` must be one that may
replicate. A slot holds the server's log for as long as nobody receives it: watch it.
What an earlier receiver has left is pushed first, also where the server is gone. Of a
server that was restored to before that, what it writes now is received; what was received
is put aside, in a directory before-TIMELINE- within that of --dir, and never removed.

Exit codes:
  0    asked to end; everything that had come is in the copies
  1    the receiver or the copies failed
  2    the command, the runbook or its environment is wrong
  3    refused: another receiver is at work`,
		Example: "  comeback wal receive /etc/comeback/shop.md --slot comeback",
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runbook = args[0]
			return a.walReceive(cmd.Context(), o, slot, dir)
		},
	}
	cmd.Flags().StringVar(&o.component, "component", "", "the `COMPONENT` whose log it is, where the runbook has several")
	cmd.Flags().StringVar(&o.spool, "spool", "", "the `DIRECTORY` of what copies still lack (default in the state directory)")
	cmd.Flags().StringVar(&slot, "slot", "", "the replication `SLOT` (default the component's `receiver`)")
	cmd.Flags().StringVar(&dir, "dir", "", "the `DIRECTORY` for what is received and not pushed yet (default beside the spool)")
	return cmd
}

func (a *app) walReceive(ctx context.Context, o walPushed, slot, dir string) error {
	b, err := a.openPushed(ctx, o.runbook)
	if err != nil {
		return err
	}
	options, err := a.pusher(ctx, b, o)
	if err != nil {
		return err
	}
	if dir == "" {
		dir = push.ReceivedBeside(options.Spool)
		if err := a.moveReceived(b, options.Component, o.spool); err != nil {
			return err
		}
	}
	if slot == "" {
		slot = options.Component.Settings.Text("receiver")
	}
	if slot == "" || strings.Trim(slot, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" {
		return usage("give it with --slot, or as `receiver` of the component: small letters, digits and _", "%q is not the name of a replication slot", slot)
	}
	say := func(format string, args ...any) {
		fmt.Fprintf(a.err, "%s %s\n", a.now().UTC().Format(time.RFC3339), clean(a.redact(fmt.Sprintf(format, args...))))
	}
	err = push.Receive(ctx, push.ReceiveOptions{Options: options, Slot: slot, Dir: dir,
		Server: func(ctx context.Context) (push.Server, error) { return receivedFrom(ctx, b, options.Component) },
		Log:    func(text string) { say("%s", text) }, Pushed: func(name string) { say("%s is in the copies", name) }})
	if err != nil && recovery.ExitOf(err) == recovery.CameBack {
		return &recovery.Error{What: err.Error(), Hint: recovery.HintOf(err), Exit: recovery.Failed, Err: err}
	}
	return err
}

// moveReceived brings what an earlier version has received to beside the spool of this one.
func (a *app) moveReceived(b *book, c recovery.Component, spool string) error {
	if spool != "" {
		return nil // it lies beside that
	}
	home, err := a.home()
	if err != nil {
		return err
	}
	return push.MoveReceived(home.Dir, b.System, c.Name)
}

// receivedFrom is how the log of a live server is received.
func receivedFrom(ctx context.Context, b *book, c recovery.Component) (push.Server, error) {
	address, err := c.Lives("admin", "url")
	if err == nil {
		address, err = b.secrets.Expand(address)
	}
	if err != nil {
		return push.Server{}, err
	}
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return push.Server{}, err
	}
	server, err := postgres.ReadArchiver(ctx, conn)
	config := conn.Config()
	if err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))); err != nil {
		return push.Server{}, err
	}
	// A newer one follows an older server, too.
	tools, err := postgres.FindTools(0)
	if err == nil {
		err = tools.Need("pg_receivewal")
	}
	if err != nil {
		return push.Server{}, err
	}
	conninfo, env, err := postgres.ProgramAddress(address, config, server.Database)
	return push.Server{Program: tools.Program("pg_receivewal"), Conninfo: conninfo, Env: env, Log: func(ctx context.Context, slot string) (push.Log, error) {
		sent, err := postgres.ReadSent(ctx, address, slot)
		return push.Log(sent), err
	}}, err
}
