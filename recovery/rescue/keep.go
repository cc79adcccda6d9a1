package rescue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"comeback/durable"
	"comeback/recovery"
)

// What one step leaves for the next lies in the private directory beside the
// rows: whole or not at all, and only its owner may read it.
const (
	differenceFile  = "difference.json"
	definitionsFile = "definitions.json"
	previewFile     = "preview.json"
	samplesFile     = "samples.json"
	appliedFile     = "applied.json"
)

// place is a scratch target as the private directory of this process's user. Targets are
// made for the user that scratch servers run as, and with them what was restored: who
// could write here would choose the rows that live is given.
func place(ctx context.Context, env recovery.Env, id recovery.TargetID) (dir string, err error) {
	h, err := env.Target(ctx, id)
	if err != nil {
		return "", err
	}
	if err = os.Lchown(h.Dir, os.Geteuid(), os.Getegid()); err == nil {
		err = os.Chmod(h.Dir, 0o700)
	}
	if err != nil {
		return "", fmt.Errorf("close the rescue's directory to others: %w", err)
	}
	return h.Dir, nil
}

// create makes a file that only this process's user may read, in the place of an earlier
// one; a link that somebody has put there is removed, never followed.
func create(path string) (*os.File, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	return os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
}

// open opens a file that create has made; a link is none, nor is what another user has put
// there before the directory was this one's.
func open(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	var st unix.Stat_t
	err = unix.Fstat(int(f.Fd()), &st)
	if err == nil && (int(st.Uid) != os.Geteuid() || st.Mode&unix.S_IFMT != unix.S_IFREG) {
		err = recovery.Errorf("see who could write there, and then begin another rescue", "%s is no file of this run's: user %d has put it there", path, st.Uid)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// keep writes a value, durable when it returns.
func keep(dir, name string, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := durable.Replace(filepath.Join(dir, name), b); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	return nil
}

// kept reads what keep wrote; ok is false where it is not there.
func kept(dir, name string, v any) (ok bool, err error) {
	f, err := open(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	defer f.Close() // it was only read
	b, err := io.ReadAll(f)
	if err == nil {
		err = json.Unmarshal(b, v)
	}
	if err != nil {
		return false, fmt.Errorf("read %s: %w", name, err)
	}
	return true, nil
}
