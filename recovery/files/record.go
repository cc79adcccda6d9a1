package files

import (
	"bufio"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"comeback/recovery/attributes"
	"comeback/recovery/files/tree"
	"comeback/storage"
)

// maxText bounds one path, link or attribute; Linux takes 4096 bytes, and 64 KB of an
// attribute.
const maxText = 128 << 10

// inPAX is what PAX calls extended attributes, before their names.
const inPAX = "SCHILY.xattr."

// The text of a record is one line of a manifest:
//
//	TYPE PACK AT SHA256 SIZE MODE UID GID MODIFIED CHANGED PATH
//
// ended by a NUL byte, so that a path may hold any other; fields that mean
// nothing are "-". Links are followed by where they lead and another NUL byte, and
// each extended attribute follows as
//
//	x BASE64 SCHILY.xattr.NAME
//
// and a NUL byte: its value, and its name as PAX has it.

// appendRecord writes the record's text.
func appendRecord(b []byte, r tree.Record) []byte {
	b = append(b, byte(r.Type), ' ')
	if r.Type == tree.File {
		b = strconv.AppendInt(b, int64(r.Pack), 10)
		b = append(b, ' ')
		b = strconv.AppendInt(b, r.At, 10)
		b = append(b, ' ')
		b = append(b, orDash(r.SHA256)...)
		b = append(b, ' ')
		b = strconv.AppendInt(b, r.Size, 10)
	} else {
		b = append(b, "- - - -"...)
	}
	b = append(b, ' ')
	b = strconv.AppendUint(b, uint64(r.Mode), 8)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.UID), 10)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(r.GID), 10)
	for _, t := range []time.Time{r.Modified, r.Changed} {
		if t.IsZero() {
			t = time.Unix(0, 0)
		}
		b = fmt.Appendf(b, " %d.%09d", t.Unix(), t.Nanosecond())
	}
	b = append(b, ' ')
	b = append(append(b, r.Path...), 0)
	if r.Type == tree.Symlink || r.Type == tree.HardLink {
		b = append(append(b, r.Link...), 0)
	}
	for _, a := range r.Attributes {
		b = base64.StdEncoding.AppendEncode(append(b, attributePrefix...), a.Value)
		b = append(append(b, " "+inPAX+a.Name...), 0)
	}
	return b
}

// attributePrefix tells the texts of attributes from those of records.
const attributePrefix = "x "

// readAttributes reads those that follow a record.
func readAttributes(r *bufio.Reader) (all []attributes.Attribute, err error) {
	for {
		next, err := r.Peek(len(attributePrefix))
		if err != nil || string(next) != attributePrefix {
			return all, nil // what is wrong with the stream the next record tells
		}
		text, err := readText(r)
		if err != nil {
			return nil, unexpected(err)
		}
		f := strings.SplitN(text, " ", 3)
		bad := fmt.Errorf("%w: not an attribute: %.80q", storage.ErrCorrupt, text)
		if len(f) != 3 {
			return nil, bad
		}
		name, ok := strings.CutPrefix(f[2], inPAX)
		value, err := base64.StdEncoding.Strict().DecodeString(f[1])
		if err != nil || !ok || name == "" || strings.ContainsAny(f[1], "\r\n") || len(all) > 0 && all[len(all)-1].Name >= name {
			return nil, bad
		}
		all = append(all, attributes.Attribute{Name: name, Value: value})
	}
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// readText reads up to the next NUL byte. io.EOF means that nothing was left.
func readText(r *bufio.Reader) (string, error) {
	var text []byte
	for {
		part, err := r.ReadSlice(0)
		text = append(text, part...)
		switch {
		case len(text) > maxText:
			return "", fmt.Errorf("%w: a record of more than %d bytes", storage.ErrCorrupt, maxText)
		case errors.Is(err, bufio.ErrBufferFull):
		case err == io.EOF && len(text) > 0:
			return "", fmt.Errorf("%w: it ends in the middle of a record", storage.ErrCorrupt)
		case err != nil:
			return "", err
		default:
			return string(text[:len(text)-1]), nil
		}
	}
}

// readRecord reads the record whose first text is given; the rest of a link, and
// the attributes, come from r.
func readRecord(text string, r *bufio.Reader) (tree.Record, error) {
	bad := func(what string) (tree.Record, error) {
		return tree.Record{}, fmt.Errorf("%w: a record has no %s: %.80q", storage.ErrCorrupt, what, text)
	}
	f := strings.SplitN(text, " ", 11)
	if len(f) != 11 || len(f[0]) != 1 {
		return bad("eleven fields")
	}
	e := tree.Record{Type: tree.Type(f[0][0]), Path: f[10]}
	if !tree.Sound(e.Path) {
		return bad("path inside of its tree")
	}
	mode, err := strconv.ParseUint(f[5], 8, 12)
	if err != nil {
		return bad("mode")
	}
	e.Mode = uint32(mode)
	if e.UID, err = strconv.Atoi(f[6]); err != nil || e.UID < 0 {
		return bad("owner")
	}
	if e.GID, err = strconv.Atoi(f[7]); err != nil || e.GID < 0 {
		return bad("group")
	}
	if e.Modified, err = parseTime(f[8]); err != nil {
		return bad("time")
	}
	if e.Changed, err = parseTime(f[9]); err != nil {
		return bad("time of its last change")
	}
	switch e.Type {
	case tree.File:
		if e.Pack, err = strconv.Atoi(f[1]); err != nil || e.Pack < 0 {
			return bad("pack")
		}
		if e.At, err = strconv.ParseInt(f[2], 10, 64); err != nil || e.At < 0 {
			return bad("place in its pack")
		}
		if e.Size, err = strconv.ParseInt(f[4], 10, 64); err != nil || e.Size < 0 {
			return bad("size")
		}
		if f[3] != "-" {
			if e.SHA256 = f[3]; !isSHA256(e.SHA256) {
				return bad("digest")
			}
		}
	case tree.Symlink, tree.HardLink:
		if e.Link, err = readText(r); err != nil {
			return tree.Record{}, fmt.Errorf("read where %.80q leads: %w", e.Path, unexpected(err))
		}
		if e.Link == "" || e.Type == tree.HardLink && !tree.Sound(e.Link) {
			return bad("place where it leads")
		}
	case tree.Directory:
	default:
		return bad("known type")
	}
	if e.Attributes, err = readAttributes(r); err != nil {
		return tree.Record{}, fmt.Errorf("read the attributes of %.80q: %w", e.Path, err)
	}
	return e, nil
}

// unexpected is err where the end of the stream is not one of the text.
func unexpected(err error) error {
	if err == io.EOF {
		return fmt.Errorf("%w: it ends too early", storage.ErrCorrupt)
	}
	return err
}

// parseTime reads seconds with nine digits of nanoseconds.
func parseTime(text string) (time.Time, error) {
	seconds, nanos, ok := strings.Cut(text, ".")
	s, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil || !ok || len(nanos) != 9 {
		return time.Time{}, errors.New("not a time")
	}
	n, err := strconv.ParseUint(nanos, 10, 32)
	return time.Unix(s, int64(n)).UTC(), err
}

func isSHA256(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}
