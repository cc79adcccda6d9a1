package rescue

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// A row, in memory and in files, is a line of COPY's text format: fields between
// tabs, with backslashes for what cannot stand there itself. Equal fields are
// equal bytes.

// null is how a field says that there is no value.
const null = `\N`

var nullField = []byte(null)

// splitRow splits a line, without its end, into its fields. They share its
// memory.
func splitRow(line []byte, into [][]byte) [][]byte {
	into = into[:0]
	for {
		i := bytes.IndexByte(line, '\t')
		if i < 0 {
			return append(into, line)
		}
		into = append(into, line[:i])
		line = line[i+1:]
	}
}

// unescape gives a field's value; ok is false for null.
func unescape(field []byte) (value []byte, ok bool) {
	if string(field) == null {
		return nil, false
	}
	if bytes.IndexByte(field, '\\') < 0 {
		return field, true
	}
	value = make([]byte, 0, len(field))
	for i := 0; i < len(field); i++ {
		c := field[i]
		if c == '\\' && i+1 < len(field) {
			i++
			if c = field[i]; c < 'a' || c > 'z' {
				value = append(value, c)
				continue
			}
			switch c {
			case 'b':
				c = '\b'
			case 'f':
				c = '\f'
			case 'n':
				c = '\n'
			case 'r':
				c = '\r'
			case 't':
				c = '\t'
			case 'v':
				c = '\v'
			}
		}
		value = append(value, c)
	}
	return value, true
}

// escape writes a value as a field, as PostgreSQL does; nil is null.
func escape(into, value []byte) []byte {
	if value == nil {
		return append(into, null...)
	}
	for _, c := range value {
		switch c {
		case '\b':
			into = append(into, `\b`...)
		case '\f':
			into = append(into, `\f`...)
		case '\n':
			into = append(into, `\n`...)
		case '\r':
			into = append(into, `\r`...)
		case '\t':
			into = append(into, `\t`...)
		case '\v':
			into = append(into, `\v`...)
		case '\\':
			into = append(into, `\\`...)
		default:
			into = append(into, c)
		}
	}
	return into
}

// rows reads lines, one at a time and none longer than a row of PostgreSQL.
type rows struct {
	r    *bufio.Reader
	line []byte
}

func newRows(r io.Reader) *rows { return &rows{r: bufio.NewReaderSize(r, 64<<10)} }

// next gives the next line without its end, valid until the call after, or
// io.EOF.
func (r *rows) next() ([]byte, error) {
	r.line = r.line[:0]
	for {
		part, err := r.r.ReadSlice('\n')
		if err == nil && len(r.line) == 0 {
			return part[:len(part)-1], nil
		}
		r.line = append(r.line, part...)
		switch {
		case err == nil:
			return r.line[:len(r.line)-1], nil
		case errors.Is(err, bufio.ErrBufferFull):
		case errors.Is(err, io.EOF) && len(r.line) > 0:
			return nil, fmt.Errorf("a row is cut off: %w", io.ErrUnexpectedEOF)
		default:
			return nil, err
		}
	}
}
