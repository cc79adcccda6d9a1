package push

import (
	"bufio"
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/zstd"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/pitr"
	"comeback/recovery/pitr/walfile"
	"comeback/storage"
)

// spool is the directory of what copies still lack.
type spool struct {
	dir, out, done, down string
	// cutOff are the files whose pushes were killed.
	cutOff map[string]bool
}

// tempPrefix begins the names of files in the making; whoever has the lock
// removes those that are left.
const tempPrefix = ".packing-"

// openSpool opens a spool, and makes it where it is missing.
func openSpool(dir string) (*spool, error) {
	s := &spool{dir: dir, out: filepath.Join(dir, "out"), done: filepath.Join(dir, "done"), down: filepath.Join(dir, "down"), cutOff: map[string]bool{}}
	for _, d := range []string{s.out, s.done, s.down, s.holds()} {
		err := mkdirDurably(d)
		if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EROFS) {
			continue // it costs what would lie there, and no push
		}
		if err != nil {
			return nil, recovery.Errorf("let --spool be a directory that the server's user may write to", "open the spool: %w", err).WithExit(recovery.Usage)
		}
	}
	return s, nil
}

// clear removes files in the making and those that no record tells of: nobody was told
// that they were pushed. The server asks for them again. What cannot be removed keeps no
// segment from the copies, and stays for the next one.
func (s *spool) clear() {
	for _, dir := range []string{s.out, s.done} {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			name := e.Name()
			making, ok := strings.CutPrefix(name, tempPrefix)
			if i := strings.LastIndexByte(making, '-'); ok && i > 0 {
				s.cutOff[making[:i]] = true
			}
			if !ok && (dir == s.done || strings.HasSuffix(name, recordSuffix)) {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, strings.TrimSuffix(name, ".zst")+recordSuffix)); !ok && !errors.Is(err, fs.ErrNotExist) {
				continue
			}
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
}

// mkdirDurably makes a directory and those above it, and their names durable.
func mkdirDurably(dir string) error {
	if info, err := os.Stat(dir); err == nil && info.IsDir() {
		return nil
	}
	if up := filepath.Dir(dir); up != dir {
		if err := mkdirDurably(up); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(filepath.Dir(dir))
}

// entry is a file that is being pushed, or that a copy lacks.
type entry struct {
	Name string `json:"name"`
	// SHA256 is that of the content before it was compressed.
	SHA256  string   `json:"sha256"`
	Lacking []string `json:"lacking"`

	spool *spool
	file  string // where its bytes lie, as they are stored
	bytes []byte // they themselves, where the spool had no room for them
	size  int64  // of those bytes
	temp  bool
}

// object is the file's name in a copy: segments are compressed, the small files
// are as people read them.
func (e *entry) object() string {
	if f, ok := walfile.Parse(e.Name); ok && (f.Kind == walfile.Segment || f.Kind == walfile.Partial) {
		return e.Name + ".zst"
	}
	return e.Name
}

// mostInMemory is how much is packed in memory where the spool has no room.
const mostInMemory = 256 << 20

// pack makes what is stored of a file of the server. It is not durable. Where the spool
// takes no file it is made in memory, if it may be: copies that can be reached need not
// go without it.
func (s *spool) pack(name, path string, inMemory bool) (*entry, error) {
	e, err := s.packFile(name, path)
	if err == nil || !inMemory {
		return e, err
	}
	e = &entry{Name: name, spool: s, temp: true}
	var b bounded
	if err := e.packTo(&b, path); err != nil {
		return nil, err
	}
	e.bytes, e.size = b.Bytes(), int64(b.Len())
	return e, nil
}

// bounded is a buffer that does not take everything.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > mostInMemory {
		return 0, fmt.Errorf("what is to be pushed takes more than %s of memory", recovery.FormatBytes(mostInMemory))
	}
	return b.Buffer.Write(p)
}

func (s *spool) packFile(name, path string) (e *entry, err error) {
	out, err := os.CreateTemp(s.out, tempPrefix+name+"-")
	if err != nil {
		return nil, s.noRoom(err)
	}
	e = &entry{Name: name, spool: s, file: out.Name(), temp: true}
	buffered := bufio.NewWriterSize(out, 256<<10)
	err = e.packTo(buffered, path)
	err = errors.Join(err, buffered.Flush())
	info, errStat := out.Stat()
	if err = errors.Join(err, errStat, out.Close()); err != nil {
		e.drop()
		return nil, s.noRoom(err)
	}
	e.size = info.Size()
	return e, nil
}

