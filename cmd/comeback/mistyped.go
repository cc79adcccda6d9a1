package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"

	"comeback/recovery"
	"comeback/recovery/report"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// wrong is the exit code of a command whose command line is wrong.
func wrong(cmd *cobra.Command) recovery.Exit {
	switch cmd.CommandPath() {
	case "comeback check":
		return recovery.CheckUnknown
	case "comeback wal fetch": // a server takes less for the end of the archive, or of its recovery
		return fetchFailed
	}
	return recovery.Usage
}

// judged lets a command, and those below it, refuse what no command takes: a word or a value
// that is empty, which in a script is a variable that nobody has set, where to go on without
// it would be something else than what was asked for; and a list of signers that cannot be
// read, where the command line names it.
func (a *app) judged(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.judged(sub)
	}
	judge := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		const hint = "give it, or leave it out; in a script, see whether its variable is set"
		refuse := func(hint, format string, words ...any) error {
			return recovery.Errorf(hint, format, words...).WithExit(wrong(cmd))
		}
		var err error
		cmd.Flags().Visit(func(f *pflag.Flag) {
			if err == nil && empty(f.Value) {
				err = refuse(hint, "--%s is empty", f.Name)
			}
		})
		if i := slices.Index(args, ""); err == nil && i >= 0 && cmd.HasParent() {
			err = refuse(hint, "word %d after %s is empty", i+1, cmd.CommandPath())
		}
		if err == nil && judge != nil {
			err = judge(cmd, args)
		}
		if f := cmd.Flags().Lookup("signers"); err == nil && f != nil && f.Changed && f.Value.String() == a.signers {
			if _, unread := report.ReadAllowedSigners(a.signers); unread != nil {
				err = refuse(recovery.HintOf(unread), "%w", unread)
			}
		}
		return err
	}
}

// empty reports whether the value of a flag is nothing, or has a part that is.
func empty(v pflag.Value) bool {
	if parts, ok := v.(pflag.SliceValue); ok {
		return len(parts.GetSlice()) == 0 || slices.Contains(parts.GetSlice(), "")
	}
	return v.Type() == "string" && v.String() == ""
}

// inWords says of a value that a flag does not take what is wrong with it, where Go's own
// words would stand.
func inWords(err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return err
	}
	f := value.GetFlag()
	var number *strconv.NumError
	says := ""
	switch errors.As(err, &number); {
	case f.Value.Type() == "bool":
		return fmt.Errorf("--%s is given or not, and takes no value like %q", f.Name, value.GetValue())
	case f.Value.Type() == "duration":
		says = "is not a time like 90s, 5m or 1h30m"
	case number == nil:
		return fmt.Errorf("--%s: %w", f.Name, value.Unwrap())
	case errors.Is(number, strconv.ErrRange):
		says = "is too large"
	default:
		says = "is not a whole number"
	}
	return fmt.Errorf("--%s: %q %s", f.Name, value.GetValue(), says)
}
