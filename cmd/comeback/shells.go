package main

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
)

// shells are those that complete what is typed, each with what writes its script.
var shells = []struct {
	name   string
	script func(root *cobra.Command, out io.Writer) error
}{
	{"bash", bashScript},
	{"zsh", zshScript},
	{"fish", func(root *cobra.Command, out io.Writer) error { return root.GenFishCompletion(out, true) }},
	{"powershell", (*cobra.Command).GenPowerShellCompletionWithDesc},
}

func (a *app) completionCommand() *cobra.Command {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return &cobra.Command{
		Use: "completion SHELL", Short: "Let a shell complete commands, flags, runs, and what a runbook names", ValidArgsFunction: oneWordOf(names),
		Long: `Writes what lets a SHELL (bash, zsh, fish or powershell) complete commands, flags,
runs, and what a runbook names. Nothing is asked but the runbook and the runs of this
host: no copy elsewhere, and no server.

Exit codes:
  0    written
  1    it could not be written
  2    there is no such shell`,
		Example: `  source <(comeback completion bash)                # this shell; put it into ~/.bashrc for all
  source <(comeback completion zsh)                 # or into ~/.zshrc
  comeback completion fish | source                 # or into ~/.config/fish/completions/comeback.fish
  comeback completion powershell | Out-String | Invoke-Expression`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && slices.Contains(names, args[0]) {
				return nil
			}
			if len(args) != 1 {
				return oneArgument("SHELL")(cmd, args)
			}
			return usage("choose one of: "+strings.Join(names, ", "), "%q is no shell that is known here", args[0])
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			i := slices.Index(names, args[0])
			return shells[i].script(cmd.Root(), a.out)
		},
	}
}

// oneWordOf completes the first word of a command, and nothing after it.
func oneWordOf(words []string) completion {
	return func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}

// bashAlone stands in for what Cobra's script takes from the package bash-completion, which
// many a host does not have: the words of the line as they were typed, which bash cuts at =
// and :, and the names of files.
const bashAlone = `
__comeback_init_completion()
{
    local rest=${COMP_LINE:0:COMP_POINT} blank word i
    words=()
    for ((i = 0; i <= COMP_CWORD; i++)); do
        blank=${rest%%[![:space:]]*}
        rest=${rest#"$blank"}
        word=${COMP_WORDS[i]}
        if ((${#rest} < ${#word})); then
            word=$rest
        fi
        rest=${rest#"$word"}
        if [[ -z $blank ]] && ((i > 0)); then
            words[${#words[@]}-1]+=$word
        else
            words+=("$word")
        fi
    done
    cword=$((${#words[@]} - 1))
    cur=${words[cword]}
    prev=${words[cword > 0 ? cword - 1 : 0]}
}

__comeback_filedir()
{
    if declare -F _filedir >/dev/null 2>&1; then
        _filedir "$@"
        return
    fi
    local name end
    compopt -o filenames 2>/dev/null
    while IFS= read -r name; do
        COMPREPLY+=("$name")
    done < <(
        compgen -d -- "$cur"
        if [[ -z ${1-} ]]; then
            compgen -f -- "$cur"
        elif [[ $1 != -d ]]; then
            for end in ${1//|/ }; do
                compgen -f -X "!*.$end" -- "$cur"
            done
        fi
    )
}
`

// bashScript is Cobra's, which goes without the package bash-completion as well.
func bashScript(root *cobra.Command, out io.Writer) error {
	var b bytes.Buffer
	if err := root.GenBashCompletionV2(&b, true); err != nil {
		return err
	}
	script := strings.ReplaceAll(b.String(), "_filedir", "__comeback_filedir")
	const begins = "\n__start_comeback()\n"
	before, after, ok := strings.Cut(script, begins)
	if !ok {
		return fmt.Errorf("write the script for bash: it has no %q", strings.TrimSpace(begins))
	}
	_, err := io.WriteString(out, before+bashAlone+begins+after)
	return err
}

// zshScript is Cobra's, which can be sourced also where nobody has begun zsh's completion.
func zshScript(root *cobra.Command, out io.Writer) error {
	var b bytes.Buffer
	if err := root.GenZshCompletion(&b); err != nil {
		return err
	}
	first, rest, _ := strings.Cut(b.String(), "\n")
	_, err := io.WriteString(out, first+"\n(( $+functions[compdef] )) || { autoload -Uz compinit && compinit; }\n"+rest)
	return err
}

// helps lets --help refuse what is no command, where it would show the help of the one above it.
func (a *app) helps(root *cobra.Command) {
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if words := cmd.Flags().Args(); len(words) > 0 && cmd.HasSubCommands() && !strings.Contains(cmd.Use, " ") {
			a.noHelp = noCommand(cmd, words[0])
			return
		}
		help(cmd, args)
	})
}

// helpCommand is Cobra's, which refuses what is no command.
func (a *app) helpCommand(root *cobra.Command) *cobra.Command {
	root.InitDefaultHelpCmd()
	i := slices.IndexFunc(root.Commands(), func(c *cobra.Command) bool { return c.Name() == "help" })
	help := root.Commands()[i]
	help.Short, help.Example = "Show what a command does", "  comeback help rehearse\n  comeback help report sign"
	help.Long = `Shows what a command does, with examples, flags and exit codes, as its --help does.

Exit codes:
  0    shown
  1    it could not be written
  2    there is no such command`
	help.Args = func(_ *cobra.Command, args []string) error {
		cmd, rest, err := root.Find(args)
		if err == nil && len(rest) == 0 {
			return nil
		}
		if err != nil || cmd == nil {
			cmd, rest = root, args
		}
		return noCommand(cmd, rest[0])
	}
	help.Run = nil
	help.RunE = func(_ *cobra.Command, args []string) error {
		cmd, _, err := root.Find(args)
		if err != nil {
			return err
		}
		cmd.InitDefaultHelpFlag()
		return cmd.Help()
	}
	return help
}
