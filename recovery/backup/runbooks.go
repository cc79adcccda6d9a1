package backup

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// RunbooksIn is where the runbooks that asked for backups lie in a copy.
const RunbooksIn = runbooksDir

// Runbook is a runbook as a backup has stored it in a copy.
type Runbook struct {
	// System is the one that it describes, Key where it lies in the copy.
	System, Key string
	// At is when the backup began that stored it, SHA256 the digest of its bytes, as its
	// name tells both.
	At     time.Time
	SHA256 string

	object storage.Object
}

// SignatureEnds is how the name of a signature goes on after that of what is signed, as
// ssh-keygen has it.
const SignatureEnds = ".sig"

var runbookName = pattern.New(`^([0-9]{8}T[0-9]{6}Z)-([0-9a-f]{64})\.md$`)

// RunbookDigest is the digest that the name of a stored runbook tells; "" where it is not
// the name of one.
func RunbookDigest(key string) string {
	if m := runbookName.FindStringSubmatch(path.Base(key)); m != nil {
		return m[2]
	}
	return ""
}

// Runbooks lists what runbooks of a system ("" is all) a copy holds, the newest first.
func Runbooks(ctx context.Context, s storage.Store, system string) ([]Runbook, error) {
	prefix := runbooksDir
	if system != "" {
		prefix += system + "/"
	}
	var all []Runbook
	for o, err := range s.List(ctx, prefix) {
		if err != nil {
			return nil, fmt.Errorf("list the runbooks: %w", err)
		}
		if r, ok := runbookOf(o); ok {
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b Runbook) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.Key, a.Key)) })
	return all, nil
}

// runbookOf reads what the key of an object tells.
func runbookOf(o storage.Object) (Runbook, bool) {
	of, name := path.Split(strings.TrimPrefix(o.Key, runbooksDir))
	m := runbookName.FindStringSubmatch(name)
	of = strings.TrimSuffix(of, "/")
	if m == nil || of == "" || strings.Contains(of, "/") {
		return Runbook{}, false
	}
	at, err := time.Parse(stampLayout, m[1])
	return Runbook{System: of, Key: o.Key, At: at, SHA256: m[2], object: o}, err == nil
}

// StatRunbook looks at one runbook of a copy, whatever its name is: where that is not one
// that a backup gives, At is when it was stored and SHA256 is "".
func StatRunbook(ctx context.Context, s storage.Store, key string) (Runbook, error) {
	o, err := s.Stat(ctx, key)
	if err != nil {
		return Runbook{}, fmt.Errorf("look for the runbook: %w", err)
	}
	r, ok := runbookOf(o)
	if !ok {
		r = Runbook{Key: key, At: o.Modified, SHA256: RunbookDigest(key), object: o}
	}
	return r, nil
}

// ReadRunbook reads at most so many bytes of a stored runbook. One that is read whole and
// is not what its name says is refused.
func ReadRunbook(ctx context.Context, s storage.Store, r Runbook, most int64) ([]byte, error) {
	in := storage.NewReader(ctx, s, r.object, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	b, err := io.ReadAll(io.LimitReader(in, most))
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	if sum := sha256.Sum256(b); r.SHA256 != "" && int64(len(b)) < most && hex.EncodeToString(sum[:]) != r.SHA256 {
		return nil, recovery.Errorf("find out who changed it, and give the URL of another one that lies beside it, or of another copy",
			"refused: %s in %s is not what it was when it was stored: its SHA-256 is %s", r.Key, s.URL(), hex.EncodeToString(sum[:])).WithExit(recovery.Refused)
	}
	return b, nil
}

// MaxSignature bounds what is read of a signature; those of the largest keys and
// certificates take a few thousand bytes.
const MaxSignature = 64 << 10

// RunbookSignature reads the signature that lies beside a stored runbook; nil where none
// does.
func RunbookSignature(ctx context.Context, s storage.Store, r Runbook) ([]byte, error) {
	o, err := s.Stat(ctx, r.Key+SignatureEnds)
	if errors.Is(err, storage.ErrNotExist) {
		return nil, nil
	}
	var b []byte
	if err == nil {
		in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
		b, err = io.ReadAll(io.LimitReader(in, MaxSignature))
		err = errors.Join(err, in.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("read the runbook's signature: %w", err)
	}
	return b, nil
}

// putSignature stores the signature of a runbook beside it, in the place of another one.
func putSignature(ctx context.Context, s storage.Store, of string, signature []byte) error {
	if len(signature) == 0 {
		return nil
	}
	there, err := RunbookSignature(ctx, s, Runbook{Key: of})
	if err == nil && bytes.Equal(there, signature) {
		return nil
	}
	if err == nil {
		_, err = s.Put(ctx, of+SignatureEnds, bytes.NewReader(signature), storage.PutOptions{Size: int64(len(signature))})
	}
	if err != nil {
		return fmt.Errorf("store the runbook's signature: %w", err)
	}
	return nil
}

// Keeping is a runbook that is kept in copies although no backup of it brings it there,
// because other programs take the backups.
type Keeping struct {
	System string
	Text   []byte
	// Signature is one over the text, for whoever finds it there; nil where nobody has
	// signed it.
	Signature []byte
	// At is when it was what it is, Changed since when; zero where that is not known.
	At, Changed time.Time
}

// Keep stores the runbook in a copy, unless the newest there stays it.
func (k Keeping) Keep(ctx context.Context, s storage.Store) error {
	all, err := Runbooks(ctx, s, k.System)
	if err != nil {
		return err
	}
	newest, ok := k.newest(all)
	if ok && newest.SHA256 == k.digest() {
		return putSignature(ctx, s, newest.Key, k.Signature)
	}
	if ok && !k.after(newest) {
		return nil
	}
	return k.put(ctx, s)
}

// KeepFirst stores the runbook in a copy that has none: which of several is the system's, one
// that somebody rehearsed with does not say.
func (k Keeping) KeepFirst(ctx context.Context, s storage.Store) error {
	all, err := Runbooks(ctx, s, k.System)
	if err != nil {
		return err
	}
	if _, ok := k.newest(all); ok {
		return nil
	}
	return k.put(ctx, s)
}

func (k Keeping) put(ctx context.Context, s storage.Store) error {
	if err := putNewest(ctx, s, k.System, k.At.UTC().Format(stampLayout), k.digest(), k.Text, k.Signature); err != nil {
		return fmt.Errorf("store the runbook: %w", err)
	}
	return nil
}

// Other is the newest of a copy's runbooks, where that is another one and this was not
// changed after it.
func (k Keeping) Other(all []Runbook) (Runbook, bool) {
	newest, ok := k.newest(all)
	return newest, ok && newest.SHA256 != k.digest() && !k.Changed.After(newest.At)
}

// newest is the one that a host is given that has none. One of the future is not found, and
// stands in nothing's way.
func (k Keeping) newest(all []Runbook) (Runbook, bool) {
	i := slices.IndexFunc(all, func(r Runbook) bool { return !r.At.After(k.At.Add(24 * time.Hour)) })
	if i < 0 {
		return Runbook{}, false
	}
	return all[i], true
}

// after reports whether it is known to have come after another one: nothing takes the place of
// the newest that was not changed since, an old checkout, for example, that another host has.
func (k Keeping) after(r Runbook) bool {
	return r.At.Before(k.At.Truncate(time.Second)) && k.Changed.After(r.At)
}

func (k Keeping) digest() string {
	sum := sha256.Sum256(k.Text)
	return hex.EncodeToString(sum[:])
}
