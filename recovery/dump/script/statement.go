package script

import (
	"bytes"
	"fmt"
	"io"
	"strings"
)

// statement takes everything up to the semicolon that ends a statement, by
// psql's own rules: not in quotes, comments or parentheses, and not in the
// BEGIN ATOMIC … END of a function's body. psql takes any word BEGIN for that of
// a body; here it is one only before ATOMIC, as for the server.
func (r *Reader) statement() error {
	var body sqlBody
	parens := 0
	for {
		switch c := r.peek(); {
		case c == '\\':
			return ErrCommand
		case isIdentStart(c):
			word, escape, err := r.word()
			if err != nil {
				return err
			}
			if escape {
				if err := r.quoted('\'', true); err != nil {
					return err
				}
			} else if parens == 0 {
				body.word(word)
			}
			continue
		}
		c, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case c == '\'' || c == '"':
			err = r.quoted(c, c == '\'' && r.escapes)
		case c == '$':
			err = r.dollarQuoted()
		case c == '-' && r.peek() == '-':
			err = r.whileByte(notNewline)
		case c == '/' && r.peek() == '*':
			err = r.innerBlockComment()
		case c == '(':
			parens++
		case c == ')' && parens > 0:
			parens--
		case c == ';' && parens == 0 && body.depth == 0:
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// word takes an identifier, or the E of an escape string with its quote.
func (r *Reader) word() (word []byte, escape bool, err error) {
	if two, _ := r.in.Peek(2); len(two) == 2 && (two[0] == 'e' || two[0] == 'E') && two[1] == '\'' {
		for range 2 {
			if _, err := r.next(); err != nil {
				return nil, false, err
			}
		}
		return nil, true, nil
	}
	start := len(r.buf)
	for isIdent(r.peek()) {
		if r.letters == byBytes {
			if err := r.whileByte(isIdent); err != nil {
				return nil, false, err
			}
			break
		}
		if err := r.letter(); err != nil {
			return nil, false, err
		}
	}
	return r.buf[start:], false, nil
}

// quoted takes the rest of a string or a quoted identifier. A doubled quote
// ends one and begins the next, which comes to the same.
func (r *Reader) quoted(quote byte, escapes bool) error {
	stop := quote
	if escapes {
		stop = '\\'
	}
	for {
		if err := r.until(quote, stop); err != nil {
			return err
		}
		c, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case c == '\\' && escapes:
			if err := r.letter(); err != nil {
				return err
			}
		case c == quote:
			if !escapes || !r.continues(quote) {
				return nil
			}
		}
	}
}

// continues takes what joins an escape string to its continuation: another
// quote at once, or on a later line.
func (r *Reader) continues(quote byte) bool {
	gap, newline := 0, false
	for {
		b, _ := r.in.Peek(gap + 1)
		if len(b) <= gap {
			return false
		}
		c := b[gap]
		if c == quote && (gap == 0 || newline) {
			for range gap + 1 {
				if _, err := r.next(); err != nil {
					return false // comes again with the next read
				}
			}
			return true
		}
		if !isSpace(c) {
			return false
		}
		newline = newline || c == '\n' || c == '\r'
		gap++
	}
}

// maxTag is the longest tag of a dollar quote that is looked for.
const maxTag = 1024

// dollarQuoted takes the rest of $tag$ … $tag$ after its first dollar; a
// dollar that begins no quote is taken alone.
func (r *Reader) dollarQuoted() error {
	var tag []byte
	for n := 1; ; n++ {
		b, _ := r.in.Peek(n)
		if len(b) < n || n > maxTag {
			return nil
		}
		c := b[n-1]
		if c == '$' {
			tag = append([]byte("$"), b...)
			break
		}
		if !isIdentStart(c) && (n == 1 || c < '0' || c > '9') {
			return nil
		}
	}
	for range len(tag) - 1 {
		if _, err := r.next(); err != nil {
			return err
		}
	}
	start := len(r.buf)
	for {
		if err := r.until('$', '$'); err != nil {
			return err
		}
		c, err := r.next()
		if err != nil {
			return err
		}
		if c == '$' && len(r.buf)-start >= len(tag) && bytes.HasSuffix(r.buf, tag) {
			return nil
		}
	}
}

// innerBlockComment takes the rest of a comment whose slash is taken.
func (r *Reader) innerBlockComment() error {
	for depth := 1; depth > 0; {
		c, err := r.next()
		if err != nil {
			return err
		}
		switch {
		case c == '*' && r.peek() == '/':
			depth--
		case c == '/' && r.peek() == '*':
			depth++
		default:
			continue
		}
		if depth == 0 {
			_, err = r.next()
			return err
		}
	}
	return nil
}

// sqlBody follows the words of CREATE [OR REPLACE] FUNCTION or PROCEDURE, whose
// body may be BEGIN ATOMIC … END with semicolons in it.
type sqlBody struct {
	head  [4]byte // c, o, r, f, p for the first words, where they are such
	words int
	depth int
	begun bool // the last word was BEGIN
}

func (b *sqlBody) word(w []byte) {
	if b.words < len(b.head) {
		for _, key := range []string{"create", "or", "replace", "function", "procedure"} {
			if strings.EqualFold(string(w), key) {
				b.head[b.words] = key[0]
			}
		}
		b.words++
	}
	switch string(b.head[:2]) {
	case "cf", "cp":
	case "co":
		if tail := string(b.head[2:]); tail != "rf" && tail != "rp" {
			return
		}
	default:
		return
	}
	switch {
	case b.depth == 0:
		if b.begun && bytes.EqualFold(w, []byte("atomic")) {
			b.depth++
		}
		b.begun = bytes.EqualFold(w, []byte("begin"))
	case bytes.EqualFold(w, []byte("case")):
		b.depth++
	case bytes.EqualFold(w, []byte("end")):
		b.depth--
	}
}

// data is the COPY data up to its end marker.
type data struct {
	r       *Reader
	midLine bool
	inRow   bool // what rows gave last does not end with a row
	marker  []byte
	end     int64 // the marker's line
	err     error
}

// beginData takes the end of the COPY statement's line; anything else on it
// would be ambiguous.
func (r *Reader) beginData() error {
	for {
		c, err := r.in.ReadByte()
		if err != nil {
			return r.broken(r.line, err)
		}
		r.read++
		r.buf = append(r.buf, c)
		switch {
		case c == '\n':
			r.line++
			r.data = &data{r: r}
			return nil
		case !isSpace(c):
			return fmt.Errorf("something follows COPY … FROM stdin at line %d", r.line)
		}
	}
}

func (d *data) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) && d.err == nil {
		chunk, err := d.chunk(len(p) - n)
		n += copy(p[n:], chunk)
		d.err = err
	}
	if n > 0 {
		return n, nil
	}
	return 0, d.err
}

