package main

import (
	"fmt"

	"comeback/recovery"
	"comeback/recovery/pitr"

	"github.com/spf13/cobra"
)

// fetchFailed is the code for everything that proves nothing about the archive.
const fetchFailed recovery.Exit = 200

func (a *app) walCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "wal", Short: "Save the log of a dead server, and what PostgreSQL calls", Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	fetch := &cobra.Command{
		Use: "fetch NAME PATH", Hidden: true, Short: "Fetch a WAL segment from the running step; for restore_command only",
		Long: `Asks the restoring step, through the socket that COMEBACK_WAL_SOCKET names, for a
file of the WAL archive.

Exit codes:
  0        the file is at PATH
  1        proven to be absent from the archive
  126..255 anything else; PostgreSQL must not take it for the archive's end`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 2 {
				return recovery.Errorf("see comeback wal fetch --help", "wal fetch needs NAME and PATH").WithExit(fetchFailed)
			}
			return nil
		},
		Example: `  restore_command = '"$COMEBACK_EXE" wal fetch "%f" "%p" || case $? in 1) exit 1;; *) exit 200;; esac'`,
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			// A panic ends a Go program with 2, which PostgreSQL would take for
			// the end of the archive.
			defer func() {
				if p := recover(); p != nil {
					err = recovery.Errorf("report this as a bug", "wal fetch: internal error: %v", p).WithExit(fetchFailed)
				}
			}()
			socket, ok := a.lookup("COMEBACK_WAL_SOCKET")
			if !ok || socket == "" {
				return recovery.Errorf("it is for restore_command only", "wal fetch: COMEBACK_WAL_SOCKET is not set").WithExit(fetchFailed)
			}
			if code := pitr.FetchClient(cmd.Context(), socket, args[0], args[1]); code != 0 {
				return &exitError{recovery.Exit(code)}
			}
			return nil
		},
	}
	fetch.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return recovery.Errorf("see comeback wal fetch --help", "%w", fmt.Errorf("wal fetch: %w", err)).WithExit(fetchFailed)
	})
	cmd.AddCommand(a.walSaveCommand(), fetch)
	return cmd
}
