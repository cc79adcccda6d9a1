package live_test

import (
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What comes back is measured and not what is live, of which the largest part may be what
// is missing: a load that would fill a disk under the live server is refused before
// anything is made there.
func TestLoad_tooLittleRoom(t *testing.T) {
	ctx := within(t)
	p := openPlace(t)
	bytes := func(address, query string) int64 {
		n, err := strconv.ParseInt(text(t, connect(t, address), query), 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	run(t, connect(t, p.scratch.URL("shop")), "create table big as select i, repeat(md5(i::text), 20) from generate_series(1, 20000) i")
	size := bytes(p.scratch.URL("shop"), "select pg_database_size('shop')::text")
	if live := bytes(p.Layout.URL("postgres", "postgres"), "select pg_database_size('shop')::text"); live >= size-4<<20 {
		t.Fatalf("live has %d bytes, what comes back %d: nothing is missing", live, size)
	}
	const plenty = 1 << 50
	d, before := p.database(t), p.databases(t)
	for name, c := range map[string]struct {
		data, log, dump int64 // free
		apart           bool  // the dump lies on a disk of its own
		says            string
	}{
		"data":                  {size - 1<<20, plenty, plenty, true, "/base and there is"},
		"data beside the dump":  {size + 1<<20, plenty, size - 1<<20, false, "the dump of what was restored leaves too little room"},
		"and room for both":     {size, plenty, size + 1<<30, false, ""},
		"the log":               {plenty, -1, plenty, true, "/pg_wal and there is"},
		"enough for all of it":  {size, plenty, size, true, ""},
		"nothing is to be seen": {0, 0, 0, true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			from := p.source().WithRoom(func(dir string) (int64, uint64, error) {
				switch {
				case name == "nothing is to be seen":
					return 0, 0, filepath.ErrBadPattern
				case strings.HasSuffix(dir, "pg_wal"):
					return c.log, 2, nil
				case strings.HasSuffix(dir, "dump") && c.apart:
					return 0, 3, nil
				case strings.HasSuffix(dir, "dump"):
					return c.dump, 1, nil
				}
				return c.data, 1, nil
			})
			loaded, err := d.Load(ctx, &env{}, from)
			if c.says == "" {
				told := strings.Contains(strings.Join(loaded.Remarks, ", "), "cannot be seen from here")
				if err != nil || told != (name == "nothing is to be seen") {
					t.Errorf("%q, %v", loaded.Remarks, err)
				}
				d := d
				d.New = loaded.Database.OID
				if err := d.Drop(ctx); err != nil {
					t.Error(err)
				}
				return
			}
			refused(t, err, c.says)
			if left, err := filepath.Glob(filepath.Join(p.source().Dir, "dump*")); err != nil || len(left) > 0 {
				t.Errorf("the dump is left: %q, %v", left, err)
			}
			if now := p.databases(t); now != before {
				t.Errorf("made %s, there were %s", now, before)
			}
		})
	}
}
