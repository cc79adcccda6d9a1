package pitr

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"path"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// expected finds what the manifest says about a file, and how to sum it up.
func (t *tree) expected(name string, e Entry) (known bool, sum hash.Hash, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.written[name] {
		return false, nil, fmt.Errorf("%w: %s comes twice", storage.ErrCorrupt, name)
	}
	t.written[name] = true
	if t.manifest == nil {
		t.unproven = true
		return true, nil, nil
	}
	if strings.HasPrefix(name, "pg_wal/") || rewritten(name) { // the log is proven by replaying it
		return true, nil, nil
	}
	f, known := t.manifest.Files[name]
	if !known {
		t.foreign++
		return false, nil, nil
	}
	if f.Size != e.Size {
		return false, nil, fmt.Errorf("%w: %s has %d bytes, and %d by backup_manifest", storage.ErrCorrupt, name, e.Size, f.Size)
	}
	sum, err = newSum(f.Algorithm)
	return true, sum, err
}

// rewritten reports whether pg_basebackup -R writes a file into the backup after the
// server has listed it in the manifest. None is proven, as pg_verifybackup proves
// none; what they say is set aside before the server is started.
func rewritten(name string) bool {
	return name == "postgresql.auto.conf" || name == "standby.signal" || name == "recovery.signal"
}

// check compares what was summed up with the manifest.
func (t *tree) check(name string, sum hash.Hash) error {
	if sum == nil {
		return nil
	}
	want := t.manifest.Files[name]
	if got := hex.EncodeToString(sum.Sum(nil)); !strings.EqualFold(got, want.Checksum) {
		return fmt.Errorf("%w: %s does not match backup_manifest: its %s is %s and should be %s", storage.ErrCorrupt, name, want.Algorithm, got, want.Checksum)
	}
	return nil
}

// finish proves that the backup is whole and makes it startable.
func (t *tree) finish() error {
	for _, name := range emptyDirs {
		if err := t.mkdir(path.Join(dataDir, name)); err != nil {
			return err
		}
	}
	if t.manifest != nil {
		if err := t.missing(); err != nil {
			return err
		}
		if err := t.proveLate(); err != nil {
			return err
		}
	}
	if !t.written[control] {
		return fmt.Errorf("%w: %s is missing", storage.ErrCorrupt, control)
	}
	if err := t.root.Rename(path.Join(dataDir, controlWaiting), path.Join(dataDir, control)); err != nil {
		return fmt.Errorf("put %s in place: %w", control, err)
	}
	return t.past.whole()
}

// missing names the files that the manifest lists and that did not come.
func (t *tree) missing() error {
	var names []string
	for name := range t.manifest.Files {
		if !t.written[name] && !rewritten(name) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	slices.Sort(names)
	more := ""
	if n := len(names) - 1; n > 0 {
		more = fmt.Sprintf(", and %d more", n)
	}
	return fmt.Errorf("%w: %s is missing%s, which backup_manifest lists", storage.ErrCorrupt, names[0], more)
}

// proveLate reads what was written again, where the manifest came last.
func (t *tree) proveLate() error {
	if !t.unproven {
		return nil
	}
	var total int64
	for name, f := range t.manifest.Files {
		if !leftOut(name) && !rewritten(name) {
			total += f.Size
		}
	}
	if t.meter != nil {
		t.meter.Phase("prove the base backup", total, recovery.InBytes)
	}
	for name, f := range t.manifest.Files {
		if leftOut(name) || rewritten(name) {
			continue
		}
		place, err := t.place(name)
		if err != nil {
			return err
		}
		sum, err := newSum(f.Algorithm)
		if err != nil {
			return err
		}
		in, err := t.root.Open(place)
		if err != nil {
			return fmt.Errorf("read %s again: %w", name, err)
		}
		to := io.Writer(proven{t.meter})
		if sum != nil {
			to = io.MultiWriter(sum, to)
		}
		n, err := io.Copy(to, in)
		in.Close()
		if err != nil {
			return fmt.Errorf("read %s again: %w", name, err)
		}
		if n != f.Size {
			return fmt.Errorf("%w: %s has %d bytes, and %d by backup_manifest", storage.ErrCorrupt, name, n, f.Size)
		}
		if err := t.check(name, sum); err != nil {
			return err
		}
	}
	return nil
}

// proven shows how much has been read again.
type proven struct{ meter recovery.Meter }

func (p proven) Write(b []byte) (int, error) {
	if p.meter != nil {
		p.meter.Add(int64(len(b)))
	}
	return len(b), nil
}

// newSum is the hash that a manifest names; nil for none.
func newSum(algorithm string) (hash.Hash, error) {
	switch algorithm {
	case "", "NONE":
		return nil, nil
	case "CRC32C":
		return &crc32c{crc32.New(crc32.MakeTable(crc32.Castagnoli))}, nil
	case "SHA224":
		return sha256.New224(), nil
	case "SHA256":
		return sha256.New(), nil
	case "SHA384":
		return sha512.New384(), nil
	case "SHA512":
		return sha512.New(), nil
	}
	return nil, fmt.Errorf("backup_manifest uses the checksum %q, which is not known", algorithm)
}

// crc32c gives its bytes as PostgreSQL stores them, the lowest first.
type crc32c struct{ hash.Hash }

func (c *crc32c) Sum(b []byte) []byte {
	sum := c.Hash.Sum(nil)
	slices.Reverse(sum)
	return append(b, sum...)
}
