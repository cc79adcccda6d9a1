package code

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
	"comeback/storage"
)

// What stands in a scratch target: the checkout, and the name of its commit once
// everything is on disk.
const (
	treeDir   = "tree"
	repoDir   = "repository"
	wholeFile = "commit"
)

// checkoutKind unpacks a bundle and checks a commit out. What an interruption
// leaves is replaced.
type checkoutKind struct{}

func (checkoutKind) Name() string { return "code.checkout" }

func (checkoutKind) Restart() recovery.Restart { return recovery.Repeat }

// Do tries the bundles one by one until the commit is there.
func (checkoutKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var a args
	if err := step.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	h, err := env.Target(ctx, a.Target)
	if err != nil {
		return recovery.Outcome{}, err
	}
	c := checkout{args: a, env: env, dir: h.Dir, scratch: h.Scratch}
	o, err := c.run(ctx)
	if err != nil && ctx.Err() == nil && recovery.HintOf(err) == "" {
		hint := "read the step's log, then retry"
		switch {
		case errors.Is(err, storage.ErrCorrupt):
			hint = "choose another copy, and find out what damaged this bundle"
		case errors.Is(err, storage.ErrUnavailable):
			hint = "check the network and the copy's endpoint, then retry: nothing is proven to be missing"
		case errors.Is(err, storage.ErrDenied), errors.Is(err, storage.ErrExpired):
			hint = "renew the credentials, then retry"
		case errors.Is(err, storage.ErrChanged), errors.Is(err, storage.ErrNotExist):
			hint = "find out who writes to the copy, then make a new plan"
		}
		err = recovery.Errorf(hint, "check out %.12s: %w", a.Deploy.Commit, err)
	}
	return o, err
}

// Revive proves that the checkout is there, and still is the commit.
func (checkoutKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, _ bool) error {
	var a args
	if err := step.Decode(&a); err != nil {
		return err
	}
	h, err := env.Target(ctx, a.Target)
	if err != nil {
		return err
	}
	whole, err := os.ReadFile(filepath.Join(h.Dir, wholeFile))
	if err != nil || strings.TrimSpace(string(whole)) != a.Deploy.Commit {
		return fmt.Errorf("the checkout of %.12s is not whole on disk: %w", a.Deploy.Commit, recovery.ErrGone)
	}
	g, err := newGit(env, h.Dir, "")
	if err == nil {
		_, _, err = g.proof(ctx, a.Deploy.Commit)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", err, recovery.ErrGone)
	}
	return nil
}

type checkout struct {
	args
	env     recovery.Env
	dir     string
	scratch bool
	// commit is what is checked out, and filtered are its files that git would commit
	// otherwise than they are in it.
	commit   string
	filtered []string
}

func (c *checkout) path(name string) string { return filepath.Join(c.dir, name) }

func (c *checkout) run(ctx context.Context) (recovery.Outcome, error) {
	for _, name := range []string{wholeFile, treeDir, repoDir} {
		if err := os.RemoveAll(c.path(name)); err != nil {
			return recovery.Outcome{}, fmt.Errorf("remove what an earlier attempt left: %w", err)
		}
	}
	// Nobody but the run looks at it.
	err := errors.Join(os.Chmod(c.dir, 0o700), os.Lchown(c.dir, os.Geteuid(), os.Getegid()), os.Mkdir(c.path(treeDir), 0o755))
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("make a place for the checkout: %w", err)
	}
	g, err := newGit(c.env, c.dir, c.Signers)
	if err != nil {
		return recovery.Outcome{}, err
	}
	format := "sha1"
	if len(c.Deploy.Commit) == 64 {
		format = "sha256"
	}
	if _, err := g.run(ctx, "init", "--quiet", "--template=", "--initial-branch=restored", "--object-format="+format); err != nil {
		return recovery.Outcome{}, err
	}
	bundle, sum, err := c.fetch(ctx, g)
	if err != nil {
		return recovery.Outcome{}, err
	}
	c.env.Meter().Phase("check out", 0, recovery.NoUnit)
	if err := g.work(ctx, "checkout", "--detach", c.Deploy.Commit, "--"); err != nil {
		return recovery.Outcome{}, err
	}
	if c.commit, c.filtered, err = g.proof(ctx, c.Deploy.Commit); err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.whole(); err != nil {
		return recovery.Outcome{}, err
	}
	return c.outcome(ctx, g, bundle, sum)
}

