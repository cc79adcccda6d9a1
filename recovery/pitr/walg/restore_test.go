package walg_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"comeback/enginetest"
	"comeback/recovery"
	"comeback/recovery/pitr/pitrtest"
)

// Pages that were damaged when the backup was made are in the report of its restore. What
// the backup says of itself is read before it is copied.
func TestRestore_damagedPages(t *testing.T) {
	s := theShop(t)
	dir, c := s.damaged(t)
	e, store := s.engine(""), s.Store(t, dir)
	p := pitrtest.Resolved(t, e, pitrtest.Surveyed(t, e, c, store), store, "latest")
	path := s.Path(dir + "/basebackups_005/" + p.Backup.ID + "/files_metadata.json")
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text = bytes.Replace(text, []byte(`"/PG_VERSION":{`), []byte(`"/PG_VERSION":{"CorruptBlocks":{"CorruptBlocksCount":3,"SomeCorruptBlocks":[0,7,9]},`), 1)
	if err := os.WriteFile(path, text, 0o644); err != nil {
		t.Fatal(err)
	}
	// The network fails as soon as the backup is there: what it takes to prove it is, too.
	program, _ := s.behind(t, `case "$1" in
backup-fetch) "$WALG" "$@" || exit; echo fetched >"$NOTES"; exit 0;;
st) [ ! -s "$NOTES" ] || { echo "ERROR: 2026/11/29 00:01:03.000000 RequestError: send request failed" >&2; exit 1; };;
esac
exec "$WALG" "$@"`)
	var got outcome
	o := s.options(c, p, store, &got)
	o.Engine = engineOf(program, "")
	state := enginetest.Restore(t, o)
	if remarks := state.Step("copy").Outcome.Remarks; state.Result != recovery.ResultPassed || len(remarks) != 2 ||
		!strings.HasPrefix(remarks[0], "WAL-G found 3 pages with wrong checksums when it made this backup, in PG_VERSION:") {
		t.Errorf("the run ended as %s, and the remarks are %q", state.Result, remarks)
	}
}

// Of a backup without a list of its files the report says what could not be proven.
func TestRestore_noList(t *testing.T) {
	s := theShop(t)
	dir, c := s.damaged(t)
	e, store := s.engine(""), s.Store(t, dir)
	p := pitrtest.Resolved(t, e, pitrtest.Surveyed(t, e, c, store), store, "latest")
	program, _ := s.behind(t, `[ "$1 $2" != "st cat" ] || case "$3" in */files_metadata.json) echo "ERROR: 2026/11/29 00:01:03.000000 download the file: object '$3' not found in storage" >&2; exit 1;; esac; exec "$WALG" "$@"`)
	var got outcome
	o := s.options(c, p, store, &got)
	o.Engine = engineOf(program, "")
	state := enginetest.Restore(t, o)
	if did := state.Step("copy").Outcome; state.Result != recovery.ResultPassed || len(did.Remarks) != 2 || !strings.HasPrefix(did.Remarks[0], "the backup has no list of its files") || strings.Contains(did.Says, "of its list") {
		t.Errorf("the run ended as %s, and the copy says %+v", state.Result, did)
	}
}
