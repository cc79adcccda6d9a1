package backup

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/storage"
)

var reviewName = pattern.New(`^([0-9]{6}-[0-9a-f]{4,16}(?:-[0-9a-f]{16})?)/(SHA256SUMS\.review-[0-9]{1,2}\.sig)$`)

// maxReview bounds a signature, mostReviews how many of a run are read.
const (
	maxReview   = 64 << 10
	mostReviews = 20
)

// FileReviews files the reviews of a run that is filed, each as an object beside it:
// they come later than the report, and nothing that is filed is written again. People who
// review it on several hosts number their reviews alike: one whose name is taken by another
// gets the next that is free, and one that the copy holds under any name is left alone.
func FileReviews(ctx context.Context, s storage.Store, dir, system string, number int, run string) error {
	sums, err := Sums(dir)
	if err != nil {
		return err
	}
	names, err := filepath.Glob(filepath.Join(dir, "SHA256SUMS.review-*.sig"))
	if err != nil || len(names) == 0 {
		return err
	}
	beside := strings.TrimSuffix(filedKey(system, number, run, sums), ".tar") + "/"
	filed, err := reviewsIn(ctx, s, beside)
	for _, name := range names {
		var b []byte
		if err == nil {
			b, err = os.ReadFile(name)
		}
		if err == nil {
			err = filed.add(ctx, s, beside+filepath.Base(name), b)
		}
		if err != nil {
			return fmt.Errorf("file the reviews of run %s: %w", run, err)
		}
	}
	return nil
}

// filedReviews are the reviews of a run that a copy holds, by their keys.
type filedReviews map[string][]byte

// reviewsIn reads the reviews that a copy holds. Where it may not be listed, what is there
// is found when a name is taken.
func reviewsIn(ctx context.Context, s storage.Store, beside string) (filedReviews, error) {
	filed := filedReviews{}
	for o, err := range s.List(ctx, beside) {
		if errors.Is(err, storage.ErrDenied) {
			return filed, nil
		}
		if err == nil && len(filed) > 2*mostReviews {
			err = fmt.Errorf("there are too many objects in %s", beside)
		}
		if err == nil {
			err = filed.read(ctx, s, o)
		}
		if err != nil {
			return nil, err
		}
	}
	return filed, nil
}

// read reads one. What is too large for a review, or is another user's alone, is none of
// ours, and has a name all the same.
func (f filedReviews) read(ctx context.Context, s storage.Store, o storage.Object) error {
	f[o.Key] = nil
	if o.Size > maxReview {
		return nil
	}
	b, err := readReview(ctx, s, o)
	if errors.Is(err, storage.ErrDenied) || errors.Is(err, storage.ErrArchived) {
		return nil
	}
	f[o.Key] = b
	return err
}

// add files a review under a key, or the next one that is free, unless it is there.
func (f filedReviews) add(ctx context.Context, s storage.Store, key string, review []byte) error {
	for n := 0; ; {
		for _, have := range f {
			if bytes.Equal(have, review) {
				return nil
			}
		}
		if _, taken := f[key]; taken {
			if n++; n > mostReviews {
				return recovery.Errorf("it needs no more", "the copy holds %d reviews of it", mostReviews)
			}
			dir, _ := path.Split(key)
			key = fmt.Sprintf("%sSHA256SUMS.review-%d.sig", dir, n)
			continue
		}
		_, err := storage.PutFrom(ctx, s, key, 0, nil, func(_ context.Context, w io.Writer) error { _, err := w.Write(review); return err })
		if !errors.Is(err, storage.ErrExist) {
			f[key] = review
			return err
		}
		o, err := s.Stat(ctx, key) // somebody else has filed one meanwhile
		if err == nil {
			err = f.read(ctx, s, o)
		}
		if err != nil {
			return err
		}
	}
}

// Reviews reads the reviews of the run that the copy holds, each a signature; what
// they sign is for others to verify.
func (f FiledRun) Reviews(ctx context.Context, s storage.Store) ([][]byte, error) {
	var all [][]byte
	for _, o := range f.reviews[:min(len(f.reviews), mostReviews)] {
		b, err := readReview(ctx, s, o)
		if err != nil {
			return all, fmt.Errorf("fetch a review of run %s: %w", f.Run, err)
		}
		all = append(all, b)
	}
	return all, nil
}

func readReview(ctx context.Context, s storage.Store, o storage.Object) ([]byte, error) {
	in := storage.NewReader(ctx, s, o, storage.ReadOptions{Attempts: 3})
	b, err := io.ReadAll(io.LimitReader(in, maxReview))
	return b, errors.Join(err, in.Close())
}
