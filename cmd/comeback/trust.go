package main

import (
	"path/filepath"

	"comeback/recovery/filing"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

// signersEnv names the reader's own list of signers, where no flag does.
const signersEnv = "COMEBACK_SIGNERS"

// signersFlag gives a command the flag that names the reader's own list.
func (a *app) signersFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.signers, "signers", "", "your own allowed_signers `FILE`: whose signatures count (default $"+signersEnv+", or allowed_signers in the state directory)")
}

// signersOf is the reader's own list: what the flag names, or the environment, or the one of the
// state.
func (a *app) signersOf(home runner.Home) filing.Signers {
	s := filing.Signers{File: a.signers}
	if s.File == "" {
		s.File, _ = a.lookup(signersEnv)
	}
	if s.Named = s.File != ""; !s.Named {
		s.File = filepath.Join(home.Dir, "allowed_signers")
	}
	return s
}

// trust is whose signatures count.
func (a *app) trust(home runner.Home, runs []runner.Past) (filing.Trust, error) {
	return filing.NewTrust(home, runs, a.signersOf(home), a.now())
}

// trustOr goes without a list that cannot be read: whoever must recover is not kept
// from it.
func (a *app) trustOr(home runner.Home, runs []runner.Past) filing.Trust {
	t, _ := a.trust(home, runs)
	return t
}
