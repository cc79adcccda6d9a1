package files

import (
	"encoding/json"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// How much is in a snapshot of restic is told by versions from 0.17 on, of all that is in it:
// where it holds more than the tree, nobody knows how much of that the tree is.
func TestResticSnapshot_holds(t *testing.T) {
	const summary = `, "summary": {"backup_start": "2026-11-23T01:00:00Z", "files_new": 3, "total_files_processed": 31204, "total_bytes_processed": 2000000000}}`
	for text, want := range map[string]recovery.Holds{
		`{"id": "1", "hostname": "shop1", "paths": ["/srv/uploads"]` + summary:               {Files: 31204, Bytes: 2_000_000_000, Series: "snapshot of shop1:/srv/uploads"},
		`{"id": "1", "hostname": "shop1", "paths": ["/srv/uploads", "/srv/logos"]` + summary: {},
		`{"id": "1", "hostname": "shop1", "paths": ["/srv"]` + summary:                       {},
		`{"id": "1", "hostname": "shop1", "paths": ["/srv/uploads"]}`:                        {},
	} {
		var s resticSnapshot
		if err := json.Unmarshal([]byte(text), &s); err != nil {
			t.Fatal(err)
		}
		path, ok := s.holds("/srv/uploads")
		if got := s.backup(recovery.Survey{}, resticFacts{Path: path}, time.Time{}).Holds; !ok || got != want {
			t.Errorf("%s holds %+v, want %+v", text, got, want)
		}
	}
}

// Archives are held against those that are made like them, by how much is stored.
func TestFound_holds(t *testing.T) {
	holds := func(f found) recovery.Holds { return f.backup(recovery.Survey{}).Holds }
	of := func(key string, size int64) found {
		return found{object: storage.Object{Key: key, Size: size}, facts: facts{Form: archiveForm, Packing: "gzip", Root: "uploads"}}
	}
	first, second := holds(of("daily/uploads-2026-11-22.tar.gz", 1000)), holds(of("daily/uploads-2026-11-23.tar.gz", 2000))
	if first.Bytes != 1000 || second.Bytes != 2000 || first.Series == "" || first.Series != second.Series {
		t.Errorf("two nights hold %+v and %+v", first, second)
	}
	other := of("daily/uploads-2026-11-23.tar.gz", 2000)
	other.facts.Root = "logos"
	if weekly := holds(of("weekly/uploads-2026-11-23.tar.gz", 2000)); weekly.Series == first.Series || holds(other).Series == first.Series {
		t.Errorf("%+v and %+v are compared with %+v", weekly, holds(other), first)
	}
}
