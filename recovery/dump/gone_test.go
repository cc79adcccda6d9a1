package dump_test

import (
	"slices"
	"testing"

	"comeback/recovery"
	"comeback/recovery/dump"
	"comeback/storage"
)

// What was stored for a dump and is not there any more shows in its survey, and so do the
// roles that lay beside it.
func TestEngine_Gone(t *testing.T) {
	const id, roles = "db/shop-20261101", "db/shop-20261101.globals.sql"
	m := recovery.Manifest{ID: id, Objects: []recovery.StoredObject{{Key: roles}, {Key: id + "/toc.dat"}, {Key: id + "/3001.dat.gz"}}}
	file := recovery.Manifest{ID: id + ".dump", Objects: []recovery.StoredObject{{Key: id + ".dump"}}}
	beside := map[string]string{"roles": roles}
	for name, c := range map[string]struct {
		backup       recovery.Backup
		manifest     recovery.Manifest
		parts, roles []string
	}{
		"whole":                  {backup: recovery.Backup{Objects: []storage.Object{{Key: id + "/toc.dat"}, {Key: id + "/3001.dat.gz"}}, Details: beside}, manifest: m},
		"a file is gone":         {backup: recovery.Backup{Objects: []storage.Object{{Key: id + "/toc.dat"}}, Details: beside}, manifest: m, parts: []string{id + "/3001.dat.gz"}},
		"the roles are gone":     {backup: recovery.Backup{Objects: []storage.Object{{Key: id + "/toc.dat"}, {Key: id + "/3001.dat.gz"}}}, manifest: m, roles: []string{roles}},
		"those of another dump":  {backup: recovery.Backup{Objects: []storage.Object{{Key: id + "/toc.dat"}, {Key: id + "/3001.dat.gz"}}, Details: map[string]string{"roles": "db/x.globals.sql"}}, manifest: m, roles: []string{roles}},
		"one file":               {backup: recovery.Backup{Objects: []storage.Object{{Key: id + ".dump"}}}, manifest: file},
		"one file, which is not": {backup: recovery.Backup{}, manifest: file, parts: []string{id + ".dump"}},
	} {
		parts, gone := dump.New(dump.Options{}).(recovery.Itemizer).Gone(c.backup, c.manifest)
		if !slices.Equal(keys(parts), c.parts) || !slices.Equal(keys(gone), c.roles) {
			t.Errorf("%s: of it %q are gone, and the roles %q", name, keys(parts), keys(gone))
		}
	}
}

func keys(objects []recovery.StoredObject) (all []string) {
	for _, o := range objects {
		all = append(all, o.Key)
	}
	return all
}