// fetch unpacks bundles until one has held the commit.
func (c *checkout) fetch(ctx context.Context, g *git) (bundle, sum string, err error) {
	for _, o := range c.Bundles {
		if sum, err = c.download(ctx, o); err != nil {
			return "", "", err
		}
		err := g.work(ctx, "fetch", "--no-tags", "--no-write-fetch-head", c.path("bundle"), "+refs/*:refs/bundle/*", "+HEAD:refs/bundle/HEAD")
		if err != nil && strings.Contains(err.Error(), "couldn't find remote ref HEAD") {
			err = g.work(ctx, "fetch", "--no-tags", "--no-write-fetch-head", c.path("bundle"), "+refs/*:refs/bundle/*")
		}
		if err != nil && strings.Contains(err.Error(), "did not send all necessary objects") {
			return "", "", recovery.Errorf("choose a moment that an older bundle has, or another copy; then let the live checkout have all of its history (git fetch --unshallow) and back it up anew",
				"unpack %s: it lacks a part of its history, as one of a shallow checkout does: %w", o.Key, err)
		}
		if err != nil {
			return "", "", fmt.Errorf("unpack %s: %w", o.Key, err)
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
	return "", "", recovery.Errorf("write bundles with --all, and before a branch is deleted or rewritten; look in another copy",
		"none of the %d bundles holds %s, which %s names", len(c.Bundles), c.Deploy.Commit, c.Deploy.By).WithExit(recovery.Refused)
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
		err = recovery.Errorf("write bundles with --all, and before a branch is deleted or rewritten; look in another copy",
			"neither the %d bundles nor the remote hold %s, which %s names", len(c.Bundles), c.Deploy.Commit, c.Deploy.By).WithExit(recovery.Refused)
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

// whole makes everything durable, and then says so.
func (c *checkout) whole() error {
	f, err := os.OpenFile(c.path(wholeFile), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("note the checkout: %w", err)
	}
	err = unix.Syncfs(int(f.Fd()))
	if err == nil {
		_, err = f.WriteString(c.Deploy.Commit + "\n")
	}
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("note the checkout: %w", err)
	}
	return nil
}

func (c *checkout) outcome(ctx context.Context, g *git, bundle, sum string) (recovery.Outcome, error) {
	subject, err := g.run(ctx, "log", "-1", "--format=%s%x00%an%x00%cI%x00%T", c.commit, "--")
	if err != nil {
		return recovery.Outcome{}, err
	}
	f := append(strings.Split(subject, "\x00"), "", "", "", "")
	signature, bad, err := g.signature(ctx, c.commit)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{
		Says: fmt.Sprintf("commit %.12s is checked out: %s", c.commit, f[0]),
		Facts: map[string]string{"commit": c.commit, "subject": f[0], "author": f[1], "committed": f[2], "tree": f[3],
			"deployed": c.Deploy.At.UTC().Format("2006-01-02 15:04:05 MST") + ", by " + c.Deploy.By, "bundle": bundle, "sha256": sum, "signature": signature},
		Bindings: []recovery.Binding{{Component: c.Component, URL: (&url.URL{Scheme: "file", Path: c.path(treeDir)}).String(), Scratch: c.scratch}},
		Reached:  &recovery.Reached{Component: c.Component, Time: c.Deploy.At, Evidence: []string{c.evidence()}},
	}
	if len(c.filtered) > 0 {
		o.Remarks = append(o.Remarks, fmt.Sprintf("git calls %s changed, %s, because .gitattributes asks for other line endings, or another encoding, than were committed: what is checked out is what the commit has",
			recovery.FormatCount(len(c.filtered), "file"), named(c.filtered)))
	}
	missing, accepted, err := beside(ctx, g.run, c.commit, c.Without)
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, says := range missing {
		o.Exceptions = append(o.Exceptions, "the checkout lacks "+says)
	}
	for _, says := range accepted {
		o.Remarks = append(o.Remarks, "the checkout lacks "+says)
	}
	if bad {
		o.Exceptions = append(o.Exceptions, "the signature of the deployed commit: "+signature)
	}
	return o, nil
}

func (c *checkout) evidence() string {
	says := fmt.Sprintf("%s names %s, HEAD is that commit, and git finds no file that differs from it", c.Deploy.By, c.commit)
	if n := len(c.filtered); n > 0 {
		says += fmt.Sprintf(", but for %s, of which the content is what the commit has", recovery.FormatCount(n, "name"))
	}
	return says
}
