package files

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"

	"comeback/recovery"
	"comeback/storage"
)

// workFactor is how much work it is to try a passphrase, as age counts it; zero
// leaves that to age, which wants a second for each object. Tests want less.
var workFactor int

// Sealer encrypts to recipients: age and SSH public keys, as a runbook names
// them, or to a passphrase alone.
func Sealer(recipients []string, passphrase string) (func(io.Writer) (io.WriteCloser, error), error) {
	var to []age.Recipient
	for _, text := range recipients {
		var r age.Recipient
		var err error
		if strings.HasPrefix(text, "ssh-") {
			r, err = agessh.ParseRecipient(text)
		} else {
			r, err = age.ParseX25519Recipient(text)
		}
		if err != nil {
			return nil, recovery.Errorf("write an age public key (age1…) or an SSH public key", "read the recipient %.40q: %w", text, err).WithExit(recovery.Usage)
		}
		to = append(to, r)
	}
	if passphrase != "" {
		r, err := age.NewScryptRecipient(passphrase)
		if err != nil {
			return nil, fmt.Errorf("encrypt with a passphrase: %w", err)
		}
		if workFactor > 0 {
			r.SetWorkFactor(workFactor)
		}
		to = append(to, r)
	}
	if len(to) == 0 || passphrase != "" && len(recipients) > 0 {
		return nil, recovery.Errorf("give the component recipients, or a passphrase alone", "it is not said for whom to encrypt").WithExit(recovery.Usage)
	}
	return func(w io.Writer) (io.WriteCloser, error) { return age.Encrypt(w, to...) }, nil
}

// unsealer makes what decrypts from the references of the plan, which are
// resolved now and no earlier.
func unsealer(env recovery.Env, a args) (func(io.Reader) (io.Reader, error), error) {
	o := openingOf(a.Identity, a.Passphrase)
	identities, err := o.identities(env.Secret)
	if err != nil {
		return nil, recovery.Errorf("", "read what decrypts %s: %w", a.Backup, err).WithExit(recovery.Usage)
	}
	return func(in io.Reader) (io.Reader, error) { return o.decrypt(in, a.Backup, identities) }, nil
}

// sshIdentity reads an SSH private key, and decrypts it where it is encrypted.
func sshIdentity(pem []byte, passphrase string) (age.Identity, error) {
	i, err := agessh.ParseIdentity(pem)
	if err == nil {
		return i, nil
	}
	key, err := decryptedKey(pem, passphrase)
	if err != nil {
		return nil, err
	}
	return key, nil
}

// undecrypted is a failure of decryption: damage, unless the store has failed.
func undecrypted(err error) error {
	var stored *storage.Error
	if errors.As(err, &stored) || errors.Is(err, storage.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: it cannot be decrypted: %w", storage.ErrCorrupt, err)
}

// unsealing marks what the decryption says.
type unsealing struct{ in io.Reader }

func (u unsealing) Read(b []byte) (int, error) {
	n, err := u.in.Read(b)
	if err != nil && err != io.EOF {
		err = undecrypted(err)
	}
	return n, err
}
