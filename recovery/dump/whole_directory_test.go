package dump

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"comeback/recovery"
)

// A file of a directory archive is whole as pg_dump writes it, however it is
// compressed, and however much of it was there; without any of its last bytes it is not.
func TestEnding(t *testing.T) {
	packers := map[string]func(io.Writer) io.WriteCloser{
		"":     func(w io.Writer) io.WriteCloser { return plainWriter{w} },
		".gz":  func(w io.Writer) io.WriteCloser { return gzip.NewWriter(w) },
		".lz4": func(w io.Writer) io.WriteCloser { return lz4.NewWriter(w) },
		".zst": func(w io.Writer) io.WriteCloser {
			z, err := zstd.NewWriter(w)
			if err != nil {
				t.Fatal(err)
			}
			return z
		},
	}
	fetch := func(key string, there, comes []byte) error {
		e := follow(key, bytes.NewReader(there))
		if e == nil {
			t.Fatalf("%s is not followed", key)
		}
		for _, b := range comes {
			if _, err := e.Write([]byte{b}); err != nil {
				t.Fatal(err)
			}
		}
		return e.end(nil)
	}
	rows := "1\tone\n2\ttwo\n"
	for suffix, pack := range packers {
		for _, test := range []struct {
			name, text string
			// cut is how many bytes of the text are missing before it is compressed.
			cut   int
			whole bool
		}{
			{"1.dat", rows + "\\.\n\n\n", 0, true},
			{"1.dat", "\\.\n\n\n", 0, true},
			{"1.dat", "INSERT INTO public.t VALUES (1);\n\n\n", 0, true},
			{"1.dat", "\n\n", 0, true}, // --inserts of no rows
			{"1.dat", rows + "\\.\n\n\n", 1, false},
			{"1.dat", rows + "\\.\n\n\n", len("\\.\n\n\n"), false},
			{"1.dat", "x;\n\n\n\\.\n\n\n", len("\\.\n\n\n"), false},
			{"1.dat", "INSERT INTO public.t VALUES (1);\n\n\n", 1, false},
			{"1.dat", "\\.\n\n\n", 5, false},
			{"blob_1.dat", "any bytes", 0, true},
			{"blob_1.dat", "", 0, true},
		} {
			var b bytes.Buffer
			w := pack(&b)
			if _, err := io.WriteString(w, test.text[:len(test.text)-test.cut]); err != nil {
				t.Fatal(err)
			}
			if err := w.Close(); err != nil {
				t.Fatal(err)
			}
			key, content := "db/"+test.name+suffix, b.Bytes()
			for _, there := range []int{0, len(content) / 2, len(content)} {
				if err := fetch(key, content[:there], content[there:]); (err == nil) != test.whole || err != nil && recovery.HintOf(err) == "" {
					t.Errorf("%s with %q: %v", key, test.text[:len(test.text)-test.cut], err)
				}
			}
			if suffix == "" || !test.whole || test.name == "blob_1.dat" && test.text == "" && suffix == ".lz4" {
				continue
			}
			for _, n := range []int{0, 1, len(content) / 2, len(content) - 1} {
				if n == 0 && test.name == "blob_1.dat" && suffix == ".lz4" {
					continue // as one without bytes
				}
				if err := fetch(key, nil, content[:n]); !errors.Is(err, errNotWhole) {
					t.Errorf("%s with %d of %d bytes: %v", key, n, len(content), err)
				}
			}
		}
	}
	for _, name := range []string{"toc.dat", "blobs.toc", "blobs_12.toc"} {
		if follow("db/"+name, strings.NewReader("")) != nil {
			t.Errorf("%s is followed", name)
		}
	}
}

type plainWriter struct{ io.Writer }

func (plainWriter) Close() error { return nil }
