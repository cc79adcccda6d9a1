package files

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"comeback/recovery/attributes"
	"comeback/recovery/files/tree"
)

func FuzzReadRecords(f *testing.F) {
	at := time.Unix(1550000000, 7).UTC()
	for _, r := range []tree.Record{
		{Type: tree.File, Path: "a/b\n c", Mode: 0o4755, UID: 1, GID: 2, Modified: at, Changed: at, Size: 5, SHA256: strings.Repeat("ab", 32), Pack: 3, At: 9},
		{Type: tree.File, Path: "with", Modified: at, Changed: at, Attributes: []attributes.Attribute{{Name: "user.a b", Value: []byte("\x00\n =")}, {Name: "user.empty", Value: []byte{}}}},
		{Type: tree.Directory, Path: ".", Mode: 0o700, Modified: at, Changed: at},
		{Type: tree.Symlink, Path: "\xff", Link: "../x", Modified: at, Changed: at},
		{Type: tree.HardLink, Path: "b", Link: "a", Modified: at, Changed: at},
	} {
		f.Add(appendRecord(nil, r))
	}
	f.Add([]byte("d - - - - 755 0 0 1.000000000 0.000000000 a\x00x YQ== SCHILY.xattr.user.x\x00"))
	f.Add([]byte("d - - - - 755 0 0 1.000000000 0.000000000 ../x\x00"))
	f.Fuzz(func(t *testing.T, text []byte) {
		for r, err := range readRecords(bytes.NewReader(text)) {
			if err != nil {
				return
			}
			if !tree.Sound(r.Path) {
				t.Fatalf("the path %q leads out", r.Path)
			}
			again := 0
			for same, err := range readRecords(bytes.NewReader(appendRecord(nil, r))) {
				if again++; err != nil || !reflect.DeepEqual(r, same) {
					t.Fatalf("%+v becomes %+v, %v", r, same, err)
				}
			}
			if again != 1 {
				t.Fatalf("%+v becomes %d records", r, again)
			}
		}
	})
}

// The first snapshots that had kept a file from an earlier one did not say when it was
// changed.
func TestParseSnapshot_keptWithoutTime(t *testing.T) {
	s := snapshot{Begun: time.Unix(1, 5).UTC(), Ended: time.Unix(2, 0).UTC(), Manifest: part{Name: "snapshots/20261128T030405.000006Z.manifest.zst", Size: 1, SHA256: strings.Repeat("ab", 32)},
		Excepted: []excepted{{Path: "a b", Kept: true, Modified: time.Unix(3, 4).UTC()}}}
	old := strings.Replace(string(s.text()), "kept 3.000000004 ", "kept ", 1)
	got, err := parseSnapshot(strings.NewReader(old))
	if s.Excepted[0].Modified = (time.Time{}); err != nil || !reflect.DeepEqual(got.Excepted, s.Excepted) || old == string(s.text()) {
		t.Errorf("%+v, %v", got.Excepted, err)
	}
	if says := got.Excepted[0].says(); !strings.HasSuffix(says, "as an earlier snapshot has it") {
		t.Error(says)
	}
}

func FuzzParseSnapshot(f *testing.F) {
	sum := strings.Repeat("ab", 32)
	f.Add(snapshot{Begun: time.Unix(1, 5), Ended: time.Unix(2, 0), Files: 1, Bytes: 2,
		Manifest: part{Name: "snapshots/20261128T030405.000006Z.manifest.zst", Size: 1, SHA256: sum},
		Packs:    []part{{Name: "packs/20261128T030405.000006Z-0001.tar.zst", Size: 2, SHA256: sum, Files: 1}}}.text())
	f.Add(snapshot{Begun: time.Unix(1, 5), Ended: time.Unix(2, 0), Manifest: part{Name: "snapshots/20261128T030405.000006Z.manifest.zst", Size: 1, SHA256: sum},
		Excepted: []excepted{{Path: "a b\n\xff", Kept: true, Modified: time.Unix(3, 4).UTC()}, {Path: "c"}}}.text())
	f.Add(snapshot{Begun: time.Unix(1, 5), Ended: time.Unix(2, 0), Bytes: 1 << 30, Holes: 1 << 29,
		Manifest: part{Name: "snapshots/20261128T030405.000006Z.manifest.zst", Size: 1, SHA256: sum}}.text())
	f.Add([]byte("comeback-snapshot 1\nend\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		s, err := parseSnapshot(bytes.NewReader(text))
		if err != nil {
			return
		}
		again, err := parseSnapshot(bytes.NewReader(s.text()))
		if err != nil || !reflect.DeepEqual(s, again) {
			t.Fatalf("%+v becomes %+v, %v", s, again, err)
		}
	})
}
