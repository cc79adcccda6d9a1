package trees

import (
	"errors"
	"fmt"
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
// can hold; and where the tree is a copy of another directory than the one that the paths of
// today tell (of, or "" where the backup did not tell): what is put in a place must be what
// was there.
func (a handOverArgs) parts(of string) []part {
	if len(a.Live) == 0 || slices.ContainsFunc(a.Live, unnamed) {
		return nil
	}
	if len(a.Live) > 1 {
		dir := recovery.Above(a.Live)
		if of != "" && of != dir || of == "" && a.holdsBelow(dir) {
			return nil
		}
		return a.partsBelow(dir)
	}
	live := filepath.Clean(a.Live[0])
	dir, name := filepath.Split(live)
	dir = filepath.Clean(dir)
	info, err := os.Stat(live)
	if (errors.Is(err, fs.ErrNotExist) || err == nil && !info.IsDir()) && isOnly(a.tree(), name) && (of == dir || of == "" && !a.holdsBelow(dir)) {
		return []part{{filepath.Join(a.tree(), name), live}} // a file, which was kept below its directory
	}
	if of != "" && of != live || of == "" && a.holdsBelow(live) {
		return nil
	}
	return []part{{a.tree(), live}}
}

// unnamed reports whether no command can name a path.
func unnamed(path string) bool {
	return !filepath.IsAbs(path) || path == "/" || strings.Contains(path, "${") || strings.ContainsFunc(path, func(r rune) bool { return !unicode.IsPrint(r) })
}

// holdsBelow reports whether the tree looks like a copy of a directory further up than dir: it
// has a live path by a longer end of its name than it would have as a copy of dir.
func (a handOverArgs) holdsBelow(dir string) bool {
	for _, live := range a.Live {
		for up := dir; up != "/"; {
			up = filepath.Dir(up)
			if rel, err := filepath.Rel(up, filepath.Clean(live)); err == nil {
				if _, err := os.Lstat(filepath.Join(a.tree(), rel)); err == nil {
					return true
				}
			}
		}
	}
	return false
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
// owner and mode of the one that it replaces; code tells no owners, and is its owner's, all of it.
func (p part) commands(run string, private, code bool) []string {
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
	if code {
		made += " " + line("&&", "chown", "-R", "--reference="+p.live, "--", fresh)
	}
	return []string{made, line("test", "!", "-e", old, "&&", "mv", "-T", "--", p.live, old, "&&", "mv", "-T", "--", fresh, p.live)}
}

// inPlace are the facts that tell how what was handed over is put in the place of what is live,
// and is a copy of a directory, "" where its backup did not tell.
func (a handOverArgs) inPlace(of string, private bool) map[string]string {
	facts := map[string]string{}
	for _, p := range a.parts(of) {
		for _, command := range p.commands(a.Run, private && p.from == a.tree(), a.Code) {
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

// toLive are the facts that tell how a restored tree is put in the place of what is live, and
// what people are told to do. Of code no exchange is told while live has more than the commit,
// or cannot be looked at.
func (a handOverArgs) toLive(env recovery.Env, restored recovery.Binding, private bool) (facts map[string]string, how string) {
	if a.Code {
		only, err := a.onlyLive(env)
		if err != nil {
			return map[string]string{}, fmt.Sprintf("no exchange is told, because it is not known what it would take away (%v): copy from it what is needed", err)
		}
		if only.names > 0 {
			return map[string]string{"only live": only.as}, only.says(restored.Commit)
		}
	}
	facts, how = a.inPlace(restored.Of, private), a.how(restored.Of)
	if len(facts) > 0 {
		how = "comeback status " + a.Run + " tells the commands that put it in live's place"
	}
	if restored.Disowned != "" {
		how += "; not its owners', whom only root can give it to, are " + restored.Disowned
	}
	return facts, how
}

// how says what people do with a tree that no command puts in the place of what is live.
func (a handOverArgs) how(of string) string {
	const how = "copy from it what is needed, as with cp -a"
	if of == "" || len(a.Live) == 0 || slices.ContainsFunc(a.Live, unnamed) {
		return how
	}
	dir := filepath.Clean(a.Live[0])
	if len(a.Live) > 1 {
		dir = recovery.Above(a.Live)
	}
	if of == dir {
		return how
	}
	return "it is a copy of " + of + ", and the runbook names " + strings.Join(a.Live, ", ") + ": " + how
}
