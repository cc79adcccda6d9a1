package report

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"comeback/recovery"
)

// Key is a key that can sign a report: one that an ssh-agent holds, or a file.
type Key struct {
	// Path is the file of the private key; empty where an agent holds it.
	Path string
	// Comment is what the key's owner calls it.
	Comment string
	// Fingerprint is that of the plain key, "SHA256:…", also where the key
	// comes with a certificate; empty where only a passphrase can tell.
	Fingerprint string
	// Type is ED25519, ECDSA, RSA, or one of the first two with -SK.
	Type string
	// FIDO keys want to be touched.
	FIDO bool
	// Certificate says that the agent offers the key with a certificate only.
	Certificate bool
	// Encrypted says that a passphrase will be asked for.
	Encrypted bool

	public ssh.PublicKey // as it is offered; nil where it is not known
	socket string        // of the agent
}

// String describes the key for people: what it is called, what it is, where it
// is and its fingerprint.
func (k Key) String() string {
	parts := []string{k.Type}
	if k.Comment != "" {
		parts = append([]string{k.Comment}, parts...)
	}
	switch {
	case k.Path == "" && k.Certificate:
		parts = append(parts, "certificate in ssh-agent")
	case k.Path == "":
		parts = append(parts, "ssh-agent")
	case k.Encrypted:
		parts = append(parts, k.Path+" (asks for its passphrase)")
	default:
		parts = append(parts, k.Path)
	}
	if k.FIDO {
		parts = append(parts, "touch it")
	}
	if k.Fingerprint != "" {
		parts = append(parts, k.Fingerprint)
	}
	return strings.Join(parts, ", ")
}

// defaultKeys are the files that are looked for in ~/.ssh.
var defaultKeys = []string{"id_ed25519", "id_ecdsa", "id_rsa"}

// FindKeys lists the keys that can sign: those of the ssh-agent that
// SSH_AUTH_SOCK names, then the usual files in HOME. A key that is in both is
// listed once, and a plain key instead of its certificate. The error says what
// could not be looked at; the keys are good nevertheless.
func FindKeys(ctx context.Context, getenv func(string) string) ([]Key, error) {
	var keys []Key
	var problems []error
	if socket := getenv("SSH_AUTH_SOCK"); socket != "" {
		held, err := agentKeys(ctx, socket)
		keys, problems = held, append(problems, err)
	}
	if home := getenv("HOME"); home != "" {
		for _, name := range defaultKeys {
			k, err := ReadKey(filepath.Join(home, ".ssh", name))
			switch {
			case errors.Is(err, fs.ErrNotExist):
			case err != nil:
				problems = append(problems, err)
			case k.Fingerprint == "" || !slices.ContainsFunc(keys, k.same):
				keys = append(keys, k)
			}
		}
	}
	return keys, errors.Join(problems...)
}

// FindKey finds the key that a person names: by the file of the private key, by
// the file of a public key that an agent holds the other half of, or by its
// fingerprint.
func FindKey(ctx context.Context, getenv func(string) string, name string) (Key, error) {
	wanted := Key{Fingerprint: name}
	if !strings.HasPrefix(name, "SHA256:") {
		k, err := ReadKey(name)
		if err == nil || !strings.HasSuffix(name, ".pub") {
			return k, err
		}
		public, err := readPublicKey(name)
		if err != nil {
			return Key{}, err
		}
		wanted = describe(public)
	}
	keys, err := FindKeys(ctx, getenv)
	if i := slices.IndexFunc(keys, wanted.same); i >= 0 {
		return keys[i], nil
	}
	if err == nil {
		err = errors.New("neither the ssh-agent nor ~/.ssh holds it")
	}
	return Key{}, recovery.Errorf("add it with ssh-add, or name the file of the private key", "find key %s: %w", name, err)
}

func (k Key) same(other Key) bool { return k.Fingerprint == other.Fingerprint }

// describe fills in what a public key tells.
func describe(public ssh.PublicKey) Key {
	k := Key{public: public}
	plain := public
	if c, ok := public.(*ssh.Certificate); ok {
		k.Certificate, plain = true, c.Key
	}
	k.Type, k.Fingerprint = keyTypes[plain.Type()], ssh.FingerprintSHA256(plain)
	k.FIDO = strings.HasSuffix(k.Type, "-SK")
	return k
}

// keyTypes are the types of keys that may sign, by their name in the protocol.
// DSA is not among them.
var keyTypes = map[string]string{
	ssh.KeyAlgoED25519:    "ED25519",
	ssh.KeyAlgoSKED25519:  "ED25519-SK",
	ssh.KeyAlgoECDSA256:   "ECDSA",
	ssh.KeyAlgoECDSA384:   "ECDSA",
	ssh.KeyAlgoECDSA521:   "ECDSA",
	ssh.KeyAlgoSKECDSA256: "ECDSA-SK",
	ssh.KeyAlgoRSA:        "RSA",
}

func readPublicKey(path string) (ssh.PublicKey, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(b)
	if err != nil {
		return nil, recovery.Errorf("name a key that ssh-keygen made", "%s holds no public key", path)
	}
	return public, nil
}
