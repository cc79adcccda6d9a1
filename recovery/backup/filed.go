package backup

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

// Signed runs are filed in the copies, each as one object: a tar archive of the run's
// directory as it was signed, which tar, ssh-keygen and sha256sum can check without
// comeback. Where a bucket locks new objects by itself, it locks them, too; where it can
// lock and has no such rule, each is locked for a year.
const runsDir = "comeback/runs/"

// maxFiled bounds a run's directory; logs are a few megabytes.
const maxFiled = 512 << 20

// MaxPacked bounds a run as PackRun packs it, with the heads of its files.
const MaxPacked = maxFiled + maxFiled/8

// FiledRun is a run that a copy holds.
type FiledRun struct {
	Number int
	Run    string
	// Sums tells runs of several hosts apart that have the same number and ID: the
	// beginning of the digest of SHA256SUMS, as Sums gives it. It is empty where the
	// name does not tell it.
	Sums   string
	object storage.Object
	// reviews are the signatures of further people, which came later.
	reviews []storage.Object
}

// Size is how many bytes a copy holds of it.
func (f FiledRun) Size() int64 { return f.object.Size }

// mostFiles bounds how many files a run's directory has.
const mostFiles = 20_000

var filedName = pattern.New(`^([0-9]{6})-([0-9a-f]{4,16})(?:-([0-9a-f]{16}))?\.tar$`)

func filedKey(system string, number int, run, sums string) string {
	return fmt.Sprintf("%s%s/%06d-%s-%s.tar", runsDir, system, number, run, sums)
}

// Sums tells a run that has a report from every other, also from one of another host
// that has the same number and ID: the beginning of the digest of its SHA256SUMS.
func Sums(dir string) (string, error) {
	b, err := os.ReadFile(filepath.Join(dir, recovery.SumsFile))
	if err != nil {
		return "", fmt.Errorf("tell a run from others: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:8]), nil
}

// FileRun files a run's directory in a copy; one that is there already, also since a moment
// ago, is left as it is: its name tells what it was signed as. The object appears whole or
// not at all.
func FileRun(ctx context.Context, s storage.Store, dir, system string, number int, run string) error {
	sums, err := Sums(dir)
	if err != nil {
		return err
	}
	key := filedKey(system, number, run, sums)
	if o, err := s.Stat(ctx, key); err == nil {
		return lockFiled(ctx, s, o, run)
	} else if !errors.Is(err, storage.ErrNotExist) {
		return fmt.Errorf("file the report of run %s: %w", run, err)
	}
	o, err := storage.PutFrom(ctx, s, key, 0, nil, func(_ context.Context, w io.Writer) error { return PackRun(w, dir, run) })
	if errors.Is(err, storage.ErrExist) { // somebody else has filed it meanwhile
		o, err = s.Stat(ctx, key)
	}
	if err != nil {
		return fmt.Errorf("file the report of run %s: %w", run, err)
	}
	return lockFiled(ctx, s, o, run)
}

// filedLocked is how long a run that is filed is locked where the copy can lock it and
// has no rule of its own.
const filedLocked = 365 * 24 * time.Hour

// lockFiled locks a run that is filed, where that is possible: whoever may not lock, or
// not ask, leaves it as the copy keeps it, which comeback check judges.
func lockFiled(ctx context.Context, s storage.Store, o storage.Object, run string) error {
	locker, ok := storage.As[storage.Locker](s)
	protector, can := storage.As[storage.Protector](s)
	if !ok || !can {
		return nil
	}
	l, err := locker.Locking(ctx)
	if err == nil && l.Able && !l.On {
		var is storage.Retention
		if is, err = locker.Retention(ctx, o); err == nil && is.Until.IsZero() {
			err = protector.Protect(ctx, o, o.Modified.Add(filedLocked))
		}
	}
	if err != nil && !errors.Is(err, storage.ErrDenied) && !errors.Is(err, storage.ErrConfig) {
		return fmt.Errorf("lock the report of run %s, which is filed: %w", run, err)
	}
	return nil
}

// PackRun writes a run's directory as it is filed: a tar archive of its regular files;
// its hidden ones are drafts.
func PackRun(w io.Writer, dir, run string) error {
	t := tar.NewWriter(w)
	var size int64
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || p != dir && strings.HasPrefix(e.Name(), ".") || !e.Type().IsRegular() {
			if err == nil && e.IsDir() && p != dir && strings.HasPrefix(e.Name(), ".") {
				return fs.SkipDir
			}
			return err
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		info, err := f.Stat()
		if err != nil {
			return err
		}
		if size += info.Size(); size > maxFiled {
			return recovery.Errorf("copy the run's directory by hand", "the run's files are larger than %s", recovery.FormatBytes(maxFiled))
		}
		name, err := filepath.Rel(dir, p)
		if err == nil {
			err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: run + "/" + filepath.ToSlash(name), Mode: 0o600, Size: info.Size(), ModTime: info.ModTime().Truncate(time.Second)})
		}
		if err == nil {
			_, err = io.CopyN(t, f, info.Size())
		}
		return err
	})
	return errors.Join(err, t.Close())
}

