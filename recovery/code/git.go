package code

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"comeback/recovery"
)

// git runs git on the repository of a checkout, which lies beside the tree: in
// the tree is what the commit holds and nothing else. Nothing of the host's
// configuration has a say, no hook runs, nobody is asked for anything.
type git struct {
	env     recovery.Env
	program string
	dir     string // of the tree
	repo    string
	signers string
	// remote is the address of the remote that is asked, "" for none. It may hold
	// a secret, so that it goes by the environment.
	remote string
}

// remoteName is what git calls the remote.
const remoteName = "deployed"

func newGit(env recovery.Env, place, signers string) (*git, error) {
	program := findGit()
	if program == "" {
		return nil, recovery.Errorf("install it, for example with: apt-get install git", "git is not installed here").WithExit(recovery.Usage)
	}
	return &git{env: env, program: program, dir: filepath.Join(place, treeDir), repo: filepath.Join(place, repoDir), signers: signers}, nil
}

// findGit finds git on the path, or where it usually is: a runner has hardly any
// environment.
func findGit() string {
	if program, err := exec.LookPath("git"); err == nil {
		return program
	}
	for _, program := range []string{"/usr/local/bin/git", "/usr/bin/git", "/bin/git"} {
		if _, err := exec.LookPath(program); err == nil {
			return program
		}
	}
	return ""
}

// run runs a command of git and gives what it prints.
func (g *git) run(ctx context.Context, args ...string) (string, error) {
	var out bytes.Buffer
	err := g.command(ctx, &out, nil, args...)
	return strings.TrimSpace(out.String()), err
}

// work runs a command of git that may take long, and shows how far it is.
func (g *git) work(ctx context.Context, command string, args ...string) error {
	return g.command(ctx, nil, &progress{meter: g.env.Meter()}, append([]string{command, "--progress"}, args...)...)
}

// command runs git. Its objects are not held against the rules of fsck
// (transfer.fsckObjects), which histories of real projects break with a time zone of +51800,
// a mode that begins with a zero or an author without an address: each object is held against
// its own hash, the history must be whole, and the hash of the commit proves what is checked
// out. What those rules guard a checkout against, git guards by itself: it makes no path that
// is, or that another file system would take for, .git (core.protectNTFS, core.protectHFS),
// none with . or .., none through a link; and no submodule is gone into, so that nothing asks
// the addresses in .gitmodules.
func (g *git) command(ctx context.Context, stdout, stderr io.Writer, args ...string) error {
	config := []string{"-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false", "-c", "protocol.allow=never", "-c", "protocol.file.allow=always",
		"-c", "transfer.fsckObjects=false", "-c", "core.protectNTFS=true", "-c", "core.protectHFS=true", "-c", "submodule.recurse=false", "-c", "fetch.recurseSubmodules=false", "-c", "advice.detachedHead=false", "-c", "core.autocrlf=false", "-c", "gc.auto=0"}
	if g.signers != "" {
		config = append(config, "-c", "gpg.ssh.allowedSignersFile="+g.signers)
	}
	environ := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0", "GIT_DIR=" + g.repo, "GIT_WORK_TREE=" + g.dir, "GIT_ATTR_NOSYSTEM=1", "GIT_PROGRESS_DELAY=0"}
	if g.remote == "" {
		environ = append(environ, "HOME=/nonexistent")
	} else {
		for _, protocol := range []string{"https", "ssh"} {
			config = append(config, "-c", "protocol."+protocol+".allow=always")
		}
		// The keys and the known hosts are this user's.
		if home, err := os.UserHomeDir(); err == nil {
			environ = append(environ, "HOME="+home)
		}
		environ = append(environ, "GIT_SSH_COMMAND=ssh -o BatchMode=yes", "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=remote."+remoteName+".url", "GIT_CONFIG_VALUE_0="+g.remote)
	}
	return g.env.Command(ctx, recovery.Cmd{Path: g.program, Args: append(config, args...), Dir: g.dir, Stdout: stdout, Stderr: stderr, Env: environ})
}

// has reports whether the repository holds a commit.
func (g *git) has(ctx context.Context, commit string) (bool, error) {
	_, err := g.run(ctx, "cat-file", "-e", commit+"^{commit}")
	var exit *exec.ExitError
	if errors.As(err, &exit) && ctx.Err() == nil {
		return false, nil
	}
	return err == nil, err
}

// signature says in words what git finds about a commit's signature, and whether that is an
// exception: where signers are named, all but the good signature of one of them is.
func (g *git) signature(ctx context.Context, commit string) (says string, bad bool, err error) {
	says, result, err := g.signed(ctx, commit)
	return says, result == "B" || result == "R" || g.signers != "" && result != "G", err
}

// signed says in words what git finds about a commit's signature, and gives git's letter for it.
func (g *git) signed(ctx context.Context, commit string) (says, result string, err error) {
	out, err := g.run(ctx, "log", "-1", "--format=%G?%x00%GS%x00%GK", commit, "--")
	if err != nil {
		return "", "", err
	}
	f := append(strings.Split(out, "\x00"), "", "")
	by := strings.TrimSpace(strings.Join(f[1:3], " "))
	switch f[0] {
	case "G":
		return "good, by " + by, f[0], nil
	case "N":
		raw, err := g.run(ctx, "cat-file", "commit", commit)
		if head, _, _ := strings.Cut(raw, "\n\n"); err == nil && strings.Contains("\n"+head, "\ngpgsig") {
			if g.signers != "" {
				return "signed in a way that git cannot hold against the list of signers", f[0], nil
			}
			return "signed, and no list of signers was given to hold it against", f[0], nil
		}
		return "not signed", f[0], err
	case "B":
		return "BAD: the commit is not what was signed", f[0], nil
	case "U", "E":
		return strings.TrimSpace("signed, signer not known " + by), f[0], nil
	case "X", "Y":
		return "good, but it or its key has expired, by " + by, f[0], nil
	case "R":
		return "by a key that was revoked, " + by, f[0], nil
	}
	return fmt.Sprintf("git says %.40q", f[0]), f[0], nil
}
