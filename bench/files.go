package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// tree is a directory with what it holds as one digest, and the S3 server with
// its backups.
type tree struct {
	dir, digest string
	s3          *gateway
}

// treeDigest digests the names and contents of all files below the working directory.
const treeDigest = `find . -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1`

// fileBytes is how large a file of the tree is on the average.
const fileBytes = 20_000

// trees makes a tree of size MB in files of about 20 kB, and backs it up into S3
// with comeback and with restic. Nothing is removed before the row has ended (see
// versionedBucket).
func trees(ctx context.Context, b *bench) error { return makeTrees(ctx, b, false) }

// farTrees is trees, in an S3 server far away.
func farTrees(ctx context.Context, b *bench) error { return makeTrees(ctx, b, true) }

func makeTrees(ctx context.Context, b *bench, far bool) (err error) {
	base := filepath.Join(b.dir, "trees")
	if err := errors.Join(os.RemoveAll(base), os.MkdirAll(base, 0o711)); err != nil {
		return err
	}
	b.stopLater(func() { _ = os.RemoveAll(base) })
	t := &tree{dir: filepath.Join(base, "uploads")}
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		return err
	}
	block := make([]byte, 2*fileBytes)
	for n := range b.size * 1_000_000 / fileBytes {
		dir := filepath.Join(t.dir, fmt.Sprintf("%03d", n%500))
		if n < 500 {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return err
			}
		}
		// Half of it is text that shrinks, half does not.
		seed := uint64(n)*0x9E3779B97F4A7C15 + 1
		for i := range block {
			seed ^= seed << 13
			seed ^= seed >> 7
			seed ^= seed << 17
			block[i] = byte(seed)
			if i%2 == 0 {
				block[i] = 'a'
			}
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("file-%06d.bin", n)), block[:fileBytes/2+n%fileBytes], 0o644); err != nil {
			return err
		}
	}
	if t.digest, err = digestOf(ctx, t.dir); err != nil {
		return err
	}
	if t.s3, err = b.startGateway(ctx, filepath.Join(base, "s3"), gatewayOptions{Far: far}); err != nil {
		return err
	}
	defer t.s3.begin()
	b.tree = t
	if err := b.writeRunbook(filepath.Join(base, "bench.md")); err != nil {
		return err
	}
	backup := exec.CommandContext(ctx, b.program(), "backup", filepath.Join(base, "bench.md"), "uploads")
	backup.Env = append(t.s3.env(), "COMEBACK_STATE="+filepath.Join(base, "state"))
	if out, err := backup.CombinedOutput(); err != nil {
		return fmt.Errorf("comeback backup: %w: %s", err, out)
	}
	for _, args := range [][]string{{"init"}, {"backup", "--quiet", "."}} {
		cmd := b.restic(ctx, args...)
		cmd.Dir = t.dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("restic %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

func digestOf(ctx context.Context, dir string) (string, error) {
	cmd := exec.CommandContext(ctx, "bash", "-c", "set -o pipefail; "+treeDigest)
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// syncTree ends what a peer has restored: everything of it on disk.
func syncTree(ctx context.Context, dir string) error {
	if out, err := exec.CommandContext(ctx, "sync", "--file-system", dir).CombinedOutput(); err != nil {
		return fmt.Errorf("sync: %w: %s", err, out)
	}
	return nil
}

// filesRunbook restores the only component and digests what came back.
const filesRunbook = `---
comeback: 1
system: bench
rpo: 1d
rto: 1d
copies:
  offsite: {url: "s3://bench/ours", endpoint: "%s", path_style: true, region: eu-central-1}
components:
  uploads: {kind: files, path: %q}
---

# Bring the bench back

## Restore the files
Owner: nobody. Budget: 1h.

` + "```yaml\nrestore: uploads\n```" + `

## Check the copy
` + "```sh\n# run: everything came back\n# in: rehearsal\ncd \"$COMEBACK_UPLOADS\" && test \"$(%s)\" = %s\n```\n"

func (b *bench) writeRunbook(file string) error {
	return os.WriteFile(file, fmt.Appendf(nil, filesRunbook, b.tree.s3.url, b.tree.dir, treeDigest, b.tree.digest), 0o600)
}

func restoreTree(ctx context.Context, b *bench) (took, error) {
	return b.rehearseFile(ctx, rehearsal{file: filepath.Join(b.dir, "trees", "bench.md"), first: "restore", last: "restore", env: b.tree.s3.env(), keep: true})
}

// resticTree restores the tree with restic, synced to disk as ours is.
func resticTree(ctx context.Context, b *bench) (took, error) {
	to, err := os.MkdirTemp(filepath.Join(b.dir, "trees"), "restic-")
	if err != nil {
		return took{}, err
	}
	c := startClock()
	if out, err := b.restic(ctx, "restore", "latest", "--quiet", "--target", to).CombinedOutput(); err != nil {
		return took{}, fmt.Errorf("restic restore: %w: %s", err, out)
	}
	if err := syncTree(ctx, to); err != nil {
		return took{}, err
	}
	t := c.stop()
	digest, err := digestOf(ctx, to)
	if err == nil && digest != b.tree.digest {
		err = errors.New("restic brought something else back")
	}
	return t, err
}

func (b *bench) restic(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "restic", append([]string{"--no-cache"}, args...)...)
	cmd.Env = append(b.tree.s3.env(), "RESTIC_REPOSITORY=s3:"+b.tree.s3.url+"/bench/restic", "RESTIC_PASSWORD=bench")
	return cmd
}
