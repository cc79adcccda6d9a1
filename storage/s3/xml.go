package s3

import (
	"bytes"
	"strconv"
	"unicode/utf8"
)

// document reads XML as services write their answers: elements and text, UTF-8, nothing
// that needs to be known from elsewhere. encoding/xml, which reads all of XML, takes 14 µs
// for an object of a list, which is nine tenths of a survey of a large bucket; this takes
// three. Whatever is not of that kind (comments, CDATA, prefixes of names, entities of
// its own, elements that do not fit into each other) makes it not readable here: the SDK
// reads it then, or tells what is wrong with it.
type document struct {
	rest []byte
	// unreadable says that the SDK is to read it. Nothing is read any more then.
	unreadable bool
	// empty says that the tag which was read last has ended its element, too.
	empty bool
	depth int // of the elements that are read
}

// deepest is how deep elements may lie in each other, far more than they do.
const deepest = 16

// readDocument opens a document and gives the name of its root.
func readDocument(text []byte) (d *document, root []byte) {
	d = &document{rest: text}
	if !plain(text) {
		d.give()
		return d, nil
	}
	if rest, ok := bytes.CutPrefix(d.rest, []byte("<?xml ")); ok {
		declared, rest, ok := bytes.Cut(rest, []byte("?>"))
		if declared = bytes.ReplaceAll(declared, []byte("'"), []byte(`"`)); string(declared) != `version="1.0" encoding="UTF-8"` && string(declared) != `version="1.0"` || !ok {
			d.give()
			return d, nil
		}
		d.rest = rest
	}
	root, ok := d.open()
	if !ok {
		d.give()
	}
	return d, root
}

// plain reports whether text is UTF-8 of letters that XML may hold. Carriage returns, of
// which XML says what becomes of them, are none here.
func plain(text []byte) bool {
	ascii := true
	for _, c := range text {
		if c < ' ' && c != '\n' && c != '\t' {
			return false
		}
		ascii = ascii && c < utf8.RuneSelf
	}
	return ascii || utf8.Valid(text) && !bytes.Contains(text, []byte("\ufffd")) && !bytes.Contains(text, []byte("\ufffe")) && !bytes.Contains(text, []byte("\uffff"))
}

// give gives the document up.
func (d *document) give() { d.rest, d.unreadable = nil, true }

// space passes over white space between elements.
func (d *document) space() { d.rest = bytes.TrimLeft(d.rest, " \n\t") }

// open reads the tag that begins the next element, without what it says beside its name;
// false says that the end of the element around it comes, or that there is nothing more.
func (d *document) open() (name []byte, ok bool) {
	d.space()
	if len(d.rest) < 3 || d.rest[0] != '<' || d.rest[1] == '/' {
		if len(d.rest) > 0 && d.rest[0] != '<' {
			d.give() // text beside elements
		}
		return nil, false
	}
	end := bytes.IndexByte(d.rest, '>')
	if end < 2 {
		d.give()
		return nil, false
	}
	tag := d.rest[1:end]
	if d.empty = tag[len(tag)-1] == '/'; d.empty {
		tag = bytes.TrimRight(tag[:len(tag)-1], " ")
	}
	name, said := word(tag)
	if len(name) == 0 || len(said) > 0 && !attributes(said) {
		d.give()
		return nil, false
	}
	d.rest = d.rest[end+1:]
	return name, true
}

// word cuts a name of letters and digits from the beginning of a tag, as services use them.
func word(tag []byte) (name, rest []byte) {
	n := 0
	for n < len(tag) && (tag[n] >= 'a' && tag[n] <= 'z' || tag[n] >= 'A' && tag[n] <= 'Z' || n > 0 && tag[n] >= '0' && tag[n] <= '9') {
		n++
	}
	return tag[:n], tag[n:]
}

