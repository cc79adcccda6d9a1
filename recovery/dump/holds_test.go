package dump

import (
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// Dumps are held against those that the same programs have made in the same way, by how much
// is stored; what nobody has looked into is no dump of a known database.
func TestFound_holds(t *testing.T) {
	at := time.Date(2026, 11, 23, 1, 0, 0, 0, time.UTC)
	of := func(key string) found {
		return found{key: key, objects: []storage.Object{{Key: key + "/toc.dat", Size: 1000, Modified: at}, {Key: key + "/3001.dat.gz", Size: 9000, Modified: at}},
			head: head{Form: directoryArchive, Database: "shop", Dumper: "15.18"}}
	}
	holds := func(f found) recovery.Holds { return f.backup(recovery.Survey{}).Holds }
	first, second := holds(of("db/20261122")), holds(of("db/20261123"))
	if first.Files != 0 || first.Bytes != 10_000 || first.Series == "" || first != second {
		t.Errorf("two nights hold %+v and %+v", first, second)
	}
	for name, change := range map[string]func(*found){
		"another database":   func(f *found) { f.head.Database = "billing" },
		"another major":      func(f *found) { f.head.Dumper = "17.6" },
		"another packing":    func(f *found) { f.head.Packing = "zstd" },
		"another name":       func(f *found) { f.key = "db/by-hand" },
		"judged by its name": func(f *found) { f.head.ByName = true },
	} {
		f := of("db/20261123")
		change(&f)
		if got := holds(f); got.Series == first.Series || f.head.ByName && got != (recovery.Holds{}) {
			t.Errorf("%s is compared with the others: %+v", name, got)
		}
	}
	minor := of("db/20261123")
	minor.head.Dumper = "15.19 (Debian 15.19-1)"
	if holds(minor) != first {
		t.Errorf("by another minor it holds %+v", holds(minor))
	}
}
