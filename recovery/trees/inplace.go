package trees

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"comeback/recovery"
)

// part is what was restored of one live path.
type part struct{ from, live string }

// parts are what was restored of the live paths of a component, where that can be told; nil
// where a path refers to a value, which no record may hold, or is no name that a line of text
// can hold.
func (a handOverArgs) parts() []part {
	for _, path := range a.Live {
		if !filepath.IsAbs(path) || path == "/" || strings.Contains(path, "${") || strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) }) {
			return nil
		}
	}
	switch {
	case len(a.Live) == 0:
		return nil
	case len(a.Live) > 1:
		return a.partsBelow(above(a.Live))
	}
	live := filepath.Clean(a.Live[0])
	if info, err := os.Stat(live); (errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir()) && isOnly(a.tree(), filepath.Base(live)) {
		return []part{{filepath.Join(a.tree(), filepath.Base(live)), live}} // a file, which was kept below its directory
	}
	return []part{{a.tree(), live}}
}

// above is the directory that several paths lie in.
func above(paths []string) string {
	dir := filepath.Dir(paths[0])
	for _, p := range paths[1:] {
		for dir != "/" && p != dir && !strings.HasPrefix(p, dir+"/") {
			dir = filepath.Dir(dir)
		}
	}
	return dir
}

// partsBelow are those of paths that were kept below a directory: what of them is in the tree,
// and in no other of them.
func (a handOverArgs) partsBelow(dir string) (parts []part) {
	for i, live := range a.Live {
		live = filepath.Clean(live)
		within := slices.ContainsFunc(a.Live, func(other string) bool { return strings.HasPrefix(live, filepath.Clean(other)+"/") }) ||
			slices.Contains(a.Live[:i], a.Live[i])
		rel, err := filepath.Rel(dir, live)
		if err != nil || within {
			continue
		}
		from := filepath.Join(a.tree(), rel)
		if _, err := os.Lstat(from); err == nil {
			parts = append(parts, part{from, live})
		}
	}
	return parts
}

// isOnly reports whether a directory holds one file of that name and nothing else.
func isOnly(dir, name string) bool {
	all, err := os.ReadDir(dir)
	return err == nil && len(all) == 1 && all[0].Name() == name && all[0].Type().IsRegular()
}

// commands put a part in the place of what is live, one after the other: the first copies
// beside and changes nothing live, the second takes the place. What was there stays beside, and
// whoever gives them twice replaces nothing. The root of a tree that its backup does not describe is private, and gets
// owner and mode of the one that it replaces.
func (p part) commands(run string, private bool) []string {
	line := func(words ...string) string {
		for i, w := range words {
			if w != "&&" && w != "!" {
				words[i] = recovery.ShellWord(w)
			}
		}
		return strings.Join(words, " ")
	}
	if _, err := os.Lstat(p.live); errors.Is(err, fs.ErrNotExist) {
		made := line("cp", "-aT", "--", p.from, p.live)
		if _, err := os.Lstat(filepath.Dir(p.live)); errors.Is(err, fs.ErrNotExist) {
			made = line("mkdir", "-p", "--", filepath.Dir(p.live), "&&") + " " + made
		}
		return []string{made}
	}
	fresh, old := p.live+".new-"+run, p.live+".old-"+run
	made := line("cp", "-aT", "--", p.from, fresh)
	if private {
		made += " " + line("&&", "chown", "--reference="+p.live, "--", fresh, "&&", "chmod", "--reference="+p.live, "--", fresh)
	}
	return []string{made, line("test", "!", "-e", old, "&&", "mv", "-T", "--", p.live, old, "&&", "mv", "-T", "--", fresh, p.live)}
}

// inPlace are the facts that tell how what was handed over is put in the place of what is live.
func (a handOverArgs) inPlace(private bool) map[string]string {
	facts := map[string]string{}
	for _, p := range a.parts() {
		for _, command := range p.commands(a.Run, private && p.from == a.tree()) {
			facts[recovery.InPlaceFact(len(facts)+1)] = command
		}
	}
	return facts
}

// undescribed reports whether the backup does not describe the root of the tree that is, or was,
// restored at a path.
func undescribed(tree string) bool {
	list, err := os.ReadFile(filepath.Join(filepath.Dir(tree), recovery.UndescribedFile))
	return err == nil && slices.Contains(strings.Split(string(list), "\x00"), ".")
}
