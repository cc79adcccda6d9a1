package execute

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// shell executes the shell blocks of a runbook. The script is kept as an
// artifact and run from there, so that what ran can be read afterwards. It sees
// only the variables that the plan lists; in a rehearsal those are addresses in
// scratch, and it runs in a box, from which production cannot be reached.
type shell struct{ x *Executor }

func (shell) Name() string { return recovery.KindShell }

func (shell) Restart() recovery.Restart { return recovery.Repeat }

func (k shell) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.ShellArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	run := e.Command
	if args.Terminal {
		if k.x.alone() && k.x.Plan.Mode == recovery.Rehearsal {
			return leftOut(args, "it talks with a person, and nobody is there"), nil
		}
		converse, err := k.x.conversation(e, s, args)
		if err != nil {
			return recovery.Outcome{}, err
		}
		defer k.x.seats.remove(s.ID)
		run = converse
	}
	b, err := k.x.block(e, s, args)
	if err != nil {
		return recovery.Outcome{}, err
	}
	limit := time.Duration(b.args.Timeout)
	if limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	} else {
		limit = time.Duration(s.Budget)
	}
	e.Meter().Phase("run "+b.args.Name, 0, recovery.NoUnit)
	started := e.Now()
	err = b.run(ctx, run)
	switch {
	case errors.Is(err, recovery.ErrNoIsolation):
		return notExecuted(b.args, err), nil
	case err != nil && errors.Is(ctx.Err(), context.DeadlineExceeded):
		return recovery.Outcome{}, recovery.Errorf("look at its log; the time stands in the runbook's `# timeout:`",
			"%s did not end within %s", b.args.Name, recovery.FormatSpan(limit))
	case err != nil:
		return recovery.Outcome{}, failed(b.args, err)
	}
	return recovery.Outcome{Says: fmt.Sprintf("%s ended well after %s", b.args.Name, recovery.FormatSpan(e.Now().Sub(started)))}, nil
}

// notExecuted is the outcome of a block that cannot be shut off from production.
func notExecuted(args recovery.ShellArgs, err error) recovery.Outcome {
	o := leftOut(args, fmt.Sprintf("it could reach production: %s", err))
	o.Remarks = []string{"a rehearsal's shell blocks need root or unprivileged user namespaces"}
	return o
}

// leftOut is the outcome of a block that is not executed: the run goes on, and
// ends with an exception.
func leftOut(args recovery.ShellArgs, why string) recovery.Outcome {
	says := fmt.Sprintf("not executed: %s, because %s", args.Name, why)
	return recovery.Outcome{Says: says, Exceptions: []string{says}}
}

// failed is the error of a block that did not end well.
func failed(args recovery.ShellArgs, err error) error {
	if recovery.HintOf(err) != "" {
		return err
	}
	return recovery.Errorf("look at its log under artifacts/, mend what it names and try again", "%s failed: %w", args.Name, err)
}

// block is a shell block that can be run.
type block struct {
	args    recovery.ShellArgs
	script  script
	environ []string
	boxed   bool
}

// block gives a block its environment and keeps its script.
func (x *Executor) block(e recovery.Env, s recovery.Step, args recovery.ShellArgs) (block, error) {
	b := block{args: args, boxed: x.Plan.Mode == recovery.Rehearsal}
	attempt := 1
	state := x.State()
	if st := state.Step(s.ID); st != nil {
		attempt = st.Attempts
	}
	var err error
	if b.environ, err = x.blockEnviron(e, b.args); err != nil {
		return b, err
	}
	b.environ = append(b.environ, blockOf(x.Plan.Run, s.ID, attempt))
	b.script, err = x.keepScript(e, scriptName(s.ID, attempt), b.args.Script)
	return b, err
}

// run runs the block once. What it started in the background ends with it; only
// what leaves its process group on purpose, as daemons do, outlives it in a
// recovery, and nothing does in a rehearsal.
func (b block) run(ctx context.Context, run func(context.Context, recovery.Cmd) error) error {
	if err := b.script.verify(); err != nil {
		return err
	}
	return run(ctx, recovery.Cmd{Path: b.interpreter(), Args: []string{"-eu", b.script.path}, Dir: "/", Env: b.environ, Isolated: b.boxed, Applications: b.boxed})
}

