package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/tui"

	"github.com/spf13/cobra"
	"golang.org/x/crypto/ssh"
	"golang.org/x/term"
)

func (a *app) attachCommand() *cobra.Command {
	var s style
	var takeOver string
	cmd := &cobra.Command{
		Use: "attach [RUN]", Short: "Return to a run: its screen, as it was", ValidArgsFunction: a.runArgument,
		Long: `Opens the console on a run that goes on, wherever it was started and whatever
became of that terminal. Without RUN it takes the only run that goes on. Who does
not command the run watches it, and may note; the run can be handed over in the
console, or taken over with a reason.

Leaving the console leaves the run as it is. So does ctrl-c where it is told line
by line: comeback stop RUN asks it to stop.
` + exitCodes,
		Example: `  comeback attach
  comeback attach 7c31
  comeback attach 7c31 --take-over "ops2 is on the train"
  comeback attach 7c31 --plain
  comeback attach --on db1`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 1 {
				return usage("write: comeback attach RUN", "comeback attach takes one RUN, not %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := a.chosen(args)
			if err != nil {
				return err
			}
			return a.attach(cmd.Context(), id, s, takeOver)
		},
	}
	cmd.Flags().BoolVar(&s.plain, "plain", false, "lines instead of the console: on a terminal with questions, elsewhere one line per transition")
	cmd.Flags().BoolVar(&s.ask, "ask", false, "with questions, line by line, also where the input is not a terminal")
	cmd.Flags().StringVar(&takeOver, "take-over", "", "command the run from now on, for this `REASON`")
	return cmd
}

// chosen is the run that was named, or the only one that goes on.
func (a *app) chosen(args []string) (string, error) {
	if len(args) > 0 {
		return args[0], nil
	}
	home, err := a.home()
	if err != nil {
		return "", err
	}
	runs, err := home.List()
	if err != nil {
		return "", err
	}
	var living []string
	for _, r := range runs {
		if r.Alive || r.Died {
			living = append(living, r.ID)
		}
	}
	switch len(living) {
	case 0:
		return "", &recovery.Error{What: "no run goes on", Hint: "list the earlier ones with: comeback runs", Exit: recovery.Usage, Err: runner.ErrNoRun}
	case 1:
		return living[0], nil
	}
	return "", usage(fmt.Sprintf("name one: comeback attach %s", living[0]), "%d runs go on: %v", len(living), living)
}

// attach returns to a run, and takes its command where there is a reason to.
func (a *app) attach(ctx context.Context, id string, in style, takeOver string) error {
	front := a.front(in)
	s, err := a.session(ctx, id, front.terminal())
	if err != nil {
		return err
	}
	state, err := s.State(ctx)
	if err != nil {
		return err
	}
	if _, past := s.(*runner.Client); !past && state.Result == "" {
		if r, err := a.load(id); err == nil && r.Died {
			return recovery.Errorf("take it up again: comeback resume "+id, "the runner of run %s died", id).WithExit(recovery.NotEnded)
		}
	}
	if err := a.take(ctx, s, takeOver); err != nil {
		return err
	}
	a.readAs(s.Plan())
	switch c := (choices{mode: s.Plan().Mode}); front {
	case inConsole:
		return a.show(ctx, tui.Start{Session: s}, c)
	case byLines:
		return a.byLines(ctx, tui.Start{Session: s}, c)
	}
	return a.watch(ctx, s, &plainWriter{out: a.out, now: a.now, redact: a.said})
}

// take takes the command of a run, if a reason is given.
func (a *app) take(ctx context.Context, s recovery.Session, why string) error {
	if why == "" {
		return nil
	}
	return s.Do(ctx, recovery.Command{Kind: recovery.DoTakeOver, By: a.operator(), Text: why})
}

func (a *app) resumeCommand() *cobra.Command {
	var o resuming
	cmd := &cobra.Command{
		Use: "resume RUN", Short: "Go on with a run whose runner died", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Takes a run up where its journal ends: after kill -9, a full disk, a reboot. What
has ended well is not repeated unless it is gone; what was under way is begun
again or gone on with. Secrets that are not in the environment are asked for.

On a terminal it opens the console, or with --plain asks its questions line by
line. Without a terminal it tells the run and asks nothing; an attended run then
waits for its people: answer it with comeback attach, or give --unattended. A name
that was typed before its runner died counts as before; if it was not recorded
yet, give it again with --confirm.
` + exitCodes,
		Example: "  comeback resume 7c31\n  comeback resume 7c31 --plain --unattended --confirm db1/shop",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.resume(cmd.Context(), args[0], o)
		},
	}
	confirmFlag(cmd.Flags(), &o.confirm, "the live target")
	cmd.Flags().BoolVar(&o.plain, "plain", false, "lines instead of the console: on a terminal with questions, elsewhere and with --unattended one line per transition")
	cmd.Flags().BoolVar(&o.unattended, "unattended", false, "nobody can be asked: items to tick count as talked through in a rehearsal and as not done in a recovery, and a failure stops the run")
	return cmd
}

// resuming is how a run is taken up again.
type resuming struct {
	style
	// unattended says that nobody can be asked, confirm is the name of the live target.
	unattended bool
	confirm    string
}

// resume takes up a run whose runner died.
func (a *app) resume(ctx context.Context, id string, o resuming) error {
	r, err := a.resumable(id)
	if err != nil {
		return err
	}
	if r.State.Result != "" {
		return a.conclude(ctx, r)
	}
	a.readAs(r.Plan)
	values, err := a.askSecrets(ctx, r)
	if err != nil {
		return err
	}
	front := a.front(o.style)
	unattended := o.unattended || front != inConsole && r.State.Unattended
	home, err := a.home()
	if err != nil {
		return err
	}
	s, err := a.launch(ctx, runner.Launch{Home: home, Run: id, Act: runner.ActResume, Unattended: unattended, Confirm: o.confirm}, front.terminal(), values)
	if err != nil {
		return err
	}
	switch c := (choices{mode: r.Plan.Mode}); {
	case front == inConsole:
		return a.show(ctx, tui.Start{Session: s}, c)
	case front == byLines && !unattended:
		return a.byLines(ctx, tui.Start{Session: s}, c)
	}
	return a.follow(ctx, s, &plainWriter{out: a.out, now: a.now, redact: a.said}, nil)
}

// resumable is a run whose runner died before its report was written.
func (a *app) resumable(id string) (runner.Past, error) {
	r, err := a.load(id)
	switch {
	case err != nil:
		return r, err
	case r.Alive:
		return r, recovery.Errorf("return to it with: comeback attach "+id, "run %s goes on", id).WithExit(recovery.Usage)
	case r.State.Result != "" && r.ReportSHA256 != "":
		return r, recovery.Errorf("read its report: comeback report show "+id, "run %s has ended", id).WithExit(recovery.Usage)
	case r.State.Result == "":
		return r, a.onItsHost(r, "comeback resume ")
	}
	return r, nil
}

// conclude writes the report of a run that died after its end.
func (a *app) conclude(ctx context.Context, r runner.Past) error {
	o, err := a.runnerOptions(r.Plan, a.secrets.For(r.Plan.Needs))
	if err != nil {
		return err
	}
	if err := runner.Conclude(o); err != nil {
		return err
	}
	say := &plainWriter{out: a.out, now: a.now, redact: a.said}
	say.line("", "run %s had ended without its report, which is written now", r.ID)
	return a.concluded(ctx, r, nil, say)
}

// missing lists the secrets that a run needs and that nobody has given.
func (a *app) missing(r runner.Past) []tui.Need {
	if r.Plan.GivesBack != nil { // it does nothing else
		return a.heldNeeds(r, r.Plan.GivesBack)
	}
	return needsOf(r, a.secrets.ToGoOn(r.Plan))
}

// needsOf are values that a run needs, each with where it is found.
func needsOf(r runner.Past, names []string) (needs []tui.Need) {
	for _, name := range names {
		needs = append(needs, tui.Need{Name: name, Where: r.Plan.Needs[name]})
	}
	return needs
}

// askSecrets asks for what is missing, unseen; without a terminal it says what
// to export.
func (a *app) askSecrets(ctx context.Context, r runner.Past) (map[string]string, error) {
	return a.askNeeds(ctx, a.missing(r), r.ID)
}

// askNeeds asks for values that a run needs, as askSecrets does.
func (a *app) askNeeds(ctx context.Context, needs []tui.Need, run string) (map[string]string, error) {
	if len(needs) == 0 {
		return nil, nil
	}
	in, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(in.Fd())) {
		hint := "export " + needs[0].Name
		if needs[0].Where != "" {
			hint += " (" + needs[0].Where + ")"
		}
		return nil, usage(hint+" and try again", "%s is not set, and run %s needs it", needs[0].Name, run)
	}
	values := map[string]string{}
	for _, n := range needs {
		where := ""
		if n.Where != "" {
			where = " (" + clean(n.Where) + ")"
		}
		b, err := a.readUnseen(ctx, in, fmt.Sprintf("%s%s: ", n.Name, where))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", n.Name, err)
		}
		if len(b) == 0 {
			return nil, usage("try again", "%s is needed", n.Name)
		}
		values[n.Name] = string(b)
		a.secrets.Give(n.Name, string(b))
	}
	return values, nil
}

func (a *app) approveCommand() *cobra.Command {
	var key string
	cmd := &cobra.Command{
		Use: "approve RUN", Short: "Sign the plan of a run that waits for your approval", Args: oneArgument("RUN"), ValidArgsFunction: a.runArgument,
		Long: `Signs the digest of the plan as it stands now, with the key that the runbook names
for the role. A later change of the plan voids the signature.

With --on the plan comes from the host: what it is for is shown, and signed after
a yes. The key stays here.

Exit codes:
  0    approved
  1    the key was not unlocked, or the connection to the run or its host was lost
  2    the command is wrong, there is no key, or the run does not wait for an approval
  3    not approved: nobody has said yes, the run does not take the signature, the plan
       is not that of the run, or the host shows another key than ssh knows
  4    the runner of the run is gone
  130  interrupted`,
		Example: `  comeback approve 7c31
  comeback approve 7c31 --key ~/.ssh/id_ed25519
  comeback approve 7c31 --on db1`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.approve(cmd.Context(), args[0], key) },
	}
	cmd.Flags().StringVar(&key, "key", "", "sign with this SSH private key `FILE`, or \"agent\" (default: the key that is asked for)")
	return cmd
}

func (a *app) approve(ctx context.Context, id, key string) error {
	s, asked, err := a.approvalOf(ctx, id)
	if err != nil {
		return err
	}
	signature, found, err := a.signApproval(ctx, asked, key)
	if err != nil {
		return err
	}
	if err := s.Do(ctx, recovery.Command{Kind: recovery.DoApprove, Step: asked.Step, By: a.operator(), Signature: signature}); err != nil {
		return err
	}
	a.tellApproved(asked, found)
	return nil
}

// approvalAsked is a run that waits for a signature, and over what.
type approvalAsked struct{ Run, Role, Key, Step, Digest string }

// approvalOf is what a run that waits for an approval wants to have signed.
func (a *app) approvalOf(ctx context.Context, id string) (recovery.Session, approvalAsked, error) {
	s, err := a.session(ctx, id, "plain")
	if err != nil {
		return nil, approvalAsked{}, err
	}
	state, err := s.State(ctx)
	if err != nil {
		return nil, approvalAsked{}, err
	}
	i := slices.IndexFunc(state.Steps, func(st recovery.StepState) bool { return st.WaitsFor == recovery.WaitApproval })
	if i < 0 || state.Result != "" {
		return nil, approvalAsked{}, usage("see where it stands: comeback status "+id, "run %s does not wait for an approval", id)
	}
	var args recovery.ApprovalArgs
	if err := state.Steps[i].Decode(&args); err != nil {
		return nil, approvalAsked{}, err
	}
	return s, approvalAsked{Run: id, Role: args.Role, Key: args.Key, Step: state.Steps[i].ID, Digest: state.PlanSHA256}, nil
}

// signApproval signs a plan's digest, with the key that is asked for if no other is
// named.
func (a *app) signApproval(ctx context.Context, asked approvalAsked, name string) (string, report.Key, error) {
	if name == "" {
		wanted, _, _, _, err := ssh.ParseAuthorizedKey([]byte(asked.Key))
		if err != nil {
			return "", report.Key{}, fmt.Errorf("read the key of %s in the plan: %w", asked.Role, err)
		}
		name = ssh.FingerprintSHA256(wanted)
	}
	key, err := a.findKey(ctx, name)
	if err != nil {
		return "", key, err
	}
	signer, err := key.Signer(ctx, a.passphrase)
	if err != nil {
		return "", key, err
	}
	signature, err := report.SignApproval(ctx, asked.Digest, signer)
	return signature, key, err
}

func (a *app) tellApproved(asked approvalAsked, key report.Key) {
	fmt.Fprintf(a.out, "approved plan %.16s of run %s as %s, with %s\n", asked.Digest, asked.Run, asked.Role, key.Fingerprint)
}

// detached tells how to come back to a run that goes on.
func (a *app) detached(out io.Writer, id string) error {
	fmt.Fprintln(out, a.fromThere(fmt.Sprintf("run %s goes on without this terminal; return with: comeback attach %[1]s", id)))
	return &exitError{recovery.NotEnded}
}

// watch prints a run until it has ended and says how. Who interrupts leaves it as it is.
func (a *app) watch(ctx context.Context, s recovery.Session, say *plainWriter) error {
	watching, leave := context.WithCancelCause(context.WithoutCancel(ctx))
	defer leave(nil)
	defer context.AfterFunc(ctx, func() { leave(errHangUp) })()
	return a.follow(watching, s, say, nil)
}

// follow prints a run until it has ended and says how, and signs it with a key. A person who
// interrupts asks the run to stop in order, once; a terminal that goes away leaves it.
func (a *app) follow(ctx context.Context, s recovery.Session, say *plainWriter, key *report.Key) error {
	id := s.Plan().Run
	printing, left := context.WithCancel(context.WithoutCancel(ctx))
	defer left()
	var notAsked error // to stop
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		select {
		case <-printing.Done():
			return
		case <-ctx.Done():
		}
		cause := context.Cause(ctx)
		if errors.Is(cause, errHangUp) {
			left()
			return
		}
		err := s.Do(printing, recovery.Command{Kind: recovery.DoStop, By: a.operator(), Text: cause.Error()})
		if err != nil && printing.Err() == nil {
			notAsked = err
			left()
		}
	}()
	err := say.follow(printing, s)
	gone := printing.Err() != nil
	left()
	<-asked
	if err != nil {
		if notAsked != nil {
			say.line("", "the run could not be asked to stop: %v", notAsked)
		}
		if gone {
			return a.detached(say.out, id)
		}
		return err
	}
	r, err := a.load(id)
	if err != nil {
		return err
	}
	return a.concluded(ctx, r, key, say)
}
