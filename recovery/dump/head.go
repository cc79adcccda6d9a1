package dump

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery/dump/script"
	"comeback/recovery/postgres"
)

// head is what the beginning of an object tells about a dump. It is kept in the
// backup's Facts.
type head struct {
	Form    form    `json:"form"`
	Packing packing `json:"packing,omitempty"`
	// Server and Dumper are the versions of the dumped server and of the
	// program that dumped it.
	Server string `json:"server,omitempty"`
	Dumper string `json:"dumper,omitempty"`
	// Archive is the version of the archive format, 1.14 as 1014.
	Archive  int    `json:"archive,omitempty"`
	Database string `json:"database,omitempty"`
	// Encoding is what a script's rows are written in.
	Encoding string `json:"encoding,omitempty"`
	// Creates says that a script creates its database itself (pg_dump -C).
	Creates bool `json:"creates,omitempty"`
	// Clock is the time that the dump gives for its start; Zone says whether
	// that is known to be UTC.
	Clock time.Time `json:"clock,omitzero"`
	Zoned bool      `json:"zoned,omitempty"`
	// ByName says that nobody has looked inside: the form is that of the
	// objects with names like this one's.
	ByName bool `json:"by_name,omitempty"`
	// rolesOnly says that the whole dump is globals; cut that it was looked at
	// to its end, and that it has none.
	rolesOnly, cut bool
	// ended says that a dump of a cluster ends where it is looked at, globals that another
	// dump follows it there, as (pg_dumpall --globals-only; pg_dump …) writes.
	ended, globals bool
}

// serverMajor is the major of the dumped server, or 0.
func (h head) serverMajor() int { return postgres.Major(h.Server) }

// The sizes of looking: what is read of an object, and of its decompressed text.
const (
	headBytes     = 64 << 10
	headBytesZstd = 192 << 10 // zstd gives nothing before its first block is whole
	headText      = 256 << 10
)

// readHead judges the beginning of an object. ok is false where it is no dump;
// problem then says what it is instead, if that is known. whole says that raw
// is all of it.
func readHead(raw []byte, whole bool) (h head, problem string, ok bool) {
	if says := unreadable(raw); says != "" {
		return head{}, says, false
	}
	h.Packing = packingOf(raw)
	text, end, err := unpackHead(h.Packing, raw)
	switch {
	case err != nil && len(text) == 0:
		return head{}, "it is not " + string(h.Packing) + " inside: " + err.Error(), false
	case len(text) == 0 && whole && end == torn:
		return head{}, "it is cut off", false
	}
	h.cut = whole && end == torn
	if h.Packing != unpacked {
		if says := unreadable(text); says != "" {
			return head{}, says, false
		}
	}
	if a, err := readArchiveHeader(text); err == nil {
		h.archive(a)
		h.Form = customArchive
		return h, "", true
	}
	if toc := tarTOC(text); toc != nil {
		a, err := readArchiveHeader(toc)
		if err != nil {
			return head{}, "", false
		}
		h.archive(a)
		h.Form = tarArchive
		return h, "", true
	}
	all := whole && end == reached
	if !h.script(text, all) {
		return head{}, "", false
	}
	h.cut = h.cut || all && !h.ends(text[max(0, len(text)-tailBytes):])
	return h, "", true
}

// ends reports whether a script's last bytes are its end: the last of the comments there with
// which dumps begin and end is of one that ends. That of a cluster ends with its own.
func (h head) ends(tail []byte) bool {
	last := ""
	for line := range strings.Lines(string(tail)) {
		switch line = strings.TrimSpace(line); line {
		case dumpBegins, dumpEnds, clusterBegins, clusterEnds:
			last = line
		}
	}
	return last == clusterEnds || last == dumpEnds && (h.Form != clusterScript || h.globals)
}

// textEnd is how far a beginning was decompressed.
type textEnd int

const (
	further textEnd = iota // as far as is looked
	reached                // to its end
	torn                   // to where the given bytes end, in the middle
)

