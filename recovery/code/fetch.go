package code

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

// broken is a bundle that could not be unpacked.
type broken struct {
	key string
	err error
}

func (b broken) Error() string { return fmt.Sprintf("%s was passed over: %v", b.key, b.err) }

func (b broken) Unwrap() error { return b.err }

// emptyRepository makes the repository that bundles are unpacked into, in the place of
// whatever is there.
func (c *checkout) emptyRepository(ctx context.Context, g *git) error {
	if err := os.RemoveAll(g.repo); err != nil {
		return fmt.Errorf("make an empty repository: %w", err)
	}
	format := "sha1"
	if len(c.Deploy.Commit) == 64 {
		format = "sha256"
	}
	_, err := g.run(ctx, "init", "--quiet", "--template=", "--initial-branch=restored", "--object-format="+format)
	return err
}

// fetch unpacks bundles until one has held the commit. One that is damaged or not there any
// more is passed over: another may have the commit as well.
func (c *checkout) fetch(ctx context.Context, g *git) (bundle, sum string, err error) {
	for i, o := range c.Bundles {
		sum, err := c.unpack(ctx, g, i, o)
		if b := (broken{}); errors.As(err, &b) && ctx.Err() == nil {
			c.broken = append(c.broken, b)
			c.env.Meter().Log("comeback: " + b.Error())
			// What it has left is of a history that may have gaps.
			if err := c.emptyRepository(ctx, g); err != nil {
				return "", "", err
			}
			continue
		}
		if err != nil {
			return "", "", err
		}
		has, err := g.has(ctx, c.Deploy.Commit)
		if err != nil || has {
			return o.Key, sum, errors.Join(err, os.Remove(c.path("bundle")))
		}
		c.env.Meter().Log(fmt.Sprintf("comeback: %s does not hold %s", o.Key, c.Deploy.Commit))
	}
	if c.Remote != "" {
		return c.fromRemote(ctx, g)
	}
	return "", "", c.nowhere("none of the %d bundles holds %s, which %s names")
}

// nowhere is that the commit was found nowhere; where bundles are broken, that is not known.
func (c *checkout) nowhere(says string) error {
	switch n := len(c.broken); {
	case n == 1 && len(c.Bundles) == 1:
		return c.broken[0].err
	case n > 0:
		return fmt.Errorf("%d of the %d bundles cannot be unpacked, and the others do not hold %.12s: %w", n, len(c.Bundles), c.Deploy.Commit, c.broken[0].err)
	}
	return recovery.Errorf("write bundles with --all, and before a branch is deleted or rewritten; look in another copy",
		says, len(c.Bundles), c.Deploy.Commit, c.Deploy.By).WithExit(recovery.Refused)
}

// unpack fetches a bundle and all that it has, under names of its own: those of one may be
// directories of names in another. The failure is broken where another bundle may do.
func (c *checkout) unpack(ctx context.Context, g *git, n int, o storage.Object) (sum string, err error) {
	sum, err = c.download(ctx, o)
	switch {
	case errors.Is(err, storage.ErrCorrupt), errors.Is(err, storage.ErrNotExist), errors.Is(err, storage.ErrChanged):
		return "", broken{o.Key, err}
	case err != nil:
		return "", err
	}
	names := "refs/bundle/" + strconv.Itoa(n) + "/"
	args := []string{"--no-tags", "--no-write-fetch-head", c.path("bundle"), "+refs/*:" + names + "*"}
	err = g.work(ctx, "fetch", append(args, "+HEAD:"+names+"HEAD")...)
	if err != nil && strings.Contains(err.Error(), "couldn't find remote ref HEAD") {
		err = g.work(ctx, "fetch", args...)
	}
	if err != nil && strings.Contains(err.Error(), "did not send all necessary objects") {
		return "", broken{o.Key, recovery.Errorf("choose a moment that an older bundle has, or another copy; then let the live checkout have all of its history (git fetch --unshallow) and back it up anew",
			"unpack %s: it lacks a part of its history, as one of a shallow checkout does: %w", o.Key, err)}
	}
	if err != nil {
		return "", broken{o.Key, fmt.Errorf("unpack %s: %w", o.Key, err)}
	}
	return sum, nil
}

// fromRemote asks the remote for the commit, and for all that it has where it gives
// no commit by its name.
func (c *checkout) fromRemote(ctx context.Context, g *git) (bundle, sum string, err error) {
	address, err := c.env.Secret(c.Remote)
	if err != nil {
		return "", "", err
	}
	g.remote = address
	defer func() { g.remote = "" }()
	c.env.Meter().Phase("fetch "+c.Deploy.Commit+" from the remote", 0, recovery.NoUnit)
	err = g.work(ctx, "fetch", "--no-tags", "--no-write-fetch-head", remoteName, "+"+c.Deploy.Commit+":refs/remote/deployed")
	if err != nil && ctx.Err() == nil {
		err = g.work(ctx, "fetch", "--no-tags", "--no-write-fetch-head", remoteName, "+refs/heads/*:refs/remote/heads/*", "+refs/tags/*:refs/remote/tags/*")
	}
	if err != nil {
		return "", "", recovery.Errorf("see whether this user can read it: git ls-remote; nothing is proven to be missing", "fetch from the remote: %w", err)
	}
	has, err := g.has(ctx, c.Deploy.Commit)
	if err == nil && !has {
		err = c.nowhere("neither the %d bundles nor the remote hold %s, which %s names")
	}
	return "none: the remote " + c.Remote, "", err
}

func (c *checkout) download(ctx context.Context, o storage.Object) (sum string, err error) {
	store, err := c.env.Store(ctx, c.Copy)
	if err != nil {
		return "", err
	}
	meter := c.env.Meter()
	meter.Phase("fetch "+path.Base(o.Key), o.Size, recovery.InBytes)
	in := storage.NewReader(ctx, store, o, storage.ReadOptions{Ahead: storage.Wide, Progress: func(n int) { meter.Add(int64(n)) }})
	defer in.Close()
	out, err := os.OpenFile(c.path("bundle"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return "", fmt.Errorf("keep the bundle: %w", err)
	}
	digest := sha256.New()
	_, err = io.Copy(io.MultiWriter(out, digest), in)
	if err = errors.Join(err, out.Close()); err != nil {
		return "", fmt.Errorf("fetch %s: %w", o.Key, err)
	}
	return hex.EncodeToString(digest.Sum(nil)), nil
}
