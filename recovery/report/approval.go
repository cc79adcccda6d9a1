package report

import (
	"context"
	"strings"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"comeback/pattern"
	"comeback/recovery"
)

// SignApproval signs a plan's digest, and nothing else, as its approver: the
// armored signature is what a run takes, and what
//
//	printf '%s\n' DIGEST | ssh-keygen -Y sign -n approval@comeback -f KEY
//
// makes too.
func SignApproval(ctx context.Context, planSHA256 string, s Signer) (string, error) {
	message, err := approvalMessage(planSHA256)
	if err != nil {
		return "", err
	}
	sig, err := sign(ctx, message, s, ApprovalNamespace, "the plan "+shortDigest(planSHA256))
	if err != nil {
		return "", err
	}
	return string(sshsig.Armor(sig)), nil
}

// VerifyApproval checks that the holder of one key, given as in a .pub file,
// approved the plan of one digest, and returns the key's fingerprint. Whatever
// does not hold is one sentence, with the next step as its hint; all of them are
// refusals.
func VerifyApproval(authorizedKey, planSHA256, armored string) (fingerprint string, err error) {
	refuse := func(hint, format string, args ...any) error {
		return recovery.Errorf(hint, format, args...).WithExit(recovery.Refused)
	}
	message, err := approvalMessage(planSHA256)
	if err != nil {
		return "", err
	}
	wanted, _, _, _, err := ssh.ParseAuthorizedKey([]byte(authorizedKey))
	if err != nil {
		return "", refuse("give the approver's public key in the runbook's people, as it stands in the .pub file",
			"the approver's key %q is not a public key", clip(recovery.Visible(authorizedKey), 60))
	}
	key := describe(wanted)
	sig, err := parseSignature([]byte(strings.TrimSpace(armored) + "\n"))
	if err != nil {
		return "", refuse("hand in the whole signature, from its BEGIN line to its END line", "this is not an SSH signature: %w", err)
	}
	again := "sign again: printf '%s\\n' " + planSHA256 + " | ssh-keygen -Y sign -n " + ApprovalNamespace + " -f KEY"
	by := describe(sig.PublicKey)
	switch {
	case by.Fingerprint != key.Fingerprint:
		return "", refuse("sign with that key, or name the other one in the runbook and make a new plan",
			"the signature is by %s, and the approver's key is %s", by.Fingerprint, key.Fingerprint)
	case sig.Namespace != ApprovalNamespace:
		return "", refuse(again, "the signature was made for %q, not for %q: it approves nothing", clip(recovery.Visible(sig.Namespace), 60), ApprovalNamespace)
	}
	if err := checkSignature(sig, message, ApprovalNamespace); err != nil {
		return "", refuse(again, "the signature is not over the digest %s of this plan: %w", shortDigest(planSHA256), err)
	}
	return by.Fingerprint, nil
}

var hexDigest = pattern.New(`^[0-9a-f]{64}$`)

// approvalMessage is what an approver signs: a line that people can read aloud.
func approvalMessage(planSHA256 string) ([]byte, error) {
	if !hexDigest.MatchString(planSHA256) {
		return nil, recovery.Errorf("give the 64 digits that the run shows, in lower case", "%q is not the digest of a plan", clip(recovery.Visible(planSHA256), 70)).WithExit(recovery.Usage)
	}
	return []byte(planSHA256 + "\n"), nil
}

// shortDigest is how a digest is named in a sentence.
func shortDigest(sum string) string { return clip(sum, 12) }
