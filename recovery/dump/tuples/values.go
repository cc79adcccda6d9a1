package tuples

import (
	"bytes"
	"encoding/binary"
	"math"
	"strconv"
)

// boolean is 't' or 'f'.
func boolean(dst, field []byte) ([]byte, bool) {
	switch string(field) {
	case "t":
		return append(dst, 0, 0, 0, 1, 1), true
	case "f":
		return append(dst, 0, 0, 0, 1, 0), true
	}
	return dst, false
}

// integer reads decimal digits; it knows no sign but '-'.
func integer(field []byte) (int64, bool) {
	digits := field
	negative := len(field) > 0 && field[0] == '-'
	if negative {
		digits = field[1:]
	}
	if len(digits) == 0 || len(digits) > 19 {
		return 0, false
	}
	var n uint64 // 19 digits fit
	for _, c := range digits {
		if c -= '0'; c > 9 {
			return 0, false
		}
		n = n*10 + uint64(c)
	}
	switch {
	case negative && n <= -math.MinInt64:
		return -int64(n), true
	case n <= math.MaxInt64:
		return int64(n), !negative
	}
	return 0, false
}

func int2(dst, field []byte) ([]byte, bool) {
	n, ok := integer(field)
	return append(dst, 0, 0, 0, 2, byte(n>>8), byte(n)), ok && n == int64(int16(n))
}

func int4(dst, field []byte) ([]byte, bool) {
	n, ok := integer(field)
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), uint32(n)), ok && n == int64(int32(n))
}

func int8(dst, field []byte) ([]byte, bool) {
	n, ok := integer(field)
	return eight(dst, uint64(n)), ok
}

// eight appends a value of eight bytes.
func eight(dst []byte, n uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0, 0, 0, 8), n)
}

// float is a number in decimal, which both sides round to the nearest; what comes near the
// limits of the type is left to the server.
func float(field []byte, bits int, least, most float64) (float64, bool) {
	switch string(field) {
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	for _, c := range field {
		if (c < '0' || c > '9') && c != '-' && c != '+' && c != '.' && c != 'e' {
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(string(field), bits)
	size := math.Abs(f)
	return f, err == nil && (size >= least && size <= most || f == 0 && !bytes.ContainsAny(field, "123456789"))
}

func float4(dst, field []byte) ([]byte, bool) {
	if string(field) == "NaN" {
		return append(dst, 0, 0, 0, 4, 0x7f, 0xc0, 0, 0), true
	}
	f, ok := float(field, 32, 1e-37, 1e38)
	return binary.BigEndian.AppendUint32(append(dst, 0, 0, 0, 4), math.Float32bits(float32(f))), ok
}

func float8(dst, field []byte) ([]byte, bool) {
	if string(field) == "NaN" {
		return append(dst, 0, 0, 0, 8, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0), true
	}
	f, ok := float(field, 64, 1e-307, 1e308)
	return eight(dst, math.Float64bits(f)), ok
}

// sized appends what is written behind its length.
func sized(dst []byte, write func([]byte) ([]byte, bool)) ([]byte, bool) {
	at := len(dst)
	dst, ok := write(append(dst, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(dst[at:], uint32(len(dst)-at-4))
	return dst, ok
}

// text is any string of letters.
func text(dst, field []byte) ([]byte, bool) {
	if bytes.IndexByte(field, '\\') < 0 {
		return append(binary.BigEndian.AppendUint32(dst, uint32(len(field))), field...), true
	}
	return sized(dst, func(dst []byte) ([]byte, bool) { return unescaped(dst, field) })
}

// jsonb is text behind the version of its form.
func jsonb(dst, field []byte) ([]byte, bool) {
	return sized(dst, func(dst []byte) ([]byte, bool) { return unescaped(append(dst, 1), field) })
}

// escapes are the letters that pg_dump writes behind a backslash.
var escapes = [256]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', '\\': '\\'}

// unescaped appends a field without its escapes.
func unescaped(dst, field []byte) ([]byte, bool) {
	for {
		at := bytes.IndexByte(field, '\\')
		if at < 0 {
			return append(dst, field...), true
		}
		if at+1 == len(field) {
			return dst, false
		}
		c := escapes[field[at+1]]
		if c == 0 {
			return dst, false
		}
		dst = append(append(dst, field[:at]...), c)
		field = field[at+2:]
	}
}

// unhex is what a hexadecimal digit stands for, 255 for all else.
var unhex = func() (table [256]byte) {
	for i := range table {
		table[i] = 255
	}
	for i, c := range "0123456789abcdef" {
		table[c] = byte(i)
	}
	for i, c := range "ABCDEF" {
		table[c] = byte(10 + i)
	}
	return table
}()

// hexed appends what pairs of hexadecimal digits stand for.
func hexed(dst, digits []byte) ([]byte, bool) {
	if len(digits)%2 != 0 {
		return dst, false
	}
	for ; len(digits) > 0; digits = digits[2:] {
		high, low := unhex[digits[0]], unhex[digits[1]]
		if high|low > 15 {
			return dst, false
		}
		dst = append(dst, high<<4|low)
	}
	return dst, true
}

// bytea is written in hexadecimal digits, as PostgreSQL does from 9.0 on.
func bytea(dst, field []byte) ([]byte, bool) {
	digits, ok := bytes.CutPrefix(field, []byte(`\\x`))
	if !ok {
		return dst, false
	}
	return sized(dst, func(dst []byte) ([]byte, bool) { return hexed(dst, digits) })
}

// uuid is 8-4-4-4-12 hexadecimal digits.
func uuid(dst, field []byte) ([]byte, bool) {
	if len(field) != 36 || field[8] != '-' || field[13] != '-' || field[18] != '-' || field[23] != '-' {
		return dst, false
	}
	dst = append(dst, 0, 0, 0, 16)
	ok := true
	for _, part := range [...][]byte{field[:8], field[9:13], field[14:18], field[19:23], field[24:]} {
		var right bool
		dst, right = hexed(dst, part)
		ok = ok && right
	}
	return dst, ok
}
