package pitr

import (
	"strings"
	"testing"

	"comeback/recovery"
	"comeback/storage"
)

// The log before the oldest kept base backup goes, and so do the maps of names that
// nothing of the rest is read by; histories, foreign files and all that is needed stay. Where a kept backup does not tell where it starts, no log goes.
func TestEngine_Shared(t *testing.T) {
	store, err := storage.OpenDir(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"wal/000000010000000000000003.zst", "wal/000000010000000000000004", "wal/000000010000000000000004.00000028.backup", "wal/000000010000000000000005.zst",
		"wal/000000020000000000000004.partial", "wal/000000020000000000000006.zst", "wal/00000002.history", "wal/notes.txt", "wal/old/000000010000000000000001",
		"wal/names/1/00000001-0000000003000100.json", "wal/names/1/00000001-0000000004000000.json", "wal/names/1/00000001-0000000005000060.json", "wal/names/1/00000002-0000000007000100.json",
		"wal/names/2/00000001-0000000002000100.json", "wal/names/2/00000001-0000000003000100.json"} {
		if _, err := store.Put(t.Context(), key, strings.NewReader("x"), storage.PutOptions{Size: 1}); err != nil {
			t.Fatal(err)
		}
	}
	base := func(id string, start recovery.LSN, system string) recovery.Backup {
		return recovery.Backup{ID: id, Objects: []storage.Object{{Key: id + "/base.tar.zst"}},
			Facts: facts{Base: Base{Start: start}, Line: lineage{System: system, SegmentSize: 16 << 20}}.encode()}
	}
	incremental := base("c", 0x9000028, "1")
	incremental.Facts = facts{Base: Base{Start: 0x9000028, Before: 0x7000028, Chain: []Base{{Start: 0x4000028}, {Start: 0x7000028}}}, Line: lineage{System: "1", SegmentSize: 16 << 20}}.encode()
	e := New(Options{}).(nativeEngine)
	c := recovery.Component{Name: "database"}
	for name, w := range map[string]struct {
		kept []recovery.Backup
		want string
	}{
		"two":            {[]recovery.Backup{base("b", 0x7000028, "1"), base("a", 0x5000028, "1")}, "wal/000000010000000000000003.zst wal/000000010000000000000004 wal/000000010000000000000004.00000028.backup wal/000000020000000000000004.partial wal/names/1/00000001-0000000003000100.json"},
		"none":           {nil, ""},
		"an incremental": {[]recovery.Backup{incremental}, "wal/000000010000000000000003.zst wal/names/1/00000001-0000000003000100.json"},
		"a late one":     {[]recovery.Backup{base("b", 0x7000028, "1")}, "wal/000000010000000000000003.zst wal/000000010000000000000004 wal/000000010000000000000004.00000028.backup wal/000000010000000000000005.zst wal/000000020000000000000004.partial wal/000000020000000000000006.zst wal/names/1/00000001-0000000003000100.json wal/names/1/00000001-0000000004000000.json"},
		"of two servers": {[]recovery.Backup{base("b", 0x7000028, "1"), base("a", 0x7000028, "2")}, ""},
		"one unknown":    {[]recovery.Backup{base("b", 0x7000028, "1"), base("a", 0, "1")}, ""},
	} {
		needed, spare, err := e.Shared(t.Context(), c, w.kept, store)
		var keys []string
		for _, o := range spare {
			keys = append(keys, o.Key)
		}
		if got := strings.Join(keys, " "); err != nil || got != w.want || len(w.kept) > 0 && len(needed) == 0 {
			t.Errorf("%s: %q, %v, %v", name, got, needed, err)
		}
	}
}
