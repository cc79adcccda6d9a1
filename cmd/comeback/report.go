package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/filing"
	"comeback/recovery/report"

	"github.com/spf13/cobra"
)

func (a *app) reportCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "report", Short: "Read, sign, review and verify the reports of runs", Args: noArguments,
		Long: `Every run that has ended has a report. Whoever was responsible signs it, a second
person may review it, and anyone can verify it, with stock tools as well.
` + groupExits,
		Example: `  comeback report show 7c31
  comeback report sign 7c31
  comeback report verify 7c31 --signers ~/.ssh/allowed_signers
  comeback report export shop.md --since 2026-01-01 --html shop.html`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() }}
	cmd.AddCommand(a.reportShowCommand(), a.reportSignCommand(), a.reviewCommand(), a.reportFileCommand(), a.reportVerifyCommand(), a.exportCommand())
	return cmd
}

func (a *app) reportShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show RUN", Short: "Print a report as Markdown", Args: oneArgument("RUN"), ValidArgsFunction: a.runOrDirectory,
		Long: `RUN is the id of a run, or a run's directory. Whether the report is as it was signed
is said on standard error.

Exit codes:
  0    printed
  1    the run cannot be read, or the report could not be written
  2    the command is wrong, or there is no such run
  4    the run has not ended`, Example: "  comeback report show 7c31",
		RunE: func(_ *cobra.Command, args []string) error { return a.reportShow(args[0]) },
	}
}

func (a *app) reportFileCommand() *cobra.Command {
	return &cobra.Command{
		Use: "file RUN", Short: "Put a signed run into the copies, so that it survives this host", Args: oneArgument("RUN"), ValidArgsFunction: a.runOrDirectory,
		Long: `Puts the run's directory into every copy of its plan, as one tar archive under
comeback/runs/. Signing does it by itself; this is for copies that could not be
reached then. comeback check reads them back on every other host.

Exit codes:
  0    it is in every copy
  1    it is not signed, or not as it was signed
  2    the command is wrong, or there is no such run
  4    the run has not ended
  5    a copy does not have it
  130  interrupted`,
		Example: "  comeback report file 7c31",
		RunE:    func(cmd *cobra.Command, args []string) error { return a.reportFile(cmd.Context(), args[0]) },
	}
}

// reportFile puts a run that was signed into the copies of its plan.
func (a *app) reportFile(ctx context.Context, run string) error {
	dir, err := a.runDir(run)
	if err != nil {
		return err
	}
	if _, err := verified(dir, report.VerifyOptions{Now: a.now()}); err != nil {
		return err
	}
	f, err := filing.File(ctx, dir, opener(a.secrets))
	for _, line := range filedLines(f) {
		fmt.Fprintln(a.out, clean(a.redact(line)))
	}
	if err == nil && len(f.Missing) > 0 {
		return &exitError{recovery.WithExceptions}
	}
	return err
}

func (a *app) reportVerifyCommand() *cobra.Command {
	var signers, identity string
	cmd := &cobra.Command{
		Use: "verify RUN", Short: "Verify a report: every byte, the journal's chain, the signer", Args: oneArgument("RUN"), ValidArgsFunction: a.runOrDirectory,
		Long: `RUN is the id of a run, or a run's directory. --signers is the reader's own list
(OpenSSH's allowed_signers); one that lies beside the report proves nothing.

Exit codes:
  0    intact, and signed by somebody on the list
  1    not intact, not signed, or by somebody else; or the list cannot be read
  2    the command is wrong, or there is no such run
  4    the run has not ended
  5    intact, signer unknown: no list was given`,
		Example: "  comeback report verify 7c31 --signers ~/.ssh/allowed_signers --identity ops1@example.com",
		RunE:    func(_ *cobra.Command, args []string) error { return a.reportVerify(args[0], signers, identity) },
	}
	cmd.Flags().StringVar(&signers, "signers", "", "the reader's own allowed_signers `FILE`")
	cmd.Flags().StringVar(&identity, "identity", "", "the `NAME` in it that must have signed")
	return cmd
}