// EndBlocks ends what the blocks have left that were under way when a run's runner died, and
// returns when it is gone: they are run again, and not beside themselves. What blocks have
// left that had ended goes on, as does what has left the runner's session on purpose, as
// daemons do. Where nobody can tell whose a process is, which has reset its environment or is
// another user's, it gives them. The state is that of before the run is resumed.
func EndBlocks(s *recovery.State) (unknown []isolation.Left, err error) {
	var under []string
	for _, st := range s.Steps {
		if st.State == recovery.Running && slices.Contains([]string{recovery.KindShell, recovery.KindShellWait, recovery.KindStart}, st.Kind) {
			under = append(under, blockOf(s.Run, st.ID, st.Attempts))
		}
	}
	if len(under) == 0 {
		return nil, nil
	}
	unknown, err = isolation.EndLeft(s.PID, func(environ []string) isolation.Fate {
		switch {
		case slices.ContainsFunc(under, func(block string) bool { return slices.Contains(environ, block) }):
			return isolation.Ends
		case slices.ContainsFunc(environ, notUnder):
			return isolation.Stays
		}
		return isolation.Unknown
	})
	if err != nil {
		return nil, recovery.Errorf("end it with kill -9, then: comeback resume "+s.Run, "%w", err)
	}
	return unknown, nil
}

// Unjudged refuses to run blocks again while a dead runner's processes are there of which
// nobody can tell whose they are; nil where there are none.
func Unjudged(s *recovery.State, unknown []isolation.Left) error {
	if len(unknown) == 0 {
		return nil
	}
	pids := ""
	for _, left := range unknown {
		pids += fmt.Sprintf(" %d", left.PID)
	}
	return recovery.Errorf("look whose it is and end it: kill -9"+pids+"; start again with setsid what is to stay; then: comeback resume "+s.Run,
		"refused: the dead runner of %s has left %s, and it does not show whether that is of a block that would be run again beside it", s.Run, Named(unknown)).WithExit(recovery.Refused)
}

// Named are processes for people: "sudo (process 42), rsync (process 43)".
func Named(all []isolation.Left) string {
	var names []string
	for _, left := range all {
		names = append(names, fmt.Sprintf("%s (process %d)", left.Name, left.PID))
	}
	return strings.Join(names, ", ")
}

// notUnder says of a variable that what has it is of no block that was under way: of another
// block, as that has been looked for, of a notify command, or a server.
func notUnder(variable string) bool {
	return variable == isolation.Own || strings.HasPrefix(variable, blockVariable+"=") || strings.HasPrefix(variable, "COMEBACK_EVENT=")
}

// blockOf is the variable by which what a block starts is known: whose attempt it is.
func blockOf(run, step string, attempt int) string {
	return fmt.Sprintf("%s=%s/%s/%d", blockVariable, run, step, attempt)
}

const blockVariable = "COMEBACK_BLOCK"

// interpreter is the program that runs the script.
func (b block) interpreter() string {
	if b.args.Interpreter == "bash" {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// blockEnviron is the whole environment of a block.
func (x *Executor) blockEnviron(e recovery.Env, args recovery.ShellArgs) ([]string, error) {
	vars := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/nonexistent", "LANG": "C.UTF-8", "TERM": "dumb",
		"COMEBACK_RUN": x.Plan.Run, "COMEBACK_MODE": string(x.Plan.Mode),
	}
	if x.Plan.Mode == recovery.Recovery {
		if home, err := os.UserHomeDir(); err == nil {
			vars["HOME"] = home
		}
		for _, name := range args.Env {
			v, err := e.Secret("${" + name + "}")
			if err != nil {
				return nil, err
			}
			vars[name] = v
		}
	}
	for name, component := range args.Bind {
		b, ok := e.Binding(component)
		if !ok {
			return nil, recovery.Errorf("restore the component in a stage before this one",
				"not checked: %s has no address for %s yet", component, name)
		}
		vars[name] = address(b)
		if !b.Scratch || strings.Contains(b.URL, "${") { // a reference, as in the runbook
			v, err := e.Secret(b.URL)
			if err != nil {
				return nil, err
			}
			vars[name] = v
		}
	}
	maps.Copy(vars, args.Set)
	var environ []string
	for name, v := range vars {
		environ = append(environ, name+"="+v)
	}
	slices.Sort(environ)
	return environ, nil
}

// address is a binding as a block uses it: a directory by its path.
func address(b recovery.Binding) string {
	if u, err := url.Parse(b.URL); err == nil && u.Scheme == "file" {
		return u.Path
	}
	return b.URL
}
