package main

import (
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
	askNeeds    = "its variables"  // a run's id: the names that its runbook mentions
	askSign     = "a signature"    // signatureFor
	askClock    = "its clock"      // the time there
	askApproval = "an approval"    // a run's id: approvalWaits
	askApprove  = "what was given" // an approvalGiven
)

// mostTold bounds in bytes what a host answers: its lists and plans. A run is bounded as
// in copies.
const mostTold = 16 << 20

// endedRun is a run that has ended on a host.
type endedRun struct {
	ID, ReportSHA256 string
	Signed           bool
}

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
	about
	out io.Writer
	// env is what a command there gets.
	env []string
}

// bring brings each run that is not here yet, proves every byte of it, signs it if that
// is wanted, and gives its signature to the host. What could not be brought now is
// brought by the next command on the host, and does not keep the others there: all but
// the last error are told.
func (h *homeward) bring(ctx context.Context) error {
	var answer bytes.Buffer
	if err := h.conn.Ask(ctx, askRuns, []byte(h.app.from()), mostTold, &answer); err != nil {
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
	var wrong error
	for _, r := range runs {
		err := h.one(ctx, home, r)
		if err == nil {
			continue
		}
		if wrong != nil {
			h.app.tell(wrong)
		}
		if wrong = err; errors.Is(err, remote.ErrLost) {
			break
		}
	}
	return wrong
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
			return recovery.Errorf(fmt.Sprintf("it stays there; bring it with: comeback runs --on %s", h.host), "run %.40s of %s could not be brought: %w", r.ID, h.host.Name(), err)
		}
		fmt.Fprintf(h.out, "run %s is here, too, every byte as on %s: %s\n", r.ID, h.host.Name(), home.RunDir(r.ID))
		if past, err = home.Load(r.ID); err != nil {
			return err
		}
		if !past.Signed {
			if err := h.sign(ctx, past, r); err != nil {
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
		err := h.conn.Ask(ctx, askRun, []byte(r.ID), backup.MaxPacked, w)
		w.CloseWithError(err)
		asked <- err
	}()
	err := backup.UnpackRun(packed, dir, r.ID)
	packed.CloseWithError(err)
	if told := <-asked; told != nil { // it says why the other ended, too
		err = told
	}
	if err != nil {
		return err
	}
	v, err := report.Verify(dir, report.VerifyOptions{Now: h.app.now()})
	if err != nil && !errors.Is(err, report.ErrUnsigned) {
		return err
	}
	if v.Report == nil || v.Report.Run != r.ID {
		return recovery.Errorf("look at it there: comeback status "+r.ID, "what came as run %s is another one", r.ID)
	}
	home, err := h.app.home()
	if err != nil {
		return err
	}
	if err := home.MarkBrought(r.ID); err != nil || v.Signature.File == "" {
		return err
	}
	return home.MarkForeign(r.ID)
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
		err = h.conn.Ask(ctx, askSign, body, 0, io.Discard)
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
