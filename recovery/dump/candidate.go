package dump

import (
	"path"
	"slices"
	"strings"

	"comeback/pattern"
	"comeback/storage"
)

// likeness is how much a name looks like a dump's.
type likeness int

const (
	unlike likeness = iota
	maybe           // no telling extension: looked at, and not mentioned if it is none
	dumpish
)

// Extensions that dumps are given, before what compresses them: those that
// nothing else has, and those that much else has.
var (
	extensions = []string{".sql", ".psql", ".pgsql", ".dump", ".pgdump", ".pg_dump", ".dmp", ".custom"}
	shared     = []string{".backup", ".bak", ".tar", ".out", ".db"}
)

// wrappings are endings of compression and encryption.
var wrappings = []string{".gz", ".gzip", ".tgz", ".zst", ".zstd", ".bz2", ".xz", ".lz4", ".age", ".gpg", ".pgp", ".enc", ".zip"}

var (
	// walName is a WAL segment, a part of one, or what belongs to it.
	walName = pattern.New(`^([0-9A-F]{24}|[0-9A-F]{8}\.history)`)
	// serverFile is a file of a data directory or of a base backup.
	serverFile = pattern.New(`^(\d+(_(fsm|vm|init))?(\.\d+)?|pg_[a-z_]+|PG_VERSION|backup_label|backup_manifest|tablespace_map|base|postgresql\.auto\.conf.*|\d+\.tar|base\.tar|pg_wal\.tar|toc\.dat|[0-9]+\.dat|blobs.*\.toc|blob_\d+\.dat)$`)
	// dateName is a number that is a date, and so no file of a server.
	dateName = pattern.New(`^20\d\d(0[1-9]|1[0-2])([0-2]\d|3[01])(\d{4}|\d{6})?$`)
	digits   = pattern.New(`\d+`)
)

// likeDump judges a name.
func likeDump(key string) likeness {
	name := path.Base(key)
	if walName.MatchString(name) || strings.HasPrefix(name, ".") {
		return unlike
	}
	packed := false
	for {
		ext := strings.ToLower(path.Ext(name))
		if !slices.Contains(wrappings, ext) {
			break
		}
		name, packed = name[:len(name)-len(ext)], true
	}
	if serverFile.MatchString(name) && !dateName.MatchString(name) {
		return unlike
	}
	ext := strings.ToLower(path.Ext(name))
	switch {
	case slices.Contains(extensions, ext):
		return dumpish
	case packed && strings.Contains(strings.ToLower(name), "dump"):
		return dumpish
	case slices.Contains(shared, ext), ext == "", strings.Trim(ext[1:], "0123456789_-T:Z") == "": // shop.2026-11-22
		return maybe
	}
	return unlike
}

// patternOf is what a key has in common with those of other nights.
func patternOf(key string) string { return digits.ReplaceAllString(key, "#") }

var (
	tocFile  = "toc.dat"
	dataFile = pattern.New(`^(\d+\.dat|blob_\d+\.dat|blobs\.toc|blobs_\d+\.toc)(\.gz|\.lz4|\.zst)?$`)
)

// listing is what the keys of a copy say, before anything is opened.
type listing struct {
	// singles are the objects whose names may be dumps'.
	singles []storage.Object
	// directories are the objects of directory archives, by their directory.
	directories map[string][]storage.Object
	// clusters are directories that hold a base backup or a data directory.
	clusters map[string]bool
	// roles are the objects that Capture has stored beside dumps.
	roles map[string]bool
}

// rolesName is the end of the name of what is stored beside a dump: the roles and
// tablespaces of its server.
const rolesName = ".globals.sql"

// detailRoles is the detail of a dump that says where they lie.
const detailRoles = "roles"

// rolesOf is the key of what Capture has stored beside a dump.
func rolesOf(dump string) string { return strings.TrimSuffix(dump, ".dump") + rolesName }

func newListing() *listing {
	return &listing{directories: map[string][]storage.Object{}, clusters: map[string]bool{}, roles: map[string]bool{}}
}

func (l *listing) add(o storage.Object) {
	dir, name := path.Split(o.Key)
	switch {
	case name == tocFile || dataFile.MatchString(name):
		l.directories[dir] = append(l.directories[dir], o)
	case name == "backup_label" || name == "PG_VERSION" || name == "backup_manifest":
		l.clusters[dir] = true
	case likeDump(o.Key) != unlike:
		if strings.HasSuffix(name, rolesName) {
			l.roles[o.Key] = true
		}
		l.singles = append(l.singles, o)
	}
}

// candidates are the singles that do not belong to a base backup.
func (l *listing) candidates() []storage.Object {
	return slices.DeleteFunc(l.singles, func(o storage.Object) bool {
		for dir, _ := path.Split(o.Key); ; {
			if l.clusters[dir] {
				return true
			}
			if dir == "" || dir == "/" {
				return false
			}
			dir, _ = path.Split(strings.TrimSuffix(dir, "/"))
		}
	})
}
