package execute

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
)

// shell executes the shell blocks of a runbook. The script is kept as an
// artifact and run from there, so that what ran can be read afterwards. It sees
// only the variables that the plan lists; in a rehearsal those are addresses in
// scratch, and it runs in a network namespace with loopback only.
type shell struct{ x *Executor }

func (shell) Name() string { return recovery.KindShell }

func (shell) Restart() recovery.Restart { return recovery.Repeat }

func (k shell) Do(ctx context.Context, e recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var args recovery.ShellArgs
	if err := s.Decode(&args); err != nil {
		return recovery.Outcome{}, err
	}
	environ, err := k.environ(e, args)
	if err != nil {
		return recovery.Outcome{}, err
	}
	attempt := 1
	state := k.x.State()
	if st := state.Step(s.ID); st != nil {
		attempt = st.Attempts
	}
	name := strings.TrimSuffix(logName(s.ID, attempt), ".log") + ".sh"
	file, err := e.Artifact(name)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := file.Write([]byte(args.Script)); err != nil {
		return recovery.Outcome{}, fmt.Errorf("write the script: %w", err)
	}
	if err := file.Close(); err != nil {
		return recovery.Outcome{}, err
	}
	if args.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(args.Timeout))
		defer cancel()
	}
	e.Meter().Phase("run "+args.Name, 0, recovery.NoUnit)
	started := e.Now()
	err = e.Command(ctx, recovery.Cmd{
		Path: interpreter(args), Args: []string{"-eu", filepath.Join(k.x.Dir, "artifacts", name)},
		Dir: "/", Env: environ, Isolated: k.x.Plan.Mode == recovery.Rehearsal,
	})
	switch {
	case errors.Is(err, recovery.ErrNoIsolation):
		return recovery.Outcome{}, recovery.Errorf("allow unprivileged user namespaces, or rehearse as root",
			"not executed: a rehearsal's shell blocks run without a network, and %w", recovery.ErrNoIsolation)
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		limit := time.Duration(args.Timeout)
		if limit == 0 {
			limit = time.Duration(s.Budget)
		}
		return recovery.Outcome{}, recovery.Errorf("look at its log; the time stands in the runbook's `# timeout:`",
			"%s did not end within %s", args.Name, recovery.FormatSpan(limit))
	case err != nil:
		return recovery.Outcome{}, recovery.Errorf("look at its log under artifacts/, mend what it names and try again", "%s failed: %w", args.Name, err)
	}
	return recovery.Outcome{Says: fmt.Sprintf("%s ended well after %s", args.Name, recovery.FormatSpan(e.Now().Sub(started)))}, nil
}

func interpreter(args recovery.ShellArgs) string {
	if args.Interpreter == "bash" {
		return "/bin/bash"
	}
	return "/bin/sh"
}

// environ is the whole environment of a block.
func (k shell) environ(e recovery.Env, args recovery.ShellArgs) ([]string, error) {
	vars := map[string]string{
		"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
		"HOME": "/nonexistent", "LANG": "C.UTF-8", "TERM": "dumb",
		"COMEBACK_RUN": k.x.Plan.Run, "COMEBACK_MODE": string(k.x.Plan.Mode),
	}
	if k.x.Plan.Mode == recovery.Recovery {
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
		vars[name] = b.URL
	}
	var environ []string
	for name, v := range vars {
		environ = append(environ, name+"="+v)
	}
	slices.Sort(environ)
	return environ, nil
}
