package s3

import (
	"strings"
	"testing"

	"comeback/storage"
)

func TestPartSize(t *testing.T) {
	for _, size := range []int64{0, 1, leastPart, leastPart + 1, 80 << 30, leastPart * mostParts, leastPart*mostParts + 1, 1 << 40, 5 << 40} {
		part := partSize(storage.PutOptions{Size: size})
		if parts := (size + part - 1) / part; parts > mostParts || part < 5<<20 || part > 5<<30 {
			t.Errorf("%d bytes are %d parts of %d", size, parts, part)
		}
	}
	if part := partSize(storage.PutOptions{Size: 80 << 30}); part > 16<<20 {
		t.Errorf("80 GB take parts of %d", part)
	}
	for atMost, want := range map[int64]int64{-1: unknownPart, 0: unknownPart, 1: unknownPart, unknownPart*mostParts - 1: unknownPart, unknownPart * mostParts: unknownPart + 1<<20, 1 << 40: 105 << 20} {
		if part := partSize(storage.PutOptions{Size: -1, AtMost: atMost}); part != want {
			t.Errorf("at most %d bytes take parts of %d", atMost, part)
		}
	}
	for part, want := range map[int64]int{leastPart: atOnce, unknownPart: atOnce, 128 << 20: atOnce, 129 << 20: 2, 200 << 20: 1, 5 << 30: 1} {
		if n := sideBySide(part); n != want {
			t.Errorf("%d parts of %d are sent side by side", n, part)
		}
	}
}

func FuzzParseURL(f *testing.F) {
	for _, text := range []string{"s3://b", "s3://b/", "s3://b/p/q/", "s3://b//p", "s3://b/..", "s3:/b", "s3://", "s3://b?x/y", "s3://a@b/c", "s3://b/a%20b"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		bucket, prefix, err := parseURL(text)
		if err != nil {
			return
		}
		if bucket == "" || strings.ContainsAny(bucket, "/@:?#") || strings.HasSuffix(prefix, "/") || strings.HasPrefix(prefix, "/") {
			t.Errorf("%q is the bucket %q and the prefix %q", text, bucket, prefix)
		}
		s := &store{bucket: bucket, prefix: prefix}
		if again, same, err := parseURL(s.URL()); again != bucket || same != prefix || err != nil {
			t.Errorf("%q becomes %q, which is %q and %q, %v", text, s.URL(), again, same, err)
		}
	})
}
