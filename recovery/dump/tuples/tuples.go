// Package tuples writes rows of COPY's text format in its binary format, which takes the
// server about half the work: it looks at no byte twice and computes no number from digits.
//
// What comes out means to the server exactly what went in. What is not written as pg_dump
// writes it (another style of dates, a number with an exponent, an escape by a number) is
// not translated, so that the server is told, and judges, the text itself. Values that do
// translate are judged by the receive function of their type: lengths, checks of JSON and of
// the encoding, precision.
//
// The text must be in UTF-8, or an encoding in which no byte below 128 is a part of another
// letter. Both formats are those of PostgreSQL's documentation, “COPY, File Formats”, from
// 13 to 18 the same; values are as the receive functions of its source read them.
package tuples

import "bytes"

// Header begins data in the binary format, Trailer ends them.
var (
	Header  = []byte("PGCOPY\n\xff\r\n\x00\x00\x00\x00\x00\x00\x00\x00\x00")
	Trailer = []byte{0xff, 0xff}
)

// Row is how the columns of a row are written, in the order in which they come.
type Row []column

// column appends a value that is not null, with its length before it; false says that it
// does not understand the value.
type column func(dst, field []byte) ([]byte, bool)

// columns are what can be translated, by the receive function of the type. Types of
// extensions have those of PostgreSQL's own types where they are the same inside, as citext.
var columns = map[string]column{
	"boolrecv":         boolean,
	"bpcharrecv":       text,
	"bytearecv":        bytea,
	"date_recv":        date,
	"enum_recv":        text,
	"float4recv":       float4,
	"float8recv":       float8,
	"int2recv":         int2,
	"int4recv":         int4,
	"int8recv":         int8,
	"json_recv":        text,
	"jsonb_recv":       jsonb,
	"numeric_recv":     numeric,
	"textrecv":         text,
	"time_recv":        timeOfDay,
	"timestamp_recv":   timestamp,
	"timestamptz_recv": timestamptz,
	"uuid_recv":        uuid,
	"varcharrecv":      text,
}

// For is a row of columns of which the receive functions are told; false says that one of
// them cannot be translated.
func For(receives []string) (Row, bool) {
	row := make(Row, len(receives))
	for i, name := range receives {
		if row[i] = columns[name]; row[i] == nil {
			return nil, false
		}
	}
	return row, len(row) > 0
}

// Append appends whole rows of text to dst as tuples. Where it does not understand one of
// them it gives dst as it was, and false.
func (r Row) Append(dst, rows []byte) ([]byte, bool) {
	if bytes.IndexByte(rows, '\r') >= 0 || bytes.IndexByte(rows, 0) >= 0 {
		return dst, false
	}
	out := dst
	for len(rows) > 0 {
		out = append(out, byte(len(r)>>8), byte(len(r)))
		for i, column := range r {
			stop, other := byte('\t'), byte('\n')
			if i == len(r)-1 {
				stop, other = other, stop
			}
			end := bytes.IndexByte(rows, stop)
			if end < 0 {
				return dst, false
			}
			field := rows[:end]
			if bytes.IndexByte(field, other) >= 0 { // fewer fields than columns, or more
				return dst, false
			}
			rows = rows[end+1:]
			if len(field) == 2 && field[0] == '\\' && field[1] == 'N' {
				out = append(out, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			var ok bool
			if out, ok = column(out, field); !ok {
				return dst, false
			}
		}
	}
	return out, true
}
