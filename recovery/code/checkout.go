package code

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
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
		hint := cmp.Or(recovery.CopyHint(err), "read the step's log, then retry")
		if errors.Is(err, storage.ErrCorrupt) {
			hint = "choose another copy, and find out what damaged this bundle"
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
	broken   []broken
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
	if err := c.emptyRepository(ctx, g); err != nil {
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
		Bindings: []recovery.Binding{{Component: c.Component, URL: (&url.URL{Scheme: "file", Path: c.path(treeDir)}).String(), Scratch: c.scratch, Commit: c.commit}},
		Reached:  &recovery.Reached{Component: c.Component, Time: c.Deploy.At, Evidence: []string{c.evidence()}},
	}
	for _, b := range c.broken {
		o.Exceptions = append(o.Exceptions, b.Error())
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
