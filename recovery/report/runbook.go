package report

import (
	"context"
	"errors"

	"github.com/hiddeco/sshsig"

	"comeback/recovery"
)

// SignRunbook signs the bytes of a runbook: the armored signature is what
//
//	ssh-keygen -Y sign -n runbook@comeback -f KEY shop.md
//
// writes beside it, as shop.md.sig.
func SignRunbook(ctx context.Context, text []byte, s Signer) ([]byte, error) {
	sig, err := sign(ctx, text, s, RunbookNamespace, "the runbook")
	if err != nil {
		return nil, err
	}
	return sshsig.Armor(sig), nil
}

// VerifyRunbook checks that a signature is over the bytes of a runbook, and looks for its
// key among those that the reader knows. What does not hold is a refusal; a signer of whom
// no list tells is unknown, and so is, with LetUnknown, one whom the list does not allow.
func VerifyRunbook(text, armored []byte, o VerifyOptions) (Verification, error) {
	const hint = "sign it again: comeback runbook sign RUNBOOK"
	sig, err := parseSignature(armored)
	if err == nil {
		err = checkSignature(sig, text, RunbookNamespace)
	}
	if err != nil {
		return Verification{}, recovery.Errorf(hint, "the signature is not one over this runbook: %w", err).WithExit(recovery.Refused)
	}
	v, err := o.known(sig, RunbookNamespace, "")
	if err != nil {
		err = recovery.Errorf(recovery.HintOf(err), "%w", err).WithExit(recovery.Refused)
	}
	return v, err
}

// known looks for the key of a signature that holds among those that the reader knows.
func (o VerifyOptions) known(sig *sshsig.Signature, namespace, file string) (v Verification, err error) {
	v.Signature, v.key = describeSignature(sig, file), sig.PublicKey
	v.Own = o.Own[v.Signature.Fingerprint]
	if o.AllowedSigners != nil {
		principal, err := o.AllowedSigners.find(sig.PublicKey, o.Identity, namespace, o.Now)
		if err != nil && !o.LetUnknown {
			return v, err
		}
		v.Principal, v.Unknown = principal, err
		v.Own = v.Own && (o.Here || !errors.Is(err, errNamed))
	}
	return v, nil
}
