package tuples_test

import (
	"bytes"
	"testing"

	"comeback/recovery/dump/tuples"
)

func row(t testing.TB, receives ...string) tuples.Row {
	t.Helper()
	r, ok := tuples.For(receives)
	if !ok {
		t.Fatalf("%v: unknown", receives)
	}
	return r
}

// Rows that are not whole, or have fewer or more fields than there are columns, are the
// server's to judge; what was there before stays as it was.
func TestRow_Append(t *testing.T) {
	r := row(t, "int4recv", "textrecv")
	before := []byte("before")
	for _, c := range []struct {
		rows string
		ok   bool
	}{
		{"1\ta\n", true}, {"1\ta\n\\N\t\\N\n", true}, {"", true},
		{"1\n", false}, {"1\ta\tb\n", false}, {"1\ta", false}, {"1\ta\n2\n3\tb\n", false}, {"\n", false},
		{"1\ta\r\n", false}, {"1\ta\x00\n", false}, {"1\ta\\\nb\n", false}, {"\\N1\ta\n", false}, {"1\ta\n\\.\n", false},
	} {
		got, ok := r.Append(before, []byte(c.rows))
		if ok != c.ok || !bytes.HasPrefix(got, before) || !ok && len(got) != len(before) {
			t.Errorf("%q: %q, %v", c.rows, got, ok)
		}
	}
	want := "before\x00\x02\x00\x00\x00\x04\x00\x00\x00\x07\xff\xff\xff\xff"
	if got, ok := r.Append(before, []byte("7\t\\N\n")); !ok || string(got) != want {
		t.Errorf("%q, %v", got, ok)
	}
}

func TestFor(t *testing.T) {
	if _, ok := tuples.For([]string{"int4recv", "point_recv"}); ok {
		t.Error("a point is known")
	}
	if _, ok := tuples.For(nil); ok {
		t.Error("a table without columns translates")
	}
}

// Nothing that could come is more than refused.
func FuzzRow_Append(f *testing.F) {
	names := []string{"boolrecv", "int8recv", "float4recv", "float8recv", "numeric_recv", "textrecv", "jsonb_recv", "bytearecv", "uuid_recv", "date_recv", "time_recv", "timestamptz_recv"}
	for _, field := range []string{"t", "-1", "1.5", "2e+10", "-12345.678", `a\tb`, `{"a": 1}`, `\\x00ff`, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "2026-02-29", "12:30:15.5", "2026-11-29 23:20:32.5+05:30", `\N`} {
		f.Add([]byte(field))
	}
	f.Fuzz(func(t *testing.T, field []byte) {
		if bytes.ContainsAny(field, "\t\n") {
			return
		}
		for _, name := range names {
			out, ok := row(t, name).Append(nil, append(bytes.Clone(field), '\n'))
			if ok && len(out) < 2+4 {
				t.Errorf("%s: %q is %x", name, field, out)
			}
			if !ok && len(out) > 0 {
				t.Errorf("%s: %q is refused and there is %x", name, field, out)
			}
		}
	})
}

// BenchmarkRow_Append translates rows as shops and logs have them.
func BenchmarkRow_Append(b *testing.B) {
	for _, c := range []struct {
		name, row string
		receives  []string
	}{
		{"events", "1234567\t13\t2026-01-15 06:56:07+00\t40123\twhat happened: 0cc175b9c0f1b6a831c399e269772661\n", []string{"int8recv", "int4recv", "timestamptz_recv", "int8recv", "textrecv"}},
		{"orders", "1234567\t4711\t10123\tshipped\t129900\t\\N\t2026-01-15 06:56:07.123456+00\n", []string{"int8recv", "int8recv", "int8recv", "textrecv", "int8recv", "textrecv", "timestamptz_recv"}},
		{"prices", "1234567\t1299.00\t0.19\n", []string{"int8recv", "numeric_recv", "numeric_recv"}},
	} {
		rows := bytes.Repeat([]byte(c.row), 256<<10/len(c.row))
		r := row(b, c.receives...)
		b.Run(c.name, func(b *testing.B) {
			b.SetBytes(int64(len(rows)))
			var out []byte
			for b.Loop() {
				out, _ = r.Append(out[:0], rows)
			}
		})
	}
}
