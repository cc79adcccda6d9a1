package storage

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// PutFiles stores every file of a directory, which has no directories in it,
// under prefix and its own name: none over another object, and those that last
// names after all others. Progress is told bytes as they are read, and may be nil.
func PutFiles(ctx context.Context, s Store, dir, prefix string, last func(name string) bool, progress func(n int64)) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("store files: %w", err)
	}
	slices.SortStableFunc(entries, func(a, b fs.DirEntry) int {
		switch x, y := last(a.Name()), last(b.Name()); {
		case x && !y:
			return 1
		case y && !x:
			return -1
		}
		return strings.Compare(a.Name(), b.Name())
	})
	for _, e := range entries {
		if err := putFile(ctx, s, filepath.Join(dir, e.Name()), prefix+e.Name(), progress); err != nil {
			return err
		}
	}
	return nil
}

func putFile(ctx context.Context, s Store, file, key string, progress func(n int64)) error {
	f, err := os.Open(file)
	if err != nil {
		return fmt.Errorf("store files: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return fmt.Errorf("store files: %w", err)
	}
	_, err = s.Put(ctx, key, &counted{f, progress}, PutOptions{IfAbsent: true, Size: info.Size()})
	return err
}

// counted tells how much is read.
type counted struct {
	io.Reader
	progress func(n int64)
}

func (c *counted) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	if c.progress != nil {
		c.progress(int64(n))
	}
	return n, err
}
