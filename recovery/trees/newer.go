package trees

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"comeback/recovery"
)

// newer lists and counts what is lost of the live tree: what is not in the restored one
// as it is, and stays in the old data. Its times tell when it was written; what is older than
// the moment and not in the restored tree was in no backup, which is an exception. The count is
// final where nothing was written while it was made; nothing ends the writes to a
// directory, so that open counts again what came between that and the exchange.
type newer struct{}

func (newer) Name() string              { return newerName }
func (newer) Restart() recovery.Restart { return recovery.Repeat }

func (newer) Do(ctx context.Context, env recovery.Env, s recovery.Step) (o recovery.Outcome, err error) {
	var a args
	if err := s.Decode(&a); err != nil {
		return o, err
	}
	list, name, err := recovery.NewArtifact(env, a.Component+"-newer", ".txt")
	if err != nil {
		return o, err
	}
	defer func() { err = errors.Join(err, list.Close()) }()
	env.Meter().Phase("list what came after the moment", 0, recovery.InItems)
	c := counting{live: a.Path, restored: scratchTree(env, a.Component), moment: a.Moment, began: time.Now(), list: list, count: func() { env.Meter().Add(1) }}
	if err := c.walk(ctx); err != nil {
		return o, fmt.Errorf("list what came after the moment in %s: %w", a.Path, err)
	}
	loss := c.loss(a.Component)
	o.Loss = &loss
	f := loss.Files
	changed := f.Changed + f.Added
	o.Facts = map[string]string{"files after the moment": strconv.FormatInt(changed, 10), "files deleted after the moment": strconv.FormatInt(f.Removed, 10)}
	if f.Unsaved > 0 {
		a.tellUnsaved(&o, c, name)
	}
	if c.busy {
		o.Remarks = append(o.Remarks, "somebody still writes to "+a.Path+": what is lost is more than was counted")
	}
	if changed == 0 {
		o.Says = "nothing in " + a.Path + " is newer than the moment"
		if f.Removed > 0 {
			o.Says += fmt.Sprintf("; %d files that were deleted since come back", f.Removed)
		}
		if f.Unsaved > 0 {
			o.Says += fmt.Sprintf("; %s that the backup lacks only in the old data", recovery.FormatCount(f.Unsaved, "file"))
		}
		return o, nil
	}
	o.Says = fmt.Sprintf("%d files in %s, %s, were written after the moment; they stay in the old data", changed, a.Path, recovery.FormatBytes(f.Bytes))
	if a.Aside != "" {
		o.ToDo = append(o.ToDo, fmt.Sprintf("%s: decide about %d files that were written after the moment; they are in %s, listed in artifacts/%s", a.Component, changed, a.Aside, name))
	}
	return o, nil
}

// tellUnsaved adds to an outcome what no backup holds of the tree: with the old data the only
// copy of it goes.
func (a args) tellUnsaved(o *recovery.Outcome, c counting, list string) {
	n := recovery.FormatCount(c.files.Unsaved, "file")
	o.Facts["files not in the backup"] = strconv.FormatInt(c.files.Unsaved, 10)
	o.Exceptions = append(o.Exceptions, fmt.Sprintf("the backup lacks %s in %s, %s, older than the moment, the first %s: excluded from it, not there when it was taken, or moved within the tree since; listed in artifacts/%s",
		n, a.Path, recovery.FormatBytes(c.files.UnsavedBytes), strconv.Quote(c.lacked), list))
	if a.Aside != "" {
		o.ToDo = append(o.ToDo, fmt.Sprintf("%s: decide about %s, older than the moment, that the backup lacks: only %s holds what artifacts/%s lists as not in the backup; let the next backup hold it, too",
			a.Component, n, a.Aside, list))
	}
}

// recount counts what was lost of the tree that was live, against the one that is; nil
// where there is no such tree.
func (a args) recount(ctx context.Context, env recovery.Env) (*recovery.Loss, error) {
	if a.Aside == "" || a.Moment.IsZero() {
		return nil, nil
	}
	if _, err := os.Lstat(a.Aside); errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	env.Meter().Phase("count again what came after the moment", 0, recovery.InItems)
	c := counting{live: a.Aside, restored: a.Path, open: true, moment: a.Moment, began: time.Now(), list: io.Discard, count: func() { env.Meter().Add(1) }}
	if err := c.walk(ctx); err != nil {
		return nil, err
	}
	loss := c.loss(a.Component)
	return &loss, nil
}

// scratchTree is where in scratch a component's restored tree stands; empty where it is not
// known.
func scratchTree(env recovery.Env, component string) string {
	binding, ok := env.Binding(component)
	u, err := url.Parse(binding.URL)
	if !ok || !binding.Scratch || err != nil || u.Scheme != "file" {
		return ""
	}
	return u.Path
}

// counting counts what going back loses of a tree.
type counting struct {
	// live is counted against restored, or where that is empty by its times alone.
	live, restored string
	// open says that people write to the restored one by now: what is newer there than
	// the moment has not come back.
	open          bool
	moment, began time.Time
	list          io.Writer // a line for each file that is lost
	count         func()

	files  recovery.FilesLoss
	lacked string // the first that is older than the moment, and not in the backup
	busy   bool   // something was written meanwhile
	cut    bool   // not all was looked at
}

func (c *counting) walk(ctx context.Context) error {
	err := eachFile(ctx, c.live, c.look)
	if err != nil || c.restored == "" {
		return err
	}
	return eachFile(ctx, c.restored, c.comesBack)
}

// eachFile calls do for everything below a directory; what vanishes meanwhile, or is
// not there, is passed over.
func eachFile(ctx context.Context, dir string, do func(rel string, info fs.FileInfo) error) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		info, err := d.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil {
			return err
		}
		return do(rel, info)
	})
}

