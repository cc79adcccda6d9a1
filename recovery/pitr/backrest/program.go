package backrest

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/pitr/tool"
	"comeback/storage"
)

// quiet is what every command is told: nothing goes into a log file of the stanza,
// and standard output is the answer alone.
var quiet = []string{"PGBACKREST_LOG_LEVEL_FILE=off", "PGBACKREST_LOG_LEVEL_CONSOLE=off", "PGBACKREST_LOG_LEVEL_STDERR=warn", "PGBACKREST_LOG_TIMESTAMP=n"}

// call is a command of pgBackRest on the repository.
func (r *repository) call(more []string, args ...string) tool.Call {
	c := tool.Call{Args: append([]string{"--stanza=" + r.Stanza, "--repo=" + strconv.Itoa(r.Repo)}, args...), Given: r.Environ, Set: slices.Concat(quiet, more)}
	if r.Config != "" {
		c.Args = append(c.Args, "--config="+r.Config)
	}
	return c
}

var complained = pattern.New(`^P\d+ +((WARN|ERROR|ASSERT): .*)$`)

// complaint judges a line of an answer: pgBackRest 2.55 complains there of its
// configuration, before it has read in it where to; 2.45 did not.
func complaint(line string) (text string, fatal bool) {
	m := complained.FindStringSubmatch(line)
	if m == nil {
		return "", false
	}
	return m[1], m[2] != "WARN"
}

// run runs a command to its end; out is told what it answers. A failure is one of
// storage's errors, where it is like one of them.
func (r *repository) run(ctx context.Context, out io.Writer, more []string, args ...string) error {
	c := r.call(more, args...)
	c.Stdout = out
	return explained(r.program.Run(ctx, r.access.Env, c))
}

// ask runs a command and gives its answer.
func (r *repository) ask(ctx context.Context, args ...string) ([]byte, error) {
	out, err := r.program.Ask(ctx, r.access.Env, r.call(nil, args...))
	return out, explained(err)
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
	var failed *tool.Failure
	if !errors.As(err, &failed) {
		return err
	}
	return failure(failed.Code, failed.Error())
}

// failure is what pgBackRest says with its next step.
func failure(code int, says string) error {
	hint, kind := kindOf(code, says)
	if hint == "" {
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
	case has("invalid PostgreSQL version"):
		return "install a pgBackRest here that is not older than the one that makes the backups: this one does not know their PostgreSQL", nil
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

// brief is the heart of what pgBackRest says, without its hints.
func brief(says string) string {
	return tool.Brief(says, func(line string) string {
		line, _, _ = strings.Cut(line, " at line ") // what follows repeats what stands in a file
		if strings.HasPrefix(line, "HINT:") {
			return ""
		}
		return line
	})
}
