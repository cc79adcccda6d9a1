package report

import (
	"context"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"

	"comeback/recovery"
)

// Passphrase asks a person for the passphrase of a key.
type Passphrase func(ctx context.Context, k Key) ([]byte, error)

// ReadKey describes the private key in a file, OpenSSH's own form or PEM,
// without decrypting it. As ssh does, it refuses a file that others can read.
func ReadKey(path string) (Key, error) {
	b, err := readPrivate(path)
	if err != nil {
		return Key{}, err
	}
	raw, err := ssh.ParseRawPrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		k := Key{}
		if locked.PublicKey != nil {
			k = describe(locked.PublicKey)
		} else if public, err := readPublicKey(path + ".pub"); err == nil {
			// PEM does not show the public half of what it encrypts.
			k = describe(public)
		}
		k.Path, k.Encrypted = path, true
		return k, nil
	case err != nil:
		return Key{}, unusable(path, b, err)
	}
	s, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return Key{}, unusable(path, b, err)
	}
	k := describe(s.PublicKey())
	k.Path = path
	if k.Type == "" {
		return Key{}, recovery.Errorf("use an ed25519 key: ssh-keygen -t ed25519", "%s is a %s key, which is too weak to sign with", path, s.PublicKey().Type())
	}
	return k, nil
}

func readPrivate(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, recovery.Errorf("name the file of a private key", "%s is not a file", path)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, recovery.Errorf("chmod 600 "+recovery.ShellWord(path), "others can read %s, so it proves nobody: its mode is %04o", path, info.Mode().Perm())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	return b, nil
}

// unusable says what a person can do with a key that cannot be read.
func unusable(path string, b []byte, err error) error {
	block, _ := pem.Decode(b)
	switch {
	case block == nil:
		return recovery.Errorf("name the file of a private key that ssh-keygen made", "%s holds no private key", path)
	case block.Type == "ENCRYPTED PRIVATE KEY":
		return recovery.Errorf("ssh-keygen -p -f "+recovery.ShellWord(path)+" writes it in OpenSSH's form; or add it to an agent: ssh-add "+recovery.ShellWord(path),
			"%s is encrypted in the form PKCS #8, which cannot be read here", path)
	case block.Type == "OPENSSH PRIVATE KEY":
		return recovery.Errorf("if it is a FIDO key, its device signs through an agent: ssh-add "+recovery.ShellWord(path), "read key %s: %w", path, err)
	}
	return recovery.Errorf("use a key that ssh-keygen made", "read key %s: %w", path, err)
}

// fileSigner signs with a private key in memory.
type fileSigner struct{ signer ssh.AlgorithmSigner }

func (f fileSigner) PublicKey() ssh.PublicKey { return f.signer.PublicKey() }

func (f fileSigner) Sign(_ context.Context, data []byte) (*ssh.Signature, error) {
	if f.PublicKey().Type() == ssh.KeyAlgoRSA {
		return f.signer.SignWithAlgorithm(rand.Reader, data, ssh.KeyAlgoRSASHA512)
	}
	return f.signer.Sign(rand.Reader, data)
}

// openFile decrypts the key file k.
func openFile(ctx context.Context, k Key, ask Passphrase) (Signer, error) {
	b, err := readPrivate(k.Path)
	if err != nil {
		return nil, err
	}
	var raw crypto.PrivateKey
	if k.Encrypted {
		if ask == nil {
			return nil, recovery.Errorf("add it to an agent: ssh-add "+recovery.ShellWord(k.Path), "%s is encrypted, and nobody can be asked for its passphrase", k.Path)
		}
		passphrase, err := ask(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("ask for the passphrase of %s: %w", k.Path, err)
		}
		raw, err = ssh.ParseRawPrivateKeyWithPassphrase(b, passphrase)
		clear(passphrase)
		if errors.Is(err, x509.IncorrectPasswordError) {
			return nil, recovery.Errorf("try again", "the passphrase of %s is wrong: %w", k.Path, err)
		}
		if err != nil {
			return nil, unusable(k.Path, b, err)
		}
	} else if raw, err = ssh.ParseRawPrivateKey(b); err != nil {
		return nil, unusable(k.Path, b, err)
	}
	s, err := ssh.NewSignerFromKey(raw)
	if err != nil {
		return nil, unusable(k.Path, b, err)
	}
	as, ok := s.(ssh.AlgorithmSigner)
	if !ok || keyTypes[s.PublicKey().Type()] == "" {
		return nil, recovery.Errorf("use an ed25519 key: ssh-keygen -t ed25519", "%s is a %s key, which cannot sign a report", k.Path, s.PublicKey().Type())
	}
	return fileSigner{as}, nil
}

// CreateKey makes an ed25519 key without a passphrase at path and its public
// half at path.pub, both for their owner's eyes only. It never overwrites: where
// either is there, it fails and changes nothing. The key file is written last.
func CreateKey(path, comment string) (Key, error) {
	if exists(path) {
		return Key{}, recovery.Errorf("use it, or name another file", "create key: %s is there already: %w", path, fs.ErrExist)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, comment)
	if err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	dir, name := filepath.Split(path)
	if dir == "" {
		dir = "."
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return Key{}, fmt.Errorf("create key: %w", err)
	}
	line := fmt.Sprintf("%s %s\n", marshalPublic(public), recovery.Visible(comment))
	for _, f := range []file{{name + ".pub", []byte(line)}, {name, pem.EncodeToMemory(block)}} {
		if err := createFile(dir, f.name, f.bytes); err != nil {
			return Key{}, recovery.Errorf("name another file", "create key: %w", err)
		}
	}
	k := describe(public)
	k.Path, k.Comment = path, comment
	return k, nil
}
