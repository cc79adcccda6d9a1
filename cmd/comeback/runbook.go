package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"comeback/recovery"
	"comeback/runbooks"

	"github.com/spf13/cobra"
)

func (a *app) runbookCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "runbook", Short: "Write a runbook, see what is wrong with one, and what may stand in it", Args: noArguments,
		Long: `A runbook is a Markdown file: front matter that says what the system consists of and
where its copies are, and a section for each stage. What comeback runbook new writes
lints clean, and explains itself.
` + groupExits,
		Example: `  comeback runbook new shop
  comeback runbook lint shop.md
  comeback runbook sign shop.md
  comeback runbook keys files`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	var output string
	fresh := &cobra.Command{
		Use: "new SYSTEM", Short: "Write a runbook that lints clean", Args: oneArgument("SYSTEM"),
		Long: `Writes SYSTEM.md with a database, a copy and every stage of a recovery, to be edited.
It never writes over a file.

Exit codes:
  0    written
  1    not all of it could be written
  2    the command is wrong, or the file is there already or cannot be made`,
		Example: "  comeback runbook new shop            # writes shop.md\n  comeback runbook new shop -o -       # to standard output",
		RunE:    func(_ *cobra.Command, args []string) error { return a.newRunbook(args[0], output) },
	}
	fresh.Flags().StringVarP(&output, "output", "o", "", "write to `FILE`, or - (default SYSTEM.md); never over an existing one")
	lint := &cobra.Command{
		Use: "lint RUNBOOK", Short: "List every problem, what will run and what will not", Args: oneArgument("RUNBOOK"),
		ValidArgsFunction: runbookArgument, Example: "  comeback runbook lint shop.md\n  comeback runbook lint s3://shop-backups-offsite/shop   # says which one lies there, too",
		Long: `Lists each problem with its line, column and what to write instead, and, where there
is no error, every block with where it runs, or that it never does.

Exit codes:
  0    no errors; there may be warnings
  1    the copy that holds it cannot be read, or the list could not be written
  2    errors, or there is no such runbook
  3    refused: what lies beside it in the copy is no signature of it
  130  interrupted`,
		RunE: func(cmd *cobra.Command, args []string) error { return a.lint(cmd.Context(), args[0]) },
	}
	a.signersFlag(lint)
	cmd.AddCommand(fresh, lint, a.runbookSignCommand(), a.runbookVerifyCommand(), a.runbookKeysCommand())
	return cmd
}

func (a *app) newRunbook(system, output string) error {
	b, err := runbooks.New(runbooks.Draft{System: system})
	if err != nil {
		return usage("give the system's name in letters, digits and dashes", "%w", err)
	}
	if output == "-" {
		_, err := a.out.Write(b)
		return err
	}
	if output == "" {
		output = system + ".md"
	}
	f, err := os.OpenFile(filepath.Clean(output), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage("choose another name with -o", "%s exists already", output)
	}
	if err != nil {
		return usage("choose another place with -o", "write the runbook: %w", err)
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Close()); err != nil {
		return recovery.Errorf("make room, or choose another place with -o", "write the runbook: %w", errors.Join(err, os.Remove(output))) // nothing half
	}
	fmt.Fprintf(a.out, "wrote %s; edit it, then: comeback runbook lint %s\n", output, output)
	return nil
}

func (a *app) lint(ctx context.Context, path string) error {
	path, b, err := a.readRunbook(ctx, path)
	if err != nil {
		return err
	}
	rb, problems := parse(path, b)
	if _, err := (&book{path: path, bytes: b}).signature(); err != nil {
		fmt.Fprintf(a.out, "%s: warning: %s\n", clean(path), clean(err.Error()))
	}
	for _, p := range problems {
		fmt.Fprintf(a.out, "%s:%s\n", clean(path), clean(p.String()))
	}
	if problems.Failed() {
		return &exitError{recovery.Usage}
	}
	for _, e := range rb.Listing() {
		if e.Runs {
			fmt.Fprintf(a.out, "line %4d  runs in %-9s  %s  (%s)\n", e.Line, e.Where, clean(e.What), clean(e.Stage))
		}
	}
	for _, e := range rb.Listing() {
		if !e.Runs {
			fmt.Fprintf(a.out, "line %4d  never runs         %s\n", e.Line, clean(e.What))
		}
	}
	fmt.Fprintf(a.out, "%s: no errors, %d warnings\n", clean(path), problems.Count(runbooks.Warning))
	return nil
}