// attributes reports whether that is what a tag may say behind its name: names and values
// in quotes, none of which is a part of the answer.
func attributes(said []byte) bool {
	for len(said) > 0 {
		name, rest := word(bytes.TrimPrefix(said, []byte(" ")))
		if prefixed, ok := bytes.CutPrefix(rest, []byte(":")); ok && len(name) > 0 {
			name, rest = word(prefixed)
		}
		if len(name) == 0 || said[0] != ' ' || len(rest) < 2 || rest[0] != '=' || rest[1] != '"' && rest[1] != '\'' {
			return false
		}
		value, after, ok := bytes.Cut(rest[2:], rest[1:2])
		said = after
		if !ok || bytes.ContainsAny(value, "<&") {
			return false
		}
	}
	return true
}

// close reads the tag that ends an element.
func (d *document) close(name []byte) {
	d.space()
	rest, ok := bytes.CutPrefix(d.rest, []byte("</"))
	if ok {
		rest, ok = bytes.CutPrefix(rest, name)
	}
	if ok {
		rest, ok = bytes.CutPrefix(rest, []byte(">"))
	}
	if !ok {
		d.give()
		return
	}
	d.rest = rest
}

// text reads what an element holds that holds no others, and its end.
func (d *document) text(name []byte) string {
	if d.empty {
		d.empty = false
		return ""
	}
	end := bytes.IndexByte(d.rest, '<')
	if end < 0 {
		d.give()
		return ""
	}
	value := d.rest[:end]
	d.rest = d.rest[end:]
	if !bytes.HasPrefix(d.rest, []byte("</")) {
		d.give()
		return ""
	}
	d.close(name)
	if bytes.Contains(value, []byte("]]>")) {
		d.give()
	}
	if bytes.IndexByte(value, '&') < 0 {
		return string(value)
	}
	return d.unescaped(value)
}

// entities are those that XML itself knows.
var entities = map[string]byte{"lt": '<', "gt": '>', "amp": '&', "quot": '"', "apos": '\''}

// unescaped is text without its entities.
func (d *document) unescaped(value []byte) string {
	out := make([]byte, 0, len(value))
	for {
		before, rest, ok := bytes.Cut(value, []byte("&"))
		out = append(out, before...)
		if !ok {
			break
		}
		name, rest, ok := bytes.Cut(rest, []byte(";"))
		c, known := entities[string(name)]
		switch number, isNumber := bytes.CutPrefix(name, []byte("#")); {
		case !ok:
			d.give()
			return ""
		case known:
			out = append(out, c)
		case isNumber:
			base := 10
			if digits, ok := bytes.CutPrefix(number, []byte("x")); ok {
				number, base = digits, 16
			}
			r, err := strconv.ParseUint(string(number), base, 16)
			if err != nil || r < ' ' && r != '\n' && r != '\t' && r != '\r' || !utf8.ValidRune(rune(r)) || r >= 0xfffd {
				d.give()
				return ""
			}
			out = utf8.AppendRune(out, rune(r))
		default:
			d.give()
			return ""
		}
		value = rest
	}
	return string(out)
}

// skip passes over an element that was opened, with all in it.
func (d *document) skip(name []byte) {
	if end := bytes.IndexByte(d.rest, '<'); end >= 0 && bytes.HasPrefix(d.rest[end:], []byte("</")) {
		d.text(name)
		return
	}
	d.each(name, d.skip)
}

// each calls read for every element within one that was opened, up to its end. read
// reads all of an element.
func (d *document) each(name []byte, read func(name []byte)) {
	if d.empty {
		d.empty = false
		return
	}
	if d.depth == deepest {
		d.give()
	}
	d.depth++
	defer func() { d.depth-- }()
	for {
		inner, ok := d.open()
		if !ok {
			break
		}
		read(inner)
	}
	d.close(name)
}

// ends reports whether all of it was read and nothing is left.
func (d *document) ends() bool {
	d.space()
	return !d.unreadable && len(d.rest) == 0
}
