package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/remote"

	"github.com/spf13/cobra"
	"golang.org/x/term"
)

// fromEnv tells a command on a host who has asked for it, and where: "ops1@bastion";
// onEnv how the host is called there.
const (
	fromEnv = "COMEBACK_FROM"
	onEnv   = "COMEBACK_ON"
)

// carried are the commands that know --on, and whether they start runs or follow
// them.
var carried = map[string]bool{
	"comeback": true, "comeback rehearse": true, "comeback recover": true, "comeback attach": true, "comeback resume": true, "comeback stop": true,
	"comeback switch-back": true, "comeback expire": true, "comeback rescue": true, "comeback rescue undo": true, "comeback terminal": true,
	"comeback rescue show": false, "comeback rescue choose": false, "comeback runs": false, "comeback status": false, "comeback look": false,
	"comeback moments": false, "comeback check": false, "comeback backup": false, "comeback retain": false,
}

// elsewhere gives the commands that can be carried out on another host their flags for
// that.
func (a *app) elsewhere(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.elsewhere(sub)
	}
	if name, _, _ := strings.Cut(strings.TrimPrefix(cmd.CommandPath(), "comeback "), " "); stays[name].why != "" {
		staysHere(cmd, name)
		return
	}
	runs, ok := carried[cmd.CommandPath()]
	approves := cmd.CommandPath() == "comeback approve"
	if !ok && !approves {
		return
	}
	var o carrying
	o.runs = runs
	f := cmd.Flags()
	f.StringVar(&o.host, "on", "", "carry it out on `HOST`, over ssh, with this very program and this runbook")
	if !approves {
		f.StringArrayVar(&o.give, "give", nil, "with --on: give it the variable `NAME` of this environment, besides those that the runbook names")
	}
	here := cmd.RunE
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case o.host == "" && len(o.give) > 0:
			return usage("add --on HOST, or leave --give out", "--give gives variables to another host, and none is named")
		case o.host == "":
			return here(cmd, args)
		case approves:
			return a.approveOn(cmd.Context(), o.host, args[0], cmd.Flag("key").Value.String())
		}
		return a.on(cmd.Context(), cmd, o)
	}
}

// stays are the commands that are not carried out on another host: why, and what to do
// instead, of a host and of the command.
var stays = map[string]struct{ why, instead string }{
	"wal":      {"PostgreSQL calls it where its server is, with a comeback that stays there", "install comeback and the runbook on %[1]s, and run it there: ssh %[1]s %[2]s"},
	"schedule": {"a host's timers start the comeback that is installed there, and --on leaves none behind", "install comeback and the runbook on %[1]s, and run it there: ssh %[1]s %[2]s"},
	"report":   {"runs that have ended there are brought home, and read, signed and verified here", "bring them home with: comeback runs --on %[1]s, then leave --on out; of runs that were not started from here: ssh %[1]s %[2]s"},
}

// staysHere lets a command refuse --on with its reason, before it looks at its arguments.
func staysHere(cmd *cobra.Command, name string) {
	host := cmd.Flags().String("on", "", "refused: it is not carried out on another `HOST`")
	if err := cmd.Flags().MarkHidden("on"); err != nil {
		panic(err) // it was defined just now
	}
	judge := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		switch {
		case cmd.Flags().Changed("on"):
			s := stays[name]
			return recovery.Errorf(fmt.Sprintf(s.instead, shellWord(cmp.Or(*host, "HOST")), cmd.CommandPath()), "%s is not carried out on another host: %s", name, s.why).WithExit(wrong(cmd))
		case judge != nil:
			return judge(cmd, args)
		}
		return nil
	}
}

// carrying is a command line that is for another host.
type carrying struct {
	host string
	give []string
	runs bool
	// key signs what comes back of it, if it is what the line is about.
	key string
	about
	// silent says that standard output holds nothing but what the command writes.
	silent bool
}