// unpackHead decompresses as much as it can of a beginning.
func unpackHead(p packing, raw []byte) ([]byte, textEnd, error) {
	z, err := unpack(p, bytes.NewReader(raw))
	if err != nil {
		return nil, further, err
	}
	defer z.Close()
	text, err := io.ReadAll(io.LimitReader(z, headText))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return text, torn, nil
	case err != nil || len(text) == headText:
		return text, further, err
	}
	return text, reached, nil
}

func (h *head) archive(a archiveHeader) {
	h.Archive, h.Database, h.Server, h.Dumper, h.Clock = a.Version, a.Database, a.Server, a.Dumper, a.Created
}

// tarTOC is the beginning of toc.dat where text is a tar archive that begins
// with it, as pg_dump -Ft writes.
func tarTOC(text []byte) []byte {
	const block = 512
	if len(text) <= block || string(text[257:262]) != "ustar" {
		return nil
	}
	name, _, _ := bytes.Cut(text[:100], []byte{0})
	if string(name) != "toc.dat" {
		return nil
	}
	return text[block:]
}

var (
	encodingLine = pattern.New(`^\s*SET client_encoding = '(\w+)'`)
	serverLine   = pattern.New(`^-- Dumped from database version (.+)$`)
	dumperLine   = pattern.New(`^-- Dumped by pg_dump(?:all)? version (.+)$`)
	startedLine  = pattern.New(`^-- Started on (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)(?: (\S+))?`)
)

// The comments with which dumps begin and end.
const (
	dumpBegins    = "-- PostgreSQL database dump"
	dumpEnds      = "-- PostgreSQL database dump complete"
	clusterBegins = "-- PostgreSQL database cluster dump"
	clusterEnds   = "-- PostgreSQL database cluster dump complete"
)

// script reads the first statements of a plain script; it reports whether it is
// a dump at all.
func (h *head) script(text []byte, whole bool) bool {
	r := script.NewReader(bytes.NewReader(text))
	tables, others, connects := false, false, false
	for {
		p, err := r.Next()
		if err != nil {
			break // the beginning ends somewhere
		}
		switch p.Kind {
		case script.Comment:
			h.comment(strings.TrimSpace(string(p.Text)))
		case script.Command:
			connects = connects || !script.IsRestrict(string(p.Text))
		case script.Statement:
			if m := encodingLine.FindStringSubmatch(string(p.Text[:min(len(p.Text), 80)])); m != nil && h.Encoding == "" {
				h.Encoding = m[1]
			}
			switch j := script.Judge(p, ""); {
			case j.Creates != "":
				others = true
				if h.Form == plainScript {
					h.Creates, h.Database = true, j.Creates
				}
			case p.Copies || strings.HasPrefix(p.Summary(), "CREATE TABLE ") || strings.HasPrefix(p.Summary(), "CREATE FUNCTION "):
				tables = true
			}
		}
		if h.Form == "" && r.Offset() > headBytes/4 {
			return false
		}
	}
	h.rolesOnly = h.Form == clusterScript && whole && !h.globals && !tables && !others
	if h.globals && !others && !connects {
		h.Form = plainScript // the roles come first, and then what pg_dump writes, which says of no database
	}
	return h.Form != ""
}

func (h *head) comment(line string) {
	switch {
	case line == dumpBegins && h.Form == "":
		h.Form = plainScript
	case line == clusterBegins && h.Form == "":
		h.Form = clusterScript
	case line == clusterEnds && h.Form == clusterScript:
		h.ended = true
	case line == dumpBegins && h.ended && !h.globals:
		h.globals, h.Encoding = true, ""
	}
	if m := serverLine.FindStringSubmatch(line); m != nil && h.Server == "" {
		h.Server = m[1]
	}
	if m := dumperLine.FindStringSubmatch(line); m != nil && h.Dumper == "" {
		h.Dumper = m[1]
	}
	if m := startedLine.FindStringSubmatch(line); m != nil && h.Clock.IsZero() {
		t, err := time.Parse(time.DateTime, m[1])
		if err == nil {
			h.Clock, h.Zoned = t, m[2] == "UTC" || m[2] == "GMT"
		}
	}
}
