package files

import (
	"crypto/ed25519"
	"crypto/rsa"
	"errors"
	"fmt"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"golang.org/x/crypto/ssh"
)

// errPassphrase says that an SSH key is encrypted with another passphrase.
var errPassphrase = errors.New("the passphrase is not that of the SSH key")

// decryptedKey is the identity of an SSH private key that has a passphrase.
func decryptedKey(pem []byte, passphrase string) (age.Identity, error) {
	var missing *ssh.PassphraseMissingError
	_, err := ssh.ParseRawPrivateKey(pem)
	switch {
	case !errors.As(err, &missing):
		return nil, errors.New("it is no SSH key of a kind that age can use: ed25519 or RSA")
	case passphrase == "":
		return nil, errors.New("the SSH key has a passphrase; name it with `passphrase`")
	}
	key, err := ssh.ParseRawPrivateKeyWithPassphrase(pem, []byte(passphrase))
	if err != nil {
		return nil, errPassphrase
	}
	switch key := key.(type) {
	case *ed25519.PrivateKey:
		return agessh.NewEd25519Identity(*key)
	case *rsa.PrivateKey:
		return agessh.NewRSAIdentity(key)
	}
	return nil, fmt.Errorf("it is a key of the type %T, which age cannot use", key)
}
