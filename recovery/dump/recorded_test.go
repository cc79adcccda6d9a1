package dump_test

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
)

// What was stored is held against its digests in the manifest beside it: a byte that is
// another one fails the restore, or where it is of the roles, which are not restored,
// is an exception.
func TestRestore_recorded(t *testing.T) {
	const id = "db/shop-20261122T020000Z"
	whole := map[string][]byte{id + ".globals.sql": []byte("--\n-- PostgreSQL database cluster dump\n--\n\nCREATE ROLE shop;\n")}
	for key, b := range directoryDump(t) {
		whole[strings.Replace(key, "db/2026-11-22", id, 1)] = b
	}
	m := recovery.Manifest{ID: id, System: "shop", Component: component.Name, Kind: component.Kind, Engine: "dump"}
	for _, key := range slices.Sorted(maps.Keys(whole)) {
		sum := sha256.Sum256(whole[key])
		m.Objects = append(m.Objects, recovery.StoredObject{Key: key, Size: int64(len(whole[key])), SHA256: hex.EncodeToString(sum[:])})
	}
	record, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	whole[recovery.ManifestsIn+"database/20261122T020000Z-dump.json"] = record
	for name, c := range map[string]struct {
		key  string
		fail bool
	}{
		"as it was stored":             {},
		"another byte of the roles":    {key: id + ".globals.sql"},
		"another byte of the contents": {key: id + "/toc.dat", fail: true},
	} {
		t.Run(name, func(t *testing.T) {
			objects := maps.Clone(whole)
			if c.key != "" {
				b := slices.Clone(objects[c.key])
				at := strings.LastIndex(string(b), "shop")
				b[at+3] = 'q'
				objects[c.key] = b
			}
			end, _ := run(t, enginetest.Options{}, directory(t, objects))
			says, hint := enginetest.Failure(end)
			exceptions := strings.Join(step(t, end, "restore").Outcome.Exceptions, "; ")
			switch {
			case c.fail:
				if !strings.Contains(says, "its digest is ") || !strings.Contains(says, c.key) || hint == "" {
					t.Errorf("it says %q, hint %q", says, hint)
				}
			case says != "":
				t.Errorf("it failed: %s", says)
			case (c.key != "") != strings.Contains(exceptions, "its digest is "):
				t.Errorf("exceptions: %q", exceptions)
			}
		})
	}
}
