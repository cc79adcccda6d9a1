package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/pattern"
	"comeback/recovery"
)

// checkApart refuses scratch that would lie inside of what lives, by whatever name it
// is reached there: what production owns, the place of a component or of a live
// target, any server's data directory or tablespace.
func checkApart(p *recovery.Plan) error {
	dirs := map[string]bool{}
	for _, t := range p.Targets {
		if t.Scratch && !t.Beside && filepath.IsAbs(t.Place) {
			dirs[filepath.Dir(t.Place)] = true
		}
	}
	for dir := range dirs {
		if err := apart(dir, p); err != nil {
			return err
		}
	}
	return nil
}

func apart(dir string, p *recovery.Plan) error {
	at, err := locate(dir)
	if err != nil {
		return err
	}
	refuse := func(what, path string) error {
		return recovery.Errorf("choose another place with --scratch", "refused: scratch in %s would lie inside of %s, %s", filepath.Dir(dir), path, what).WithExit(recovery.Refused)
	}
	for path, what := range living(p) {
		lives, err := locate(path)
		switch {
		case errors.Is(err, fs.ErrPermission):
			continue // nor could scratch be made there
		case err != nil:
			return err
		case lives.there && at.inside(lives):
			return refuse(what, path)
		}
	}
	for above := dir; above != "/"; above = filepath.Dir(above) {
		if what := ofServer(above); what != "" {
			return refuse(what, above)
		}
	}
	return nil
}

// living are the directories that a plan says are not scratch, and what each is.
func living(p *recovery.Plan) map[string]string {
	all := map[string]string{}
	add := func(path, what string) {
		if filepath.IsAbs(path) {
			all[path] = what
		}
	}
	for _, path := range p.Production {
		add(path, "which the runbook calls production's")
	}
	for _, c := range p.Components {
		for _, key := range []string{"path", "paths", "data"} {
			for _, path := range c.Settings[key] {
				add(path, "where the component "+c.Name+" lives")
			}
		}
	}
	for _, t := range p.Targets {
		if t.Changes() {
			add(t.Place, "where "+t.Component+" lives")
		}
	}
	return all
}

// tablespace is how a server calls the directory that it makes in one.
var tablespace = pattern.New(`^PG_\d+(\.\d+)?_\d{9}$`)

// ofServer says what of a server a directory is, if anything.
func ofServer(dir string) string {
	if _, err := os.Lstat(filepath.Join(dir, "PG_VERSION")); err == nil {
		return "which is a server's data directory"
	}
	if tablespace.MatchString(filepath.Base(dir)) {
		return "which is a server's tablespace"
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "" // it is not there yet, or not ours to read
	}
	for _, e := range entries {
		if tablespace.MatchString(e.Name()) {
			return "which is a server's tablespace"
		}
	}
	return ""
}

// location is where a directory lies, whatever it is called: on which device, and
// where in its file system. Links do not show in it, nor do bind mounts.
type location struct {
	device string
	path   string
	there  bool // otherwise it will lie there once it is made
}

func (l location) inside(other location) bool {
	return l.device == other.device && (l.path == other.path || strings.HasPrefix(l.path, strings.TrimSuffix(other.path, "/")+"/"))
}

// locate finds where a directory lies, or will lie once it is made.
func locate(dir string) (location, error) {
	var missing []string
	var real string
	for {
		var err error
		if real, err = filepath.EvalSymlinks(dir); err == nil {
			break
		}
		if parent := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && parent != dir {
			missing, dir = append([]string{filepath.Base(dir)}, missing...), parent
			continue
		}
		return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
	}
	var st unix.Statx_t
	if err := unix.Statx(unix.AT_FDCWD, real, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_MNT_ID, &st); err != nil {
		return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
	}
	for line := range strings.Lines(string(table)) {
		// "36 35 98:0 /root /the/mount/point options …", where \040 is a space.
		fields := strings.Fields(line)
		if len(fields) < 5 || fields[0] != strconv.FormatUint(st.Mnt_id, 10) {
			continue
		}
		rel, err := filepath.Rel(unescaped.Replace(fields[4]), real)
		if err != nil {
			return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
		}
		path := filepath.Join(append([]string{unescaped.Replace(fields[3]), rel}, missing...)...)
		return location{device: fields[2], path: path, there: len(missing) == 0}, nil
	}
	// A mount that this process does not see the root of: its own names have to do.
	return location{device: fmt.Sprintf("%d:%d", st.Dev_major, st.Dev_minor), path: filepath.Join(append([]string{real}, missing...)...), there: len(missing) == 0}, nil
}

// unescaped are the characters that the kernel's table of mounts escapes.
var unescaped = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
