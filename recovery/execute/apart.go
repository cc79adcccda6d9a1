package execute

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/mounts"
)

// checkApart refuses scratch that would lie inside of what lives, by whatever name it
// is reached there: what production owns, the place of a component or of a live
// target, any server's data directory or tablespace. Scratch that takes the place of
// something live lies beside it, and so inside of whatever holds that: only another live
// target around it, which would take it along when it is exchanged itself, is a refusal then.
func checkApart(p *recovery.Plan) error {
	all := map[scratch]bool{}
	for _, t := range p.Targets {
		if t.Scratch && !t.Beside && filepath.IsAbs(t.Place) {
			all[scratch{filepath.Dir(t.Place), becomes(p, t)}] = true
		}
	}
	for s := range all {
		if err := s.apart(p); err != nil {
			return err
		}
	}
	return nil
}

// scratch is a directory that a run makes, and the live place that what is restored in it
// takes; empty where it takes none.
type scratch struct{ dir, live string }

// becomes is the live place that a scratch target takes; empty where it takes none.
func becomes(p *recovery.Plan, t recovery.Target) string {
	for _, l := range p.Targets {
		if t.BecomesLive && l.Changes() && l.Component == t.Component && filepath.IsAbs(l.Place) {
			return l.Place
		}
	}
	return ""
}

func (s scratch) apart(p *recovery.Plan) error {
	at, err := locate(s.dir)
	if err != nil {
		return err
	}
	takes, err := s.takes()
	if err != nil {
		return err
	}
	refuse := func(what, path string) error {
		hint := "choose another place with --scratch"
		if s.live != "" {
			hint = "leave one of them out of the `switch:`, or name directories that do not lie in each other: what takes the place of the outer one takes the inner one along"
		}
		return recovery.Errorf(hint, "refused: scratch in %s would lie inside of %s, %s", filepath.Dir(s.dir), path, what).WithExit(recovery.Refused)
	}
	for path, what := range living(p) {
		lives, err := locate(path)
		switch {
		case errors.Is(err, fs.ErrPermission):
			continue // nor could scratch be made there
		case err != nil:
			return err
		case !lives.there || !at.inside(lives), takes != nil && takes.below(lives) && !what.switched:
			continue
		}
		return refuse(what.is, path)
	}
	for above := s.dir; above != "/"; above = filepath.Dir(above) {
		if what := ofServer(above); what != "" {
			return refuse(what, above)
		}
	}
	return nil
}

// takes is where the live place lies that the scratch takes; nil where it takes none.
func (s scratch) takes() (*location, error) {
	if s.live == "" {
		return nil, nil
	}
	at, err := locate(s.live)
	if err != nil {
		return nil, err
	}
	return &at, nil
}

// owned is what a directory is that is not scratch.
type owned struct {
	is       string
	switched bool // the plan exchanges it
}

// living are the directories that a plan says are not scratch, and what each is.
func living(p *recovery.Plan) map[string]owned {
	all := map[string]owned{}
	add := func(path, what string, switched bool) {
		if filepath.IsAbs(path) {
			all[path] = owned{what, switched}
		}
	}
	for _, path := range p.Production {
		add(path, "which the runbook calls production's", false)
	}
	for _, c := range p.Components {
		for _, key := range []string{"path", "paths", "data"} {
			for _, path := range c.Settings[key] {
				add(path, "where the component "+c.Name+" lives", false)
			}
		}
	}
	for _, t := range p.Targets {
		if t.Changes() {
			add(t.Place, "where "+t.Component+" lives", true)
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

// below reports whether it is inside of another one, and not that itself.
func (l location) below(other location) bool { return l.inside(other) && l.path != other.path }

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
	there := len(missing) == 0
	m, seen, err := mounts.Through(real)
	if err != nil {
		return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
	}
	if seen {
		inside, err := m.Inside(real)
		return location{device: m.Device, path: filepath.Join(append([]string{inside}, missing...)...), there: there}, err
	}
	// A mount that this process does not see the root of: its own names have to do.
	var st unix.Stat_t
	if err := unix.Lstat(real, &st); err != nil {
		return location{}, fmt.Errorf("look where %s lies: %w", dir, err)
	}
	return location{device: fmt.Sprintf("%d:%d", unix.Major(st.Dev), unix.Minor(st.Dev)), path: filepath.Join(append([]string{real}, missing...)...), there: there}, nil
}
