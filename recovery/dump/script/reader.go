package script

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Kind is what a part of a script is.
type Kind string

// The kinds of parts.
const (
	Space     Kind = "space"
	Comment   Kind = "comment"     // -- to the end of the line, or /* */
	Statement Kind = "statement"   // with its semicolon and the comments inside it
	Command   Kind = "command"     // a backslash command of psql, to the end of the line
	EndOfData Kind = "end of data" // the line \. after COPY data
)

// Part is a piece of a script.
type Part struct {
	Kind Kind
	// Line is where it begins, counted from 1.
	Line int64
	// Text is valid until the next call of Next.
	Text []byte
	// Copies says that COPY data follows: Reader.Data gives it.
	Copies bool
	// Escapes says that a backslash escapes in plain strings of this part.
	Escapes bool
	letters letters
}

// MaxPart is how long one statement may be, in bytes. PostgreSQL itself takes
// less than 1 GB, and a statement has to be sent as a whole.
const MaxPart = 256 << 20

// The errors of a script that cannot be split.
var (
	// ErrCutOff: the script ends inside a statement or COPY data.
	ErrCutOff = errors.New("it is cut off")
	// ErrTooLong: a statement is longer than MaxPart.
	ErrTooLong = errors.New("a statement is too long")
	// ErrCommand: a backslash command stands inside a statement.
	ErrCommand = errors.New("a psql command stands inside a statement")
)

// Reader splits a script. It is for one goroutine.
type Reader struct {
	in   *bufio.Reader
	line int64 // of the next byte
	read int64 // bytes taken
	buf  []byte
	data *data
	// escapes says that a backslash escapes in plain strings.
	escapes bool
	// letters are those of the encoding that the script has said last.
	letters letters
}

// NewReader splits what r gives.
func NewReader(r io.Reader) *Reader {
	return &Reader{in: bufio.NewReaderSize(r, 256<<10), line: 1}
}

// StandardStrings follows the server's standard_conforming_strings: where it is
// off, a backslash escapes in plain strings. It is on in the beginning.
func (r *Reader) StandardStrings(on bool) { r.escapes = !on }

// Offset is the number of bytes read so far.
func (r *Reader) Offset() int64 { return r.read }

// Next gives the next part, and io.EOF at the end of the script. COPY data that
// was not read is passed over.
func (r *Reader) Next() (Part, error) {
	if d := r.data; d != nil {
		if _, err := io.Copy(io.Discard, d); err != nil {
			return Part{}, err
		}
		r.data = nil
		return Part{Kind: EndOfData, Line: d.end, Text: d.marker}, nil
	}
	r.buf = r.buf[:0]
	if cap(r.buf) > 1<<20 {
		r.buf = nil // one huge statement shall not be held for ever
	}
	start := r.line
	part := func(k Kind, err error) (Part, error) {
		if err != nil {
			return Part{}, r.broken(start, err)
		}
		return Part{Kind: k, Line: start, Text: r.buf, Escapes: r.escapes, letters: r.letters}, nil
	}
	two, err := r.in.Peek(2)
	if len(two) == 0 {
		return Part{}, err
	}
	switch {
	case isSpace(two[0]):
		return part(Space, r.whileByte(isSpace))
	case r.read == 0 && r.byteOrderMark():
		return part(Space, nil)
	case two[0] == '\\':
		return part(Command, r.whileByte(func(c byte) bool { return c != '\n' }))
	case string(two) == "--":
		return part(Comment, r.whileByte(notNewline))
	case string(two) == "/*":
		return part(Comment, r.blockComment())
	}
	p, err := part(Statement, r.statement())
	if err == nil && p.copiesFromStdin() {
		p.Copies = true
		err = r.beginData()
		p.Text = r.buf
	}
	if encoding, ok := clientEncoding(p); ok {
		r.letters = lettersOf(encoding)
	}
	return p, err
}

// Data is the COPY data after the statement that Next gave last, up to the line
// \. without it. It ends with ErrCutOff where that line is missing.
func (r *Reader) Data() io.Reader {
	if r.data == nil {
		return bytes.NewReader(nil)
	}
	return r.data
}

