package dump

import (
	"bytes"
	"compress/gzip"
	"testing"
)

// Anything may lie in a copy: a beginning is judged or passed over, and nothing
// panics.
func FuzzReadHead(f *testing.F) {
	plain := []byte("--\n-- PostgreSQL database dump\n--\n\n-- Dumped from database version 15.18\n-- Dumped by pg_dump version 15.18\n\nSET statement_timeout = 0;\n")
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(plain); err != nil {
		f.Fatal(err)
	}
	if err := z.Close(); err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{plain, packed.Bytes(), []byte("PGDMP\x01\x0e\x00\x04\x08\x01\x00\x06\x00\x00\x00"), []byte("PGDMP"), []byte("PGDMP\xff\xff\xff\xff\xff\xff"), []byte("\x28\xb5\x2f\xfd\x00"), nil} {
		f.Add(b, true)
		f.Add(b, false)
	}
	var none head
	f.Fuzz(func(t *testing.T, b []byte, whole bool) {
		if h, problem, ok := readHead(b, whole); ok && h.Form == none.Form && problem == "" {
			t.Errorf("%q is a dump of no form", b)
		}
	})
}
