package execute

import (
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/pattern"
)

// shared are the directories that programs of every box may write to.
var shared = []string{"/tmp", "/var/tmp"}

// others are the places of other runs and of backups, comeback-*, beside which this run
// has its scratch: what it has restored may run as their user. In none of them lies
// anything of this run's, nor this program. Every program may make something of such a
// name: only directories themselves count, never what a link leads to.
func (x *Executor) others(keep []string) []string {
	own, beside := append(slices.Clone(keep), x.Dir), slices.Clone(shared)
	if program, err := os.Executable(); err == nil {
		own = append(own, program)
	}
	for _, t := range x.Plan.Targets {
		if t.Scratch && filepath.IsAbs(t.Place) {
			root := filepath.Dir(t.Place)
			own, beside = append(own, root), append(beside, filepath.Dir(root))
		}
	}
	for _, path := range slices.Clone(own) {
		if real, err := filepath.EvalSymlinks(path); err == nil {
			own = append(own, real)
		}
	}
	slices.Sort(beside)
	var others []string
	for _, dir := range slices.Compact(beside) {
		dir, err := filepath.EvalSymlinks(dir)
		if err != nil {
			continue
		}
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // nor can a program of this user find what is in there
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if e.IsDir() && strings.HasPrefix(e.Name(), "comeback-") && !slices.ContainsFunc(own, func(o string) bool { return o == path || strings.HasPrefix(o, path+"/") }) {
				others = append(others, path)
			}
		}
	}
	return others
}

// socketsOfLive are the directories in which the components' servers listen, as far as their
// addresses say so: a socket is reached by its path, whichever network its server is in.
func (x *Executor) socketsOfLive() []string {
	var dirs []string
	for _, c := range x.Plan.Components {
		for _, key := range []string{"url", "admin"} {
			for _, text := range c.Settings[key] {
				if address, err := x.Secrets.Expand(text); err == nil { // else nothing here can reach it either
					dirs = append(dirs, socketDirs(address)...)
				}
			}
		}
	}
	return dirs
}

// socketDirs are the hosts of a connection string that are directories.
func socketDirs(address string) []string {
	var hosts []string
	if u, err := url.Parse(address); err == nil && u.Scheme != "" {
		hosts = u.Query()["host"]
	} else {
		for _, m := range hostWord.FindAllStringSubmatch(address, -1) {
			hosts = append(hosts, unquoted(m[1]))
		}
	}
	var dirs []string
	for _, host := range hosts {
		for dir := range strings.SplitSeq(host, ",") {
			if filepath.IsAbs(dir) {
				dirs = append(dirs, dir)
			}
		}
	}
	return dirs
}

var hostWord = pattern.New(`\bhost\s*=\s*('(?:[^'\\]|\\.)*'|[^\s']\S*)`)
