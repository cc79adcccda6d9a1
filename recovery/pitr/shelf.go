package pitr

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// shelf is the directory from which the server takes the next segments by
// itself: a rename by the shell, where starting a program for each takes longer
// than replaying it. Only whole and judged segments lie there. The kernel tells
// what was taken.
type shelf struct {
	dir    string
	owner  recovery.User
	events *os.File // of inotify

	mu   sync.Mutex
	lies map[uint64]string // names of files, by segment
}

// shelfDir is the shelf in a scratch target.
const shelfDir = "ready"

// newShelf makes an empty shelf, which is the server's.
func newShelf(dir string, owner recovery.User) (*shelf, error) {
	err := os.RemoveAll(dir)
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	if err == nil {
		err = ownFile(dir, owner)
	}
	if err != nil {
		return nil, fmt.Errorf("make the directory for the next segments: %w", err)
	}
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		return nil, recovery.Errorf("raise fs.inotify.max_user_instances, or end programs that watch files, then retry",
			"watch the directory for the next segments: %w", err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	if _, err := unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_FROM|unix.IN_DELETE|unix.IN_ONLYDIR); err != nil {
		return nil, errors.Join(fmt.Errorf("watch the directory for the next segments: %w", err), events.Close())
	}
	return &shelf{dir: dir, owner: owner, events: events, lies: map[uint64]string{}}, nil
}

// close ends taken. The files stay for whoever still reads them.
func (s *shelf) close() error { return s.events.Close() }

func (s *shelf) remove() error { return os.RemoveAll(s.dir) }

// put lays a segment on the shelf, where the server finds it from now on.
func (s *shelf) put(seg uint64, from string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := filepath.Base(from)
	if err := ownFile(from, s.owner); err != nil {
		return err
	}
	if err := os.Rename(from, filepath.Join(s.dir, name)); err != nil {
		return fmt.Errorf("lay a segment ready: %w", err)
	}
	s.lies[seg] = name
	return nil
}

// holds reports whether a segment lies there.
func (s *shelf) holds(seg uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.lies[seg]
	return ok
}

// path is where a segment lies. From then on it is the caller's.
func (s *shelf) path(seg uint64) (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.lies[seg]
	delete(s.lies, seg)
	path := filepath.Join(s.dir, name)
	if _, err := os.Lstat(path); !ok || err != nil {
		return "", false // taken, and not heard of yet
	}
	return path, true
}

// clear takes everything off the shelf.
func (s *shelf) clear() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for seg, name := range s.lies {
		if err := os.Remove(filepath.Join(s.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("take back a segment: %w", err)
		}
		delete(s.lies, seg)
	}
	return nil
}

// taken waits until the server has taken segments, and lists them. After close
// it is an error.
func (s *shelf) taken() ([]uint64, error) {
	var buf [4096]byte // an event with a name of 24 characters is 48 bytes
	n, err := s.events.Read(buf[:])
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var segs []uint64
	for b := buf[:n]; len(b) >= unix.SizeofInotifyEvent; {
		length := unix.SizeofInotifyEvent + int(binary.NativeEndian.Uint32(b[12:]))
		name := strings.TrimRight(string(b[unix.SizeofInotifyEvent:length]), "\x00")
		b = b[length:]
		for seg, lies := range s.lies {
			if lies == name {
				delete(s.lies, seg)
				segs = append(segs, seg)
			}
		}
	}
	return segs, nil
}

// refill fetches further segments as the server takes those that lie ready.
func (f *feeder) refill() {
	for {
		segs, err := f.ready.taken()
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			f.fail(fmt.Errorf("see what the restored server has taken: %w", err))
			return
		}
		for _, seg := range segs {
			f.mu.Lock()
			f.taken = seg + 1
			f.mu.Unlock()
			f.ahead(seg)
		}
	}
}

// offer lays what is fetched and comes next on the shelf. What is not as it must
// be stays where it is: the server has to ask for it, and is told then.
func (f *feeder) offer() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for seg := f.given; seg > 0; seg = f.given {
		t, ok := f.tasks[seg]
		if !ok || t.asked || !t.fetched() || f.harms(seg, t.looked) != nil || f.ready.put(seg, t.path) != nil {
			return
		}
		delete(f.tasks, seg)
		f.before, f.given = t.looked, seg+1
	}
}

// fetched reports whether a segment is there, and whole.
func (t *task) fetched() bool {
	select {
	case <-t.done:
		return t.err == nil
	default:
		return false
	}
}

// unshelve finds a segment on the shelf that the server has asked for: it came
// to lie there just after the shell had looked. A server that asks for another
// one than comes next begins anew, somewhere before: then the shelf is emptied.
func (f *feeder) unshelve(seg uint64) (string, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if path, ok := f.ready.path(seg); ok {
		f.taken = seg + 1
		return path, true, nil
	}
	if seg == f.given {
		return "", false, nil
	}
	return "", false, f.ready.clear()
}
