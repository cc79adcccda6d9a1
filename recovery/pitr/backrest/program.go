package backrest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/storage"
)

// findProgram finds pgBackRest on the path, or where it usually is: a runner has hardly
// any environment.
func findProgram() (string, error) {
	for _, program := range []string{"pgbackrest", "/usr/local/bin/pgbackrest", "/usr/bin/pgbackrest"} {
		if found, err := exec.LookPath(program); err == nil {
			return found, nil
		}
	}
	return "", recovery.Errorf("install it, for example with: apt-get install pgbackrest", "pgBackRest is not installed here").WithExit(recovery.Usage)
}

// quiet is what every command is told: nothing goes into a log file of the stanza,
// and standard output is the answer alone.
var quiet = []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC",
	"PGBACKREST_LOG_LEVEL_FILE=off", "PGBACKREST_LOG_LEVEL_CONSOLE=off", "PGBACKREST_LOG_LEVEL_STDERR=warn", "PGBACKREST_LOG_TIMESTAMP=n"}

// run runs a command of pgBackRest on the repository to its end; out is told what it
// answers. A failure is one of storage's errors, where it is like one of them.
func (r *repository) run(ctx context.Context, out io.Writer, more []string, args ...string) error {
	program, err := r.Program()
	if err != nil {
		return err
	}
	user, err := r.User()
	if err != nil {
		return err
	}
	expand := r.Expand
	if r.access.Env != nil {
		expand = r.access.Env.Secret
	}
	c := recovery.Cmd{Path: program, Dir: "/", Stdout: out, User: &user,
		Args: append([]string{"--stanza=" + r.Stanza, "--repo=" + strconv.Itoa(r.Repo)}, args...)}
	if r.Config != "" {
		c.Args = append(c.Args, "--config="+r.Config)
	}
	for _, v := range r.Environ {
		text, err := expand(v)
		if err != nil {
			return err
		}
		c.Env = append(c.Env, text)
	}
	c.Env = slices.Concat(c.Env, quiet, more) // of two of a name the last one counts
	if r.access.Env != nil {
		err = r.access.Env.Command(ctx, c)
	} else {
		err = command(ctx, c)
	}
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	return explained(err)
}

// endsWithin is how long a command that is ended may take.
const endsWithin = 5 * time.Second

// command runs a program outside of a run, as Env.Command does within.
func command(ctx context.Context, c recovery.Cmd) error {
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Env, cmd.Stdout = c.Dir, c.Env, c.Stdout
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if c.User.UID >= 0 && c.User.UID != os.Getuid() {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(c.User.UID), Gid: uint32(c.User.GID)}
	}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
	cmd.WaitDelay = endsWithin
	var says tail
	cmd.Stderr = &says
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("pgbackrest: %s (%w)", strings.TrimSpace(string(says.b)), err)
	}
	return nil
}

// tail keeps the end of what a program says.
type tail struct{ b []byte }

func (t *tail) Write(p []byte) (int, error) {
	const most = 4 << 10
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-most):]
	return len(p), nil
}

// The exit codes of pgBackRest that say what kind of failure it was.
const (
	checksumError = 26
	configError   = 27
	formatError   = 29
	optionInvalid = 31
	optionValue   = 32
	optionMissing = 37
	missingFile   = 55
	hostConnect   = 49
	protocolTime  = 66
	cryptoError   = 95
)

// explained is what pgBackRest says as an error of storage's, with its next step.
func explained(err error) error {
	code := -1
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		code = exit.ExitCode()
	}
	return failure(code, err.Error())
}

// failure is what pgBackRest says with its next step.
func failure(code int, says string) error {
	hint, kind := kindOf(code, says)
	if kind == nil {
		hint = "run pgbackrest info by hand, as the user that servers run as"
	}
	says = brief(says)
	if !strings.HasPrefix(says, "pgbackrest: ") {
		says = "pgbackrest: " + says
	}
	return &recovery.Error{What: says, Hint: hint, Err: kind}
}

// kindOf judges a failure by its exit code and its words.
func kindOf(code int, says string) (hint string, kind error) {
	has := func(all ...string) bool {
		return slices.ContainsFunc(all, func(s string) bool { return strings.Contains(says, s) })
	}
	switch {
	case has("Permission denied", "(Forbidden)", "AccessDenied", "InvalidAccessKeyId", "SignatureDoesNotMatch"):
		return "let the user that servers run as read the repository and pgBackRest's configuration, or renew the keys in it; then try again", storage.ErrDenied
	case code == cryptoError, has("CryptoError"), has("unable to load info file") && has("FormatError"): // which is what a wrong key leaves of it
		return "correct repoN-cipher-pass in pgBackRest's configuration, or PGBACKREST_REPON_CIPHER_PASS in the component's `environment`", storage.ErrConfig
	case has("unable to load info file") && has("FileMissingError"):
		return "look at the repository with pgbackrest check; the stanza's info files are missing", storage.ErrCorrupt
	case code == missingFile:
		return "check the component's `config` and `stanza`", storage.ErrNotExist
	case code == checksumError, code == formatError, has("ChecksumError", "FormatError"):
		return "choose another backup, or another repository with `repo`", storage.ErrCorrupt
	case code == configError, code == optionInvalid, code == optionValue, code == optionMissing:
		return "correct pgBackRest's configuration, or the component's `config`, `stanza`, `repo` and `environment`", storage.ErrConfig
	case code == hostConnect, code == protocolTime, has("HostConnectError", "ServiceError", "timeout", "unable to connect", "HTTP request failed with 5"):
		return "check the network and the repository's host, then try again: nothing is proven to be missing", storage.ErrUnavailable
	}
	return "", nil
}

// brief is the heart of what pgBackRest says, without its hints and its repetitions.
func brief(says string) string {
	var lines []string
	for line := range strings.Lines(says) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " at line ") // what follows repeats what stands in a file
		if line == "" || strings.HasPrefix(line, "HINT:") || slices.Contains(lines, line) {
			continue
		}
		lines = append(lines, line)
	}
	const most = 3
	if len(lines) > most {
		lines = append(lines[:most-1], lines[len(lines)-1])
	}
	return strings.Join(lines, " ")
}

// ask runs a command and gives its answer, which is at most maxAnswer.
func (r *repository) ask(ctx context.Context, args ...string) ([]byte, error) {
	var out answer
	if err := r.run(ctx, &out, nil, args...); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// maxAnswer bounds what a listing may take: some ten million files.
const maxAnswer = 2 << 30

type answer struct{ bytes.Buffer }

func (a *answer) Write(p []byte) (int, error) {
	if a.Len()+len(p) > maxAnswer {
		return 0, fmt.Errorf("pgBackRest lists more than %s", recovery.FormatBytes(maxAnswer))
	}
	return a.Buffer.Write(p)
}
