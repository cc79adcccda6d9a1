package code

import (
	"bytes"
	"context"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// proof holds the checkout against the commit, or the commit that an annotated
// tag is of, and gives it. Git compares a file with what would be committed of it: where
// .gitattributes asks for line endings or an encoding that was committed otherwise, it calls
// a file changed that is as the commit has it. Those are held against the commit by their own
// bytes, and named.
func (g *git) proof(ctx context.Context, deployed string) (commit string, filtered []string, err error) {
	head, err := g.run(ctx, "rev-parse", "--verify", "HEAD")
	if err == nil {
		commit, err = g.run(ctx, "rev-parse", "--verify", deployed+"^{commit}")
	}
	if err != nil {
		return "", nil, err
	}
	if head != commit {
		return "", nil, fmt.Errorf("the checkout is of %.12s, not of %.12s", head, commit)
	}
	var changed bytes.Buffer
	if err := g.command(ctx, &changed, nil, "status", "--porcelain", "-z", "--untracked-files=all", "--ignored"); err != nil {
		return "", nil, err
	}
	for _, entry := range nulled(changed.String()) {
		name, ok := strings.CutPrefix(entry, " M ")
		if !ok {
			return "", nil, unlike(strings.TrimSpace(entry))
		}
		filtered = append(filtered, name)
	}
	return commit, filtered, g.unfiltered(ctx, commit, filtered)
}

func unlike(what string) error {
	return fmt.Errorf("the checkout is not as its commit: %.200s", what)
}

// nulled are the texts that a command of git has ended with NUL bytes.
func nulled(out string) []string {
	return strings.FieldsFunc(out, func(r rune) bool { return r == 0 })
}

// unfiltered holds files against a commit by their own bytes.
func (g *git) unfiltered(ctx context.Context, commit string, names []string) error {
	if len(names) == 0 {
		return nil
	}
	var tree bytes.Buffer
	if err := g.command(ctx, &tree, nil, "ls-tree", "-z", "-r", "--full-tree", commit); err != nil {
		return err
	}
	committed := map[string]string{} // the mode, type and hash of each path
	for _, line := range nulled(tree.String()) {
		if about, name, ok := strings.Cut(line, "\t"); ok {
			committed[name] = about
		}
	}
	for _, name := range names {
		same, err := g.isBlob(ctx, name, committed[name])
		if err != nil {
			return fmt.Errorf("hold %.200q against the commit: %w", name, err)
		}
		if !same {
			return unlike("M " + name)
		}
	}
	return nil
}

// isBlob reports whether a file of the tree is what a commit has: byte for byte, or as git
// writes that with the filters of .gitattributes.
func (g *git) isBlob(ctx context.Context, name, about string) (bool, error) {
	var mode, kind, want string
	if n, _ := fmt.Sscan(about, &mode, &kind, &want); n != 3 || kind != "blob" {
		return false, nil
	}
	path := filepath.Join(g.dir, name)
	info, err := os.Lstat(path)
	if err != nil || !info.Mode().IsRegular() || (mode == "100755") != (info.Mode()&0o100 != 0) {
		return false, err
	}
	got, content, err := hashes(path, info, len(want))
	if err != nil || got == want {
		return err == nil, err
	}
	written := sha256.New()
	if err := g.command(ctx, written, nil, "cat-file", "--filters", "--path="+name, want); err != nil {
		return false, err
	}
	return hex.EncodeToString(written.Sum(nil)) == content, nil
}

// hashes are a file's hash as git has it without any filter, in so many digits, and the
// SHA-256 of its bytes.
func hashes(path string, info fs.FileInfo, digits int) (blob, content string, err error) {
	asBlob := sha1.New()
	if digits == 2*sha256.Size {
		asBlob = sha256.New()
	}
	fmt.Fprintf(asBlob, "blob %d\x00", info.Size())
	f, err := os.Open(path)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	plain := sha256.New()
	if _, err := io.Copy(io.MultiWriter(asBlob, plain), f); err != nil {
		return "", "", err
	}
	return hex.EncodeToString(asBlob.Sum(nil)), hex.EncodeToString(plain.Sum(nil)), nil
}
