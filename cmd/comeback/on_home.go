package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/remote"
	"comeback/recovery/report"
	"comeback/recovery/runner"
)

// The questions to the program on a host, and what it is told with them.
const (
	askRuns     = "its runs"       // whose, as fromEnv has it: a list of endedRun
	askRun      = "a run"          // its id: the directory, packed
	askSign     = "a signature"    // signatureFor
	askApproval = "an approval"    // a run's id: an approvalAsked
	askApprove  = "what was given" // an approvalGiven
)

// endedRun is a run that has ended on a host.
type endedRun struct {
	ID, ReportSHA256 string
	Signed           bool
}

// approvalGiven is an approval that was made here for a run there.
type approvalGiven struct{ Run, Step, Signature string }

// signatureFor is a signature that was made here for a report there.
type signatureFor struct{ Run, Signature string }

// homeward brings home what has ended on a host: the runs that were begun from here.
type homeward struct {
	app  *app
	host remote.Host
	conn *remote.Conn
	// key signs what is brought, asks says that a person can be asked to.
	key  string
	asks bool
	// runbook is the digest of the one that went along, run the run that was named.
	runbook, run string
	out          io.Writer
	// env is what a command there gets.
	env []string
}

// bring brings each run that is not here yet, proves every byte of it, signs it if that
// is wanted, and gives its signature to the host. What could not be brought now is
// brought by the next command on the host.
func (h *homeward) bring(ctx context.Context) error {
	var answer bytes.Buffer
	if err := h.conn.Ask(ctx, askRuns, []byte(h.app.from()), &answer); err != nil {
		return h.stays(err)
	}
	var runs []endedRun
	if err := json.Unmarshal(answer.Bytes(), &runs); err != nil {
		return h.stays(err)
	}
	home, err := h.app.home()
	if err != nil {
		return err
	}
	for _, r := range runs {
		if err := h.one(ctx, home, r); err != nil {
			return err
		}
	}
	return nil
}

// stays says that the runs are whole where they are.
func (h *homeward) stays(err error) error {
	return recovery.Errorf(fmt.Sprintf("they stay there; bring them with: comeback runs --on %s", h.host), "the runs of %s could not be brought: %w", h.host.Name(), err)
}

func (h *homeward) one(ctx context.Context, home runner.Home, r endedRun) error {
	past, err := home.Load(r.ID)
	if err == nil && past.ReportSHA256 != r.ReportSHA256 {
		fmt.Fprintf(h.out, "run %s of %s stays there: another run of this host has its id\n", r.ID, h.host.Name())
		return nil
	}
	if err != nil {
		if err := home.Bring(r.ID, func(dir string) error { return h.fetch(ctx, r, dir) }); err != nil && !errors.Is(err, fs.ErrExist) {
			return h.stays(err)
		}
		fmt.Fprintf(h.out, "run %s is here, too, every byte as on %s: %s\n", r.ID, h.host.Name(), home.RunDir(r.ID))
		if past, err = home.Load(r.ID); err != nil {
			return err
		}
		if !past.Signed {
			if err := h.sign(past); err != nil {
				return err
			}
		}
	}
	if _, err := os.Stat(filepath.Join(past.Dir, report.SignatureFile)); err != nil || r.Signed {
		return nil
	}
	return h.give(ctx, past)
}

// fetch writes a run's directory and holds it against what its report and the host say.
func (h *homeward) fetch(ctx context.Context, r endedRun, dir string) error {
	packed, w := io.Pipe()
	asked := make(chan error, 1)
	go func() {
		err := h.conn.Ask(ctx, askRun, []byte(r.ID), w)
		w.CloseWithError(err)
		asked <- err
	}()
	err := backup.UnpackRun(packed, dir, r.ID)
	packed.CloseWithError(err)
	if err = errors.Join(<-asked, err); err != nil {
		return err
	}
	v, err := report.Verify(dir, report.VerifyOptions{Now: h.app.now()})
	if err != nil && !errors.Is(err, report.ErrUnsigned) {
		return err
	}
	if v.Report == nil || v.Report.Run != r.ID {
		return recovery.Errorf("look at it there: comeback status "+r.ID, "what came as run %s is another one", r.ID)
	}
	return nil
}

