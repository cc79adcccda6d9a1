package pitr

import (
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// How large a cluster was is told by the size of its files, or by what is stored of them; the
// log that a backup brings tells nothing of it, nor does what has changed since another backup.
func TestBase_holds(t *testing.T) {
	of := lineage{System: "7713376320715980361"}
	stored := []storage.Object{{Key: "base/20261123/base.tar.zst", Size: 9000}, {Key: "base/20261123/16401.tar.zst", Size: 1000}, {Key: "base/20261123/pg_wal.tar.zst", Size: 700}}
	native := Base{Format: "tar", Packing: Zstd, Root: "base/20261123/", Objects: stored}
	with := func(change func(*Base)) Base { b := native; change(&b); return b }
	for name, test := range map[string]struct {
		base Base
		of   lineage
		want recovery.Holds
	}{
		"native":               {native, of, recovery.Holds{Bytes: 10_000, Series: "base backup, tar, zstd of 7713376320715980361"}},
		"incremental":          {with(func(b *Base) { b.Before = 0x2000028 }), of, recovery.Holds{}},
		"its size is told":     {with(func(b *Base) { b.Unpacked = 31_000 }), of, recovery.Holds{Bytes: 31_000, Series: "files of 7713376320715980361"}},
		"of what it is on":     {with(func(b *Base) { b.Unpacked, b.Delta = 31_000, true }), of, recovery.Holds{}},
		"of nobody knows what": {native, lineage{}, recovery.Holds{}},
		"in plain format": {Base{Format: "plain", Root: "base/20261123/", Objects: []storage.Object{{Key: "base/20261123/base/5/1259", Size: 500}, {Key: "base/20261123/pg_wal/000000010000000000000002", Size: 16 << 20}}},
			of, recovery.Holds{Bytes: 500, Series: "base backup, plain of 7713376320715980361"}},
	} {
		if got := test.base.holds(test.of); got != test.want {
			t.Errorf("%s: it holds %+v, want %+v", name, got, test.want)
		}
	}
}
