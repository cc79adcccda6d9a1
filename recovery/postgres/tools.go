package postgres

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"comeback/pattern"
	"comeback/recovery"
)

// Tools are the programs of one installed PostgreSQL.
type Tools struct {
	// Major is PostgreSQL's major version, 15.
	Major int
	// Dir holds the programs.
	Dir string
	// Version is the whole version, "15.18".
	Version string
}

// Program is the absolute path of one of the programs, whether it exists or
// not; Need tells.
func (t Tools) Program(name string) string { return filepath.Join(t.Dir, name) }

// Need reports which of the programs are not installed, and what to install.
func (t Tools) Need(names ...string) error {
	var missing []string
	for _, name := range names {
		if !executable(t.Program(name)) {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return recovery.Errorf(fmt.Sprintf("install the client programs, for example with: apt-get install postgresql-client-%d", t.Major),
		"PostgreSQL %d in %s has no %s", t.Major, t.Dir, strings.Join(missing, ", ")).WithExit(recovery.Usage)
}

// Finder says where to look for installed majors.
type Finder struct {
	// Bin is one directory that holds the programs. When it is set, nothing
	// else is looked at.
	Bin string
	// Places are patterns of directories.
	Places []string
	// Path is the value of PATH.
	Path string
}

// HostFinder looks where the distributions install, with COMEBACK_PG_BIN and
// PATH taken from an environment.
func HostFinder(getenv func(string) string) Finder {
	return Finder{
		Bin:    getenv("COMEBACK_PG_BIN"),
		Places: []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin"},
		Path:   getenv("PATH"),
	}
}

// FindTools finds the programs of a major (0: the newest installed) under
// COMEBACK_PG_BIN (a directory), /usr/lib/postgresql/*/bin, /usr/pgsql-*/bin
// and PATH. Its error names what to install.
func FindTools(major int) (Tools, error) { return HostFinder(os.Getenv).Find(major) }

// Installed lists every major that FindTools would find, the newest first.
func Installed() []Tools { return HostFinder(os.Getenv).Installed() }

// Major is the major in a version as a server or a program tells it, "15.18 (Debian …)" or
// "19beta1"; 0 where it tells none.
func Major(version string) int {
	end := strings.IndexFunc(version, func(r rune) bool { return r < '0' || r > '9' })
	if end < 0 {
		end = len(version)
	}
	n, err := strconv.Atoi(version[:end])
	if err != nil {
		return 0
	}
	return n
}

// Find finds the programs of a major, or of the newest where major is 0.
func (f Finder) Find(major int) (Tools, error) {
	installed := f.Installed()
	for _, t := range installed {
		if major == 0 || t.Major == major {
			return t, nil
		}
	}
	var majors []string
	for _, t := range installed {
		majors = append(majors, strconv.Itoa(t.Major))
	}
	switch {
	case f.Bin != "" && len(installed) == 0:
		return Tools{}, recovery.Errorf("let COMEBACK_PG_BIN name the directory that holds postgres, initdb and pg_controldata, or unset it",
			"COMEBACK_PG_BIN is %s, and there is no PostgreSQL in it", f.Bin).WithExit(recovery.Usage)
	case len(installed) == 0:
		return Tools{}, recovery.Errorf(Install(major),
			"no PostgreSQL server is installed here").WithExit(recovery.Usage)
	}
	return Tools{}, recovery.Errorf(Install(major),
		"PostgreSQL %d is not installed here, only %s", major, strings.Join(majors, ", ")).WithExit(recovery.Usage)
}

// Install is how a host gets the server of a major, the newest where it is 0: without a
// cluster that Debian makes and starts of its own, in the very place in which one may be to
// come back.
func Install(major int) string {
	return "install it, for example with: apt-get install postgresql-common; echo create_main_cluster = false >> /etc/postgresql-common/createcluster.conf; apt-get install " +
		packageOf(major) + " (the second keeps Debian from making and starting a cluster of its own)"
}

func packageOf(major int) string {
	if major == 0 {
		return "postgresql"
	}
	return "postgresql-" + strconv.Itoa(major)
}

// Installed lists every major, the newest first; of two places with the same
// major the newer minor version counts.
func (f Finder) Installed() []Tools {
	var dirs []string
	if f.Bin != "" {
		dirs = append(dirs, f.Bin)
	} else {
		for _, place := range f.Places {
			found, err := filepath.Glob(place)
			if err == nil { // a malformed pattern matches nothing
				dirs = append(dirs, found...)
			}
		}
		for _, dir := range filepath.SplitList(f.Path) {
			// PATH often holds links into the directory of the programs.
			if real, err := filepath.EvalSymlinks(filepath.Join(dir, "postgres")); err == nil {
				dirs = append(dirs, filepath.Dir(real))
			}
		}
	}
	var all []Tools
	for _, dir := range dirs {
		t, ok := readTools(dir)
		if ok && !slices.ContainsFunc(all, func(other Tools) bool { return other.Dir == t.Dir }) {
			all = append(all, t)
		}
	}
	slices.SortStableFunc(all, func(a, b Tools) int {
		return cmp.Or(cmp.Compare(b.Major, a.Major), cmp.Compare(minor(b.Version), minor(a.Version)))
	})
	return slices.CompactFunc(all, func(a, b Tools) bool { return a.Major == b.Major })
}

var versionLine = pattern.New(`\(PostgreSQL\) (\d+)(\S*)`)

// readTools judges a directory: it must hold a server and what makes and reads
// its data directory.
func readTools(dir string) (Tools, bool) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return Tools{}, false
	}
	t := Tools{Dir: dir}
	for _, name := range []string{"postgres", "initdb", "pg_controldata"} {
		if !executable(t.Program(name)) {
			return Tools{}, false
		}
	}
	out, err := versionOf(t.Program("postgres"))
	m := versionLine.FindStringSubmatch(out)
	if err != nil || m == nil {
		return Tools{}, false
	}
	t.Major, err = strconv.Atoi(m[1])
	t.Version = m[1] + m[2]
	return t, err == nil
}

// binary is one state of a program's file.
type binary struct {
	path    string
	size    int64
	changed int64 // nanoseconds since 1970
}

// versions are what programs said of themselves, by binary: a server links dozens
// of libraries each time that it is asked.
var versions sync.Map

func versionOf(program string) (string, error) {
	info, err := os.Stat(program)
	if err != nil {
		return "", err
	}
	b := binary{program, info.Size(), info.ModTime().UnixNano()}
	if said, ok := versions.Load(b); ok {
		return said.(string), nil
	}
	cmd := exec.Command(program, "--version")
	cmd.Env = []string{"LC_ALL=C"}
	out, err := cmd.Output()
	if err == nil {
		versions.Store(b, string(out))
	}
	return string(out), err
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}

// minor is the number after the major's dot, or -1 for "18beta1".
func minor(version string) int {
	_, after, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(after)
	if err != nil {
		return -1
	}
	return n
}
