package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/report"
	"comeback/runbooks"
)

func (a *app) runbookSignCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "sign RUNBOOK", Short: "Sign a runbook, so that who finds it in a copy knows whose it is", Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		Long: `Signs a runbook's bytes with an SSH key, in the namespace runbook@comeback, into
RUNBOOK.sig beside it, as ssh-keygen -Y sign does. comeback backup and comeback check
carry the signature into the copies. Whoever then finds the runbook there and knows the
key (--signers) knows whose it is, and it may name programs of the host that are run
before anything is confirmed. That it is the newest of yours no signature says. Every
change takes a new one.

Exit codes:
  0    signed
  1    not signed: the key was not unlocked, or the signature could not be written
  2    the command is wrong, there is no such runbook or key, or the runbook has errors
  130  interrupted`,
		Example: "  comeback runbook sign shop.md\n  comeback runbook sign shop.md --key ~/.ssh/id_ed25519\n  comeback runbook verify shop.md",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.signRunbook(cmd.Context(), args[0], key) },
	}
	cmd.Flags().StringVar(&key, "key", "", "the private key `FILE`, a key's fingerprint, or \"agent\"")
	return cmd
}

func (a *app) runbookVerifyCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "verify RUNBOOK", Short: "Tell who has signed a runbook", Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		Long: `Checks the signature that lies beside a runbook, RUNBOOK.sig, a file or in a copy.

Exit codes:
  0    signed by somebody whom you know
  1    your list of signers or the copy cannot be read
  2    not signed, or there is no such runbook
  3    the signature is not one over these bytes, or you do not know the key
  130  interrupted`,
		Example: "  comeback runbook verify shop.md\n  comeback runbook verify s3://shop-backups-offsite/shop --signers ~/.ssh/allowed_signers",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.verifyRunbook(cmd.Context(), args[0]) },
	}
	a.signersFlag(cmd)
	return cmd
}

func (a *app) signRunbook(ctx context.Context, path, named string) error {
	if inCopy(path) {
		return usage("sign the file, and let comeback backup or comeback check bring it there", "%s lies in a copy", path)
	}
	b, err := readRunbookFile(path)
	if err != nil {
		return err
	}
	if _, problems := parse(path, b); problems.Failed() {
		return usage("see comeback runbook lint "+path, "%s has %s: nothing is signed", path, recovery.FormatCount(int64(problems.Count(runbooks.Error)), "error"))
	}
	key, err := a.findKey(ctx, named)
	if err != nil {
		return err
	}
	signer, err := key.Signer(ctx, a.passphrase)
	if err != nil {
		return err
	}
	armored, err := report.SignRunbook(ctx, b, signer)
	if err != nil {
		return err
	}
	if err := durable.Publish(path+backup.SignatureEnds, armored); err != nil {
		return recovery.Errorf("make room, or sign a copy of it where you may write", "write the signature: %w", err)
	}
	fmt.Fprintf(a.out, "signed by %s: %[2]s%[3]s\nverify it without comeback:\n  ssh-keygen -Y verify -f allowed_signers -I NAME -n %[4]s -s %[2]s%[3]s < %[2]s\n", key, path, backup.SignatureEnds, report.RunbookNamespace)
	return nil
}

// signatureOf reads the signature beside a runbook's file; nil where none is.
func signatureOf(path string) ([]byte, error) {
	f, err := os.Open(path + backup.SignatureEnds)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the runbook's signature: %w", err)
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, backup.MaxSignature))
}

// signedBy says in a few words whose signature lies beside a runbook's file, nothing where
// none does, and whether it is one that counts for nothing here.
func signedBy(path string, b []byte, known report.VerifyOptions) (says string, doubtful bool) {
	if inCopy(path) {
		return "", false
	}
	armored, err := signatureOf(path)
	if armored == nil && err == nil {
		return "", false
	}
	var v report.Verification
	if err == nil {
		v, err = report.VerifyRunbook(b, armored, known)
	}
	switch {
	case err != nil:
		return "NOT as it was signed: " + err.Error(), true
	case v.Own && v.Principal == "":
		return "same bytes as signed with a key of this host, " + v.Signature.Fingerprint, false
	case v.Principal == "":
		return "signed by somebody who is not known here, " + v.Signature.Fingerprint, true
	}
	return "same bytes as " + v.Principal + " signed", false
}

// signature is the one that goes into copies with a runbook's file. One that cannot be read,
// or is not over these very bytes, does not, which the error says.
func (b *book) signature() ([]byte, error) {
	if inCopy(b.path) {
		return nil, nil
	}
	armored, err := signatureOf(b.path)
	if err != nil || armored == nil {
		return nil, err
	}
	if _, err := report.VerifyRunbook(b.bytes, armored, report.VerifyOptions{}); err != nil {
		return nil, fmt.Errorf("%s%s stays here: %w", b.path, backup.SignatureEnds, err)
	}
	return armored, nil
}

// signatureOf gives what goes into copies, and says on standard error what does not.
func (a *app) signatureOf(b *book) []byte {
	armored, err := b.signature()
	if err != nil {
		fmt.Fprintf(a.err, "comeback: %s\n", clean(a.redact(err.Error())))
	}
	return armored
}

// signersKnown says whose signatures of runbooks count.
func (a *app) signersKnown() (report.VerifyOptions, error) {
	home, err := a.home()
	if err != nil {
		return report.VerifyOptions{}, err
	}
	runs, err := home.List()
	if err != nil {
		return report.VerifyOptions{}, err
	}
	t, err := a.trust(home, runs)
	return t.Elsewhere(), err
}

func (a *app) verifyRunbook(ctx context.Context, path string) error {
	path, b, err := a.readRunbook(ctx, path)
	if err != nil {
		return err
	}
	armored, err := a.signatureBeside(ctx, path)
	if err != nil {
		return err
	}
	if armored == nil {
		return usage("sign it: comeback runbook sign RUNBOOK", "%s is not signed", path)
	}
	known, err := a.signersKnown()
	if err != nil {
		return err
	}
	v, err := report.VerifyRunbook(b, armored, known)
	if err != nil {
		return err
	}
	fmt.Fprintln(a.out, clean(saysSigned(v)))
	if !v.Trusted() {
		return recovery.Errorf("if you know by another way whose key it is, add this line to your list: "+v.SignerLine(""), "nobody whom you know has signed %s", path).WithExit(recovery.Refused)
	}
	return nil
}

// signatureBeside is the signature beside a runbook, wherever that lies.
func (a *app) signatureBeside(ctx context.Context, path string) ([]byte, error) {
	if !inCopy(path) {
		return signatureOf(path)
	}
	k, err := keptAt(path)
	if err != nil {
		return nil, err
	}
	store, err := a.openURL(ctx, k.store)
	if err != nil {
		return nil, explainURL(err)
	}
	found, err := k.find(ctx, store, a.now())
	if err != nil {
		return nil, explainURL(err)
	}
	b, err := backup.RunbookSignature(ctx, store, found)
	if err != nil {
		return nil, explainURL(err)
	}
	return b, nil
}

// saysSigned says in one line who has signed a runbook.
func saysSigned(v report.Verification) string {
	key := v.Signature.Type + " " + v.Signature.Fingerprint
	switch {
	case v.Trusted():
		return "signed by " + v.Principal + ", " + key
	case v.Own:
		return "signed with a key of this host, " + key
	}
	return "signed with a key that is not known here, " + key
}
