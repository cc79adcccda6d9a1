package code

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/storage"
)

var _ recovery.Capturer = engine{}

// Takes names the sorts of backups.
func (engine) Takes() []string { return []string{"bundle"} }

// Fingerprint is that of all names in the repository and of what they stand for:
// whatever is committed, tagged or checked out changes it.
func (e engine) Fingerprint(ctx context.Context, src recovery.Capture) (string, error) {
	l, err := openLive(src)
	if err != nil {
		return "", err
	}
	_, fingerprint, err := l.refs(ctx)
	return fingerprint, err
}

// Capture writes everything that the live repository can reach as one git bundle,
// which depends on nothing else, and streams it into the copies. The live checkout
// is only read.
func (e engine) Capture(ctx context.Context, src recovery.Capture) (m recovery.Manifest, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("bundle %s: %w", src.Component.Name, err)
		}
	}()
	l, err := openLive(src)
	if err != nil {
		return m, err
	}
	if err := l.whole(ctx); err != nil {
		return m, err
	}
	head, fingerprint, err := l.refs(ctx)
	if err != nil {
		return m, err
	}
	version, err := l.run(ctx, "--version")
	if err != nil {
		return m, err
	}
	now := src.Now().UTC()
	m = recovery.Manifest{ID: src.Component.Prefix() + src.Component.Name + "-" + src.Stamp + ".bundle", Engine: Name, Form: "git bundle", Moment: recovery.Span{From: now, To: now},
		Fingerprint: fingerprint, Source: map[string]string{"directory": l.dir, "HEAD": head}, Tools: map[string]string{"git": strings.TrimPrefix(version, "git version ")}}
	lacks, accepted, err := beside(ctx, l.run, head, src.Component.Settings["without"])
	if err != nil {
		return m, err
	}
	l.Meter.Phase("look for what is not committed in "+l.dir, 0, recovery.NoUnit)
	uncommitted, err := l.uncommitted(ctx, head)
	if err != nil {
		return m, err
	}
	m.Remarks = slices.Concat(lacks, accepted, uncommitted)
	// It is one object; an interruption may leave parts of it that no list shows.
	if err := src.Begin(ctx, recovery.Beginning{ID: m.ID, Prefixes: []string{m.ID}, Last: m.ID}); err != nil {
		return m, err
	}
	src.Meter.Phase("bundle "+l.dir, 0, recovery.InBytes)
	return m, l.bundle(ctx, m.ID)
}

// liveRepo is a live repository.
type liveRepo struct {
	recovery.Capture
	program, dir string
}

func openLive(src recovery.Capture) (*liveRepo, error) {
	dir, err := src.Secret(src.Component.Settings.Text("path"))
	if err != nil {
		return nil, err
	}
	if !filepath.IsAbs(dir) {
		return nil, src.Component.Unplaced("path")
	}
	program := findGit()
	if program == "" {
		return nil, recovery.Errorf("install it, for example with: apt-get install git", "git is not installed here").WithExit(recovery.Usage)
	}
	return &liveRepo{Capture: src, program: program, dir: dir}, nil
}

// command is git on the live checkout, with nothing of the user's own: the owner
// of the directory may be somebody else, who is not asked to run anything.
func (l *liveRepo) command(out io.Writer, args ...string) recovery.Cmd {
	config := []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "gc.auto=0", "-c", "maintenance.auto=false"}
	return recovery.Cmd{Path: l.program, Args: append(config, args...), Dir: l.dir, Stdout: out,
		Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/nonexistent", "LC_ALL=C.UTF-8", "TZ=UTC", "GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0",
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"}}
}

func (l *liveRepo) run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := l.Command(ctx, l.command(&out, args...))
	if err != nil && strings.Contains(err.Error(), "not a git repository") {
		return "", recovery.Errorf("let `path` of the component be the checkout", "%s: %w", l.dir, err).WithExit(recovery.Usage)
	}
	return strings.TrimSpace(out.String()), err
}

// whole refuses a repository that lacks a part of its history: git makes a bundle of it
// that looks like any other one, and takes it from nobody.
func (l *liveRepo) whole(ctx context.Context) error {
	shallow, err := l.run(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return err
	}
	if shallow != "false" {
		return recovery.Errorf("let it have all of its history, as the user whose it is: git -C "+l.dir+" fetch --unshallow",
			"%s is a shallow checkout, and what a bundle of it holds cannot be restored", l.dir).WithExit(recovery.Refused)
	}
	partial, err := l.run(ctx, "config", "--get-regexp", `^(remote\..*\.promisor|extensions\.partialclone)$`)
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) && exit.ExitCode() == 1 {
		return nil // there is no such line
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(partial) {
		if key, value, _ := strings.Cut(strings.TrimSpace(line), " "); value != "false" {
			return recovery.Errorf("clone it anew, without --filter, and let `path` of the component be that",
				"%s is a partial clone (%s): it lacks objects that its remote has promised, and so would a bundle of it", l.dir, key).WithExit(recovery.Refused)
		}
	}
	return nil
}

// refs gives the commit that is checked out, and the fingerprint of all names.
func (l *liveRepo) refs(ctx context.Context) (head, fingerprint string, err error) {
	if head, err = l.run(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
		return "", "", err
	}
	names, err := l.run(ctx, "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(head + " HEAD\n" + names + "\n"))
	return head, hex.EncodeToString(sum[:]), nil
}

// bundle streams a bundle; git's failure is the stream's.
func (l *liveRepo) bundle(ctx context.Context, key string) error {
	_, err := storage.PutFrom(ctx, l.Store, key, 0, l.Meter.Add, func(ctx context.Context, w io.Writer) error {
		return l.Command(ctx, l.command(w, "bundle", "create", "--quiet", "-", "--all", "HEAD"))
	})
	return err
}
