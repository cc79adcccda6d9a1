package isolation

import (
	"bufio"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"comeback/recovery"
)

// private are the directories that a box has to itself.
var private = []string{"/run", "/dev"}

// paths are what the box hides and keeps, as the host has it now: without
// links, without what does not exist.
func (b Box) paths() (hide, keep []string, err error) {
	for _, k := range b.Keep {
		if real, err := filepath.EvalSymlinks(k); err == nil && filepath.IsAbs(real) {
			keep = append(keep, real)
		}
	}
	for _, p := range slices.Concat(b.Production, b.Hide) {
		if !filepath.IsAbs(p) {
			continue
		}
		real, err := filepath.EvalSymlinks(p)
		if err != nil {
			// What is not there, or closed to us, the program cannot reach.
			continue
		}
		if real == "/" {
			return nil, nil, recovery.Errorf("name the directories that production has in the runbook's production list",
				"nothing can run beside a production that owns %s", p)
		}
		if !below(real, private...) { // else nothing of it is there anyway
			hide = append(hide, real)
		}
	}
	for _, p := range b.Beside {
		if real, err := filepath.EvalSymlinks(p); err == nil && real == p {
			hide = append(hide, p)
		}
	}
	f, err := os.Open("/proc/net/unix")
	if err != nil {
		return nil, nil, fmt.Errorf("list the host's sockets: %w", err)
	}
	defer f.Close()
	sockets, err := boundSockets(f)
	if err != nil {
		return nil, nil, fmt.Errorf("list the host's sockets: %w", err)
	}
	for _, dir := range b.Sockets {
		names := socketsIn(dir)
		for _, name := range names {
			sockets = append(sockets, filepath.Join(dir, name))
		}
		if dir, err := filepath.EvalSymlinks(dir); err == nil && len(names) == 0 && holdsOnlySockets(dir) && !below(dir, private...) &&
			!slices.ContainsFunc(keep, func(k string) bool { return below(k, dir) }) {
			hide = append(hide, dir) // its server is down
		}
	}
	for _, path := range sockets {
		if below(path, "/proc") {
			continue // it leads elsewhere in the process that has named it so
		}
		dir, err := filepath.EvalSymlinks(filepath.Dir(path))
		path = filepath.Join(dir, filepath.Base(path))
		if err != nil || below(path, keep...) || below(path, private...) {
			continue
		}
		if info, err := os.Lstat(path); err != nil || info.Mode()&fs.ModeSocket == 0 {
			continue // removed since, or of another mount namespace
		}
		if holdsOnlySockets(dir) && !slices.ContainsFunc(keep, func(k string) bool { return below(k, dir) }) {
			path = dir // also hides the socket of a server that starts again
		}
		hide = append(hide, path)
	}
	slices.Sort(hide)
	return slices.Compact(hide), keep, nil
}

// boundSockets reads /proc/net/unix: the paths of the sockets that can be
// connected or sent to.
func boundSockets(r io.Reader) ([]string, error) {
	const accepts = 1 << 16 // __SO_ACCEPTCON: it listens
	const stream = 1
	var paths []string
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		// Num RefCount Protocol Flags Type St Inode Path
		line := lines.Text()
		fields := strings.Fields(line)
		if len(fields) < 8 || !strings.HasPrefix(fields[7], "/") {
			continue
		}
		flags, err := strconv.ParseUint(fields[3], 16, 64)
		if err != nil {
			continue // the heading
		}
		kind, err := strconv.ParseUint(fields[4], 16, 64)
		if err != nil || kind == stream && flags&accepts == 0 {
			continue
		}
		// The path is the rest of the line, spaces included; no field before
		// it has a slash.
		paths = append(paths, filepath.Clean(line[strings.IndexByte(line, '/'):]))
	}
	return paths, lines.Err()
}

// socketsIn are the names of the sockets of a directory; of one that is empty yet or cannot be
// read there is none.
func socketsIn(dir string) []string {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.Type()&fs.ModeSocket != 0 {
			names = append(names, e.Name())
		}
	}
	return names
}

// holdsOnlySockets reports whether a directory can be hidden whole: it holds
// sockets and what servers put beside them, and is nobody's temporary one.
func holdsOnlySockets(dir string) bool {
	if strings.Count(dir, "/") < 2 || dir == "/var/tmp" {
		return false
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return false
	}
	for _, e := range entries {
		ext := filepath.Ext(e.Name())
		if e.Type()&fs.ModeSocket == 0 && ext != ".lock" && ext != ".pid" {
			return false
		}
	}
	return true
}

// below reports whether a path is one of dirs or lies below one.
func below(path string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool {
		return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
	})
}
