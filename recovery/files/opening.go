package files

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"filippo.io/age"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// giver is where the value of a key of the runbook comes from: a reference, or the name of a
// file.
type giver struct{ key, text string }

var reference = pattern.New(`\$\{[A-Za-z_][A-Za-z0-9_]*\}`)

// says names it. A value that somebody has written into the runbook itself is never repeated.
func (g giver) says() string {
	if names := reference.FindAllString(g.text, -1); len(names) > 0 {
		return strings.Join(names, " and ")
	}
	if g.isFile() {
		return g.text
	}
	return "the `" + g.key + "` of the runbook"
}

func (g giver) isFile() bool { return g.key == "identity" && strings.HasPrefix(g.text, "/") }

// unfit is the error of a value that is not the right one, which is what right says.
func (g giver) unfit(right, format string, args ...any) *recovery.Error {
	do := fmt.Sprintf("give %s %s", g.says(), right)
	switch {
	case g.isFile():
		do = fmt.Sprintf("put %s into %s", right, g.says())
	case g.key == "identity":
		do += ", as its text or as the name of a file"
	}
	e := recovery.Errorf(do+", then try again", format, args...)
	e.Err = recovery.ErrUnfit
	return e
}

// opening is what a runbook says of what decrypts: an identity, and the passphrase of it, or
// a passphrase alone.
type opening struct{ identity, passphrase giver }

func openingOf(identity, passphrase string) opening {
	return opening{giver{"identity", identity}, giver{"passphrase", passphrase}}
}

// openingFor is that of a component.
func openingFor(c recovery.Component) opening {
	return openingOf(c.Settings.Text("identity"), c.Settings.Text("passphrase"))
}

const (
	theIdentity   = "the identity of one of those whom it was encrypted for"
	anyIdentity   = "an age identity or an SSH private key"
	thePassphrase = "the right passphrase"
)

// identities resolves the references and reads what they give.
func (o opening) identities(expand func(string) (string, error)) ([]age.Identity, error) {
	identity, err := expand(o.identity.text)
	if err != nil {
		return nil, err
	}
	passphrase, err := expand(o.passphrase.text)
	if err != nil {
		return nil, err
	}
	text := []byte(identity)
	if strings.HasPrefix(identity, "/") {
		if text, err = os.ReadFile(identity); err != nil {
			var path *fs.PathError
			if errors.As(err, &path) { // whose name may be a value
				err = path.Err
			}
			return nil, o.identity.unfit(anyIdentity, "the file of %s cannot be read: %v", o.identity.says(), err)
		}
	}
	switch {
	case identity == "" && passphrase == "":
		return nil, errors.New("there is neither an identity nor a passphrase")
	case identity == "":
		i, err := age.NewScryptIdentity(passphrase)
		return []age.Identity{i}, err
	case bytes.Contains(text, []byte("PRIVATE KEY-----")):
		i, err := sshIdentity(text, passphrase)
		switch {
		case errors.Is(err, errPassphrase):
			return nil, o.passphrase.unfit(thePassphrase, "%s is not the passphrase of the SSH key of %s", o.passphrase.says(), o.identity.says())
		case err != nil:
			return nil, o.identity.unfit(anyIdentity, "%s: %v", o.identity.says(), err)
		}
		return []age.Identity{i}, nil
	}
	found, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil { // the library's words repeat the line
		return nil, o.identity.unfit(anyIdentity, "%s holds no age identity", o.identity.says())
	}
	return found, nil
}

// decrypt reads what was encrypted of a backup.
func (o opening) decrypt(in io.Reader, backup string, identities []age.Identity) (io.Reader, error) {
	clear, err := age.Decrypt(in, identities...)
	none := (*age.NoIdentityMatchError)(nil)
	switch {
	case errors.As(err, &none) && o.identity.text == "":
		return nil, o.passphrase.unfit(thePassphrase, "%s cannot be decrypted with %s", backup, o.passphrase.says()).WithExit(recovery.Refused)
	case errors.As(err, &none):
		return nil, o.identity.unfit(theIdentity, "%s cannot be decrypted with %s: it was not encrypted for this identity", backup, o.identity.says()).WithExit(recovery.Refused)
	case err != nil:
		return nil, undecrypted(err)
	}
	return unsealing{clear}, nil
}

// Decrypts reports why nothing of a component can be decrypted with what its runbook says,
// whose references expand resolves. It decrypts nothing.
func Decrypts(c recovery.Component, expand func(string) (string, error)) error {
	_, err := openingFor(c).identities(expand)
	return err
}

// Opens reports by an error that wraps recovery.ErrUnfit that a backup of a component was not
// encrypted for what its runbook says. It reads the head of one object. Any other error
// says that the backup could not be looked at.
func Opens(ctx context.Context, c recovery.Component, b recovery.Backup, store storage.Store, expand func(string) (string, error)) error {
	f, err := factsOf(b)
	if err != nil || !f.Sealed || len(b.Objects) == 0 {
		return err
	}
	sealed := b.Objects[0]
	if f.Form == snapshotForm {
		s, err := readSnapshot(ctx, store, sealed)
		if err != nil || !s.sealed() {
			return err
		}
		if sealed, err = store.Stat(ctx, inPrefix(f.Prefix, s.Manifest.Name)); err != nil {
			return err
		}
	}
	o := openingFor(c)
	identities, err := o.identities(expand)
	if err != nil {
		return err
	}
	in := storage.NewReader(ctx, store, sealed, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	_, err = o.decrypt(in, b.ID, identities)
	return err
}
