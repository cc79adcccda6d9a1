package dump

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"

	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/storage"
)

// download is the way of an archive's files into scratch, where pg_restore can
// read them in any order. What an earlier attempt has fetched stays and is not
// fetched again: files that are whole, and of one that is not, as far as it goes.
type download struct {
	*restore
	ledger *ledger.Ledger[fetched]
	// past is what an earlier attempt has fetched, the newest by name.
	past map[string]fetched
	// unsynced is how much was written since the last checkpoint; done is how
	// much of the objects' total is there.
	unsynced, total int64
	done            atomic.Int64
}

// fetched is an entry of the ledger: a file, or the beginning of one.
type fetched struct {
	Name string `json:"name"`
	// Size is how much of the file is there, as it lies in scratch.
	Size int64 `json:"size,string"`
	// Whole files have the digest of their object, and the time at which the
	// file system says that they were written.
	Whole    bool   `json:"whole,omitempty"`
	SHA256   string `json:"sha256,omitempty"`
	Modified int64  `json:"modified,string,omitempty"`
}

// download fetches the archive's files and gives their place.
func (r *restore) download(ctx context.Context) (string, error) {
	dir := r.archive()
	d, err := r.openDownload(dir)
	if err != nil {
		return "", err
	}
	defer d.ledger.Close()
	recorded, err := r.recorded(ctx)
	if err != nil {
		return "", err
	}
	if err := r.besides(ctx, recorded); err != nil {
		return "", err
	}
	r.env.Meter().Phase("download", d.total, recovery.InBytes)
	sums := sha256.New()
	for _, o := range r.args.Objects {
		name := path.Base(o.Key)
		if r.args.Head.Form != directoryArchive {
			name = "dump"
		}
		sum, err := d.file(ctx, o, name)
		if err != nil {
			return "", err
		}
		if err := holdAgainst(recorded, o.Key, sum); err != nil {
			return "", err
		}
		r.facts["sha256"] = sum
		fmt.Fprintf(sums, "%s  %s\n", sum, name) // a hash takes everything
	}
	if err := d.checkpoint(ctx); err != nil {
		return "", err
	}
	r.facts["bytes"] = fmt.Sprint(d.total)
	if r.args.Head.Form == tarArchive {
		return filepath.Join(dir, "dump"), r.wholeTar(filepath.Join(dir, "dump"))
	}
	if r.args.Head.Form == customArchive {
		return filepath.Join(dir, "dump"), nil
	}
	delete(r.facts, "sha256")
	r.facts["sha256 of the files' sums"] = hex.EncodeToString(sums.Sum(nil))
	return dir, r.wholeDirectory(dir)
}

// openDownload opens the ledger of the archive's files. It is of these objects
// in these revisions, so what was fetched of others does not count.
func (r *restore) openDownload(dir string) (*download, error) {
	d := &download{restore: r, past: map[string]fetched{}}
	for _, o := range r.args.Objects {
		d.total += o.Size
	}
	objects, err := json.Marshal([]any{r.args.Copy, r.args.Backup, r.args.Objects, r.args.Head.Packing})
	if err != nil {
		return nil, fmt.Errorf("name the archive: %w", err)
	}
	of := sha256.Sum256(objects)
	var entries []fetched
	d.ledger, entries, err = ledger.Open[fetched](filepath.Join(r.handle.Dir, "archive.ledger"), hex.EncodeToString(of[:]), ledger.Boot())
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		d.past[e.Name] = e
	}
	if len(entries) == 0 {
		err = os.RemoveAll(dir)
	}
	if err == nil {
		err = r.makeReadable(dir)
	}
	if err != nil {
		d.ledger.Close()
		return nil, fmt.Errorf("make a place for the archive: %w", err)
	}
	return d, nil
}

// file fetches one object, or what is missing of it, and gives its digest.
func (d *download) file(ctx context.Context, o storage.Object, name string) (sum string, err error) {
	to, before, meter := filepath.Join(d.archive(), name), d.past[name], d.env.Meter()
	meter.Note(o.Key)
	if before.Whole && before.untouched(to) {
		meter.Add(o.Size)
		d.done.Add(o.Size)
		return before.SHA256, nil
	}
	start := d.done.Load()
	sum, takenUp, err := d.arrive(ctx, o, name, to, before)
	if takenUp && (errors.Is(err, storage.ErrCorrupt) || errors.Is(err, errNotWhole)) {
		// What was there is not what the object begins with: all of it again.
		meter.Log(fmt.Sprintf("comeback: %v; it is fetched again from its beginning", err))
		if err := d.ledger.Add(fetched{Name: name}); err != nil {
			return "", err
		}
		d.done.Store(start)
		meter.Set(start)
		sum, _, err = d.arrive(ctx, o, name, to, fetched{})
	}
	if err != nil {
		return "", err
	}
	info, err := os.Lstat(to)
	if err != nil {
		return "", fmt.Errorf("look at the archive: %w", err)
	}
	whole := fetched{Name: name, Size: info.Size(), Whole: true, SHA256: sum, Modified: info.ModTime().UnixNano()}
	return sum, d.ledger.Add(whole)
}

// arrive fetches an object to its end, and reports whether it was taken up in the
// middle.
func (d *download) arrive(ctx context.Context, o storage.Object, name, to string, before fetched) (sum string, takenUp bool, err error) {
	a, err := d.open(ctx, o, name, to, before)
	if err != nil {
		return "", false, err
	}
	takenUp = a.at > 0
	sum, err = a.run(ctx)
	return sum, takenUp, err
}

// untouched reports whether a whole file is as it was left.
func (f fetched) untouched(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.Mode().IsRegular() && info.Size() == f.Size && info.ModTime().UnixNano() == f.Modified
}

// checkpoint makes durable what was fetched, and tells the journal.
func (d *download) checkpoint(ctx context.Context) error {
	if err := d.ledger.Sync(); err != nil {
		return recovery.Errorf("check the disk that holds scratch, then retry", "%w", err)
	}
	d.unsynced = 0
	return d.env.Meter().Checkpoint(ctx, fmt.Sprintf("%s of %s of the archive fetched", recovery.FormatBytes(d.done.Load()), recovery.FormatBytes(d.total)))
}

// makeReadable makes a directory in which we alone make files, where it is not there yet, for
// the user that servers run as to read.
func (r *restore) makeReadable(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		err = nil
	}
	if u := r.handle.Owner; err == nil && u.UID >= 0 {
		if err = os.Lchown(dir, os.Geteuid(), u.GID); err == nil {
			err = os.Chmod(dir, 0o750)
		}
	}
	return err
}

// give lets the user that servers run as read a file of ours.
func (r *restore) give(path string) error {
	u := r.handle.Owner
	if u.UID < 0 {
		return nil
	}
	if err := os.Lchown(path, u.UID, u.GID); err != nil {
		return fmt.Errorf("give %s to %s: %w", path, u.Name, err)
	}
	return nil
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
