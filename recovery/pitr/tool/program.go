// Package tool runs the program that keeps a repository of base backups and log, for
// the forms of recovery/pitr that ask such a program instead of reading its files.
//
// It promises that a program runs as the user that servers run as, whom a repository
// lets in; that secrets reach it in its environment alone, made of a runbook's references
// at the moment of use; and that an answer is bounded. Within a run the step's
// environment runs it, so that it ends with the run and what it says is redacted; outside
// of one it is run here, in a process group of its own.
package tool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
	"comeback/recovery/postgres"
	"comeback/said"
)

// Program is a tool that keeps a repository.
type Program struct {
	// Title is what people call it: "pgBackRest".
	Title string
	// Find finds its file.
	Find func() (string, error)
	// User is who it runs as; nil is postgres.ServerUser.
	User func() (recovery.User, error)
	// Expand resolves the references of a runbook outside of a run; nil leaves a text as
	// it is.
	Expand func(string) (string, error)
	// Complaint is for a program that complains in its answer, before it begins: what a
	// line complains of, "" where it belongs to the answer, and whether the program fails
	// by it. Nil is for one that does not.
	Complaint func(line string) (text string, fatal bool)
}

// Who is the user that it runs as.
func (p Program) Who() (recovery.User, error) {
	if p.User == nil {
		return postgres.ServerUser()
	}
	return p.User()
}

// Finder finds a program on the path, or where it usually is: a runner has hardly any
// environment. The hint says how to install it.
func Finder(name, title, hint string) func() (string, error) {
	return func() (string, error) {
		for _, place := range []string{name, "/usr/local/bin/" + name, "/usr/bin/" + name} {
			if found, err := exec.LookPath(place); err == nil {
				return found, nil
			}
		}
		return "", recovery.Errorf(hint, "%s is not installed here", title).WithExit(recovery.Usage)
	}
}

// Call is one command of a program.
type Call struct {
	Args []string
	// Given is what the runbook gives, as NAME=value with references in it, and Set what
	// the engine says, which counts where both say something.
	Given, Set []string
	// Stdout is told what it answers.
	Stdout io.Writer
	// Quiet keeps what it complains of out of the step's log. Its error has it.
	Quiet bool
}

// Run runs a command to its end. env is the step's, nil outside of a run. The error of a
// program that was run and failed is a [Failure].
func (p Program) Run(ctx context.Context, env recovery.Env, c Call) error {
	path, err := p.Find()
	if err != nil {
		return err
	}
	user, err := p.Who()
	if err != nil {
		return err
	}
	expand := p.Expand
	if env != nil {
		expand = env.Secret
	}
	cmd := recovery.Cmd{Path: path, Args: c.Args, Dir: "/", Stdout: c.Stdout, User: &user}
	for _, v := range c.Given {
		if expand != nil {
			if v, err = expand(v); err != nil {
				return err
			}
		}
		cmd.Env = append(cmd.Env, v)
	}
	// Of two of a name the last one counts.
	cmd.Env = slices.Concat([]string{"PATH=/usr/local/bin:/usr/bin:/bin"}, cmd.Env, []string{"LC_ALL=C.UTF-8", "TZ=UTC"}, c.Set)
	if c.Quiet {
		cmd.Stderr = io.Discard
	}
	says := &complaints{out: c.Stdout, of: p.Complaint}
	if p.Complaint != nil && c.Stdout != nil {
		cmd.Stdout = says
	}
	if env != nil {
		err = env.Command(ctx, cmd)
	} else {
		err = command(ctx, cmd)
	}
	if err == nil {
		err = says.end()
	}
	if env != nil && !c.Quiet {
		for _, line := range says.said {
			env.Meter().Log(line)
		}
	}
	if err == nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	failed := &Failure{Code: -1, err: err}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		failed.Code = exit.ExitCode()
		if len(says.fatal) > 0 {
			failed.err = fmt.Errorf("%s: %s (%w)", filepath.Base(path), strings.Join(says.fatal, "\n"), exit)
		}
	}
	return failed
}

// Failure is how a program failed. Its text is the program's name and its last words.
type Failure struct {
	// Code is what it ended with; -1 where it did not end by itself.
	Code int
	err  error
}

func (f *Failure) Error() string { return f.err.Error() }
func (f *Failure) Unwrap() error { return f.err }

// endsWithin is how long a command that is ended may take.
const endsWithin = 5 * time.Second

// mostWords bounds what an error repeats of a program's words.
const mostWords = 4 << 10

// command runs a program outside of a run, as Env.Command does within.
func command(ctx context.Context, c recovery.Cmd) error {
	says := &said.Last{Most: mostWords}
	c.Stderr, c.Grace = says, endsWithin
	if err := isolation.RunGroup(isolation.Command(ctx, c), nil); err != nil {
		return fmt.Errorf("%s: %s (%w)", filepath.Base(c.Path), says, err)
	}
	return nil
}

// Ask runs a command and gives its answer.
func (p Program) Ask(ctx context.Context, env recovery.Env, c Call) ([]byte, error) {
	out := answer{title: p.Title, most: maxAnswer}
	c.Stdout = &out
	if err := p.Run(ctx, env, c); err != nil {
		return nil, err
	}
	return out.text.Bytes(), nil
}

// maxAnswer bounds what a listing may take: some ten million files.
const maxAnswer = 2 << 30

// answer is what a program lists.
type answer struct {
	text  bytes.Buffer // not embedded: by its ReadFrom it would take everything
	title string
	most  int
}

func (a *answer) Write(p []byte) (int, error) {
	if a.text.Len()+len(p) > a.most {
		return 0, fmt.Errorf("%s lists more than %s", a.title, recovery.FormatBytes(int64(a.most)))
	}
	return a.text.Write(p)
}
