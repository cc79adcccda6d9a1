package main

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/schedule"
)

// What a user must be allowed, as the bits of a mode have it.
const (
	mayRun   fs.FileMode = 0o1
	mayRead  fs.FileMode = 0o4
	mayWrite fs.FileMode = 0o7
)

// refuseUnreachable refuses to install jobs that could never work, because their user
// cannot get to what they need, and says for each thing what to do.
func (o scheduleAsked) refuseUnreachable(s schedule.Options, needs map[string]string) error {
	u, err := findJobUser(s.User)
	if err != nil {
		return err
	}
	// The units take every privilege from root; cron does not.
	u.all = o.cron && u.uid == 0
	var says, does []string
	look := func(what, path string, need fs.FileMode, do string) {
		if err := u.reaches(path, need); err != nil {
			says, does = append(says, what+": "+err.Error()), append(does, do)
		}
	}
	state := "/var/lib/comeback"
	if u.reaches(filepath.Dir(s.State), mayRun) == nil {
		state = s.State
	}
	look("the program", s.Program, mayRun, "install -m 755 "+s.Program+" /usr/local/bin/comeback, and use that")
	look("the runbook", s.Runbook, mayRead, fmt.Sprintf("install -D -m 644 %s /etc/comeback/%s.md, and name that", s.Runbook, s.System))
	look("the state", s.State, mayWrite, fmt.Sprintf("install -d -o %s -g %s -m 2770 %s", u.name, u.group, state))
	if s.Scratch != "" {
		look("scratch", s.Scratch, mayWrite, fmt.Sprintf("install -d -o %s -m 700 %s, or name another with COMEBACK_SCRATCH in %s", u.name, s.Scratch, s.Environment))
	}
	if s.Key != "" {
		look("the key", s.Key, mayRead, fmt.Sprintf("install -o %s -m 600 %s /etc/comeback/key, and name that", u.name, s.Key))
	}
	for _, dir := range s.Writes {
		look("the copy", dir, mayWrite, fmt.Sprintf("install -d -o %s -m 700 %s, or mount what belongs there", u.name, dir))
	}
	if s.Metrics != "" {
		dir := filepath.Dir(s.Metrics)
		look("the metrics", dir, mayWrite, fmt.Sprintf("install -d -o %s -m 755 %s, or name another file with --prometheus", u.name, dir))
	}
	if missing, why := valuesMissing(s.Environment, needs); len(missing) > 0 {
		says = append(says, fmt.Sprintf("the values of %s: %s", strings.Join(missing, ", "), why))
		does = append(does, fmt.Sprintf("write them into it, a line NAME=VALUE each (install -o %s -m 600), or name another with --environment", u.name))
	}
	if _, err := os.Stat(s.Environment); err == nil && o.cron { // systemd reads it before it changes the user
		look("the variables", s.Environment, mayRead, fmt.Sprintf("chown %s %s", u.name, s.Environment))
	}
	if len(says) == 0 {
		return nil
	}
	return recovery.Errorf(strings.Join(does, "; "), "refused: the jobs would run as %s and could not work. %s", u.name, strings.Join(says, "; ")).WithExit(recovery.Refused)
}

// valuesMissing lists what the runbook needs and a file of variables does not say, and why
// it does not. What this user may not read is taken to say everything: who installs jobs
// is root.
func valuesMissing(file string, needs map[string]string) (names []string, why string) {
	text, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		why = "there is no " + file
	case err != nil:
		return nil, ""
	default:
		why = file + " does not say them"
	}
	said := map[string]bool{}
	for _, v := range schedule.Environment(string(text)) {
		name, value, _ := strings.Cut(v, "=")
		said[name] = value != ""
	}
	for _, name := range slices.Sorted(maps.Keys(needs)) {
		if !said[name] {
			names = append(names, name)
		}
	}
	return names, why
}

// jobUser is who runs jobs.
type jobUser struct {
	name, group string
	uid         uint32
	groups      []uint32
	// all says that nothing is closed to them.
	all bool
}

func findJobUser(name string) (jobUser, error) {
	found, err := user.Lookup(name)
	if err != nil {
		return jobUser{}, usage("name another with --user", "there is no user %q on this host", name)
	}
	u := jobUser{name: name, group: found.Gid}
	if g, err := user.LookupGroupId(found.Gid); err == nil {
		u.group = g.Name
	}
	ids, err := found.GroupIds()
	if err != nil {
		return u, fmt.Errorf("list the groups of %s: %w", name, err)
	}
	for i, text := range append([]string{found.Uid}, ids...) {
		id, err := strconv.ParseUint(text, 10, 32)
		switch {
		case err != nil:
			return u, fmt.Errorf("understand the ids of %s: %w", name, err)
		case i == 0:
			u.uid = uint32(id)
		default:
			u.groups = append(u.groups, uint32(id))
		}
	}
	return u, nil
}

// reaches says why the user cannot get to a path, if so. It goes by modes: what an
// access list allows beyond them it does not see.
func (u jobUser) reaches(path string, need fs.FileMode) error {
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return fmt.Errorf("%s is not there", path)
	}
	for dir := filepath.Dir(real); ; dir = filepath.Dir(dir) {
		switch info, err := os.Stat(dir); {
		case err != nil:
			return err
		case !u.may(info, mayRun):
			return fmt.Errorf("%s lies in %s, which is closed to %s", path, dir, u.name)
		}
		if dir == filepath.Dir(dir) {
			break
		}
	}
	info, err := os.Stat(real)
	if err != nil {
		return err
	}
	if !u.may(info, need) {
		does := map[fs.FileMode]string{mayRun: "run", mayRead: "read", mayWrite: "write to"}[need]
		return fmt.Errorf("%s may not %s %s", u.name, does, path)
	}
	return nil
}

// may reports whether all needed bits of a mode are the user's.
func (u jobUser) may(info fs.FileInfo, need fs.FileMode) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	if u.all || !ok {
		return true
	}
	mode := info.Mode().Perm()
	switch {
	case st.Uid == u.uid:
		mode >>= 6
	case slices.Contains(u.groups, st.Gid):
		mode >>= 3
	}
	return mode&need == need
}
