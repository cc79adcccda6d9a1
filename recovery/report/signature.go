package report

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"

	"github.com/hiddeco/sshsig"
	"golang.org/x/crypto/ssh"

	"comeback/recovery"
)

// readSignature reads a signature file, which holds one armored signature and
// nothing else.
func readSignature(dir, name string) (*sshsig.Signature, error) {
	b, err := readDocument(dir, name)
	if err != nil {
		return nil, err
	}
	sig, err := parseSignature(b)
	if err != nil {
		return nil, recovery.Errorf("get the signature as it was made", "%s is not an SSH signature: %w", name, err)
	}
	return sig, nil
}

func parseSignature(b []byte) (*sshsig.Signature, error) {
	if !bytes.HasPrefix(b, []byte("-----BEGIN "+sshsig.PEMType+"-----")) {
		return nil, errors.New("it does not begin like one")
	}
	block, rest := pem.Decode(b)
	switch {
	case block == nil:
		return nil, errors.New("its armor is broken")
	case block.Type != sshsig.PEMType || len(block.Headers) > 0 || len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("it holds something else beside the signature")
	}
	return sshsig.ParseSignature(block.Bytes)
}

// checkSignature verifies a signature of message with the key that it brings
// along. That shows that the message was not changed, not who signed it.
func checkSignature(sig *sshsig.Signature, message []byte, namespace string) error {
	if sig.Namespace != namespace {
		return fmt.Errorf("it was made for %q, not for %q", sig.Namespace, namespace)
	}
	k := describe(sig.PublicKey)
	switch {
	case k.Type == "":
		return fmt.Errorf("a key of type %s proves nothing", sig.PublicKey.Type())
	case k.Type == "RSA" && sig.Signature.Format != ssh.KeyAlgoRSASHA512 && sig.Signature.Format != ssh.KeyAlgoRSASHA256:
		return fmt.Errorf("an RSA signature of the form %s proves nothing", sig.Signature.Format)
	}
	return sshsig.Verify(bytes.NewReader(message), sig, sig.PublicKey, sig.HashAlgorithm, namespace)
}
