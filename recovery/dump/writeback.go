package dump

import (
	"context"
	"iter"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"

	"comeback/recovery/written"
)

const (
	// writebackFrom is by how many bytes a file must have grown to be worth a call.
	writebackFrom = 16 << 20
	// writebackAtMost is for how many bytes one call asks: it may wait for the disk.
	writebackAtMost = 64 << 20
)

// writeback lets the kernel write to disk what a restore has put into the files of
// its cluster, while the restore goes on: else it begins only when a tenth of the
// memory waits, and toDisk waits for all of that in the end. Nothing is made sure of
// by it; what could not be written is told there. It ends with the function that it
// gives.
func (s scratch) writeback(ctx context.Context) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	files := growing{}
	end := written.WatchAndAct(func() (took time.Duration) {
		began := time.Now()
		var grown []growth
		grown, files = files.look(filepath.Join(s.data(), "base"))
		took = time.Since(began)
		for _, g := range grown {
			if ctx.Err() != nil {
				break
			}
			g.write()
		}
		return took
	})
	return func() {
		cancel()
		end()
	}
}

// growing is how much of each file the kernel was asked to write, by its path.
type growing map[string]int64

// growth is a part of a file that is new.
type growth struct {
	path     string
	from, to int64
}

// look finds what the files of databases have grown by, in parts that are worth a
// call, and gives how much will have been asked for then. Those of sorts, in pgsql_tmp,
// are gone before anybody needs them on disk.
func (g growing) look(base string) (all []growth, now growing) {
	now = growing{}
	for path := range relations(base) {
		info, err := os.Lstat(path)
		if err != nil || !info.Mode().IsRegular() {
			continue // it was removed meanwhile
		}
		at := g[path]
		if info.Size() < at { // emptied
			at = 0
		}
		for info.Size()-at >= writebackFrom {
			to := min(info.Size(), at+writebackAtMost)
			all = append(all, growth{path, at, to})
			at = to
		}
		now[path] = at
	}
	return all, now
}

// relations are the files of tables and indexes.
func relations(base string) iter.Seq[string] {
	digit := func(name string) bool { return name[0] >= '0' && name[0] <= '9' }
	return func(yield func(string) bool) {
		databases, _ := os.ReadDir(base) // what cannot be read is not hurried
		for _, d := range databases {
			if !digit(d.Name()) {
				continue
			}
			files, _ := os.ReadDir(filepath.Join(base, d.Name()))
			for _, f := range files {
				if digit(f.Name()) && !yield(filepath.Join(base, d.Name(), f.Name())) {
					return
				}
			}
		}
	}
}

// write asks the kernel to begin writing. That is all: a failure is toDisk's to find.
func (g growth) write() {
	// The files are the server's user's, who could put something else there.
	f, err := os.OpenFile(g.path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return // it was removed meanwhile
	}
	defer f.Close()
	_ = unix.SyncFileRange(int(f.Fd()), g.from, g.to-g.from, unix.SYNC_FILE_RANGE_WRITE)
}
