package dump

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"

	"comeback/recovery"
	"comeback/storage"
)

// download puts the archive's files into scratch, where pg_restore can read
// them in any order, and gives their place. A decompressed wrapping stays off.
func (r *restore) download(ctx context.Context) (string, error) {
	dir := r.archive()
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", fmt.Errorf("make a place for the archive: %w", err)
	}
	if err := r.give(dir); err != nil {
		return "", err
	}
	var total int64
	for _, o := range r.args.Objects {
		total += o.Size
	}
	r.env.Meter().Phase("download", total, recovery.InBytes)
	sums := sha256.New()
	for _, o := range r.args.Objects {
		name := path.Base(o.Key)
		if r.args.Head.Form != directoryArchive {
			name = "dump"
		}
		sum, err := r.downloadFile(ctx, o, filepath.Join(dir, name))
		if err != nil {
			return "", err
		}
		r.facts["sha256"] = sum
		fmt.Fprintf(sums, "%s  %s\n", sum, name) // a hash takes everything
	}
	r.facts["bytes"] = fmt.Sprint(total)
	if r.args.Head.Form == tarArchive {
		return filepath.Join(dir, "dump"), r.wholeTar(filepath.Join(dir, "dump"))
	}
	if r.args.Head.Form == customArchive {
		return filepath.Join(dir, "dump"), nil
	}
	delete(r.facts, "sha256")
	r.facts["sha256 of the files' sums"] = hex.EncodeToString(sums.Sum(nil))
	return dir, nil
}

func (r *restore) downloadFile(ctx context.Context, o storage.Object, to string) (sum string, err error) {
	meter := r.env.Meter()
	meter.Note(o.Key)
	src, err := r.open(ctx, o, func(n int) { meter.Add(int64(n)) })
	if err != nil {
		return "", err
	}
	defer src.in.Close()
	in, err := unpack(r.args.Head.Packing, src)
	if err != nil {
		return "", truncated(o.Key, src, err)
	}
	defer in.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("write the archive: %w", err)
	}
	_, err = io.Copy(f, in)
	if errClose := f.Close(); errClose != nil && err == nil {
		err = errClose
	}
	if pathErr, ok := errors.AsType[*os.PathError](err); ok && pathErr.Path == to {
		return "", recovery.Errorf(orElse(r.server.Cluster().Tools.HintFor(err.Error()), "check the disk that holds scratch, then retry"), "write the archive: %w", err)
	}
	if err != nil {
		return "", truncated(o.Key, src, err)
	}
	if err := r.give(to); err != nil {
		return "", err
	}
	sum, err = src.finish()
	if err != nil {
		return "", truncated(o.Key, src, err)
	}
	return sum, nil
}

// wholeTar refuses a tar archive that is cut off, before pg_restore loops over
// it.
func (r *restore) wholeTar(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	tail := make([]byte, min(info.Size(), tailBytes))
	if _, err := f.ReadAt(tail, info.Size()-int64(len(tail))); err != nil {
		return fmt.Errorf("look at the archive: %w", err)
	}
	whole := endsLikeTar(tail)
	for in := tar.NewReader(f); whole; {
		if _, err := in.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			whole = false
		}
	}
	return recovery.Errorf("choose an older dump, and look at what writes them: it was stopped in the middle", "%s: %s", r.args.Backup, tarCutOff)
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
