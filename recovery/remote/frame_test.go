package remote

import (
	"bytes"
	"io"
	"testing"
)

func TestStream(t *testing.T) {
	var wire bytes.Buffer
	long := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	f := &frames{w: &wire}
	if n, err := (stream{f, kindOut}).Write(long); n != len(long) || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if err := f.write(kindTypedAll, nil); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for {
		k, content, err := readFrame(&wire)
		if err != nil {
			t.Fatal(err)
		}
		if k == kindTypedAll {
			break
		}
		if k != kindOut || len(content) > atOnce {
			t.Fatalf("a frame %c of %d bytes", k, len(content))
		}
		got = append(got, content...)
	}
	if !bytes.Equal(got, long) {
		t.Errorf("%d bytes came, not %d, or others", len(got), len(long))
	}
}

// Whatever comes, a frame is read whole and again, or refused before it takes memory.
func FuzzReadFrame(f *testing.F) {
	f.Add([]byte("o\x00\x00\x00\x02hi"))
	f.Add([]byte("o\xff\xff\xff\xffhi"))
	f.Add([]byte("s\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, content, err := readFrame(bytes.NewReader(b))
		if err != nil {
			return
		}
		var again bytes.Buffer
		if err := (&frames{w: &again}).write(k, content); err != nil || !bytes.HasPrefix(b, again.Bytes()) {
			t.Errorf("%q is written again as %q, %v", b, again.Bytes(), err)
		}
		if _, _, err := readFrame(&again); err != nil || again.Len() != 0 {
			t.Errorf("what was written cannot be read: %v", err)
		}
		if _, _, err := readFrame(&again); err != io.EOF {
			t.Errorf("after the last frame: %v", err)
		}
	})
}
