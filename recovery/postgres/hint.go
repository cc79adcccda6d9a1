package postgres

import (
	"strconv"
	"strings"

	"comeback/pattern"
)

// noSpace is how every program here says ENOSPC, and how a server says that a
// write was cut short by it.
var noSpace = pattern.New(`(?i)no space left on device|wrote only \d+ of \d+ bytes`)

var hints = []struct {
	says *pattern.Pattern
	do   string
}{
	{noSpace, "make room on the disk that holds scratch, or give scratch another place, then retry"},
	{pattern.New(`Disk quota exceeded`), "raise the quota of the user that the server runs as, or give scratch another place, then retry"},
	{pattern.New(`database files are incompatible with server`), "install the PostgreSQL major that made the backup"},
	{pattern.New(`could not (create|map|resize) .*shared memory`), "free some memory (or enlarge /dev/shm), then retry"},
	{pattern.New(`could not create semaphores`), "raise the kernel's limit of semaphores (sysctl kernel.sem), then retry"},
	{pattern.New(`[Pp]ermission denied`), "let the user that the server runs as read and write there"},
	{pattern.New(`invalid locale name|locale .* does not exist|could not create locale`), "install the locale that the error names (locale-gen), then retry"},
	{pattern.New(`terminated by signal 9|signal: killed`), "find out who killed it (dmesg tells whether the kernel did, for want of memory), then retry"},
	{pattern.New(`too many clients`), "close other sessions on this server, then retry"},
}

var noExtension = pattern.New(`extension "([^"]+)" is not available|could not open extension control file ".*/([^/"]+)\.control"`)

// HintFor says what to do about a failure in PostgreSQL's own words, or ""
// where nothing better than reading them is known.
func (t Tools) HintFor(words string) string {
	if m := noExtension.FindStringSubmatch(words); m != nil {
		return t.hintForExtension(m[1] + m[2])
	}
	for _, h := range hints {
		if h.says.MatchString(words) {
			return h.do
		}
	}
	return ""
}

// hintForExtension says what to install for an extension.
func (t Tools) hintForExtension(name string) string {
	pkg := PackageOf(name, t.Major)
	if _, ok := extensionPackages[name]; !ok {
		return "install the extension " + name + " on this machine (its package is probably called " + pkg + "), then retry"
	}
	return "install the extension " + name + " on this machine (Debian's package is " + pkg + "), then retry"
}

// PackageOf is Debian's package of an extension for a major; of one that is not
// known it is the name that it probably has.
func PackageOf(extension string, major int) string {
	pkg, ok := extensionPackages[extension]
	if !ok {
		pkg = "postgresql-MAJOR-" + strings.ReplaceAll(extension, "_", "-")
	}
	return strings.ReplaceAll(pkg, "MAJOR", strconv.Itoa(major))
}

// extensionPackages are the packages whose name is not the extension's.
var extensionPackages = map[string]string{
	"postgis": "postgresql-MAJOR-postgis-3", "postgis_raster": "postgresql-MAJOR-postgis-3", "postgis_topology": "postgresql-MAJOR-postgis-3",
	"vector":      "postgresql-MAJOR-pgvector",
	"pg_cron":     "postgresql-MAJOR-cron",
	"pg_partman":  "postgresql-MAJOR-partman",
	"pg_repack":   "postgresql-MAJOR-repack",
	"hypopg":      "postgresql-MAJOR-hypopg",
	"hll":         "postgresql-MAJOR-hll",
	"pgaudit":     "postgresql-MAJOR-pgaudit",
	"plpython3u":  "postgresql-plpython3-MAJOR",
	"plperl":      "postgresql-plperl-MAJOR",
	"plperlu":     "postgresql-plperl-MAJOR",
	"pltcl":       "postgresql-pltcl-MAJOR",
	"plv8":        "postgresql-MAJOR-plv8",
	"timescaledb": "timescaledb-2-postgresql-MAJOR",
	"pg_trgm":     contribPackage, "citext": contribPackage, "hstore": contribPackage, "pgcrypto": contribPackage,
	"uuid-ossp": contribPackage, "btree_gin": contribPackage, "btree_gist": contribPackage, "ltree": contribPackage,
	"intarray": contribPackage, "unaccent": contribPackage, "tablefunc": contribPackage, "pg_stat_statements": contribPackage,
	"postgres_fdw": contribPackage, "dblink": contribPackage, "fuzzystrmatch": contribPackage, "cube": contribPackage, "earthdistance": contribPackage,
}

// contribPackage is the package of the extensions that come with PostgreSQL.
const contribPackage = "postgresql-contrib"