// chunk takes at most max bytes of one line. io.EOF says that the marker was
// taken.
func (d *data) chunk(max int) ([]byte, error) {
	in := d.r.in
	if !d.midLine {
		if err := d.takeMarker(); err != nil {
			return nil, err
		}
	}
	if err := d.more(); err != nil {
		return nil, err
	}
	b, _ := in.Peek(min(max, in.Buffered()))
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		b = b[:i+1]
		d.r.line++
		d.midLine = false
	} else {
		d.midLine = true
	}
	d.r.read += int64(len(b))
	if _, err := in.Discard(len(b)); err != nil {
		return nil, err
	}
	return b, nil
}

// takeMarker takes the end marker where it stands; then it gives io.EOF.
func (d *data) takeMarker() error {
	in := d.r.in
	head, _ := in.Peek(4) // \. and the end of the line or of the script
	n := markerLen(head)
	if n == 0 {
		return nil
	}
	d.marker = append([]byte(nil), head[:n]...)
	d.end = d.r.line
	if head[n-1] == '\n' {
		d.r.line++
	}
	d.r.read += int64(n)
	if _, err := in.Discard(n); err != nil {
		return err
	}
	return io.EOF
}

// more reads on, where nothing is left to look at.
func (d *data) more() error {
	_, err := d.r.in.Peek(1)
	if err == io.EOF {
		err = fmt.Errorf("%w in COPY data at line %d", ErrCutOff, d.r.line)
	}
	return err
}

// rows appends to buf until it holds soft bytes and a row ends there, or is full.
// whole says that a row ends with it.
func (d *data) rows(buf []byte, soft int) (_ []byte, whole bool, err error) {
	in := d.r.in
	for d.err == nil && len(buf) < cap(buf) {
		if !d.midLine {
			d.err = d.takeMarker()
		}
		if d.err == nil {
			d.err = d.more()
		}
		if d.err != nil {
			break
		}
		b, _ := in.Peek(min(in.Buffered(), cap(buf)-len(buf)))
		if i := bytes.Index(b, []byte("\n\\.")); i >= 0 {
			b = b[:i+1]
		} else if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
			b = b[:i+1]
		}
		buf = append(buf, b...)
		d.midLine = b[len(b)-1] != '\n'
		d.r.line += int64(bytes.Count(b, []byte{'\n'}))
		d.r.read += int64(len(b))
		if _, err := in.Discard(len(b)); err != nil {
			d.err = err
		}
		if len(buf) >= soft && d.rowEnds(buf) {
			d.inRow = false
			return buf, true, nil
		}
	}
	if len(buf) == 0 {
		return nil, false, d.err
	}
	whole = d.rowEnds(buf)
	d.inRow = !whole
	return buf, whole, nil
}

// rowEnds reports whether a row ends with buf: a line feed behind a backslash is
// the row's own, unless that one stands behind another and is a letter. In some encodings
// what looks like the first one is half of a letter.
func (d *data) rowEnds(buf []byte) bool {
	if d.midLine {
		return false
	}
	line := bytes.TrimSuffix(buf[:len(buf)-1], []byte("\r"))
	before := bytes.TrimRight(line, `\`)
	switch slashes := len(line) - len(before); {
	case len(before) == 0 && d.inRow, // the piece before may end with one
		slashes > 0 && len(before) > 0 && before[len(before)-1] >= 0x80:
		return false
	default:
		return slashes%2 == 0
	}
}

// markerLen is the length of the end marker at the beginning of b, or 0.
func markerLen(b []byte) int {
	if !bytes.HasPrefix(b, []byte(`\.`)) {
		return 0
	}
	switch rest := b[2:]; {
	case len(rest) == 0:
		return 2
	case rest[0] == '\n':
		return 3
	case len(rest) > 1 && rest[0] == '\r' && rest[1] == '\n':
		return 4
	case len(rest) == 1 && rest[0] == '\r':
		return 3
	}
	return 0
}
