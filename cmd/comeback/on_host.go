package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/remote"
	"comeback/recovery/report"

	"github.com/spf13/cobra"
)

// remoteCommand is what this program is on a host that another one of it has reached.
func (a *app) remoteCommand() *cobra.Command {
	return &cobra.Command{
		Use: "remote greet|serve", Short: "Be the other end of comeback --on (started by comeback itself)", Hidden: true,
		Args: cobra.ExactArgs(1), Example: "  comeback remote greet",
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "greet":
				return nil
			case "serve":
				return remote.Serve(cmd.Context(), a.in, a.out, &hostEnd{app: a})
			}
			return usage("it is started by comeback itself", "the other end greets or serves, it does not %q", args[0])
		},
	}
}

// hostEnd does on a host what another comeback asks for.
type hostEnd struct{ app *app }

// Command is a command line of this program, in this host's environment and with what
// was given.
func (h *hostEnd) Command(s remote.Start) (*exec.Cmd, error) {
	for _, f := range s.Files {
		path, err := h.keep(f)
		if err != nil {
			return nil, err
		}
		if f.Arg < 0 || f.Arg >= len(s.Args) {
			return nil, fmt.Errorf("a file belongs to argument %d, and there are %d", f.Arg, len(s.Args))
		}
		s.Args[f.Arg] += path
	}
	cmd := exec.Command(executable(), s.Args...)
	cmd.Env = append(append(cmd.Env, h.app.environ...), s.Env...)
	if from, ok := variable(s.Env, fromEnv); ok && os.Getuid() == 0 {
		// Root may be several people, and this one says who it is.
		who, _, _ := strings.Cut(from, "@")
		cmd.Env = append(cmd.Env, "SUDO_USER=", "USER="+who)
	}
	return cmd, nil
}

func variable(env []string, name string) (string, bool) {
	for _, kv := range env {
		if v, ok := strings.CutPrefix(kv, name+"="); ok {
			return v, true
		}
	}
	return "", false
}

// keep writes a file that came along into the state, under its digest: a run knows its
// runbook by its path, and one that was brought is never another one later.
func (h *hostEnd) keep(f remote.File) (string, error) {
	home, err := h.app.home()
	if err != nil {
		return "", err
	}
	name := filepath.Base(f.Name)
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not the name of a file", f.Name)
	}
	sum := sha256.Sum256(f.Bytes)
	path := filepath.Join(home.Dir, "brought", hex.EncodeToString(sum[:]), name)
	if err := home.WriteFile(path, f.Bytes); err != nil {
		return "", recovery.Errorf("make room there, or see that you may write to "+home.Dir+" on it", "the host cannot keep %s: %w", name, err)
	}
	return path, nil
}

// Answer answers what the other end asks outside of commands.
func (h *hostEnd) Answer(ctx context.Context, about string, body []byte, out io.Writer) error {
	switch about {
	case askRuns:
		return h.runs(string(body), out)
	case askRun:
		return h.run(string(body), out)
	case askNeeds:
		return h.needs(string(body), out)
	case askSign:
		var s signatureFor
		if err := json.Unmarshal(body, &s); err != nil {
			return err
		}
		r, err := h.app.load(s.Run)
		if err == nil {
			_, err = report.Adopt(r.Dir, []byte(s.Signature))
		}
		return err
	case askClock:
		return json.NewEncoder(out).Encode(h.app.now())
	case askApproval:
		return h.approval(ctx, string(body), out)
	case askApprove:
		var g approvalGiven
		if err := json.Unmarshal(body, &g); err != nil {
			return err
		}
		s, err := h.app.session(ctx, g.Run, "plain")
		if err != nil {
			return err
		}
		return s.Do(ctx, recovery.Command{Kind: recovery.DoApprove, Step: g.Step, By: h.app.operator(), Signature: g.Signature})
	}
	return fmt.Errorf("%q is not known here", about)
}

// runs lists the runs that somebody has begun from elsewhere and whose reports are
// written.
func (h *hostEnd) runs(from string, out io.Writer) error {
	home, err := h.app.home()
	if err != nil {
		return err
	}
	all, err := home.List()
	if err != nil {
		return err
	}
	ended := []endedRun{}
	for _, r := range all {
		_, unwritten := os.Stat(filepath.Join(r.Dir, report.SumsFile))
		if r.Problem == nil && r.State.Asserted[fromEnv] == from && r.State.Result != "" && r.ReportSHA256 != "" && unwritten == nil {
			ended = append(ended, endedRun{ID: r.ID, ReportSHA256: r.ReportSHA256, Signed: r.Signed})
		}
	}
	return json.NewEncoder(out).Encode(ended)
}

// needs lists the variables that a run's runbook names.
func (h *hostEnd) needs(id string, out io.Writer) error {
	r, err := h.app.load(id)
	if err != nil {
		return err
	}
	b, err := h.app.bookOf(r)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(slices.DeleteFunc(b.Variables(), hostsOwn))
}

// approval tells what a run that waits for an approval wants to have signed, as the
// bytes that its digest is of.
func (h *hostEnd) approval(ctx context.Context, id string, out io.Writer) error {
	s, asked, err := h.app.approvalOf(ctx, id)
	if err != nil {
		return err
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	home, err := h.app.home()
	if err != nil {
		return err
	}
	w := approvalWaits{Step: asked.Step}
	if w.Plan, err = os.ReadFile(filepath.Join(home.RunDir(id), report.PlanFile)); err != nil {
		return fmt.Errorf("read the plan of run %s: %w", id, err)
	}
	for _, change := range state.Amendments {
		w.Amendments = append(w.Amendments, change.Amended)
	}
	return json.NewEncoder(out).Encode(w)
}

// run packs a run's directory.
func (h *hostEnd) run(id string, out io.Writer) error {
	r, err := h.app.load(id)
	if err != nil {
		return err
	}
	return backup.PackRun(out, r.Dir, r.ID)
}