// sign signs a run that was brought: with the key that was named, if the run is one that
// the command was about, or with one that a person says yes to, who is told what the
// journal says as it is here.
func (h *homeward) sign(past runner.Past) error {
	later := fmt.Sprintf("ended, unsigned; sign it with: comeback report sign %s", past.ID)
	if !h.asks && (h.key == "" || !h.asked(past)) {
		fmt.Fprintln(h.out, later)
		return nil
	}
	key, err := h.app.findKey(h.key)
	if err != nil && h.key == "" {
		fmt.Fprintln(h.out, later)
		return nil
	}
	if err != nil {
		return err
	}
	if h.key == "" || !h.asked(past) {
		fmt.Fprintf(h.out, "run %s: %s: %s\nSign its report with %s? (yes/no) ", past.ID, ending(past.State.Result, past.State.Mode), clean(past.State.Says), key)
		line, err := bufio.NewReader(h.app.in).ReadString('\n')
		if err != nil || strings.TrimSpace(line) != "yes" {
			fmt.Fprintln(h.out, later)
			return nil
		}
	}
	signed, err := h.app.sign(past.Dir, key)
	if err != nil {
		return fmt.Errorf("run %s ended, unsigned: %w", past.ID, err)
	}
	fmt.Fprintf(h.out, "signed by %s\n", signed)
	return nil
}

// asked reports whether a run is one that the command was about: one of the runbook that
// went along, the run that was named, or one that follows it.
func (h *homeward) asked(past runner.Past) bool {
	return h.runbook != "" && past.State.RunbookSHA256 == h.runbook || h.run != "" && (past.ID == h.run || past.Plan.Parent == h.run)
}

// give gives a signature that was made here to the host, which files the run in the
// copies: it is the host that reaches them.
func (h *homeward) give(ctx context.Context, past runner.Past) error {
	armored, err := os.ReadFile(filepath.Join(past.Dir, report.SignatureFile))
	if err != nil {
		return fmt.Errorf("read the signature: %w", err)
	}
	body, err := json.Marshal(signatureFor{past.ID, string(armored)})
	if err == nil {
		err = h.conn.Ask(ctx, askSign, body, io.Discard)
	}
	if err == nil {
		_, err = h.conn.Run(ctx, remote.Start{Args: []string{"report", "file", past.ID}, Env: h.env},
			remote.Ends{In: strings.NewReader(""), Out: h.out, Err: h.app.err, Signal: signalOf})
	}
	if err != nil {
		return recovery.Errorf("it is given to it by: comeback runs --on "+string(h.host), "run %s is signed here, and %s does not have the signature: %w", past.ID, h.host.Name(), err)
	}
	return nil
}

// approveOn signs, here, the plan of a run that waits for an approval on a host.
func (a *app) approveOn(ctx context.Context, name, id, key string) error {
	host, conn, err := a.dial(ctx, name, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	var answer bytes.Buffer
	if err := conn.Ask(ctx, askApproval, []byte(id), &answer); err != nil {
		return err
	}
	var asked approvalAsked
	if err := json.Unmarshal(answer.Bytes(), &asked); err != nil {
		return fmt.Errorf("understand %s: %w", host.Name(), err)
	}
	signature, found, err := a.signApproval(ctx, asked, key)
	if err != nil {
		return err
	}
	body, err := json.Marshal(approvalGiven{asked.Run, asked.Step, signature})
	if err == nil {
		err = conn.Ask(ctx, askApprove, body, io.Discard)
	}
	if err == nil {
		a.tellApproved(asked, found)
	}
	return err
}
