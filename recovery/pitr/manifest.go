package pitr

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// manifest is what pg_basebackup's backup_manifest says.
type manifest struct {
	// System is empty before PostgreSQL 17.
	System string
	// Files are by their path in the data directory.
	Files map[string]manifestFile
	Size  int64
	walRange
}

// manifestFile is one file as the server read it.
type manifestFile struct {
	Size int64
	// Algorithm is as PostgreSQL writes it, "CRC32C", or empty.
	Algorithm string
	Checksum  string
	Modified  string
}

// walRange is the log that a backup needs to be consistent.
type walRange struct {
	Timeline    uint32
	Start, Stop recovery.LSN
}

// parseManifest reads a backup_manifest and proves its own checksum. Only the
// list of files is kept in memory. A manifest that ends early or was changed is
// storage.ErrCorrupt. Where each is not nil it is told of each file, and
// nothing is kept.
func parseManifest(r io.Reader, each func(path string, f manifestFile)) (manifest, error) {
	m := manifest{}
	if each == nil {
		m.Files = map[string]manifestFile{}
		each = func(path string, f manifestFile) { m.Files[path] = f }
	}
	body := &manifestBody{lines: bufio.NewReaderSize(r, 1<<20), sum: sha256.New()}
	declared, err := decodeManifest(json.NewDecoder(body), func(path string, f manifestFile) {
		m.Size += f.Size
		each(path, f)
	}, &m)
	if body.err != nil && !errors.Is(body.err, io.EOF) {
		return manifest{}, fmt.Errorf("read the manifest: %w", body.err)
	}
	if err != nil {
		return manifest{}, fmt.Errorf("%w: the manifest is not complete: %w", storage.ErrCorrupt, err)
	}
	if found := hex.EncodeToString(body.sum.Sum(nil)); !strings.EqualFold(found, declared) {
		return manifest{}, fmt.Errorf("%w: the manifest does not match its own checksum", storage.ErrCorrupt)
	}
	return m, nil
}

// decodeManifest walks through the manifest's keys.
func decodeManifest(d *json.Decoder, each func(string, manifestFile), m *manifest) (checksum string, err error) {
	if err := expect(d, json.Delim('{')); err != nil {
		return "", err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return "", err
		}
		switch key {
		case "System-Identifier":
			var n json.Number
			err = d.Decode(&n)
			m.System = n.String()
		case "Files":
			err = decodeFiles(d, each)
		case "WAL-Ranges":
			m.walRange, err = decodeRanges(d)
		case "Manifest-Checksum":
			err = d.Decode(&checksum)
		default:
			var skipped json.RawMessage
			err = d.Decode(&skipped)
		}
		if err != nil {
			return "", err
		}
	}
	if err := expect(d, json.Delim('}')); err != nil {
		return "", err
	}
	if checksum == "" || m.Stop == 0 {
		return "", errors.New("it has no WAL range or no checksum")
	}
	return checksum, nil
}

func decodeFiles(d *json.Decoder, each func(string, manifestFile)) error {
	if err := expect(d, json.Delim('[')); err != nil {
		return err
	}
	for d.More() {
		var f struct {
			Path      string
			Encoded   string `json:"Encoded-Path"`
			Size      int64
			Modified  string `json:"Last-Modified"`
			Algorithm string `json:"Checksum-Algorithm"`
			Checksum  string
		}
		if err := d.Decode(&f); err != nil {
			return err
		}
		if f.Encoded != "" { // a name that is not UTF-8
			raw, err := hex.DecodeString(f.Encoded)
			if err != nil {
				return fmt.Errorf("path %q: %w", f.Encoded, err)
			}
			f.Path = string(raw)
		}
		if f.Path == "" || f.Size < 0 {
			return fmt.Errorf("file %q of %d bytes", f.Path, f.Size)
		}
		each(f.Path, manifestFile{Size: f.Size, Algorithm: strings.ToUpper(f.Algorithm), Checksum: f.Checksum, Modified: f.Modified})
	}
	return expect(d, json.Delim(']'))
}

func decodeRanges(d *json.Decoder) (walRange, error) {
	var ranges []struct {
		Timeline uint32
		Start    recovery.LSN `json:"Start-LSN"`
		End      recovery.LSN `json:"End-LSN"`
	}
	if err := d.Decode(&ranges); err != nil {
		return walRange{}, err
	}
	if len(ranges) == 0 {
		return walRange{}, errors.New("its WAL ranges are empty")
	}
	// A backup of a standby whose primary changed has one per timeline, the
	// newest first.
	last, first := ranges[0], ranges[0]
	for _, r := range ranges {
		if r.Timeline > last.Timeline {
			last = r
		}
		if r.Timeline < first.Timeline {
			first = r
		}
	}
	return walRange{Timeline: first.Timeline, Start: first.Start, Stop: last.End}, nil
}

func expect(d *json.Decoder, want json.Delim) error {
	t, err := d.Token()
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	if err == nil && t != want {
		err = fmt.Errorf("%v stands where %v should", t, want)
	}
	return err
}

// manifestBody passes a manifest on and hashes every line but the last, which
// is what Manifest-Checksum is over.
type manifestBody struct {
	lines *bufio.Reader
	sum   hash.Hash
	last  []byte // the line before the one in hand, not hashed yet
	out   bytes.Buffer
	err   error
}

func (b *manifestBody) Read(p []byte) (int, error) {
	for b.out.Len() == 0 {
		if b.err != nil {
			return 0, b.err
		}
		// A piece of a line is as good as a line: only the last one matters,
		// and it is short.
		line, err := b.lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			err = nil
		}
		if len(line) > 0 {
			b.sum.Write(b.last)
			b.last = append(b.last[:0], line...)
			b.out.Write(line)
		}
		b.err = err
	}
	return b.out.Read(p)
}
