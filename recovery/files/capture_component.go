package files

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"comeback/recovery"
)

var _ recovery.Capturer = engine{}

// Takes names the sorts of backups.
func (engine) Takes() []string { return []string{"snapshot"} }

// Capture stores a snapshot of a component's tree, that of a config component
// encrypted for its recipients.
func (e engine) Capture(ctx context.Context, src recovery.Capture) (m recovery.Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("back up %s: %w", src.Component.Name, err)
		}
	}()
	dir, paths, err := e.live(src)
	if err != nil {
		return m, err
	}
	o := CaptureOptions{Dir: dir, Paths: paths, Store: src.Store, Prefix: src.Component.Prefix(), Temp: src.Temp, Now: src.Now, Meter: src.Meter, Begin: src.Begin}
	if e.sealed() {
		if o.Seal, err = sealerOf(src); err != nil {
			return m, err
		}
	}
	// What changes from now on changes the fingerprint.
	fingerprint, err := fingerprintOf(ctx, dir, paths)
	if err != nil {
		return m, err
	}
	src.Meter.Phase("read "+dir, 0, recovery.InBytes)
	done, err := Capture(ctx, o)
	if err != nil {
		return m, err
	}
	m = recovery.Manifest{ID: done.Key, Engine: e.name, Form: "snapshot", Moment: recovery.Span{From: done.Begun.UTC(), To: done.Ended.UTC()},
		Fingerprint: fingerprint, SourceBytes: done.Bytes, Source: map[string]string{"directory": dir, "files": fmt.Sprint(done.Files)}}
	if len(paths) > 0 {
		m.Source["paths"] = strings.Join(paths, " ")
	}
	if e.sealed() {
		m.Form = "snapshot, encrypted with age"
	}
	m.Remarks, m.Exceptions, m.Reused = done.LeftOut, done.Exceptions, done.Reused
	return m, nil
}

// Fingerprint is that of the tree's names, sizes, modes and times.
func (e engine) Fingerprint(ctx context.Context, src recovery.Capture) (string, error) {
	dir, paths, err := e.live(src)
	if err != nil {
		return "", err
	}
	return fingerprintOf(ctx, dir, paths)
}

// sealerOf encrypts for the component's recipients, or to its passphrase where it
// names none.
func sealerOf(src recovery.Capture) (seal func(io.Writer) (io.WriteCloser, error), err error) {
	recipients := src.Component.Settings["recipients"]
	if len(recipients) > 0 {
		return Sealer(recipients, "")
	}
	passphrase := ""
	if src.Component.Settings.Text("identity") == "" {
		if passphrase, err = src.Secret(src.Component.Settings.Text("passphrase")); err != nil {
			return nil, err
		}
	}
	return Sealer(nil, passphrase)
}

// live is the directory that a component's tree lies in, and the parts of it that
// are kept; none are all.
func (e engine) live(src recovery.Capture) (dir string, paths []string, err error) {
	key := "path"
	if e.sealed() {
		key = "paths"
	}
	var all []string
	for _, text := range src.Component.Settings[key] {
		p, err := src.Secret(text)
		if err != nil {
			return "", nil, err
		}
		if !filepath.IsAbs(p) {
			return "", nil, recovery.Errorf("write an absolute path", "`%s` of %s is %q", key, src.Component.Name, p).WithExit(recovery.Usage)
		}
		all = append(all, filepath.Clean(p))
	}
	if len(all) == 0 {
		return "", nil, src.Component.Unplaced(key)
	}
	if len(all) == 1 {
		info, err := os.Stat(all[0])
		if err != nil {
			return "", nil, err
		}
		if info.IsDir() {
			return all[0], nil, nil
		}
	}
	dir = recovery.Above(all)
	for _, p := range all {
		rel, err := filepath.Rel(dir, p)
		if err != nil {
			return "", nil, err
		}
		paths = append(paths, rel)
	}
	return dir, paths, nil
}

// fingerprintOf walks a tree. Names that vanish meanwhile are no failure: they
// have changed it. Where the tree is named by a link, what is walked is what the
// snapshot reads, and not the link, which stays as it is whatever changes behind it.
func fingerprintOf(ctx context.Context, dir string, paths []string) (string, error) {
	if len(paths) == 0 {
		tree, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return "", fmt.Errorf("look at the live files: %w", err)
		}
		dir, paths = tree, []string{"."}
	}
	sum := sha256.New()
	for _, p := range paths {
		top := filepath.Join(dir, p)
		err := filepath.WalkDir(top, func(path string, d fs.DirEntry, err error) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			if errors.Is(err, fs.ErrNotExist) && path != top {
				return nil
			}
			if err != nil {
				return err
			}
			info, err := d.Info()
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			st, ok := info.Sys().(*syscall.Stat_t)
			if !ok {
				return fmt.Errorf("%s: nothing is known of it", path)
			}
			size := info.Size()
			if info.IsDir() {
				size = 0
			}
			fmt.Fprintf(sum, "%q %o %d %d %d %d\n", path, st.Mode, st.Uid, st.Gid, size, info.ModTime().UnixNano())
			return nil
		})
		if err != nil {
			return "", fmt.Errorf("look at the live files: %w", err)
		}
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}
