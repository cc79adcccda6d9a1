package runner

import (
	"bufio"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// environment is the environment of a process that is to be started.
type environment []string

func (e environment) get(name string) string {
	for _, kv := range slices.Backward(e) {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v
		}
	}
	return ""
}

// killsAtLogout reports whether systemd's logind ends the processes of this
// login with it, as logind.conf below root says. It does so with sessions that
// setsid has left too.
func (e environment) killsAtLogout(root string) bool {
	if e.get("XDG_SESSION_ID") == "" || os.Geteuid() == 0 { // root is excluded by default
		return false
	}
	return kills(root)
}

// kills reads KillUserProcesses as systemd does (logind.conf(5)): one main file, that of the
// administrator before those of the system, then the drop-ins of all directories in the
// order of their names, where one hides those of the same name in directories before it.
// The last that sets it decides.
func kills(root string) bool {
	dirs := []string{"usr/lib/systemd", "usr/local/lib/systemd", "run/systemd", "etc/systemd"}
	var files []string
	for _, dir := range slices.Backward(dirs) {
		main := filepath.Join(root, dir, "logind.conf")
		if _, err := os.Stat(main); err == nil {
			files = append(files, main)
			break
		}
	}
	dropIns := map[string]string{}
	for _, dir := range dirs {
		found, err := filepath.Glob(filepath.Join(root, dir, "logind.conf.d", "*.conf"))
		if err != nil {
			continue
		}
		for _, path := range found {
			dropIns[filepath.Base(path)] = path
		}
	}
	for _, name := range slices.Sorted(maps.Keys(dropIns)) {
		files = append(files, dropIns[name])
	}
	yes := false // systemd's default, and Debian's
	for _, name := range files {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		for s := bufio.NewScanner(f); s.Scan(); {
			key, value, _ := strings.Cut(s.Text(), "=")
			if strings.TrimSpace(key) == "KillUserProcesses" {
				yes = slices.Contains([]string{"yes", "y", "true", "t", "on", "1"}, strings.ToLower(strings.TrimSpace(value)))
			}
		}
		f.Close()
	}
	return yes
}

// scope is the beginning of a command line that runs a program in a scope of
// the user's service manager; nil where there is none.
func (e environment) scope(unit string) []string {
	runtime := e.get("XDG_RUNTIME_DIR")
	if runtime == "" {
		return nil
	}
	if _, err := os.Stat(filepath.Join(runtime, "systemd", "private")); err != nil {
		return nil
	}
	path, err := exec.LookPath("systemd-run")
	if err != nil {
		return nil
	}
	return []string{path, "--user", "--scope", "--quiet", "--collect", "--unit", unit, "--"}
}

// lingers reports whether the user's service manager outlives the last login.
func (e environment) lingers(root string) bool {
	user := e.get("USER")
	if user == "" {
		return false
	}
	_, err := os.Stat(filepath.Join(root, "var/lib/systemd/linger", filepath.Base(user)))
	return err == nil
}

// LogoutWarning says that a run will not outlive the login that starts it, and
// what to do about it; empty where it will.
func LogoutWarning(env []string) string {
	e := environment(env)
	switch {
	case !e.killsAtLogout("/") || e.scope("x") != nil && e.lingers("/"):
		return ""
	case e.scope("x") != nil:
		return "this host ends a user's processes with the last login (KillUserProcesses): the run ends with it, unless you allow it to stay: loginctl enable-linger"
	}
	return "this host ends a user's processes at logout (KillUserProcesses) and you have no service manager to run it under: the run ends with this login; stay logged in, or start it as root"
}
