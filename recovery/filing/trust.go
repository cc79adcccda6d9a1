package filing

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"comeback/recovery/check"
	"comeback/recovery/report"
	"comeback/recovery/runner"
)

// Signers is where the reader's own list of signers is, or would be.
type Signers struct {
	File string
	// Named says that somebody has named it: then it has to be there, and is all that counts
	// for an auditor.
	Named bool
}

// Trust is whose signatures count here: those of runs that this host keeps as its own,
// of the keys that signed them, and of whom the reader's own list names. A run that was
// fetched from a copy, or brought with somebody else's signature, proves nothing by
// the key that it brings along: whoever may write there could make one. Nor does it by a
// key of this host that the list names and refuses: whoever took that could have signed it.
type Trust struct {
	home     runner.Home
	verifies report.VerifyOptions
}

// NewTrust reads the reader's own list, and takes the keys of this host from its runs. Where
// the list cannot be read, the trust beside the error goes without it.
func NewTrust(home runner.Home, runs []runner.Past, signers Signers, now time.Time) (Trust, error) {
	t := Trust{home: home, verifies: report.VerifyOptions{Now: now, LetUnknown: true, Own: map[string]bool{}}}
	list, err := report.ReadAllowedSigners(signers.File)
	if err == nil {
		t.verifies.AllowedSigners = list
	} else if !signers.Named && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, p := range runs {
		if !p.Signed || !t.Here(p) {
			continue
		}
		if v, err := report.SignedBy(p.Dir, report.VerifyOptions{}); err == nil { // else it proves nothing, and says so where it is verified
			t.verifies.Own[v.Signature.Fingerprint] = true
		}
	}
	return t, err
}

// Here reports whether a run is this host's own, and not one of which only the
// signature tells whose it is.
func (t Trust) Here(p runner.Past) bool {
	return p.Dir == t.home.RunDir(p.ID) && !t.home.Foreign(p.ID)
}

// ByListAlone is a trust in which no key counts that the list does not name, one of this
// host neither.
func (t Trust) ByListAlone() Trust {
	t.verifies.Own = nil
	return t
}

// Elsewhere says whose signature counts under what is no run of this host.
func (t Trust) Elsewhere() report.VerifyOptions { return t.verifies }

// Options say whose signature counts under a run.
func (t Trust) Options(p runner.Past) report.VerifyOptions {
	o := t.verifies
	o.Here = t.Here(p)
	return o
}

// Verify verifies a run.
func (t Trust) Verify(p runner.Past) (report.Verification, error) {
	return report.Verify(p.Dir, t.Options(p))
}

// stranger is who has signed a run that only lacks a signer who is known.
func (t Trust) stranger(p runner.Past, v report.Verification) *check.Stranger {
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