// Filed lists the runs of a system that a copy holds, by their numbers.
func Filed(ctx context.Context, s storage.Store, system string) ([]FiledRun, error) {
	var all []FiledRun
	reviews := map[string][]storage.Object{}
	for o, err := range s.List(ctx, runsDir+system+"/") {
		if err != nil {
			return nil, fmt.Errorf("list the runs that are filed: %w", err)
		}
		if m := reviewName.FindStringSubmatch(strings.TrimPrefix(o.Key, runsDir+system+"/")); m != nil && o.Size <= maxReview {
			reviews[m[1]] = append(reviews[m[1]], o)
			continue
		}
		m := filedName.FindStringSubmatch(path.Base(o.Key))
		if m == nil || o.Size > MaxPacked {
			continue
		}
		f := FiledRun{Run: m[2], Sums: m[3], object: o}
		if _, err := fmt.Sscanf(m[1], "%d", &f.Number); err == nil {
			all = append(all, f)
		}
	}
	for i, f := range all {
		all[i].reviews = reviews[strings.TrimSuffix(path.Base(f.object.Key), ".tar")]
	}
	return all, nil
}

// Fetch writes a run that is filed into a directory that is empty. What it holds is for
// others to verify.
func (f FiledRun) Fetch(ctx context.Context, s storage.Store, dir string) error {
	in := storage.NewReader(ctx, s, f.object, storage.ReadOptions{Attempts: 3})
	defer in.Close()
	if err := UnpackRun(in, dir, f.Run); err != nil {
		return fmt.Errorf("fetch run %s: %w", f.Run, err)
	}
	return nil
}

// UnpackRun writes what PackRun has packed into a directory, no more than PackRun packs; into
// that very directory, which is not made again where somebody removes it meanwhile.
// What is no such archive is storage.ErrCorrupt. What it holds is for others to verify.
func UnpackRun(in io.Reader, dir, run string) error {
	corrupt := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{storage.ErrCorrupt}, args...)...)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	t := tar.NewReader(io.LimitReader(in, MaxPacked))
	for left, files := int64(maxFiled), 0; ; files++ {
		h, err := t.Next()
		switch {
		case err == io.EOF:
			_, err = io.Copy(io.Discard, io.LimitReader(in, maxFiled/8)) // its own check is at the end
			return err
		case errors.Is(err, tar.ErrHeader), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, tar.ErrInsecurePath):
			return corrupt("%w", err)
		case err != nil:
			return err
		}
		name, ok := strings.CutPrefix(h.Name, run+"/")
		if !ok || h.Typeflag != tar.TypeReg || !filepath.IsLocal(filepath.FromSlash(name)) {
			return corrupt("it holds %.80q", h.Name)
		}
		// A sparse file is as large as its header says, whatever is stored of it.
		if left -= h.Size; left < 0 || files >= mostFiles {
			return corrupt("it holds more than a run's directory does")
		}
		to := filepath.FromSlash(name)
		if err := root.MkdirAll(filepath.Dir(to), 0o700); err != nil {
			return err
		}
		out, err := root.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if errors.Is(err, fs.ErrExist) {
			return corrupt("it holds %.80q twice", h.Name)
		}
		if err != nil {
			return err
		}
		_, err = io.Copy(out, t)
		if errors.Is(err, io.ErrUnexpectedEOF) {
			err = corrupt("%w", err)
		}
		if err = errors.Join(err, out.Close()); err != nil {
			return err
		}
	}
}
