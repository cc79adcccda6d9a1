package report

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"comeback/recovery"
)

// VerifyOptions say whom the reader trusts.
type VerifyOptions struct {
	// AllowedSigners is the reader's own list, from elsewhere than the
	// report's directory. Without one nobody is known.
	AllowedSigners *AllowedSigners
	// Identity is the name that is expected to have signed; empty takes any
	// name of the list.
	Identity string
	// Now is the time at which the key must be valid; its zone is that of
	// the times in the list. The zero time accepts only what is valid for
	// ever.
	Now time.Time
	// LetUnknown leaves a signer whom the list does not allow unknown, and says why,
	// instead of refusing the report.
	LetUnknown bool
	// Own are the fingerprints of keys with which the reader's own host signs. One that the
	// list names and refuses, because it is not valid any more for example, counts only in
	// what is the host's own, which Here says.
	Own  map[string]bool
	Here bool
}

// Verification is what a report proves.
type Verification struct {
	Report *Report
	// Signature is who signed; its File is empty where nobody has.
	Signature Signature
	// Principal is the signer's name in the reader's list, or empty: unknown.
	Principal string
	// Own says that the key is one of the reader's own host.
	Own bool
	// Unknown is why the signer is not known, where a list says so.
	Unknown error
	// Files are what the signature covers.
	Files []Sum
	// Reviews are those of further people, who accept every exception.
	Reviews []Review

	key ssh.PublicKey // that has signed
}

// Trusted reports whether a signer whom the reader's list allows stands behind
// the report. Only that is proof.
func (v Verification) Trusted() bool { return v.Principal != "" }

// Known reports whether the reader knows the signer: by his list, or because the key
// is one of his own host.
func (v Verification) Known() bool { return v.Trusted() || v.Own }

// SignerLine is the line of a list of signers that would let whoever has signed sign the
// same, a report or a runbook, under a name, "signer" where that cannot stand in a list. Of a certificate it
// names the authority, and who is certified.
func (v Verification) SignerLine(name string) string {
	if v.key == nil { // nobody has signed
		return ""
	}
	key, options := v.key, `namespaces="`+v.Signature.Namespace+`"`
	if c, ok := key.(*ssh.Certificate); ok {
		key, options, name = c.SignatureKey, "cert-authority,"+options, ""
		if len(c.ValidPrincipals) > 0 {
			name = c.ValidPrincipals[0]
		}
	}
	if !isPrincipal(name) {
		name = "signer"
	}
	return name + " " + options + " " + marshalPublic(key)
}

// String says in one line what was verified.
func (v Verification) String() string {
	switch {
	case v.Signature.File == "":
		return fmt.Sprintf("intact, not signed: %d files", len(v.Files))
	case v.Own && v.Principal == "":
		return fmt.Sprintf("intact, signed with a key of this host: %d files, %s %s", len(v.Files), v.Signature.Type, v.Signature.Fingerprint)
	case v.Principal == "":
		return fmt.Sprintf("intact, signer unknown: %d files, signed with %s %s", len(v.Files), v.Signature.Type, v.Signature.Fingerprint)
	}
	return fmt.Sprintf("intact, signed by %s: %d files, %s %s", v.Principal, len(v.Files), v.Signature.Type, v.Signature.Fingerprint)
}

// Reviewed says in one line who has reviewed the report.
func (v Verification) Reviewed() string {
	if len(v.Reviews) == 0 {
		return "review by a second person: none yet"
	}
	var who []string
	for _, r := range v.Reviews {
		who = append(who, r.String())
	}
	return strings.Join(who, "; ")
}

// ErrUnsigned says that a report is intact as far as can be told, and that
// nobody stands behind it.
var ErrUnsigned = errors.New("the report is not signed")

// Verify checks a run's directory: the signature of SHA256SUMS, who made it,
// every digest, that no file is missing or was added, the journal's chain, the
// reviews, and that report.json and report.md say what the journal tells. Whatever does not
// hold is one sentence that names the file. With a list of signers, a signature
// that the list does not allow is an error; without one the signer is unknown.
// A report without signature gives ErrUnsigned, with the verification of the
// rest.
func Verify(dir string, o VerifyOptions) (Verification, error) {
	var v Verification
	sums, err := readDocument(dir, SumsFile)
	if err != nil {
		return v, err
	}
	unsigned := !exists(filepath.Join(dir, SignatureFile))
	if !unsigned {
		if v, err = signer(dir, sums, o); err != nil {
			return v, err
		}
	}
	read, r, err := consistent(dir)
	if err != nil {
		v.Principal, v.Own = "", false
		return v, err
	}
	if !bytes.Equal(read, sums) {
		v.Principal, v.Own = "", false
		return v, recovery.Errorf("verify it again when nobody writes to it", "%s changed while it was read", SumsFile)
	}
	v.Report = r
	if v.Files, err = parseSums(sums); err != nil {
		return v, err
	}
	if unsigned {
		return v, recovery.Errorf("sign it: comeback report sign "+r.Run, "%w, so it proves nothing", ErrUnsigned)
	}
	if v.Reviews, err = reviews(dir, sums, v, o); err != nil {
		v.Principal, v.Own = "", false
	}
	return v, err
}

// SignedBy is who has signed the SHA256SUMS of a run's directory. It says nothing of what
// they name: that is for Verify.
func SignedBy(dir string, o VerifyOptions) (Verification, error) {
	sums, err := readDocument(dir, SumsFile)
	if err != nil {
		return Verification{}, err
	}
	return signer(dir, sums, o)
}

// signer checks the signature of SHA256SUMS and looks for its key among those that the
// reader knows.
func signer(dir string, sums []byte, o VerifyOptions) (v Verification, err error) {
	sig, err := readSignature(dir, SignatureFile)
	if err != nil {
		return v, err
	}
	if err := checkSignature(sig, sums, Namespace); err != nil {
		return v, recovery.Errorf("get the directory as it was signed, or treat the report as worthless",
			"%s is not what %s signs: %w", SumsFile, SignatureFile, err)
	}
	return o.known(sig, Namespace, SignatureFile)
}

// consistent checks everything but the signature, and returns the bytes of
// SHA256SUMS and the report.
func consistent(dir string) ([]byte, *Report, error) {
	b, err := readDocument(dir, SumsFile)
	if err != nil {
		return nil, nil, err
	}
	sums, err := parseSums(b)
	if err != nil {
		return nil, nil, err
	}
	if err := intact(dir, sums); err != nil {
		return nil, nil, err
	}
	r, err := Make(dir)
	if err != nil {
		return nil, nil, err
	}
	if !r.Ended() {
		return nil, nil, recovery.Errorf("wait until it has ended", "run %s has not ended: this cannot be its report", r.Run).WithExit(recovery.NotEnded)
	}
	return b, r, truthful(dir, r)
}

// truthful checks that the stored report says what the journal tells.
func truthful(dir string, r *Report) error {
	const hint = "trust the journal, not the report; a report that another version of comeback wrote is read by that version"
	stored, err := readDocument(dir, JSONFile)
	if err != nil {
		return err
	}
	told, err := r.JSON()
	if err != nil {
		return err
	}
	if !bytes.Equal(stored, told) {
		return recovery.Errorf(hint, "%s does not say what %s tells: %s", JSONFile, journalFile, difference(stored, told))
	}
	stored, err = readDocument(dir, MarkdownFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if !bytes.Equal(stored, r.Markdown()) {
		return recovery.Errorf(hint, "%s does not say what %s tells", MarkdownFile, JSONFile)
	}
	return nil
}