// on carries a command line out on a host, brings the runs that have ended there home,
// and signs them here.
func (a *app) on(ctx context.Context, cmd *cobra.Command, o carrying) error {
	start, err := a.lineFor(cmd, &o)
	if err != nil {
		return err
	}
	if o.key != "" { // one that is not there is better noticed now
		if _, err := a.findKey(ctx, o.key); err != nil {
			return err
		}
	}
	host, conn, err := a.dial(ctx, o.host, start.Env)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := a.remembersGiven(string(host), start.Env); err != nil {
		return err
	}
	if o.runs && o.run != "" {
		needs, err := a.needsThere(ctx, conn, string(host), o.run)
		if err != nil {
			return err
		}
		start.Env = append(start.Env, needs...)
	}
	start.Env = append(start.Env, fromEnv+"="+a.from(), onEnv+"="+string(host))
	ends := remote.Ends{In: a.in, Out: a.out, Err: a.err, Signal: signalOf}
	if tty, ok := a.tty(); ok {
		ends.Terminal = tty
		start.Env = append(start.Env, a.terminalEnv()...)
	}
	if o.key != "" {
		if o.since, err = clockOf(ctx, conn); err != nil {
			return err
		}
	}
	code, err := conn.Run(ctx, start, ends)
	if errors.Is(err, remote.ErrLost) && o.runs {
		return recovery.Errorf("return to it: comeback attach --on "+string(host), "%w; a run that had begun there goes on", err).WithExit(recovery.NotEnded)
	}
	if err != nil {
		return err
	}
	home := &homeward{app: a, host: host, conn: conn, key: o.key, about: o.about, out: a.out, env: start.Env, asks: ends.Terminal != nil}
	if o.silent {
		home.out = a.err
	}
	ctx, stop := afterwards(ctx)
	defer stop()
	if err := home.bring(ctx); err != nil {
		a.tell(err)
		// What was done there is done, whatever comes home of it: that is no failure of
		// the command, and says nothing of the backups that a check has judged.
		if code == 0 && cmd.CommandPath() != "comeback check" {
			code = int(recovery.WithExceptions)
		}
	}
	if code == 0 {
		return nil
	}
	return &exitError{recovery.Exit(code)}
}

// needsThere are the variables of this environment that a run on a host needs, as far as it
// was given them before. What the host cannot tell the command itself says there.
func (a *app) needsThere(ctx context.Context, conn *remote.Conn, host, run string) ([]string, error) {
	var answer bytes.Buffer
	err := conn.Ask(ctx, askNeeds, []byte(run), mostTold, &answer)
	if errors.Is(err, remote.ErrLost) || ctx.Err() != nil {
		return nil, err
	}
	if err != nil {
		return nil, nil
	}
	var names []string
	if err := json.Unmarshal(answer.Bytes(), &names); err != nil {
		return nil, fmt.Errorf("understand what run %s needs: %w", run, err)
	}
	before, more, err := a.asksFor(host, names)
	if err != nil {
		return nil, err
	}
	for _, name := range more {
		fmt.Fprintf(a.err, "comeback: %s asks for $%s for run %s, and was never given it from here: it is not sent; --give %s sends it\n", clean(host), clean(name), clean(run), clean(name))
	}
	return a.given(before, nil)
}

// afterwards is the context of what comes after a command: an interrupt that the
// command has had does not end it, and the next one does.
func afterwards(ctx context.Context) (context.Context, context.CancelFunc) {
	if ctx.Err() == nil {
		return context.WithCancel(ctx)
	}
	return signal.NotifyContext(context.WithoutCancel(ctx), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
}

// dial connects to a host. The values of given variables are not for ssh itself.
func (a *app) dial(ctx context.Context, name string, given []string) (remote.Host, *remote.Conn, error) {
	host, err := remote.ParseHost(name)
	if err != nil {
		return "", nil, err
	}
	_, asks := a.tty()
	env := slices.DeleteFunc(slices.Clone(a.environ), func(kv string) bool { return slices.Contains(given, kv) })
	conn, err := remote.Dial(ctx, remote.Options{Host: host, Program: executable(),
		SSH: remote.SSH{Program: remote.Program(a.getenv("COMEBACK_SSH")), Env: env, Asks: asks},
		Say: func(line string) { fmt.Fprintln(a.err, line) }})
	return host, conn, err
}

// from says who asks, and on which host.
func (a *app) from() string {
	host, err := os.Hostname()
	if err != nil {
		host = "a host without a name"
	}
	return a.operator() + "@" + host
}

// tty is the terminal at both ends of this program.
func (a *app) tty() (*os.File, bool) {
	in, ok := a.in.(*os.File)
	out, too := a.out.(*os.File)
	if !ok || !too || !term.IsTerminal(int(in.Fd())) || !term.IsTerminal(int(out.Fd())) {
		return nil, false
	}
	return in, true
}

// terminalEnv are the variables that say how a terminal shows things.
func (a *app) terminalEnv() []string {
	var env []string
	for _, name := range []string{"TERM", "COLORTERM", "TERM_PROGRAM", "NO_COLOR", "LANG", "LC_ALL", "LC_CTYPE", "TZ"} {
		if v, ok := a.lookup(name); ok {
			env = append(env, name+"="+v)
		}
	}
	return env
}

// signalOf is the signal that has ended this program's context.
func signalOf(cause error) syscall.Signal {
	switch {
	case errors.Is(cause, errHangUp):
		return syscall.SIGHUP
	case cause != nil && strings.HasSuffix(cause.Error(), "SIGTERM"):
		return syscall.SIGTERM
	}
	return syscall.SIGINT
}
