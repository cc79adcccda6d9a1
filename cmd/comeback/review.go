package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/report"

	"github.com/spf13/cobra"
)

func (a *app) reviewCommand() *cobra.Command {
	var key, accept string
	cmd := &cobra.Command{
		Use: "review RUN", Short: "Review a signed report as a second person, exception by exception", Args: oneArgument("RUN"), ValidArgsFunction: a.runOrDirectory,
		Long: `Verifies a report that somebody else has signed, shows each of its exceptions, and
asks whether you accept it. When you accept all of them, your key signs the same
SHA256SUMS in the namespace review@comeback; the signature lies beside the first
one and goes into the copies. What you do not accept, you do not sign.

--accept answers for a script: the numbers of the exceptions, or "none" for a
report without any.

Exit codes:
  0    reviewed; a copy that did not take the review is named
  1    the report is not signed, not as it was signed, or the key was not unlocked
  2    the command is wrong, or there is no such run or no such key
  3    not reviewed: not every exception is accepted, nobody can be asked, or the key is
       that of who has signed or reviewed it already
  4    the run has not ended
  130  interrupted`,
		Example: "  comeback report review 7c31\n  comeback report review 7c31 --accept 1,2 --key ~/.ssh/id_ed25519",
		RunE: func(cmd *cobra.Command, args []string) error {
			dir, err := a.runDir(args[0])
			if err != nil {
				return err
			}
			return a.review(cmd.Context(), dir, key, accept)
		},
	}
	cmd.Flags().StringVar(&key, "key", "", "the private key `FILE`, a key's fingerprint, or \"agent\"")
	cmd.Flags().StringVar(&accept, "accept", "", "the `NUMBERS` of the exceptions that are accepted, with commas; \"none\" where there are none")
	return cmd
}

func (a *app) review(ctx context.Context, dir, key, accept string) error {
	v, err := verified(dir, report.VerifyOptions{Now: a.now()})
	if err != nil {
		return err
	}
	r := v.Report
	fmt.Fprintf(a.out, "run %s of %s, %s: %s\n%s\n", r.Run, clean(r.System), r.Mode, clean(r.Headline), clean(v.String()))
	for _, e := range r.Exceptions {
		fmt.Fprintln(a.out, "  "+clean(exceptionLine(e)))
	}
	var accepted []int
	if accept != "" {
		accepted, err = numbers(accept)
	} else {
		accepted, err = a.askAccepted(ctx, r)
	}
	if err != nil {
		return err
	}
	found, err := a.findKey(ctx, key)
	if err != nil {
		return err
	}
	signer, err := found.Signer(ctx, a.passphrase)
	if err != nil {
		return err
	}
	made, err := report.SignReview(ctx, dir, accepted, signer)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "reviewed with %s\n", found)
	a.tellFiled(ctx, dir, func(line string) { fmt.Fprintln(a.out, line) })
	fmt.Fprintln(a.out, "verify it without comeback:")
	for _, command := range report.ReviewCommands(dir, made.File) {
		fmt.Fprintln(a.out, " ", command)
	}
	return nil
}

// exceptionLine is an exception as its reviewer reads it.
func exceptionLine(e report.Exception) string {
	line := fmt.Sprintf("%d. %s", e.Number, e.What)
	if e.Why != "" {
		line += ": " + e.Why
	}
	if e.By != "" {
		line += " (" + e.By + ")"
	}
	return line
}

// numbers reads a list of numbers.
func numbers(text string) ([]int, error) {
	if text == "none" {
		return nil, nil
	}
	var all []int
	for part := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil {
			return nil, usage("give numbers with commas: --accept 1,2", "--accept %q: %q is no number", text, part)
		}
		all = append(all, n)
	}
	return all, nil
}

// askAccepted asks for each exception, and for the whole, on the terminal.
func (a *app) askAccepted(ctx context.Context, r *report.Report) ([]int, error) {
	if !a.asks() {
		return nil, recovery.Errorf("answer with --accept, or review it on a terminal", "a review accepts each exception by its number, and nobody can be asked").WithExit(recovery.Refused)
	}
	in := bufio.NewReader(a.in)
	yes := func(format string, args ...any) (bool, error) {
		fmt.Fprintf(a.out, format+" (yes/no) ", args...)
		line, err := readLine(ctx, in)
		if err != nil && (err != io.EOF || line == "") {
			return false, fmt.Errorf("read the answer: %w", err)
		}
		return strings.TrimSpace(line) == "yes", nil
	}
	var accepted []int
	for _, e := range r.Exceptions {
		ok, err := yes("accept %d?", e.Number)
		if err != nil {
			return nil, err
		}
		if ok {
			accepted = append(accepted, e.Number)
		}
	}
	if len(r.Exceptions) > 0 {
		return accepted, nil
	}
	ok, err := yes("The report has no exceptions. Stand behind it?")
	if err == nil && !ok {
		err = recovery.Errorf("say yes to sign it", "the report is not reviewed").WithExit(recovery.Refused)
	}
	return nil, err
}