func (s *spool) noRoom(err error) error {
	return recovery.Errorf("make room on the disk that holds the spool", "write to the spool: %w", err)
}

// packTo writes what is stored of a file of the server, and notes its content's digest.
func (e *entry) packTo(w io.Writer, path string) error {
	in, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read the log: %w", err)
	}
	defer in.Close()
	to, end := w, func() error { return nil }
	if e.object() != e.Name {
		z, err := zstd.NewWriter(w, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(2))
		if err != nil {
			return err
		}
		to, end = z, z.Close
	}
	sum := sha256.New()
	_, err = io.Copy(io.MultiWriter(to, sum), in)
	if err = errors.Join(err, end()); err != nil {
		return err
	}
	e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	return nil
}

// open reads what is stored of it.
func (e *entry) open() (io.ReadCloser, error) {
	if e.bytes != nil {
		return io.NopCloser(bytes.NewReader(e.bytes)), nil
	}
	f, err := os.Open(e.file)
	if err != nil {
		return nil, fmt.Errorf("read what is to be pushed: %w", err)
	}
	return f, nil
}

// drop removes what was packed and nobody needs.
func (e *entry) drop() {
	if e.temp && e.file != "" {
		os.Remove(e.file) // the next push removes it, if this cannot
	}
}

// keep makes the file durable in the spool for the copies that lack it. Others for which
// it was kept before lack it still, unless they are among those that have it.
func (e *entry) keep(has []string) error {
	err := e.settle()
	if err == nil {
		err = e.spool.changing(func() error {
			if before, err := e.spool.readEntry(e.record()); err == nil && before.SHA256 == e.SHA256 {
				e.Lacking = append(e.Lacking, slices.DeleteFunc(before.Lacking, func(c string) bool { return slices.Contains(has, c) || slices.Contains(e.Lacking, c) })...)
			}
			final := filepath.Join(e.spool.out, e.object())
			if err := os.Rename(e.file, final); err != nil {
				return err
			}
			e.file, e.temp = final, false
			// The record goes last: without it the file is none that anybody lacks, and
			// nobody was told that it was pushed.
			return e.write()
		})
	}
	if err != nil {
		return fmt.Errorf("keep it in the spool: %w", err)
	}
	return nil
}

