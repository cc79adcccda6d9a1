package rescue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// Rescued is a claim: a transaction that was about to bring rows back. Until the step
// has ended a run that stops gives live back, by the undo script and the record alone.
const Rescued recovery.ResourceKind = "rescue"

// takenBackFile holds the transaction that takes a rescue back.
const takenBackFile = "taken-back.json"

// claim is the record of a transaction that is about to be committed. Whom it is with
// stands there, too, as "live " and the name of the part.
func claim(a Args, xid uint64, script, sum, dir string) recovery.Resource {
	details := map[string]string{"address": a.Address, "xid": strconv.FormatUint(xid, 10), "script": script, "sha256": sum, "dir": dir}
	for part, says := range a.Identity {
		details[livePart+part] = says
	}
	return recovery.Resource{Kind: Rescued, ID: fmt.Sprintf("transaction %d in %s", xid, a.Live), Details: details}
}

const livePart = "live "

// claimed is the identity that a claim holds.
func claimed(r recovery.Resource) recovery.Identity {
	id := recovery.Identity{}
	for name, says := range r.Details {
		if part, ok := strings.CutPrefix(name, livePart); ok {
			id[part] = says
		}
	}
	return id
}

// claimedXID is the transaction that a claim holds.
func claimedXID(r recovery.Resource) (uint64, error) {
	xid, err := strconv.ParseUint(r.Details["xid"], 10, 64)
	if err != nil || r.Details["dir"] == "" {
		return 0, recovery.Errorf("look at live: the undo script of the run lists the rows", "read the claim of %s: its record does not say which transaction it is", r.ID)
	}
	return xid, nil
}

// adopt keeps what was brought back, when the step ends.
func adopt(env recovery.Env, o recovery.Outcome) recovery.Outcome {
	for _, r := range env.Held() {
		if r.Kind == Rescued {
			o.Adopted = append(o.Adopted, r)
		}
	}
	return o
}

// Releaser takes back a rescue that was committed when its run died, and that the run
// was then stopped instead of taken up again. It changes nothing where the
// transaction never came to pass, or where somebody has changed the rows since, which
// is an error.
type Releaser struct {
	// Expand resolves references in addresses.
	Expand func(string) (string, error)
}

// Resource is Rescued.
func (Releaser) Resource() recovery.ResourceKind { return Rescued }

// Release takes it back. It may be repeated.
func (k Releaser) Release(ctx context.Context, r recovery.Resource) error {
	xid, err := claimedXID(r)
	if err != nil {
		return err
	}
	dir := r.Details["dir"]
	live, err := connectTo(ctx, r.Details["address"], claimed(r), k.Expand)
	if err != nil {
		return err
	}
	defer live.Close(context.WithoutCancel(ctx)) // what was not committed is undone by it
	if there, err := cameToPass(ctx, live, xid); !there || err != nil {
		return err
	}
	var back committing
	if ok, err := kept(dir, takenBackFile, &back); err != nil {
		return err
	} else if ok {
		if done, err := cameToPass(ctx, live, back.XID); done || err != nil {
			return err
		}
	}
	script, err := openScript(r.Details["script"], r.Details["sha256"])
	if err != nil {
		return err
	}
	defer script.Close() // it was only read
	_, err = Undo(ctx, UndoOptions{Live: live, Identity: claimed(r), Script: script, Committing: func(_ context.Context, xid uint64, _ []Undone) error {
		return keep(dir, takenBackFile, committing{XID: xid})
	}})
	return err
}

// openScript opens an undo script that is byte for byte the one that was written.
func openScript(path, digest string) (*os.File, error) {
	script, err := os.Open(path)
	if err != nil {
		return nil, recovery.Errorf("find the run's directory; its artifacts hold the script", "open the undo script: %w", err)
	}
	sum := sha256.New()
	if _, err = io.Copy(sum, script); err == nil {
		_, err = script.Seek(0, io.SeekStart)
	}
	switch {
	case err != nil:
		err = fmt.Errorf("read the undo script: %w", err)
	case hex.EncodeToString(sum.Sum(nil)) != digest:
		err = refusedf("find out who changed it", "the undo script is not the one that the rescue wrote")
	default:
		return script, nil
	}
	return nil, errors.Join(err, script.Close())
}

// statusTries and statusEvery bound the wait for the end of a transaction whose
// runner is gone.
const (
	statusTries = 100
	statusEvery = 100 * time.Millisecond
)

// cameToPass waits for the end of a transaction that an attempt was about to commit,
// and says whether it was committed.
func cameToPass(ctx context.Context, live *pgx.Conn, xid uint64) (bool, error) {
	tick := time.NewTicker(statusEvery)
	defer tick.Stop()
	for range statusTries {
		switch status, err := Status(ctx, live, xid); {
		case err != nil:
			return false, err
		case status == "committed":
			return true, nil
		case status == "aborted":
			return false, nil
		case status == "":
			return false, refusedf("look at live: the undo script of that attempt lists the rows",
				"the server does not know any more what became of transaction %d, which an interrupted attempt was about to commit", xid)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return false, recovery.Errorf("end its session on the server (pg_stat_activity, application_name comeback), then try again",
		"transaction %d, which an interrupted attempt was about to commit, is still in progress", xid)
}
