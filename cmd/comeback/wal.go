package main

import (
	"fmt"

	"comeback/recovery"
	"comeback/recovery/pitr/walfetch"

	"github.com/spf13/cobra"
)

// fetchFailed is the code for everything that proves nothing about the archive.
const fetchFailed recovery.Exit = 200

func (a *app) walCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "wal", Short: "Archive the log of a live server, save that of a dead one", Args: noArguments,
		Long: `The log (WAL) of PostgreSQL on its way into the copies and out of them: push is for
archive_command, receive for servers that have none, save for a server that died,
and fetch for restore_command.
` + groupExits,
		Example: `  comeback wal push --help                 # archive_command
  comeback wal save shop.md --from /mnt/olddisk/pg_wal`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	component := ""
	fetch := &cobra.Command{
		Use: "fetch [RUNBOOK] NAME PATH", Short: "Fetch a segment of the log from the copies: for restore_command",
		Long: `Brings a file of the archived log from the first copy of the runbook that has it to
PATH, whole or not at all: for a standby, or for a server that is restored by hand.
Without a RUNBOOK it asks the step of a run that restores right now, through the
socket that COMEBACK_WAL_SOCKET names.

Exit codes:
  0        the file is at PATH
  1        proven to be absent from the archive
  126..255 anything else; PostgreSQL must not take it for the archive's end`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 && len(args) != 3 {
				return recovery.Errorf("see comeback wal fetch --help", "wal fetch needs RUNBOOK, NAME and PATH").WithExit(fetchFailed)
			}
			return nil
		},
		ValidArgsFunction: runbookFile,
		Example: `  restore_command = 'comeback wal fetch /etc/comeback/shop.md %f %p || case $? in 1) exit 1;; *) exit 200;; esac'
  restore_command = '"$COMEBACK_EXE" wal fetch "%f" "%p" || case $? in 1) exit 1;; *) exit 200;; esac'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			// A panic ends a Go program with 2, which PostgreSQL would take for
			// the end of the archive.
			defer func() {
				if p := recover(); p != nil {
					err = recovery.Errorf("report this as a bug", "wal fetch: internal error: %v", p).WithExit(fetchFailed)
				}
			}()
			if len(args) == 3 {
				return a.walFetch(cmd.Context(), walPushed{runbook: args[0], component: component}, args[1], args[2])
			}
			socket, ok := a.lookup("COMEBACK_WAL_SOCKET")
			if !ok || socket == "" {
				return recovery.Errorf("by hand give the runbook, too: comeback wal fetch RUNBOOK NAME PATH", "wal fetch: without RUNBOOK it asks the run that has started the server, and COMEBACK_WAL_SOCKET names none").WithExit(fetchFailed)
			}
			if code := walfetch.Ask(cmd.Context(), socket, args[0], args[1]); code != 0 {
				return &exitError{recovery.Exit(code)}
			}
			return nil
		},
	}
	fetch.Flags().StringVar(&component, "component", "", "the `COMPONENT` whose log it is, where the runbook has several")
	fetch.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return recovery.Errorf("see comeback wal fetch --help", "%w", fmt.Errorf("wal fetch: %w", err)).WithExit(fetchFailed)
	})
	cmd.AddCommand(a.walPushCommand(), a.walReceiveCommand(), a.walSaveCommand(), fetch)
	return cmd
}
