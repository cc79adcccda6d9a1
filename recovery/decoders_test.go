package recovery

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

// Of every event that a version has written there is a journal that is kept as it was then,
// with a report that later versions make again (package report).
func TestDecoders_kept(t *testing.T) {
	journals, err := filepath.Glob("report/testdata/runs/*/journal.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]bool{}
	for _, path := range journals {
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(b) {
			var e Event
			if err := json.Unmarshal(line, &e); err != nil {
				t.Fatalf("%s: %v", path, err)
			}
			if _, ok := e.Payload(); ok {
				kept[e.Type] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(decoders)) {
		if !kept[name] {
			t.Errorf("no journal under report/testdata/runs has the event %s: add a run to TestWrite_golden", name)
		}
	}
}
