package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
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

func (a *app) reportSignCommand() *cobra.Command {
	var key, since string
	cmd := &cobra.Command{
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
		RunE:    func(cmd *cobra.Command, args []string) error { return a.reportSign(cmd.Context(), args[0], key, since) },
	}
	cmd.Flags().StringVar(&key, "key", "", "the private key `FILE`, a key's fingerprint, or \"agent\"")
	cmd.Flags().StringVar(&since, "outage", "", "note before when the outage began: a `TIME` with offset, \"~\" before it where it is estimated, or unknown")
	return cmd
}

// reportSign signs a run's report, after it was noted when its outage began, where that is said.
func (a *app) reportSign(ctx context.Context, run, key, since string) error {
	dir, err := a.runDir(run)
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
	found, err := a.findKey(ctx, key)
	if err != nil {
		return err
	}
	if outage.How != "" {
		if err := a.noteOutage(ctx, dir, outage); err != nil {
			return err
		}
	}
	who, err := a.sign(ctx, dir, found)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "signed by %s\n", who)
	a.tellFiled(ctx, dir, func(line string) { fmt.Fprintln(a.out, line) })
	fmt.Fprint(a.out, a.verifyCommands(dir, "", ""))
	return nil
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
