package rescue

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"slices"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
)

// applyKind brings the rows back. What it is about to commit is on disk before:
// an attempt after an interruption asks the server what became of it, and does
// nothing twice.
type applyKind struct{}

func (applyKind) Name() string              { return KindApply }
func (applyKind) Restart() recovery.Restart { return recovery.Repeat }

// committing is what is on disk before a commit.
type committing struct {
	XID     uint64           `json:"xid,string"`
	Outcome recovery.Outcome `json:"outcome"`
}

func (applyKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	dir, err := place(ctx, env, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	p, ok, err := LoadPreview(dir)
	if err == nil && !ok {
		err = fmt.Errorf("read the preview: it is not there: %w", recovery.ErrGone)
	}
	if err != nil {
		return recovery.Outcome{}, err
	}
	definitions := map[string]Definition{}
	if _, err := kept(dir, definitionsFile, &definitions); err != nil {
		return recovery.Outcome{}, err
	}
	live, err := connectTo(ctx, a.Address, a.Identity, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer live.Close(context.WithoutCancel(ctx)) // what was not committed is undone by it
	o, ok, err := before(ctx, live, dir)
	if err == nil && !ok {
		o, ok, err = claimedBefore(ctx, env, live, a)
	}
	if ok || err != nil {
		return adopt(env, o), err
	}
	if p.Rows() == 0 && !p.Makes() {
		return adopt(env, recovery.Outcome{Says: "live has everything as before already: nothing was changed", Facts: map[string]string{"preview": p.SHA256}}), nil
	}
	// The target's identity, and the right to write to it, are proven at the
	// last moment.
	if _, err := env.Target(ctx, a.Live); err != nil {
		return recovery.Outcome{}, err
	}
	var undo, script string
	sum := sha256.New()
	apply := ApplyOptions{Live: live, Identity: a.Identity, Preview: p, Dir: dir, Definitions: definitions, Progress: func(says string) { env.Meter().Phase(says, 0, recovery.NoUnit) }}
	apply.Undo = func(xid uint64) (io.WriteCloser, error) {
		undo = undoName(xid)
		file, err := env.Artifact(undo)
		if placed, ok := file.(recovery.Placed); ok {
			script = placed.Path()
		}
		return summed{file, sum}, err
	}
	outcome := func(done Applied) recovery.Outcome {
		outcome := done.outcome(&p)
		outcome.Facts[FactUndo], outcome.Facts[FactUndoSHA256] = undo, hex.EncodeToString(sum.Sum(nil))
		return outcome
	}
	apply.Committing = func(ctx context.Context, done Applied) error {
		if _, err := env.Target(ctx, a.Live); err != nil {
			return err
		}
		if err := keep(dir, appliedFile, committing{done.XID, outcome(done)}); err != nil {
			return err
		}
		if err := env.Claim(ctx, claim(a, done.XID, script, hex.EncodeToString(sum.Sum(nil)), dir)); err != nil {
			return err
		}
		return env.Meter().Checkpoint(ctx, fmt.Sprintf("about to commit transaction %d; its undo is %s", done.XID, undo))
	}
	done, err := Apply(ctx, apply)
	if err != nil {
		return recovery.Outcome{}, err
	}
	return adopt(env, outcome(done)), nil
}

// The facts of a rescue by which it is taken back: the name of the artifact that
// holds the script, and its digest.
const (
	FactUndo       = "undo"
	FactUndoSHA256 = "undo, sha256"
)

// summed is a file whose digest is known in the end.
type summed struct {
	io.WriteCloser
	sum hash.Hash
}

func (s summed) Write(b []byte) (int, error) {
	n, err := s.WriteCloser.Write(b)
	s.sum.Write(b[:n])
	return n, err
}

// before finds out what became of an earlier attempt. ok says that it came to
// pass.
func before(ctx context.Context, live *pgx.Conn, dir string) (recovery.Outcome, bool, error) {
	var c committing
	if ok, err := kept(dir, appliedFile, &c); !ok || err != nil {
		return recovery.Outcome{}, false, err
	}
	there, err := cameToPass(ctx, live, c.XID)
	if !there || err != nil {
		return recovery.Outcome{}, false, err
	}
	c.Outcome.Remarks = append(c.Outcome.Remarks, fmt.Sprintf("it was committed as transaction %d by an earlier attempt, which was interrupted", c.XID))
	return c.Outcome, true, nil
}

// claimedBefore is before by the run's claims alone: what stood in scratch may have gone
// with it, and the preview that was made anew finds nothing to do.
func claimedBefore(ctx context.Context, env recovery.Env, live *pgx.Conn, a Args) (recovery.Outcome, bool, error) {
	for _, r := range slices.Backward(env.Held()) {
		if r.Kind != Rescued || r.Details["address"] != a.Address {
			continue
		}
		xid, err := claimedXID(r)
		if err != nil {
			return recovery.Outcome{}, false, err
		}
		there, err := cameToPass(ctx, live, xid)
		if err != nil {
			return recovery.Outcome{}, false, err
		}
		if !there {
			continue
		}
		return recovery.Outcome{
			Says:    fmt.Sprintf("the rows came back with transaction %d, by an earlier attempt, which was interrupted", xid),
			Facts:   map[string]string{"transaction": fmt.Sprint(xid), FactUndo: undoName(xid), FactUndoSHA256: r.Details["sha256"]},
			Remarks: []string{"how many rows that were went with scratch; its undo script lists them"},
		}, true, nil
	}
	return recovery.Outcome{}, false, nil
}

// undoName is the artifact that takes a transaction back.
func undoName(xid uint64) string { return fmt.Sprintf("undo-%d.sql", xid) }

// checkKind looks again, whether everything that was to come back is there.
type checkKind struct{}

func (checkKind) Name() string              { return KindCheck }
func (checkKind) Restart() recovery.Restart { return recovery.Repeat }

func (checkKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	dir, err := place(ctx, env, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	was, ok, err := LoadPreview(dir)
	if err == nil && !ok {
		err = fmt.Errorf("read the preview: it is not there: %w", recovery.ErrGone)
	}
	if err != nil {
		return recovery.Outcome{}, err
	}
	p, err := a.look(ctx, env, dir, PreviewOptions{files: "check", checking: true})
	if err != nil {
		return recovery.Outcome{}, err
	}
	missing, unseen, remarks := p.lacks(&was)
	found := fmt.Sprintf("%d rows that are not as before", missing)
	if missing == 1 {
		found = "1 row that is not as before"
	}
	for _, why := range unseen {
		found += "; " + why
	}
	check := &recovery.CheckResult{Name: "the rows are back", Held: missing == 0 && len(unseen) == 0 && !p.Makes(), Expected: "no row to bring back", Found: found}
	o := recovery.Outcome{Says: found, Check: check, Remarks: remarks}
	if !check.Held {
		return o, recovery.Errorf("look at them: make another rescue of the same transaction", "check %s: found %s, expected %s", check.Name, found, check.Expected)
	}
	return o, nil
}

// lacks is how many rows live has not as they were to be brought back, by a look after they
// were, and which tables nothing can be told of: the preview could do something with them.
func (p *Preview) lacks(was *Preview) (rows int64, unseen, remarks []string) {
	for i := range p.Tables {
		t := &p.Tables[i]
		k := slices.IndexFunc(was.Tables, func(o TablePreview) bool { return o.Table == t.Table })
		switch {
		case k >= 0 && was.Tables[k].Problem != "": // that it cannot be brought back was told
		case t.Problem == "":
			rows += t.Rows()
		case k >= 0 && t.counted != nil:
			rows += max(0, was.Tables[k].Insert-*t.counted)
			remarks = append(remarks, fmt.Sprintf("%s: it has no key: its rows were counted, and not compared", t.Table))
		default:
			unseen = append(unseen, fmt.Sprintf("%s cannot be looked at: %s", t.Table, t.Problem))
		}
	}
	return rows, unseen, remarks
}

// undoKind takes a rescue back by its script.
type undoKind struct{}

func (undoKind) Name() string              { return KindUndo }
func (undoKind) Restart() recovery.Restart { return recovery.Repeat }

func (undoKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a UndoArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	dir, err := place(ctx, env, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	script, err := openScript(a.Script, a.SHA256)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer script.Close() // it was only read
	live, err := connectTo(ctx, a.Address, a.Identity, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer live.Close(context.WithoutCancel(ctx)) // what was not committed is undone by it
	if o, ok, err := before(ctx, live, dir); ok || err != nil {
		return o, err
	}
	if _, err := env.Target(ctx, a.Live); err != nil {
		return recovery.Outcome{}, err
	}
	var outcome recovery.Outcome
	_, err = Undo(ctx, UndoOptions{Live: live, Identity: a.Identity, Script: script, Leave: a.Leave, Committing: func(ctx context.Context, xid uint64, done []Undone) error {
		if _, err := env.Target(ctx, a.Live); err != nil {
			return err
		}
		outcome = undone(xid, done)
		if err := keep(dir, appliedFile, committing{xid, outcome}); err != nil {
			return err
		}
		return env.Meter().Checkpoint(ctx, fmt.Sprintf("about to commit transaction %d", xid))
	}})
	return outcome, err
}

// undone is what was taken back, in counts.
func undone(xid uint64, done []Undone) recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{"transaction": fmt.Sprint(xid)}}
	var things int64
	for _, u := range done {
		things += u.Done
		if u.Done < u.Wanted {
			o.Exceptions = append(o.Exceptions, fmt.Sprintf("%s: %d of %d, changed since the rescue", u.What, u.Wanted-u.Done, u.Wanted))
		}
	}
	o.Says = fmt.Sprintf("%d rows and tables are as they were before the rescue", things)
	return o
}
