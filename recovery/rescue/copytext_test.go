package rescue

import (
	"bytes"
	"testing"
)

// A value is the same after it was escaped and unescaped, stands in one field of
// one line, and null is nothing else.
func FuzzEscape(f *testing.F) {
	for _, v := range []string{"", `\N`, "\\", "a\tb\nc\rd\be\vf\f", "\\.", "äö\x80\xff"} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, v []byte) {
		field := escape(nil, append([]byte{}, v...))
		if got, ok := unescape(field); !ok || !bytes.Equal(got, v) {
			t.Errorf("%q became %q and then %q, %v", v, field, got, ok)
		}
		if bytes.ContainsAny(field, "\t\n\r") || string(field) == null {
			t.Errorf("%q became %q", v, field)
		}
		if rows := splitRow(bytes.Join([][]byte{field, field}, []byte("\t")), nil); len(rows) != 2 || !bytes.Equal(rows[1], field) {
			t.Errorf("%q became %q", v, rows)
		}
	})
}

// What a copy sends is read whatever it is.
func FuzzUnescape(f *testing.F) {
	for _, v := range []string{`\N`, `a\`, `\\N`, `\x41`, `\101`} {
		f.Add([]byte(v))
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		v, ok := unescape(field)
		if again, same := unescape(escape(nil, v)); ok && (!same || !bytes.Equal(again, v)) {
			t.Errorf("%q is %q and then %q", field, v, again)
		}
	})
}