// runDir is the directory of a run that is named by its id or its path: of one of this
// host, or else of one that was fetched from a copy.
func (a *app) runDir(run string) (string, error) {
	if strings.ContainsRune(run, filepath.Separator) || run == "." {
		if _, err := os.Stat(filepath.Join(run, recovery.PlanFile)); err != nil {
			return "", usage("give a run's directory, or its id from: comeback runs", "%s is not the directory of a run: %w", run, err)
		}
		return filepath.Abs(run)
	}
	home, err := a.home()
	if err != nil {
		return "", err
	}
	r, err := home.Load(run)
	if err != nil { // one of another host has no other name here
		if filed, errFiled := home.Filed().Load(run); errFiled == nil {
			return filed.Dir, nil
		}
	} else if errors.Is(r.Problem, fs.ErrPermission) { // any other the report tells
		err = r.Problem
	}
	return r.Dir, err
}

func (a *app) reportShow(run string) error {
	dir, err := a.runDir(run)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(filepath.Join(dir, report.MarkdownFile))
	if errors.Is(err, os.ErrNotExist) {
		r, err := madeReport(dir)
		if err != nil {
			return err
		}
		b = r.Markdown()
	} else if err != nil {
		return fmt.Errorf("read the report: %w", err)
	} else if _, err := report.Verify(dir, report.VerifyOptions{Now: a.now()}); errors.Is(err, report.ErrUnsigned) {
		a.tell(recovery.Errorf(recovery.HintOf(err), "what follows is whole, but %w", err))
	} else if err != nil {
		a.tell(recovery.Errorf(recovery.HintOf(err), "what follows does not verify: %w", err))
	}
	for line := range strings.Lines(string(b)) { // whoever wrote it
		text, ended := strings.CutSuffix(line, "\n")
		if text = clean(text); ended {
			text += "\n"
		}
		if _, err := io.WriteString(a.out, text); err != nil {
			return err
		}
	}
	return nil
}

// madeReport makes the report of a run that has none written; one that has not ended has none.
func madeReport(dir string) (*report.Report, error) {
	r, err := report.Make(dir)
	if err == nil && !r.Ended() {
		err = recovery.Errorf("see where it stands with: comeback status "+r.Run, "run %s has not ended, so it has no report", r.Run).WithExit(recovery.NotEnded)
	}
	return r, err
}

// verified verifies a run's report. Of a run that has not ended it says that, and not that files
// of its report are missing.
func verified(dir string, o report.VerifyOptions) (report.Verification, error) {
	v, err := report.Verify(dir, o)
	if errors.Is(err, fs.ErrNotExist) {
		if _, none := madeReport(dir); recovery.ExitOf(none) == recovery.NotEnded {
			return v, none
		}
	}
	return v, err
}

func (a *app) reportVerify(run, signers, identity string) error {
	dir, err := a.runDir(run)
	if err != nil {
		return err
	}
	o := report.VerifyOptions{Identity: identity, Now: a.now()}
	if signers != "" {
		if o.AllowedSigners, err = report.ReadAllowedSigners(signers); err != nil {
			return err
		}
	} else if identity != "" {
		return usage("add --signers FILE, your own list", "--identity names someone on a list, and there is none")
	}
	v, err := verified(dir, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s\n", clean(v.String()))
	if v.Report != nil {
		fmt.Fprintf(a.out, "run %s of %s, %s: %s\n", v.Report.Run, clean(v.Report.System), v.Report.Mode, clean(v.Report.Headline))
	}
	fmt.Fprintf(a.out, "%s\n", clean(v.Reviewed()))
	if !v.Trusted() {
		fmt.Fprintf(a.out, "  next: verify with your own list: --signers FILE (OpenSSH's allowed_signers)\n")
		return &exitError{recovery.WithExceptions}
	}
	return nil
}
