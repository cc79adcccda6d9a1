package files

import (
	"archive/tar"
	"os"
	"path"
	"strings"

	"comeback/recovery"
)

// livePaths are the paths that a component's tree is a copy of, as the runbook writes them.
func (e engine) livePaths(c recovery.Component) []string {
	if e.sealed() {
		return c.Settings["paths"]
	}
	return c.Settings["path"]
}

// liveDir is the live directory that a tree of some paths is a copy of: the only one, or the
// nearest that all of them lie in; "" where they do not tell it, as one with a reference.
func liveDir(live []string) string {
	for _, p := range live {
		if !path.IsAbs(p) || strings.Contains(p, "${") {
			return ""
		}
	}
	switch len(live) {
	case 0:
		return ""
	case 1:
		return path.Clean(live[0])
	}
	return recovery.Above(live)
}

// elsewhere reports whether a snapshot is of another directory than the live one of some paths
// of today. What is set nowhere is compared with nothing, and of a file that is live, or is
// gone, the snapshot is of the directory that it lies in.
func (e engine) elsewhere(live []string, dir string) bool {
	now := make([]string, len(live))
	for i, p := range live {
		var err error
		if now[i], err = e.expand(p); err != nil {
			return false
		}
	}
	at := liveDir(now)
	if dir == "" || at == "" || at == dir {
		return false
	}
	if len(now) > 1 || !e.sealed() || path.Dir(at) != dir {
		return true
	}
	info, err := os.Stat(at)
	return err == nil && info.IsDir()
}

// knowRoot takes over which directory of the archive is the tree: what the survey has found,
// or what an earlier attempt has, whose tree is gone on with. Of a sealed archive nothing is
// known before its first entry.
func (a *archive) knowRoot() {
	f, past := a.args.Facts, a.log.past
	a.root, a.rooted = f.Root, true
	switch {
	case !f.Sealed && f.Root != "":
		a.of = liveDir(a.args.Live)
	case f.Sealed && !f.Rooted:
		a.root, a.of = past.Root, past.Of
		a.rooted = past.Entries > 0 || past.All
	}
}

// findRoot finds which directory of a sealed archive is the tree by its first entry, as a
// survey finds it of those that it can look into: people archive from / as well as from the
// directory itself. The tree of a file that is live is the directory that the file lies in.
func (a *archive) findRoot(h *tar.Header) {
	if a.rooted || h.Typeflag == tar.TypeXGlobalHeader {
		return
	}
	a.rooted = true
	live := liveDir(a.args.Live)
	if a.root = rootFor(live, h.Name); a.root == "" {
		return
	}
	a.of = live
	if h.Typeflag != tar.TypeDir && a.root == clean(h.Name) {
		a.root, a.of = strings.Trim(path.Dir("/"+a.root), "/"), path.Dir(live)
	}
	a.log.now.Root, a.log.now.Of = a.root, a.of
}
