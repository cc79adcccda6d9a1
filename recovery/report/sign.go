package report

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"comeback/durable"
	"comeback/recovery"
)

// Signer makes signatures with one key. Sign must use rsa-sha2-512 where the
// key is RSA, with a certificate or without, and must return when ctx ends.
type Signer interface {
	PublicKey() ssh.PublicKey
	Sign(ctx context.Context, data []byte) (*ssh.Signature, error)
}

// Signer opens the key: an encrypted file asks for its passphrase, which may be
// nil where nobody can be asked.
func (k Key) Signer(ctx context.Context, ask Passphrase) (Signer, error) {
	if k.Path != "" {
		return openFile(ctx, k, ask)
	}
	if k.socket == "" || k.public == nil {
		return nil, errors.New("open key: it names neither a file nor an agent's key")
	}
	return agentSigner{k}, nil
}

// Signature is who made a signature, as far as the signature itself can say.
type Signature struct {
	// File is where it lies in the run's directory.
	File      string `json:"file"`
	Namespace string `json:"namespace"`
	// Fingerprint and Type are the plain key's.
	Fingerprint string `json:"fingerprint"`
	Type        string `json:"type"`
	// Authority is the fingerprint of the authority that certified the key,
	// or empty for a plain key.
	Authority string `json:"authority,omitempty"`
}

// Sign signs a run's SHA256SUMS and writes SHA256SUMS.sig. It refuses where the
// run has not ended, where a file is not what SHA256SUMS says, where the report
// does not say what the journal tells, and where there is a signature: that is
// never replaced. A crash leaves the whole signature or none.
func Sign(ctx context.Context, dir string, s Signer) (Signature, error) {
	if err := signable(dir); err != nil {
		return Signature{}, err
	}
	removeTemps(dir)
	sums, _, err := consistent(dir)
	if err != nil {
		return Signature{}, err
	}
	sig, err := sign(ctx, sums, s, Namespace, SumsFile)
	if err != nil {
		return Signature{}, err
	}
	return put(dir, sums, sig)
}

// put puts a signature beside the report that it is of. Somebody may have said something of
// the run, and written its report again, while a key waited for its touch: who does so is
// alone with the runs from their look for a signature on, and so are we with ours.
func put(dir string, sums []byte, sig *sshsig.Signature) (made Signature, err error) {
	runs, err := durable.LockDir(filepath.Dir(dir))
	if err != nil {
		return Signature{}, err
	}
	defer func() { err = errors.Join(err, runs.Close()) }()
	if exists(filepath.Join(dir, SignatureFile)) {
		return Signature{}, signedAlready(dir)
	}
	changed := recovery.Errorf("sign again", "%s changed while it was signed", SumsFile)
	if now, err := readDocument(dir, SumsFile); err != nil || !bytes.Equal(now, sums) {
		return Signature{}, changed
	}
	if _, _, err := consistent(dir); err != nil { // of a crash between the journal and the report
		return Signature{}, err
	}
	err = createFile(dir, SignatureFile, sshsig.Armor(sig))
	if errors.Is(err, fs.ErrExist) {
		return Signature{}, signedAlready(dir)
	}
	if err != nil {
		return Signature{}, err
	}
	// Not all who write a report are alone with the runs: a signature of other bytes must
	// not stay.
	if now, err := readDocument(dir, SumsFile); err != nil || !bytes.Equal(now, sums) {
		return Signature{}, errors.Join(changed, os.Remove(filepath.Join(dir, SignatureFile)))
	}
	return describeSignature(sig, SignatureFile), nil
}

// Adopt puts a signature of a run's report beside it that was made where the key is,
// over the same bytes. One of other bytes is refused.
func Adopt(dir string, armored []byte) (Signature, error) {
	if err := signable(dir); err != nil {
		return Signature{}, err
	}
	sums, _, err := consistent(dir)
	if err != nil {
		return Signature{}, err
	}
	sig, err := parseSignature(armored)
	if err == nil {
		err = checkSignature(sig, sums, Namespace)
	}
	if err != nil {
		return Signature{}, recovery.Errorf("sign the report as it is now", "the signature is not one of %s: %w", SumsFile, err)
	}
	return put(dir, sums, sig)
}

// signable says why a run cannot be signed now.
func signable(dir string) error {
	if exists(filepath.Join(dir, SignatureFile)) {
		return signedAlready(dir)
	}
	r, err := Make(dir)
	if err != nil {
		return err
	}
	if !r.Ended() {
		return recovery.Errorf("wait until it has ended, or: comeback stop "+r.Run, "run %s has not ended: there is nothing to sign yet", r.Run).WithExit(recovery.NotEnded)
	}
	if !exists(filepath.Join(dir, SumsFile)) {
		return recovery.Errorf("write it, then sign it: comeback report sign "+r.Run, "the report of run %s is not written yet", r.Run)
	}
	return nil
}

func signedAlready(dir string) error {
	sig, err := readSignature(dir, SignatureFile)
	if err != nil {
		return recovery.Errorf("look at it; remove it by hand if it is worthless", "there is a %s already, and it cannot be read: %w", SignatureFile, err)
	}
	return recovery.Errorf("a second person reviews it; nobody signs it twice", "the report is signed already, by %s",
		describeSignature(sig, SignatureFile).Fingerprint)
}

// sign makes a signature of what is called by a name in errors, and verifies it
// before anyone relies on it.
func sign(ctx context.Context, message []byte, s Signer, namespace, what string) (*sshsig.Signature, error) {
	sig, err := sshsig.Sign(bytes.NewReader(message), adapter{ctx, s}, sshsig.HashSHA512, namespace)
	if err != nil {
		var known *recovery.Error
		if errors.As(err, &known) {
			return nil, known
		}
		return nil, fmt.Errorf("sign %s: %w", what, err)
	}
	if err := checkSignature(sig, message, namespace); err != nil {
		return nil, recovery.Errorf("use another key", "the key %s made a signature that does not verify: %w", describe(s.PublicKey()), err)
	}
	return sig, nil
}

// adapter makes a Signer what sshsig takes. Whatever algorithm sshsig asks for,
// the Signer uses the only right one of its key: sshsig would let an RSA key
// with a certificate sign with SHA-1.
type adapter struct {
	ctx context.Context
	Signer
}

func (a adapter) Sign(_ io.Reader, data []byte) (*ssh.Signature, error) {
	return a.Signer.Sign(a.ctx, data)
}

func (a adapter) SignWithAlgorithm(_ io.Reader, data []byte, _ string) (*ssh.Signature, error) {
	return a.Signer.Sign(a.ctx, data)
}

func describeSignature(sig *sshsig.Signature, name string) Signature {
	k := describe(sig.PublicKey)
	s := Signature{File: name, Namespace: sig.Namespace, Fingerprint: k.Fingerprint, Type: k.Type}
	if c, ok := sig.PublicKey.(*ssh.Certificate); ok {
		s.Authority = ssh.FingerprintSHA256(c.SignatureKey)
	}
	return s
}

// marshalPublic writes a key as it stands in lists: its type and its bytes.
func marshalPublic(key ssh.PublicKey) string {
	return key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
}