// settle makes what was packed durable under the name that it has, in a file if it is in
// memory only: there may be room now.
func (e *entry) settle() error {
	if e.bytes != nil {
		out, err := os.CreateTemp(e.spool.out, tempPrefix+e.Name+"-")
		if err != nil {
			return err
		}
		e.file = out.Name()
		_, err = out.Write(e.bytes)
		return errors.Join(err, out.Sync(), out.Close())
	}
	f, err := os.Open(e.file)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// recordSuffix ends the names of records.
const recordSuffix = ".json"

func (e *entry) record() string { return filepath.Join(e.spool.out, e.Name+recordSuffix) }

// kept are the copies for which the spool keeps a file already, sound. Other content
// under its name is ErrOther. What cannot be read stands against nothing: whoever
// catches up tells of it.
func (s *spool) kept(e *entry) ([]string, error) {
	before, err := s.readEntry(e.record())
	switch {
	case err != nil:
		return nil, nil
	case before.SHA256 != e.SHA256:
		return nil, recovery.Errorf("find out which of two servers archives into these copies, and give one of them another place", "the spool %w", ErrOther).WithExit(recovery.Refused)
	case before.sound() != nil:
		return nil, nil
	case durable.SyncDir(s.out) != nil: // whoever kept it may have been killed before that
		return nil, nil
	}
	return before.Lacking, nil
}

// sound proves that the file holds what its record says: it may have lain in the spool
// for days.
func (e *entry) sound() error {
	f, err := os.Open(e.file)
	if err != nil {
		return fmt.Errorf("read the spool: %w", err)
	}
	defer f.Close()
	packing := pitr.Plain
	if known, ok := pitr.ParseFileName(e.object()); ok {
		packing = known.Packing
	}
	digest, err := digestOf(f, packing)
	if err == nil && digest == e.SHA256 {
		return nil
	}
	if err == nil {
		err = storage.ErrCorrupt
	}
	return recovery.Errorf("copy it from a copy that has it to the ones that lack it, then remove it and "+e.Name+recordSuffix+" from the spool", "%s in the spool: %w", filepath.Base(e.file), err)
}

func (e *entry) write() error {
	b, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return writeDurably(e.record(), b)
}

// stillLacks reports whether a copy lacks it: others may have brought it meanwhile.
func (e *entry) stillLacks(copy string) bool {
	now, err := e.spool.readEntry(e.record())
	return err == nil && now.SHA256 == e.SHA256 && slices.Contains(now.Lacking, copy)
}

// got notes that a copy has it; when the last one has, it leaves the spool.
func (e *entry) got(copy string) error {
	err := e.spool.changing(func() error {
		now, err := e.spool.readEntry(e.record())
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || now.SHA256 != e.SHA256 {
			return err
		}
		now.Lacking = slices.DeleteFunc(now.Lacking, func(c string) bool { return c == copy })
		if len(now.Lacking) > 0 {
			return now.write()
		}
		// The record first: a file without one is nobody's.
		for _, file := range []string{now.record(), now.file} {
			if err := os.Remove(file); err != nil && !errors.Is(err, fs.ErrNotExist) {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("note in the spool that %s has %s: %w", copy, e.Name, err)
	}
	return nil
}

// entries lists what copies lack, the oldest first. What cannot be read is left out, and
// the error tells of each.
func (s *spool) entries() ([]*entry, error) { return readEntries(s.out, s) }

func readEntries(out string, s *spool) ([]*entry, error) {
	files, err := os.ReadDir(out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %w", err)
	}
	if s == nil {
		s = &spool{out: out}
	}
	var all []*entry
	var damaged []error
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), recordSuffix) {
			continue
		}
		e, err := s.readEntry(filepath.Join(out, f.Name()))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil { // what it tells of stays; the others go all the same
			damaged = append(damaged, recovery.Errorf("copy what "+strings.TrimSuffix(f.Name(), recordSuffix)+" is from a copy that has it to those that lack it, then remove both from the spool", "%w", err))
			continue
		}
		all = append(all, e)
	}
	slices.SortFunc(all, func(a, b *entry) int { return cmp.Compare(a.Name, b.Name) })
	return all, errors.Join(damaged...)
}

func (s *spool) readEntry(file string) (*entry, error) {
	b, err := os.ReadFile(file)
	e := &entry{spool: s}
	if err == nil {
		err = json.Unmarshal(b, e)
	}
	if err == nil && e.Name+recordSuffix != filepath.Base(file) {
		err = errors.New("it is not the record of the file that has its name")
	}
	if err != nil {
		return nil, fmt.Errorf("read the spool: %s: %w", file, err)
	}
	e.file = filepath.Join(s.out, e.object())
	if info, err := os.Stat(e.file); err == nil {
		e.size = info.Size()
	}
	return e, nil
}

// doneAlready reports whether a file was pushed along with an earlier one, with
// the content that it has now.
func (s *spool) doneAlready(name, path string) (bool, error) {
	// What lies before was asked for already, or never will be.
	entries, err := os.ReadDir(s.done)
	if err != nil {
		return false, fmt.Errorf("read the spool: %w", err)
	}
	for _, e := range entries {
		if e.Name() < name && strings.HasPrefix(e.Name(), name[:8]) {
			os.Remove(filepath.Join(s.done, e.Name())) // it is pushed again otherwise, which is harmless
		}
	}
	want, err := os.ReadFile(filepath.Join(s.done, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the spool: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return false, fmt.Errorf("read the log: %w", err)
	}
	defer f.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, f); err != nil {
		return false, fmt.Errorf("read the log: %w", err)
	}
	return hex.EncodeToString(sum.Sum(nil)) == strings.TrimSpace(string(want)), nil
}

func (s *spool) setDone(name, digest string) error {
	if err := writeDurably(filepath.Join(s.done, name), []byte(digest+"\n")); err != nil {
		return fmt.Errorf("note what was pushed ahead: %w", err)
	}
	return nil
}

// isDown reports whether a copy did not answer a moment ago. These marks are
// hints: they need not be durable, and may be lost.
func (s *spool) isDown(copy string, now time.Time) bool {
	info, err := os.Stat(filepath.Join(s.down, copy))
	age := time.Duration(0)
	if err == nil {
		age = now.Sub(info.ModTime())
	}
	return err == nil && age >= 0 && age < leaveAlone
}

func (s *spool) setDown(copy string, now time.Time) {
	file := filepath.Join(s.down, copy)
	if os.WriteFile(file, nil, 0o600) == nil {
		_ = os.Chtimes(file, now, now)
	}
}

func (s *spool) setUp(copy string) { _ = os.Remove(filepath.Join(s.down, copy)) }

// writeDurably replaces a file, whole or not at all, while others may write it, too.
func writeDurably(file string, b []byte) error {
	temp, err := durable.Temp(filepath.Dir(file), tempPrefix, 0o600, b)
	if err != nil {
		return err
	}
	return durable.Rename(temp, file)
}
