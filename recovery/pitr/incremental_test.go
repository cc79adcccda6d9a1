package pitr

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"comeback/recovery"
	"comeback/storage"
)

// What an incremental backup is incremental to is found by where that began, whatever
// their order; where a link is missing or of no use, all that follow say so.
func TestLinkChains(t *testing.T) {
	base := func(id string, start, before int) Base {
		root := id + "/"
		return Base{ID: id, Root: root, Format: "tar", System: "7", Start: recovery.LSN(start), Before: recovery.LSN(before), Manifest: root + manifestName,
			Objects: []storage.Object{{Key: root + "base.tar.zst"}, {Key: root + manifestName}}}
	}
	chain := func() []Base { // the newest first
		return []Base{base("d", 4, 3), base("c", 3, 2), base("b", 2, 1), base("a", 1, 0)}
	}
	for name, test := range map[string]struct {
		change func(all []Base) []Base
		want   []string
	}{
		"whole": {func(all []Base) []Base { return all }, []string{"d: a b c d", "c: a b c", "b: a b", "a: a"}},
		"the full one is gone": {func(all []Base) []Base { return all[:3] },
			[]string{"d: it is incremental to c, which cannot be used: it is incremental to b, which cannot be used: it is incremental, and the backup before it, which began at 0/1, is not in the copy",
				"c: it is incremental to b, which cannot be used: it is incremental, and the backup before it, which began at 0/1, is not in the copy",
				"b: it is incremental, and the backup before it, which began at 0/1, is not in the copy"}},
		"the full one is broken": {func(all []Base) []Base { all[3].Problem = "base.tar is missing"; return all[2:] },
			[]string{"b: it is incremental to a, which cannot be used: base.tar is missing", "a: base.tar is missing"}},
		"of another server": {func(all []Base) []Base { all[3].System = "8"; return all[2:] },
			[]string{"b: it is incremental, and the backup before it, which began at 0/1, is not in the copy", "a: a"}},
		"without a manifest": {func(all []Base) []Base { all[3].Manifest = ""; return all[2:] },
			[]string{"b: it is incremental to a, which has no backup_manifest, without which pg_combinebackup takes none", "a: a"}},
		"of two, one is of use": {func(all []Base) []Base {
			broken := base("a2", 1, 0)
			broken.Problem = "base.tar is missing"
			return []Base{all[2], all[3], broken}
		}, []string{"b: a b", "a: a", "a2: base.tar is missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			all := test.change(chain())
			linkChains(all)
			var got []string
			for _, b := range all {
				says := b.Problem
				if says == "" {
					var parts []string
					for _, p := range b.parts() {
						parts = append(parts, p.ID)
						if len(p.Objects) != 2 || !strings.HasPrefix(p.Objects[0].Key, p.Root) {
							t.Errorf("%s of %s has %v", p.ID, b.ID, p.Objects)
						}
					}
					says = strings.Join(parts, " ")
				}
				got = append(got, b.ID+": "+says)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A tablespace that Barman keeps beside a data directory belongs to the backup that it is beside.
func TestParts_beside(t *testing.T) {
	base := func(id string, before recovery.LSN, spaces ...string) Base {
		b := Base{ID: id, Root: "server/base/" + id + "/data/", Format: "plain", System: "7", Start: before + 1, Before: before, Tablespaces: spaces}
		b.Manifest = b.Root + manifestName
		b.Objects = []storage.Object{{Key: b.Manifest}}
		for _, oid := range spaces {
			b.Objects = append(b.Objects, storage.Object{Key: "server/base/" + id + "/" + oid + "/PG_17_202406281/5/16391"})
		}
		return b
	}
	all := []Base{base("1", 0, "16390"), base("11", 1, "16390", "16400")}
	want := []Base{all[0], all[1]}
	linkChains(all)
	if all[1].Problem != "" {
		t.Fatal(all[1].Problem)
	}
	for i, p := range all[1].parts() {
		if diff := cmp.Diff(want[i].Objects, p.Objects); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", p.ID, diff)
		}
	}
}
