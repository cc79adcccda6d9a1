package files

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"

	"comeback/recovery"
	"comeback/recovery/files/tree"
	"comeback/recovery/ledger"
)

// passed is an entry of an archive's ledger: how far it is written.
type passed struct {
	// Entries are written or spooled, Late is how long the spool is then, and
	// Offset where the next entry begins, in an archive that is not compressed.
	Entries int64 `json:"entries,string,omitempty"`
	Offset  int64 `json:"offset,string,omitempty"`
	Late    int64 `json:"late,string,omitempty"`
	Files   int64 `json:"files,string,omitempty"`
	Bytes   int64 `json:"bytes,string,omitempty"`
	// LeftOut, Absolute and Attrs are what the archive tells of these entries.
	LeftOut  []string `json:"left_out,omitempty"`
	Absolute int64    `json:"absolute,string,omitempty"`
	Attrs    int64    `json:"attrs,string,omitempty"`
	// Foreign are those of them that are not their owners'.
	Foreign tree.Foreign `json:"foreign,omitzero"`
	// Root is the directory of a sealed archive that the tree is, Of the live one.
	Root string `json:"root,omitempty"`
	Of   string `json:"of,omitempty"`
	// Made are so many of the spool's records whose links and directories are made for good.
	Made int64 `json:"made,string,omitempty"`
	// All says that every file is there, Whole that the tree is as well.
	All   bool `json:"all,omitempty"`
	Whole bool `json:"whole,omitempty"`
}

// noteEvery is how much may be written that the ledger does not know of.
const noteEvery = 16 << 20

// position is the ledger of a restore, under way.
type position struct {
	*ledger.Ledger[passed]
	past, now         passed
	noted, synced     int64 // bytes since
	every             int64
	entriesSinceNoted int
}

// ledgerOf names what is restored: these objects in these revisions, to this
// tree.
func (a args) ledgerOf() (string, error) {
	b, err := json.Marshal([]any{a.Copy, a.Backup, a.Facts, a.Objects})
	if err != nil {
		return "", fmt.Errorf("name the backup: %w", err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:]), nil
}

// openPosition opens the ledger. Where nothing of an earlier attempt is believed
// its tree is removed.
func (s *scratch) openPosition() (*position, error) {
	of, err := s.args.ledgerOf()
	if err != nil {
		return nil, err
	}
	l, past, err := tree.OpenLedger[passed](s.Place, of)
	if err != nil {
		return nil, err
	}
	p := &position{Ledger: l, every: s.syncEvery}
	if len(past) > 0 {
		p.past = past[len(past)-1]
		p.past.Whole = false
	}
	p.now = p.past
	return p, nil
}

// passed notes now and then that an entry is done; next is where the one after
// it begins, or 0 where that is not known.
func (p *position) passed(ctx context.Context, a *archive, next, size int64) error {
	p.noted += size
	p.synced += size
	p.entriesSinceNoted++
	if next == 0 || p.noted < min(noteEvery, p.every) && p.entriesSinceNoted < 10_000 {
		return nil
	}
	if err := a.late.flush(); err != nil {
		return err
	}
	p.noted, p.entriesSinceNoted = 0, 0
	p.now.Entries, p.now.Late = a.entries, a.late.size
	if a.takeUp() {
		p.now.Offset = next
	}
	p.count(a)
	p.now.LeftOut, p.now.Absolute, p.now.Attrs, p.now.Foreign = a.leftOut, a.absolute, a.attrs, a.foreign
	if err := p.Add(p.now); err != nil {
		return err
	}
	if p.synced < p.every {
		return nil
	}
	p.synced = 0
	if err := p.Sync(); err != nil {
		return err
	}
	return a.env.Meter().Checkpoint(ctx, fmt.Sprintf("%d files, %s, are restored and on disk", p.now.Files, recovery.FormatBytes(p.now.Bytes)))
}

// count takes in what this attempt has written.
func (p *position) count(a *archive) {
	files, bytes := a.tree.Written()
	p.now.Files, p.now.Bytes = p.past.Files+files, p.past.Bytes+bytes
}

// all notes that every file is there; it is durable when this returns.
func (p *position) all(_ context.Context, a *archive) error {
	if err := a.late.flush(); err != nil {
		return err
	}
	p.now.Entries, p.now.Late, p.now.All = a.entries, a.late.size, true
	p.count(a)
	p.now.LeftOut, p.now.Absolute, p.now.Attrs, p.now.Foreign = a.leftOut, a.absolute, a.attrs, a.foreign
	return errors.Join(p.Add(p.now), p.Sync())
}

// made notes that so many late records are done: they are durable before the note is, and
// the note before what comes next.
func (p *position) made(n int64) error {
	if err := p.Sync(); err != nil {
		return err
	}
	p.now.Made = n
	return errors.Join(p.Add(p.now), p.Sync())
}

// whole notes that the tree is complete: it is durable before the note is.
func (p *position) whole(*tree.Writer) error {
	if err := p.Sync(); err != nil {
		return err
	}
	p.now.Whole = true
	return errors.Join(p.Add(p.now), p.Sync())
}

// spool is a file of records for the end.
type spool struct {
	file *os.File
	out  *bufio.Writer
	size int64
	tree.Repeats
}

// openSpool opens a spool and cuts it to what is believed of it.
func openSpool(path string, size int64) (*spool, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err == nil {
		err = f.Truncate(size)
	}
	if err == nil {
		_, err = f.Seek(size, io.SeekStart)
	}
	if err != nil {
		return nil, fmt.Errorf("keep links and directories for the end: %w", err)
	}
	s := &spool{file: f, out: bufio.NewWriterSize(f, 64<<10), size: size, Repeats: tree.NewRepeats()}
	for r, err := range s.records() {
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		s.Note(r)
	}
	return s, nil
}

func (s *spool) add(r tree.Record) error {
	n, err := s.out.Write(appendRecord(nil, r))
	s.size += int64(n)
	if err != nil {
		return fmt.Errorf("keep links and directories for the end: %w", err)
	}
	s.Note(r)
	return nil
}

func (s *spool) flush() error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("keep links and directories for the end: %w", err)
	}
	return nil
}

func (s *spool) Close() error { return s.file.Close() }

// records reads the spool from its beginning.
func (s *spool) records() iter.Seq2[tree.Record, error] {
	return func(yield func(tree.Record, error) bool) {
		if err := s.flush(); err != nil {
			yield(tree.Record{}, err)
			return
		}
		for r, err := range readRecords(io.NewSectionReader(s.file, 0, s.size)) {
			if !yield(r, err) {
				return
			}
		}
	}
}

// readRecords streams records; a failure is yielded once, last.
func readRecords(in io.Reader) iter.Seq2[tree.Record, error] {
	return func(yield func(tree.Record, error) bool) {
		b := bufio.NewReaderSize(in, 64<<10)
		for {
			text, err := readText(b)
			if err == io.EOF {
				return
			}
			var r tree.Record
			if err == nil {
				r, err = readRecord(text, b)
			}
			if !yield(r, err) || err != nil {
				return
			}
		}
	}
}
