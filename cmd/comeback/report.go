package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/report"
	"comeback/recovery/runner"

	"github.com/spf13/cobra"
	"golang.org/x/term"
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
	show := &cobra.Command{
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
	var key, since string
	sign := &cobra.Command{
		Use: "sign RUN", Short: "Sign the report of a run that has ended", Args: oneArgument("RUN"), ValidArgsFunction: a.runOrDirectory,
		Long: `Signs SHA256SUMS, which names every file of the run, as a detached SSH signature.
Without --key it takes the first key of the ssh-agent, then ~/.ssh. What it
proves: that the holder of this key stands behind these very bytes.

Until then it may still be said when the outage of a recovery began, with --outage: it
is noted in the journal, the report is made again, and that is what is signed.

Exit codes:
  0    signed; a copy that did not take the run is named
  1    not signed: the key was not unlocked, the report is not as its run left it, or
       somebody has signed it already
  2    the command is wrong, or there is no such run or no such key
  3    refused: the outage cannot be noted here, or not any more
  4    the run has not ended
  130  interrupted`,
		Example: "  comeback report sign 7c31\n  comeback report sign 7c31 --key ~/.ssh/id_ed25519\n  comeback report sign 7c31 --outage \"~2026-11-23T02:43:00+01:00\"",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.runDir(args[0])
			if err != nil {
				return err
			}
			outage, err := parseOutage(since, a.now())
			if err != nil {
				return err
			}
			if _, err := os.Stat(filepath.Join(dir, report.SumsFile)); errors.Is(err, fs.ErrNotExist) { // before anybody is asked for a passphrase
				if _, err := madeReport(dir); err != nil {
					return err
				}
			}
			found, err := a.findKey(cmd.Context(), key)
			if err != nil {
				return err
			}
			if outage.How != "" {
				if err := a.noteOutage(cmd.Context(), dir, outage); err != nil {
					return err
				}
			}
			who, err := a.sign(cmd.Context(), dir, found)
			if err != nil {
				return err
			}
			fmt.Fprintf(a.out, "signed by %s\n", who)
			a.tellFiled(cmd.Context(), dir, func(line string) { fmt.Fprintln(a.out, line) })
			fmt.Fprint(a.out, a.verifyCommands(dir, "", ""))
			return nil
		},
	}
	file := &cobra.Command{
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
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.runDir(args[0])
			if err != nil {
				return err
			}
			if _, err := verified(dir, report.VerifyOptions{Now: a.now()}); err != nil {
				return err
			}
			lines, err := a.fileRun(cmd.Context(), dir)
			for _, line := range lines {
				fmt.Fprintln(a.out, clean(a.redact(line)))
			}
			if err == nil && slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "NOT ") }) {
				return &exitError{recovery.WithExceptions}
			}
			return err
		},
	}
	sign.Flags().StringVar(&key, "key", "", "the private key `FILE`, a key's fingerprint, or \"agent\"")
	sign.Flags().StringVar(&since, "outage", "", "note before when the outage began: a `TIME` with offset, \"~\" before it where it is estimated, or unknown")
	var signers, identity string
	verify := &cobra.Command{
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
	verify.Flags().StringVar(&signers, "signers", "", "the reader's own allowed_signers `FILE`")
	verify.Flags().StringVar(&identity, "identity", "", "the `NAME` in it that must have signed")
	cmd.AddCommand(show, sign, a.reviewCommand(), file, verify, a.exportCommand())
	return cmd
}

// noteOutage records when the outage of a recovery began that has ended, makes its report
// again, and keeps the head that its journal has now.
func (a *app) noteOutage(ctx context.Context, dir string, outage recovery.OutageNoted) error {
	home, err := a.home()
	if err != nil {
		return err
	}
	run := filepath.Base(dir)
	given, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("find the run: %w", err)
	}
	if own, err := os.Stat(home.RunDir(run)); err != nil || !os.SameFile(own, given) {
		return recovery.Errorf("leave --outage out, or say it where the run was carried out", "%s is no run of this host's: its journal is kept elsewhere, too", dir).WithExit(recovery.Refused)
	}
	r, err := a.load(run)
	if err != nil {
		return err
	}
	if r.Brought {
		return recovery.Errorf(fmt.Sprintf("sign it here without --outage; or on %s, with a key that is there: comeback report sign %s --outage TIME (what is here stays as it was brought)", clean(r.State.Host), r.ID),
			"run %s is not one of this host: its journal is kept elsewhere, too", r.ID).WithExit(recovery.Refused)
	}
	o, err := a.runnerOptions(r.Plan, a.secrets)
	if err != nil {
		return err
	}
	s, err := runner.NoteOutage(o, outage)
	if err != nil {
		return err
	}
	return a.fileHead(ctx, r.Dir, r.Plan, s)
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
		if text = report.Visible(text); ended {
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

// getenv is lookup as the report package wants it.
func (a *app) getenv(name string) string {
	v, _ := a.lookup(name)
	return v
}

// findKey finds the key that is named: a file, a fingerprint, "agent", or "" for
// the first that there is.
func (a *app) findKey(ctx context.Context, name string) (report.Key, error) {
	if name != "" && name != "agent" {
		key, err := report.FindKey(ctx, a.getenv, name)
		if err != nil {
			return key, usage(cmp.Or(recovery.HintOf(err), "name the file of an SSH private key, its fingerprint or agent"), "--key %s: %w", name, err)
		}
		return key, nil
	}
	keys, err := report.FindKeys(ctx, a.getenv)
	if name == "agent" {
		keys = slices.DeleteFunc(keys, func(k report.Key) bool { return k.Path != "" })
	}
	if len(keys) > 0 {
		return keys[0], nil
	}
	if err == nil {
		err = usage("add one with ssh-add, name one with --key FILE, or make one: ssh-keygen -t ed25519",
			"there is no key to sign with, neither in an ssh-agent nor in ~/.ssh")
	}
	return report.Key{}, err
}

// sign signs a run's report and says with whose key. An interrupt that the command has had
// before does not end it.
func (a *app) sign(ctx context.Context, dir string, key report.Key) (string, error) {
	ctx, stop := afterwards(ctx)
	defer stop()
	signer, err := key.Signer(ctx, a.passphrase)
	if err != nil {
		return "", err
	}
	if _, err := report.Sign(ctx, dir, signer); err != nil {
		return "", err
	}
	return key.String(), nil
}

// passphrase asks for the passphrase of a key on the terminal, without echo.
func (a *app) passphrase(ctx context.Context, k report.Key) ([]byte, error) {
	f, ok := a.in.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil, recovery.Errorf("add the key to an ssh-agent with ssh-add, or sign later on a terminal: comeback report sign RUN",
			"the key %s wants a passphrase and nobody can be asked", k.Path)
	}
	b, err := a.readUnseen(ctx, f, fmt.Sprintf("Passphrase of %s: ", k.Path))
	if err != nil {
		return nil, fmt.Errorf("read the passphrase: %w", err)
	}
	return b, nil
}

// verifyCommands says how anyone verifies a report without comeback.
func (a *app) verifyCommands(dir, signers, identity string) string {
	return "verify it without comeback:\n  " + strings.Join(report.Commands(dir, signers, identity), "\n  ") + "\n"
}
