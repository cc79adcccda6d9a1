package code

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
)

// uncommitted says what a live checkout has and no commit of it: names that git does not
// track, and files that differ from its HEAD. None of it is in a bundle. Files are held against
// the commit by their own bytes: git, asked whether they have changed, may run the filters of
// the checkout's own configuration, which is somebody else's.
func (l *liveRepo) uncommitted(ctx context.Context, head string) (says []string, err error) {
	untracked, err := l.list(ctx, nil, "ls-files", "-z", "--others", "--directory", "--no-empty-directory")
	if err != nil {
		return nil, fmt.Errorf("look for what git does not track: %w", err)
	}
	if len(untracked) > 0 {
		says = append(says, fmt.Sprintf("%s in %s that git does not track, and no bundle has: %s; let a component of kind files or config keep what is needed of them",
			recovery.FormatCount(len(untracked), "name"), l.dir, named(untracked)))
	}
	changed, err := l.changed(ctx, head)
	if err != nil {
		return nil, fmt.Errorf("look for what is not committed: %w", err)
	}
	if len(changed) > 0 {
		says = append(says, fmt.Sprintf("%s in %s otherwise than its HEAD has, which no bundle holds: %s; commit what is to come back",
			recovery.FormatCount(len(changed), "file"), l.dir, named(changed)))
	}
	return says, nil
}

// list runs a command of git that ends each name with NUL.
func (l *liveRepo) list(ctx context.Context, stdin []byte, args ...string) ([]string, error) {
	var out bytes.Buffer
	c := l.command(&out, args...)
	if stdin != nil {
		c.Stdin = bytes.NewReader(stdin)
	}
	err := l.Command(ctx, c)
	if out.Len() == 0 {
		return nil, err
	}
	return strings.Split(strings.TrimSuffix(out.String(), "\x00"), "\x00"), err
}

// changed are the files of the checkout that are not as a commit has them. What is missing, or
// is no file any more, is none.
func (l *liveRepo) changed(ctx context.Context, commit string) ([]string, error) {
	tree, err := l.list(ctx, nil, "ls-tree", "-z", "-r", commit)
	if err != nil {
		return nil, err
	}
	var differ []string
	for _, line := range tree {
		about, name, _ := strings.Cut(line, "\t")
		var mode, kind, want string
		if n, _ := fmt.Sscan(about, &mode, &kind, &want); n != 3 || kind != "blob" || mode == "120000" {
			continue
		}
		same, err := l.isCommitted(name, want)
		if err := errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		if !same {
			differ = append(differ, name)
		}
	}
	return l.unconverted(ctx, differ)
}

// isCommitted reports whether a file is what git has by a hash, be it with other line endings.
// What is gone, may not be read or is no file is not said to differ.
func (l *liveRepo) isCommitted(name, want string) (bool, error) {
	path := filepath.Join(l.dir, name)
	info, err := os.Lstat(path)
	if err == nil && !info.Mode().IsRegular() {
		return true, nil
	}
	got := ""
	if err == nil {
		got, _, err = hashes(path, info, len(want))
	}
	if err == nil && got != want {
		return sameLines(path, info, want)
	}
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission) {
		return true, nil
	}
	return err == nil, err
}

// longText bounds the files whose line endings are looked at.
const longText = 16 << 20

// sameLines reports whether a file is what git has by a hash but for line endings.
func sameLines(path string, info fs.FileInfo, want string) (bool, error) {
	if info.Size() > longText {
		return false, nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	lines := bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	blob := append(fmt.Appendf(nil, "blob %d\x00", len(lines)), lines...)
	if len(want) == 2*sha256.Size {
		return fmt.Sprintf("%x", sha256.Sum256(blob)) == want, nil
	}
	return fmt.Sprintf("%x", sha1.Sum(blob)) == want, nil
}

// unconverted are those of some files that git commits as they are: of the others nothing is
// known by their bytes.
func (l *liveRepo) unconverted(ctx context.Context, names []string) ([]string, error) {
	if len(names) == 0 {
		return nil, nil
	}
	told, err := l.list(ctx, []byte(strings.Join(names, "\x00")+"\x00"), "check-attr", "-z", "--stdin", "filter", "ident", "working-tree-encoding")
	if err != nil {
		return nil, err
	}
	converted := map[string]bool{}
	for about := range slices.Chunk(told, 3) {
		if len(about) == 3 && about[2] != "unspecified" && about[2] != "unset" {
			converted[about[0]] = true
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return converted[name] }), nil
}
