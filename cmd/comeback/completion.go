package main

import (
	"os"
	"slices"
	"strings"
	"time"

	"comeback/recovery/plan"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

type completion = func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective)

// completed gives the flags of a command, and of those below it, what a shell completes
// after them. Files stay what a shell takes by itself.
func (a *app) completed(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		a.completed(sub)
	}
	if cmd.ValidArgsFunction == nil && !cmd.HasSubCommands() { // no word comes after it
		cmd.ValidArgsFunction = oneWordOf(nil)
	}
	moments := oneOf("latest", "before-xid:", "after-xid:", "lsn:", "10 minutes ago", "1 hour ago")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		var values completion
		switch value, _ := pflag.UnquoteUsage(f); value {
		case "COPY":
			if values = a.ofRunbook((*book).copies); f.Name == "forget" { // one that the runbook does not name
				values = oneOf()
			}
		case "COMPONENT":
			values = a.ofRunbook((*book).components)
		case "ENGINE":
			values = oneOf(engineNames()...)
		case "MOMENT":
			values = moments
		case "TIME":
			values = oneOf("10 minutes ago", "1 hour ago")
			switch f.Name {
			case "around":
				values = oneOf("latest", "xid:", "10 minutes ago", "1 hour ago")
			case "outage":
				values = oneOf("unknown", "10 minutes ago", "~10 minutes ago")
			}
		case "LONG":
			values = oneOf("1m", "5m", "15m", "1h")
		case "SIZE":
			values = oneOf("2GB", "50GB", "1TB")
		case "FILE", "":
			return
		case "DIR", "DIRECTORY":
			values = func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
				return nil, cobra.ShellCompDirectiveFilterDirs
			}
		default:
			values = oneOf()
		}
		if err := cmd.RegisterFlagCompletionFunc(f.Name, values); err != nil {
			panic(cmd.CommandPath() + ": " + err.Error()) // the flag is there, and nobody else completes it
		}
	})
}

// oneOf completes these values, and none that stands for more to be typed ends the word.
func oneOf(values ...string) completion {
	more := cobra.ShellCompDirectiveNoFileComp
	if slices.ContainsFunc(values, func(v string) bool { return strings.HasSuffix(v, ":") }) {
		more |= cobra.ShellCompDirectiveNoSpace
	}
	return cobra.FixedCompletions(values, more)
}

// ofRunbook completes what the runbook on the command line names, or that of its run. No
// copy elsewhere is asked while somebody types.
func (a *app) ofRunbook(names func(*book) []string) completion {
	return func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) == 0 || strings.HasPrefix(args[0], "s3://") {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		b, _, err := a.openFollowed(cmd.Context(), args[0])
		if r, unknown := a.load(args[0]); err != nil && unknown == nil {
			b, err = a.bookOf(r)
		}
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return names(b), cobra.ShellCompDirectiveNoFileComp
	}
}

func (b *book) copies() []string {
	var names []string
	for _, c := range plan.Copies(b.Runbook) {
		names = append(names, c.Name)
	}
	return names
}

func (b *book) components() []string {
	var names []string
	for _, c := range plan.Components(b.Runbook) {
		names = append(names, c.Name+"\t"+string(c.Kind))
	}
	return names
}

// engineNames are the engines that there are, each once.
func engineNames() []string {
	var names []string
	for _, e := range engines() {
		names = append(names, e.Schema().Engine)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// runbookArgument completes Markdown files, or where a URL is typed the directories of a
// copy, and nothing after the first.
func runbookArgument(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	switch {
	case len(args) > 0:
		return nil, cobra.ShellCompDirectiveNoFileComp
	case inCopy(typed):
		return directories(typed), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	for _, scheme := range []string{"file://", "s3://"} {
		if strings.Contains(typed, ":") && strings.HasPrefix(scheme, typed) {
			return []string{scheme}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
	}
	return []string{"md"}, cobra.ShellCompDirectiveFilterFileExt
}

// directories are those that a file:// URL may go on to. No copy elsewhere is asked while
// somebody types.
func directories(typed string) []string {
	if typed == "file://" {
		return []string{"file:///"}
	}
	dir, ok := strings.CutPrefix(typed[:strings.LastIndex(typed, "/")+1], "file://")
	if !ok || !strings.HasPrefix(dir, "/") {
		return nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var all []string
	for _, e := range entries {
		if url := "file://" + dir + e.Name(); strings.HasPrefix(url, typed) && e.IsDir() {
			all = append(all, url+"/")
		} else if strings.HasPrefix(url, typed) && strings.HasSuffix(url, ".md") {
			all = append(all, url)
		}
	}
	return all
}

// runbookComponent completes a runbook, and then one of its components.
func (a *app) runbookComponent(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return a.ofRunbook((*book).components)(cmd, args, typed)
	}
	return runbookArgument(cmd, args, typed)
}

// runbookFile completes a runbook, and then a file of any kind.
func runbookFile(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 1 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return runbookArgument(cmd, args, typed)
}

// readsRuns is how long plans are read while somebody waits for what he types to be
// completed.
const readsRuns = 100 * time.Millisecond

// runArgument completes the ids of runs, the newest first, and nothing after the first. What
// a run is for is said of as many as can be read meanwhile.
func (a *app) runArgument(_ *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	home, err := a.home()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ids, err := home.Newest()
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.HasPrefix(id, typed) })
	until := a.now().Add(readsRuns)
	for i, id := range ids {
		if !a.now().Before(until) {
			break
		}
		if r, err := home.Look(id); err == nil && r.Problem == nil {
			ids[i] += "\t" + string(r.Plan.Mode) + " of " + r.Plan.System + ", " + r.Plan.Created.Local().Format("2 Jan 15:04")
		}
	}
	return ids, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// runOrDirectory completes the ids of runs, or where a path is typed directories.
func (a *app) runOrDirectory(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
	if len(args) == 0 && strings.ContainsAny(typed, "/.~") {
		return nil, cobra.ShellCompDirectiveFilterDirs
	}
	return a.runArgument(cmd, args, typed)
}
