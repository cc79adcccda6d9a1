package main

import (
	"fmt"
	"strings"

	"comeback/recovery"

	"github.com/spf13/cobra"
)

const exitCodes = `
Exit codes of runs:
  0    came back, or rehearsed and cleaned up; every check held
  1    failed
  2    the command, the runbook or its environment is wrong
  3    refused by a guard
  4    not ended: you have left it (it may wait for a person), the connection was
       lost, or its runner died; see comeback runs
  5    with exceptions, unsigned though --key was given, or not everything could be
       cleaned up
  130  interrupted, stopped and cleaned up`

// carriedExits end the tables of commands that run nothing by themselves, and can be carried
// out on another host.
const carriedExits = `
  3    with --on: refused, the host shows another key than the one that ssh knows
  5    with --on: done there, but what has ended there could not be brought home
  130  interrupted`

// groupExits are those of a command that only has others below it.
const groupExits = `
Exit codes:
  0    this was shown
  1    it could not be written
  2    there is no such command; each has a --help of its own`

// inCopyHelp says what else a RUNBOOK may be.
const inCopyHelp = `
RUNBOOK is a file, or the URL of a copy (file:///directory, s3://bucket/prefix) that
holds the runbook beside its backups: the newest there is taken, and it is said which.
COPY/comeback/runbooks/SYSTEM chooses among several systems, the whole URL of a file
there an older one. What a copy needs comes from the environment, as AWS_PROFILE,
AWS_REGION, AWS_ENDPOINT_URL.
`

// root is the whole command line.
func (a *app) root() *cobra.Command {
	var s style
	root := &cobra.Command{
		Use:   "comeback",
		Short: "Bring a system back from its backups, and prove that you can",
		Long: `comeback is a terminal recovery console. It opens a Markdown runbook, restores a
backup or goes to a moment, shows every stage as it runs, and ends with a signed
report. Without a command it opens the console.

With --on HOST most commands are carried out on another host, over ssh: this very
program and the runbook go there, and the variables that the runbook names, through
the connection alone. The console and its keys are as here, a run outlives the
connection, and what has ended there is brought home, verified and signed here.
COMEBACK_SSH names another ssh, or its configuration: "ssh -F FILE".

Commands, flags, runs, and what a runbook names are completed by bash, zsh, fish and
PowerShell: source <(comeback completion bash)

With --json, what keeps a command from its answer is an object on standard output,
too: {"error": ..., "next": ..., "exit": 2}.

The console ends with the code of the run that it showed last, and with 0 where there
was none.
` + exitCodes,
		Example: `  comeback recover s3://BUCKET/PREFIX        the host is gone: its runbook lies in the copy
  comeback demo                              a shop, an incident, a rehearsal
  comeback rehearse shop.md                  restore the latest into scratch
  comeback rehearse shop.md --to "10 minutes ago"
  comeback rehearse shop.md --on db1         where the data go
  comeback report verify 7c31 --signers ~/.ssh/allowed_signers`,
		Args:          noArguments,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE:          func(cmd *cobra.Command, _ []string) error { return a.console(cmd.Context(), s) },
	}
	root.Flags().BoolVar(&s.plain, "plain", false, "the console as text, line by line, with questions: for screen readers and simple terminals")
	root.Flags().BoolVar(&s.ask, "ask", false, "like --plain, also where the input is not a terminal")
	a.signersFlag(root)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return recovery.Errorf("see "+cmd.CommandPath()+" --help", "%w", inWords(err)).WithExit(recovery.Usage)
	})
	a.helps(root)
	root.CompletionOptions.DisableDefaultCmd = true // ours refuses a shell that it does not know
	check := a.checkCommand()
	root.AddCommand(a.rehearseCommand(), a.recoverCommand(), a.rescueCommand(), a.switchBackCommand(), a.expireCommand(), a.momentsCommand(), a.runsCommand(), a.statusCommand(), a.lookCommand(),
		a.attachCommand(), a.resumeCommand(), a.approveCommand(), a.terminalCommand(), a.stopCommand(), a.runnerCommand(),
		a.reportCommand(), a.runbookCommand(), a.walCommand(), a.backupCommand(), a.retainCommand(), check, a.scheduleCommand(), a.demoCommand(), a.remoteCommand(), a.completionCommand(), a.versionCommand())
	root.SetHelpCommand(a.helpCommand(root))
	a.elsewhere(root)
	a.completed(root)
	a.judged(root)
	monitored(check)
	return root
}

// usage makes an error of a command line that is wrong.
func usage(hint, format string, args ...any) error {
	return recovery.Errorf(hint, format, args...).WithExit(recovery.Usage)
}

func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if cmd.HasSubCommands() {
		return noCommand(cmd, args[0])
	}
	return usage("see "+cmd.CommandPath()+" --help", "%s takes no argument, but there is %q", cmd.CommandPath(), args[0])
}

// noCommand says that there is no command of a name below another one, and which may have
// been meant.
func noCommand(cmd *cobra.Command, name string) error {
	cmd.SuggestionsMinimumDistance = 2
	if s := cmd.SuggestionsFor(name); name != "" && len(s) > 0 {
		return usage("did you mean: "+cmd.CommandPath()+" "+strings.Join(s, " or "), "there is no command %q", name)
	}
	return usage("see "+cmd.CommandPath()+" --help", "there is no command %q", name)
}

// atMostOneArgument takes one, by its name, or none.
func atMostOneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return oneArgument(what)(cmd, args)
	}
}

// oneArgument asks for exactly one, by its name.
func oneArgument(what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == 0:
			return usage("write: "+cmd.CommandPath()+" "+what, "%s needs %s", cmd.CommandPath(), what)
		case len(args) > 1:
			return usage("write: "+cmd.CommandPath()+" "+what, "%s takes one %s, not %d", cmd.CommandPath(), what, len(args))
		}
		return nil
	}
}

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: "Tell the version and the commit it was built from", Args: noArguments, Example: "  comeback version",
		Long: `Prints one line: comeback VERSION, commit COMMIT. Reports have both.

Exit codes:
  0    told
  1    it could not be written
  2    the command is wrong`,
		RunE: func(*cobra.Command, []string) error {
			v, c := build()
			_, err := fmt.Fprintf(a.out, "comeback %s, commit %s\n", v, c)
			return err
		},
	}
}