// look counts one file of the live tree.
func (c *counting) look(rel string, info fs.FileInfo) error {
	changed := changedAt(info)
	c.busy = c.busy || changed.After(c.began)
	if info.IsDir() {
		return nil
	}
	c.count()
	lost, added := changed.After(c.moment) || info.ModTime().After(c.moment), false
	if c.restored != "" {
		was, err := os.Lstat(filepath.Join(c.restored, rel))
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
			return err
		}
		added = err != nil || c.theirs(was)
		switch {
		case added && !lost && err == nil:
			return nil // whether what they have written over was in the backup nobody can tell
		case added && !lost:
			return c.lacks(rel, info)
		}
		lost = added || !alike(was, info) && !c.leadsAlike(rel, was, info)
	}
	if !lost {
		return nil
	}
	if added {
		c.files.Added++
	} else {
		c.files.Changed++
	}
	c.files.Bytes += info.Size()
	at := c.written(info)
	_, err := fmt.Fprintf(c.list, "%s %d %s\n", at.UTC().Format(listed), info.Size(), strconv.Quote(rel))
	return err
}

// lacks counts one file that the backup should hold and does not. A socket is none: nothing
// brings one back but the program that listens there.
func (c *counting) lacks(rel string, info fs.FileInfo) error {
	if info.Mode().Type() == fs.ModeSocket {
		return nil
	}
	if c.files.Unsaved++; c.files.Unsaved == 1 {
		c.lacked = rel
	}
	c.files.UnsavedBytes += info.Size()
	_, err := fmt.Fprintf(c.list, "%s %d %s not in the backup\n", info.ModTime().UTC().Format(listed), info.Size(), strconv.Quote(rel))
	return err
}

// listed is how a list of files tells times.
const listed = "2006-01-02T15:04:05.000Z"

// comesBack counts one file of the restored tree that live has not: when it went is
// told by the directory that it was in, or by that one's.
func (c *counting) comesBack(rel string, info fs.FileInfo) error {
	if info.IsDir() || c.theirs(info) {
		return nil
	}
	_, err := os.Lstat(filepath.Join(c.live, rel))
	if err == nil || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	c.files.Removed++
	for dir := filepath.Dir(rel); ; dir = filepath.Dir(dir) {
		if info, err := os.Lstat(filepath.Join(c.live, dir)); err == nil {
			c.written(info)
			return nil
		}
		if dir == "." {
			return nil
		}
	}
}

// theirs reports whether something in the restored tree was written by people since it
// became live.
func (c *counting) theirs(info fs.FileInfo) bool { return c.open && info.ModTime().After(c.moment) }

// written is when something was written, as far as it tells, and remembers the newest
// of these times. A time of writing that somebody has set says nothing: then the
// kernel's own counts.
func (c *counting) written(info fs.FileInfo) time.Time {
	at := info.ModTime()
	if changed := changedAt(info); !at.After(c.moment) || at.After(changed) {
		at = changed
	}
	if at.After(c.moment) && at.After(c.files.Newest) {
		c.files.Newest = at.UTC()
	}
	return at
}

// loss is what was counted.
func (c *counting) loss(component string) recovery.Loss {
	c.files.Since = c.moment.UTC()
	return recovery.Loss{Component: component, Files: &c.files, AtLeast: c.cut, Final: !c.busy && !c.cut && c.restored != ""}
}

// changedAt is the kernel's own time of a file's last change, which nobody can set.
func changedAt(info fs.FileInfo) time.Time {
	if s, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(s.Ctim.Unix())
	}
	return info.ModTime()
}

// alike reports whether a restored file is as the live one, by type, size and time of
// writing; some archives keep that in whole seconds.
func alike(a, b fs.FileInfo) bool {
	if a.Mode().Type() != b.Mode().Type() || a.Mode().IsRegular() && a.Size() != b.Size() {
		return false
	}
	at, bt := a.ModTime(), b.ModTime()
	return at.Equal(bt) || at.Unix() == bt.Unix() && (at.Nanosecond() == 0 || bt.Nanosecond() == 0)
}

// leadsAlike reports whether a name is a symbolic link in both trees that leads to the same:
// some archives keep no time of links.
func (c *counting) leadsAlike(rel string, was, info fs.FileInfo) bool {
	if was.Mode().Type() != fs.ModeSymlink || info.Mode().Type() != fs.ModeSymlink {
		return false
	}
	restored, err := os.Readlink(filepath.Join(c.restored, rel))
	live, errLive := os.Readlink(filepath.Join(c.live, rel))
	return err == nil && errLive == nil && restored == live
}

// countFor bounds how long a plan counts what a tree loses.
const countFor = 10 * time.Second

// LiveLoss counts what going back loses so far, by times alone: nothing is restored yet.
func (switcher) LiveLoss(ctx context.Context, l recovery.Live, p recovery.Point) (recovery.Loss, error) {
	if p.Time.IsZero() {
		return recovery.Loss{Component: l.Component, Files: &recovery.FilesLoss{}, AtLeast: true}, nil
	}
	bounded, cancel := context.WithTimeout(ctx, countFor)
	defer cancel()
	c := counting{live: l.Target.Place, moment: p.Time, began: time.Now(), list: io.Discard, count: func() {}}
	err := c.walk(bounded)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		c.cut, err = true, nil
	}
	if err != nil {
		return recovery.Loss{}, recovery.Errorf("look why "+l.Target.Place+" cannot be read, then try again", "count what is lost of %s: %w", l.Component, err)
	}
	return c.loss(l.Component), nil
}
