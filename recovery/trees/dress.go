package trees

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/attributes"
	"comeback/recovery/exchange"
)

// dress gives the directories that the backup does not describe the owner, mode and extended
// attributes (access control lists, too) of those that are live, before they take their place: private ones would shut out whoever
// uses the tree. What live has not as a directory is as the directory above, in the tree;
// the tree itself stays private then. It may be repeated; a tree that is live by now was
// dressed.
func (a args) dress(pair exchange.Pair) (remarks, toDo []string, err error) {
	if a.Beside != "" { // it comes from no backup
		return nil, nil, nil
	}
	list, err := os.ReadFile(filepath.Join(filepath.Dir(pair.Beside), recovery.UndescribedFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read which directories the backup does not describe: %w", err)
	}
	if id, err := exchange.Identify(pair.Beside); err != nil || id != pair.New {
		return nil, nil, nil
	}
	restored, err := os.OpenRoot(pair.Beside)
	if err != nil {
		return nil, nil, err
	}
	defer restored.Close()
	live, err := os.OpenRoot(pair.Live)
	if err == nil {
		defer live.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	alike, first, others := 0, "", 0
	var unset []string
	for name := range strings.SplitSeq(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		var like fs.FileInfo
		err := fs.ErrNotExist
		in, of := live, name
		if live != nil {
			like, err = live.Lstat(name)
		}
		if err == nil && like.IsDir() {
			alike++
		} else {
			in, of = restored, path.Dir(name)
			if others++; first == "" && name != "." {
				first = name
			}
			if name == "." {
				others--
				like, err = os.Stat(filepath.Dir(pair.Live))
			} else {
				like, err = restored.Lstat(path.Dir(name))
			}
			if err != nil {
				return nil, nil, fmt.Errorf("give %s its owner: %w", strconv.Quote(name), err)
			}
		}
		mode := like.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
		if name == "." && live == nil {
			mode = 0o700
			toDo = append(toDo, fmt.Sprintf("give %s, and the directories in it that the backup does not describe, their owner and mode, which nothing live showed: they are private", pair.Live))
		}
		// The owner first: were it cut off between them, the directory were still private.
		if st, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			err = restored.Lchown(name, int(st.Uid), int(st.Gid))
		} else {
			err = nil
		}
		if err == nil && (name != "." || live != nil && in == live) {
			failed, errAttributes := attributesLike(restored, name, in, of)
			err = errAttributes
			unset = append(unset, failed...)
		}
		if err := errors.Join(err, restored.Chmod(name, mode)); err != nil {
			return nil, nil, fmt.Errorf("give %s its owner and mode: %w", strconv.Quote(name), err)
		}
	}
	if alike > 0 {
		remarks = append(remarks, directories(alike)+" that the backup does not describe got owner and mode of the live ones")
	}
	if others > 0 {
		remarks = append(remarks, fmt.Sprintf("%s that neither the backup describes nor live has, %s the first, got owner and mode of the directory above: look whether whoever uses them may write there",
			directories(others), strconv.Quote(first)))
	}
	if len(unset) > 0 {
		toDo = append(toDo, fmt.Sprintf("give %s, in %s, the attributes that could not be set, %s the first", directories(len(unset)), pair.Live, unset[0]))
	}
	return remarks, toDo, nil
}

// disowned tells of a restored tree that could not be given to its owners, when it takes the
// place of what is live: those who use it may not get at it. One that was live before is as it
// was.
func (a args) disowned(env recovery.Env) (exceptions, toDo []string) {
	if a.Beside != "" {
		return nil, nil
	}
	restored, _ := env.Binding(a.Component)
	if restored.Disowned == "" {
		return nil, nil
	}
	whose := ""
	if a.Aside != "" {
		whose = "; whose they were, those in " + a.Aside + " show"
	}
	return []string{fmt.Sprintf("%s is live and does not belong to its owners: %s, belong to the user of this run", a.Path, restored.Disowned)},
		[]string{fmt.Sprintf("%s: as root, give what is in %s to its owners, whom nobody else can give it to: %s%s", a.Component, a.Path, restored.Disowned, whose)}
}

// attributesLike gives a directory the extended attributes of another one, and says what
// could not be read or set.
func attributesLike(restored *os.Root, name string, in *os.Root, of string) (failed []string, err error) {
	like, err := in.Open(of)
	if errors.Is(err, fs.ErrPermission) {
		return []string{fmt.Sprintf("those of %s, which may not be read", strconv.Quote(of))}, nil
	}
	if err != nil {
		return nil, err
	}
	defer like.Close()
	all, _, err := attributes.Read(like)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	to, err := restored.Open(name)
	if err != nil {
		return nil, err
	}
	defer to.Close()
	for _, a := range all {
		if err := attributes.Set(to, a); err != nil && a.Name != attributes.Label && failed == nil {
			failed = []string{fmt.Sprintf("%s of %s: %v", a.Name, strconv.Quote(name), err)}
		}
	}
	return failed, nil
}

func directories(n int) string {
	if n == 1 {
		return "1 directory"
	}
	return strconv.Itoa(n) + " directories"
}