// Rows appends COPY data to buf, up to its capacity, and ends where a row ends as
// soon as there are soft bytes; whole is false where buf was too small for that.
// It gives io.EOF, and nothing else, where Data would end, and may be called
// instead of reading Data.
func (r *Reader) Rows(buf []byte, soft int) (rows []byte, whole bool, err error) {
	if r.data == nil {
		return nil, false, io.EOF
	}
	return r.data.rows(buf, soft)
}

// Line is the line of the next byte, counted from 1.
func (r *Reader) Line() int64 { return r.line }

func (r *Reader) broken(line int64, err error) error {
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w in the statement that begins at line %d", ErrCutOff, line)
	}
	if errors.Is(err, ErrTooLong) || errors.Is(err, ErrCommand) {
		return fmt.Errorf("%w, at line %d", err, line)
	}
	return err
}

// next takes one byte into the current part.
func (r *Reader) next() (byte, error) {
	c, err := r.in.ReadByte()
	if err != nil {
		return 0, err
	}
	r.read++
	if c == '\n' {
		r.line++
	}
	if len(r.buf) >= MaxPart {
		return 0, ErrTooLong
	}
	r.buf = append(r.buf, c)
	return c, nil
}

// peek looks at the next byte; 0 at the end.
func (r *Reader) peek() byte {
	b, _ := r.in.Peek(1) // an error comes again with the next read
	if len(b) == 0 {
		return 0
	}
	return b[0]
}

// letter takes the next letter, with all of its bytes.
func (r *Reader) letter() error {
	two, _ := r.in.Peek(2) // an error comes again with the next read
	two = append(two[:len(two):len(two)], 0, 0)
	for range r.letters.length(two[0], two[1]) {
		if _, err := r.next(); err != nil {
			return err
		}
	}
	return nil
}

// whileByte takes bytes as long as they are of a kind. The end of the script
// ends a part like this well.
func (r *Reader) whileByte(is func(byte) bool) error {
	for {
		b, err := r.in.Peek(1)
		switch {
		case len(b) == 0 && errors.Is(err, io.EOF):
			return nil
		case len(b) == 0:
			return err
		case !is(b[0]):
			return nil
		}
		if _, err := r.next(); err != nil {
			return err
		}
	}
}

// until takes text up to the next byte that is a or b, which it leaves.
func (r *Reader) until(a, b byte) error {
	for r.letters != byBytes {
		if _, err := r.in.Peek(1); err != nil {
			return err
		}
		if c := r.peek(); c == a || c == b {
			return nil
		}
		if err := r.letter(); err != nil {
			return err
		}
	}
	for {
		if _, err := r.in.Peek(1); err != nil {
			return err
		}
		chunk, _ := r.in.Peek(r.in.Buffered())
		stop := bytes.IndexByte(chunk, a)
		if stop >= 0 {
			chunk = chunk[:stop]
		}
		if i := bytes.IndexByte(chunk, b); i >= 0 {
			chunk, stop = chunk[:i], i
		}
		if len(r.buf)+len(chunk) > MaxPart {
			return ErrTooLong
		}
		r.buf = append(r.buf, chunk...)
		r.line += int64(bytes.Count(chunk, []byte("\n")))
		r.read += int64(len(chunk))
		if _, err := r.in.Discard(len(chunk)); err != nil || stop >= 0 {
			return err
		}
	}
}

// byteOrderMark takes the mark that some editors put at the beginning.
func (r *Reader) byteOrderMark() bool {
	const mark = "\ufeff"
	b, _ := r.in.Peek(len(mark))
	if string(b) != mark {
		return false
	}
	for range len(mark) {
		if _, err := r.next(); err != nil {
			return false
		}
	}
	return true
}

// blockComment takes a /* comment */, which may hold others.
func (r *Reader) blockComment() error {
	depth := 0
	for {
		c, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case c == '/' && r.peek() == '*':
			depth++
		case c == '*' && r.peek() == '/':
			depth--
		default:
			continue
		}
		if _, err := r.next(); err != nil {
			return err
		}
		if depth == 0 {
			return nil
		}
	}
}

func isSpace(c byte) bool {
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v'
}

func notNewline(c byte) bool { return c != '\n' && c != '\r' }

func isIdentStart(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '_' || c >= 0x80
}

func isIdent(c byte) bool { return isIdentStart(c) || c >= '0' && c <= '9' || c == '$' }
