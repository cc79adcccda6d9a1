package main

import (
	"errors"
	"io/fs"
	"path/filepath"
	"strings"

	"comeback/recovery/check"
	"comeback/recovery/report"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
)

// signersEnv names the reader's own list of signers, where no flag does.
const signersEnv = "COMEBACK_SIGNERS"

// signersFlag gives a command the flag that names the reader's own list.
func (a *app) signersFlag(cmd *cobra.Command) {
	cmd.Flags().StringVar(&a.signers, "signers", "", "your own allowed_signers `FILE`: whose signatures count (default $"+signersEnv+", or allowed_signers in the state directory)")
}

// trust is whose signatures count here: those of runs that this host keeps as its own,
// of the keys that signed them, and of whom the reader's own list names. A run that was
// fetched from a copy, or brought with somebody else's signature, proves nothing by
// the key that it brings along: whoever may write there could make one. Nor does it by a
// key of this host that the list names and refuses: whoever took that could have signed it.
type trust struct {
	home runner.Home
	// file is where the list is, or would be.
	file     string
	verifies report.VerifyOptions
	// named says that somebody has named the list, instead of finding it in the state.
	named bool
}

// trust reads the reader's own list, and takes the keys of this host from its runs.
func (a *app) trust(home runner.Home, runs []runner.Past) (trust, error) {
	t := trust{home: home, file: a.signers, verifies: report.VerifyOptions{Now: a.now(), LetUnknown: true, Own: map[string]bool{}}}
	if t.file == "" {
		t.file, _ = a.lookup(signersEnv)
	}
	if t.named = t.file != ""; !t.named {
		t.file = filepath.Join(home.Dir, "allowed_signers")
	}
	list, err := report.ReadAllowedSigners(t.file)
	if err == nil {
		t.verifies.AllowedSigners = list
	} else if !t.named && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, p := range runs {
		if !p.Signed || !t.here(p) {
			continue
		}
		if v, err := report.SignedBy(p.Dir, report.VerifyOptions{}); err == nil { // else it proves nothing, and says so where it is verified
			t.verifies.Own[v.Signature.Fingerprint] = true
		}
	}
	return t, err
}

// trustOr goes without a list that cannot be read: whoever must recover is not kept
// from it.
func (a *app) trustOr(home runner.Home, runs []runner.Past) trust {
	t, _ := a.trust(home, runs)
	return t
}

// here reports whether a run is this host's own, and not one of which only the
// signature tells whose it is.
func (t trust) here(p runner.Past) bool {
	return p.Dir == t.home.RunDir(p.ID) && !t.home.Foreign(p.ID)
}

// options say whose signature counts under a run.
func (t trust) options(p runner.Past) report.VerifyOptions {
	o := t.verifies
	o.Here = t.here(p)
	return o
}

// verify verifies a run.
func (t trust) verify(p runner.Past) (report.Verification, error) {
	return report.Verify(p.Dir, t.options(p))
}

// stranger is who has signed a run that only lacks a signer who is known.
func (t trust) stranger(p runner.Past, v report.Verification) *check.Stranger {
	s := &check.Stranger{Fingerprint: v.Signature.Fingerprint, Why: "there is no list of signers", Line: v.SignerLine(by(p))}
	if v.Unknown != nil {
		s.Why = v.Unknown.Error()
	}
	return s
}

// by is who has carried out a run, as it says: "ops1@db1".
func by(p runner.Past) string {
	if strings.Contains(p.State.Operator, "@") {
		return p.State.Operator
	}
	return p.State.Operator + "@" + p.State.Host
}
