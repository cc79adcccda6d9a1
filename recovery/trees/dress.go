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
	names, err := a.undescribed(pair)
	if err != nil || len(names) == 0 {
		return nil, nil, err
	}
	d := dressing{pair: pair}
	if d.restored, err = os.OpenRoot(pair.Beside); err != nil {
		return nil, nil, err
	}
	defer d.restored.Close()
	if d.live, err = os.OpenRoot(pair.Live); err == nil {
		defer d.live.Close()
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for _, name := range names {
		if err := d.directory(name); err != nil {
			return nil, nil, err
		}
	}
	return d.remarks(), d.toDo(), nil
}

// undescribed are the directories of a restored tree that its backup does not describe; none
// where the tree comes from no backup, or is live by now.
func (a args) undescribed(pair exchange.Pair) ([]string, error) {
	if a.Beside != "" {
		return nil, nil
	}
	list, err := os.ReadFile(filepath.Join(filepath.Dir(pair.Beside), recovery.UndescribedFile))
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(list) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read which directories the backup does not describe: %w", err)
	}
	if id, err := exchange.Identify(pair.Beside); err != nil || !id.Is(pair.New) {
		return nil, nil
	}
	return strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00"), nil
}

// dressing is a restored tree whose directories get the looks of the live ones.
type dressing struct {
	pair exchange.Pair
	// restored is the tree, live the one that it takes the place of; nil where there is none.
	restored, live *os.Root
	// alike counts the directories that live has, too, others those that are as the one above
	// them, of which above is the first.
	alike, others int
	above         string
	// private says that nothing live showed how the tree itself is to be.
	private bool
	// unset are the attributes that could not be set.
	unset []string
}

// directory dresses one directory.
func (d *dressing) directory(name string) error {
	like, in, of, err := d.like(name)
	if err != nil {
		return fmt.Errorf("give %s its owner: %w", strconv.Quote(name), err)
	}
	mode := like.Mode() & (fs.ModePerm | fs.ModeSetuid | fs.ModeSetgid | fs.ModeSticky)
	if name == "." && d.live == nil {
		mode, d.private = 0o700, true
	}
	// The owner first: were it cut off between them, the directory were still private.
	if st, ok := like.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		err = d.restored.Lchown(name, int(st.Uid), int(st.Gid))
	}
	if err == nil && (name != "." || d.live != nil && in == d.live) {
		var failed []string
		failed, err = attributesLike(d.restored, name, in, of)
		d.unset = append(d.unset, failed...)
	}
	if err := errors.Join(err, d.restored.Chmod(name, mode)); err != nil {
		return fmt.Errorf("give %s its owner and mode: %w", strconv.Quote(name), err)
	}
	return nil
}

// like is the directory that one is to look like, and where it is: the live one of its name,
// or else the one above it.
func (d *dressing) like(name string) (like fs.FileInfo, in *os.Root, of string, err error) {
	if d.live != nil {
		if like, err := d.live.Lstat(name); err == nil && like.IsDir() {
			d.alike++
			return like, d.live, name, nil
		}
	}
	if name == "." {
		like, err = os.Stat(filepath.Dir(d.pair.Live))
		return like, d.restored, path.Dir(name), err
	}
	if d.others++; d.above == "" {
		d.above = name
	}
	like, err = d.restored.Lstat(path.Dir(name))
	return like, d.restored, path.Dir(name), err
}

// remarks are what a reader should know of it.
func (d *dressing) remarks() (remarks []string) {
	if d.alike > 0 {
		remarks = append(remarks, directories(d.alike)+" that the backup does not describe got owner and mode of the live ones")
	}
	if d.others > 0 {
		remarks = append(remarks, fmt.Sprintf("%s that neither the backup describes nor live has, %s the first, got owner and mode of the directory above: look whether whoever uses them may write there",
			directories(d.others), strconv.Quote(d.above)))
	}
	return remarks
}

// toDo is what is left to people.
func (d *dressing) toDo() (toDo []string) {
	if d.private {
		toDo = append(toDo, fmt.Sprintf("give %s, and the directories in it that the backup does not describe, their owner and mode, which nothing live showed: they are private", d.pair.Live))
	}
	if len(d.unset) > 0 {
		toDo = append(toDo, fmt.Sprintf("give %s, in %s, the attributes that could not be set, %s the first", directories(len(d.unset)), d.pair.Live, d.unset[0]))
	}
	return toDo
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
