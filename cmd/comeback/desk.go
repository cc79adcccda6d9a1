package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"comeback/recovery"
	"comeback/recovery/aftermath"
	"comeback/recovery/catalogue"
	"comeback/recovery/filing"
	"comeback/recovery/plan"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/recovery/switchover"
	"comeback/runbooks"
	"comeback/tui"
)

// desk answers the console's questions.
type desk struct {
	app     *app
	choices choices
	named   string // the runbook that was given

	mu      sync.Mutex
	surveys map[string]catalogue.Catalogue // by runbook
	books   map[string]*book               // of planned follow-ups, by run
}

// Systems lists the runbooks that are known.
func (d *desk) Systems(ctx context.Context) ([]tui.System, error) {
	home, err := d.app.home()
	if err != nil {
		return nil, err
	}
	var paths []string
	if d.named != "" {
		paths = append(paths, d.named)
	}
	for _, pattern := range []string{filepath.Join(home.Dir, "runbooks", "*.md"), "*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("look for runbooks: %w", err)
		}
		paths = append(paths, found...)
	}
	runs, err := filing.Runs(home)
	if err != nil {
		return nil, err
	}
	for _, r := range runs { // what was rehearsed here once is known
		if r.Problem == nil && !filing.IsFetched(home, r.Dir) {
			paths = append(paths, r.Plan.Runbook.Path)
		}
	}
	t := d.app.trustOr(home, runs)
	var systems []tui.System
	var seen []string
	for _, path := range paths {
		abs, err := absolute(path)
		if err != nil {
			continue
		}
		is := abs // of those that a copy holds for one system, the one that was read last is listed
		if inCopy(abs) {
			is = strings.TrimSuffix(abs, filepath.Base(abs))
		}
		if slices.Contains(seen, is) {
			continue
		}
		seen = append(seen, is)
		// Any Markdown file may lie about; a runbook says so in its first lines.
		if path != d.named && !d.app.isRunbook(abs) {
			continue
		}
		systems = append(systems, d.system(ctx, home, t, abs, runs))
	}
	return systems, nil
}

// isRunbook reports whether a file begins like a runbook. One from a copy is one that was
// read; no copy is asked.
func (a *app) isRunbook(path string) bool {
	if inCopy(path) {
		_, ok := a.copied(path)
		return ok
	}
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	head := make([]byte, 4096)
	n, err := f.Read(head)
	if err != nil {
		return false
	}
	text := strings.TrimPrefix(string(head[:n]), "\ufeff")
	return strings.HasPrefix(text, "---") && strings.Contains(text, "\ncomeback:")
}

func (d *desk) system(ctx context.Context, home runner.Home, t filing.Trust, path string, runs []runner.Past) tui.System {
	s := tui.System{Name: strings.TrimSuffix(filepath.Base(path), ".md"), Runbook: path}
	_, b, err := d.app.readRunbook(ctx, path)
	if err != nil {
		s.Problems = []tui.Problem{{What: err.Error(), Do: recovery.HintOf(err)}}
		return s
	}
	rb, problems := parse(path, b)
	for _, p := range problems {
		if p.Severity == runbooks.Error {
			s.Problems = append(s.Problems, tui.Problem{Line: p.Line, Column: p.Column, What: p.Says, Do: p.Do})
		}
	}
	if rb.System != "" {
		s.Name = rb.System
	}
	s.RPO, s.RTO, s.RehearseEvery = rb.RPO, rb.RTO, rb.Rehearse
	for _, p := range rb.People {
		s.People = append(s.People, recovery.Person{Role: p.Role, Reach: p.Reach, Key: p.Key})
	}
	s.SHA256 = sumOf(b)
	s.Signed, s.Unsigned = signedBy(path, b, t.Elsewhere())
	s.Saves = saves(home, path, s.SHA256)
	if p, ok := t.Closest(runs, rb.System, d.app.now()); ok {
		run := fmt.Sprintf("%s, run %s", p.At.Local().Format("2 Jan 2006"), p.Run)
		if p.Proves() {
			if s.Proof, s.Outdated = run, p.Runbook != s.SHA256; !p.Untimed {
				s.Proof += ", " + recovery.FormatSpan(p.Took)
			}
		} else {
			s.Unproven = string(p.Lacks()) + ": " + run
		}
	}
	return s
}

// Runs lists earlier and current runs.
func (d *desk) Runs(context.Context) ([]tui.KnownRun, error) {
	home, err := d.app.home()
	if err != nil {
		return nil, err
	}
	past, err := filing.Runs(home)
	if err != nil {
		return nil, err
	}
	var runs []tui.KnownRun
	t := d.app.trustOr(home, past)
	for _, p := range past {
		if p.Problem != nil {
			runs = append(runs, tui.KnownRun{ID: p.ID, State: "cannot be read: " + p.Problem.Error(), Dir: p.Dir})
			continue
		}
		state := standsNow(p, past)
		if filing.IsFetched(home, p.Dir) {
			state += ", on " + clean(p.State.Host)
			if v, err := report.SignedBy(p.Dir, t.Options(p)); err != nil || !v.Known() {
				state += ", signer unknown"
			}
		}
		now := aftermath.Held(p, past).Now(p.State)
		runs = append(runs, tui.KnownRun{ID: p.ID, System: p.State.System, Mode: p.State.Mode, State: d.app.fromThere(state), Operator: p.State.Operator, Live: now.LiveSays(d.app.now().Location()),
			Started: p.State.Started, Ended: p.State.Ended, Dir: p.Dir, Alive: p.Alive, Died: p.Died})
	}
	return runs, nil
}

// Open reads a runbook, with its problems.
func (d *desk) Open(ctx context.Context, path string) (*tui.Opened, error) {
	home, err := d.app.home()
	if err != nil {
		return nil, err
	}
	asked := path
	path, b, err := d.app.readRunbook(ctx, path)
	if err != nil {
		return nil, err
	}
	rb, _ := parse(path, b)
	if err := d.app.judgeFound(asked, path, rb); err != nil {
		return nil, err
	}
	if path, err = absolute(path); err != nil {
		return nil, err
	}
	runs, err := filing.Runs(home)
	if err != nil {
		return nil, err
	}
	o := &tui.Opened{System: d.system(ctx, home, d.app.trustOr(home, runs), path, runs), Title: rb.Title, Components: plan.Components(rb), Copies: plan.Copies(rb), Text: string(b),
		OnlyScratch: onlyScratch(rb), AnotherHost: anotherHost(rb)}
	history := runner.HistoryOf(runs, rb.System)
	for _, s := range rb.Stages {
		o.Stages = append(o.Stages, tui.Stage{Name: s.Name, Owner: s.Owner, Budget: s.Budget, Last: history.StageTook(s.Name), Live: plan.ChangesLive(rb, s)})
	}
	return o, nil
}

// onlyScratch is why a runbook cannot be recovered for real by this version.
func onlyScratch(rb *runbooks.Runbook) string {
	for _, c := range plan.Switched(rb) {
		if _, ok := takesPlace(c.Kind, c.With); !ok {
			return fmt.Sprintf("this version cannot switch %s, it restores into scratch only and changes nothing live", c.Name)
		}
	}
	return ""
}

// anotherHost is what a recovery takes where the hosts of what is live are gone.
func anotherHost(rb *runbooks.Runbook) (all []string) {
	for _, c := range plan.Switched(rb) {
		if says := switchover.AnotherHost(c); switched(c.Kind, c.With) == recovery.Postgres && says != "" {
			all = append(all, says)
		}
	}
	return all
}

// Attach is a hold on a run, wherever it was started.
func (d *desk) Attach(ctx context.Context, run tui.KnownRun) (recovery.Session, error) {
	home, err := d.app.home()
	if err != nil {
		return nil, err
	}
	if filing.IsFetched(home, run.Dir) {
		p, err := d.app.loadFrom(run.Dir)
		if err != nil {
			return nil, err
		}
		return p.Replay(), nil
	}
	return d.app.session(ctx, run.ID, "console")
}

// Since tells what has become of a run that has ended.
func (d *desk) Since(_ context.Context, runDir string) (tui.Since, error) {
	r, err := d.app.loadFrom(runDir)
	if err != nil {
		return tui.Since{}, err
	}
	runs, err := d.app.followed(r)
	if err != nil {
		return tui.Since{}, err
	}
	return tui.Since{Since: d.app.since(r, runs), Status: d.app.statusOf(r, runs)}, nil
}

// maxText is more than anybody scrolls through.
const maxText = 16 << 20

// Text reads a document.
func (d *desk) Text(_ context.Context, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	if info.Size() > maxText {
		return "", recovery.Errorf("read it with: less "+path, "%s has %s", path, recovery.FormatBytes(info.Size()))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read: %w", err)
	}
	return d.app.redact(string(b)), nil
}

// Survey looks into every copy for every component.
func (d *desk) Survey(ctx context.Context, path string, progress func(tui.Access)) ([]tui.Access, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return nil, err
	}
	components, copies := plan.Restored(b.Runbook), plan.Copies(b.Runbook)
	cat, err := d.app.survey(ctx, b, func(p catalogue.Progress) {
		if p.State == "reading" {
			progress(tui.Access{Copy: p.Copy, Component: p.Component, State: tui.Looking})
		}
	})
	if err != nil {
		return nil, err
	}
	d.surveyed(b, cat)
	var rows []tui.Access
	proof, shrank := d.app.backupProofs(b), d.app.shrunken(b, cat)
	for _, cp := range copies {
		for _, c := range components {
			row := access(cat, cp.Name, c.Name)
			row.Proof, row.Shrank = proof, shrank
			row.Cause = d.app.redact(row.Cause)
			progress(row)
			rows = append(rows, row)
		}
	}
	return rows, nil
}

// access is what the surveys say of a component in a copy.
func access(cat catalogue.Catalogue, cp, component string) tui.Access {
	row := tui.Access{Copy: cp, Component: component, State: tui.NotLookedAt}
	for _, s := range cat.Surveys {
		if s.Copy != cp || s.Component != component {
			continue
		}
		row.Surveys = append(row.Surveys, s)
		if len(s.Backups) > 0 {
			row.State = tui.Readable
		} else if row.State == tui.NotLookedAt {
			row.State = tui.Nothing
		}
	}
	for _, r := range cat.Refusals {
		if r.Copy == cp && r.Component == component {
			row.State, row.Cause, row.Hint = tui.Refused, r.Err.Error(), recovery.HintOf(r.Err)
		}
	}
	return row
}

// Plan resolves a choice and makes its plan.
func (d *desk) Plan(ctx context.Context, path string, mode recovery.Mode, choice tui.Choice) (*tui.Prepared, error) {
	b, _, err := d.app.open(ctx, path)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	cat, ok := d.surveys[b.path]
	d.mu.Unlock()
	if !ok {
		if cat, err = d.app.survey(ctx, b, nil); err != nil {
			return nil, err
		}
	}
	c := d.choices
	c.mode, c.to, c.asked = mode, choice.Want, choice.Asked
	c.look = c.look || choice.Look
	if choice.Component != "" {
		c.component = choice.Component
	}
	if choice.Copy != "" {
		c.copy, c.engine = choice.Copy, choice.Engine
	}
	p, err := d.app.plan(ctx, b, cat, c)
	if err != nil {
		return nil, err
	}
	prepared, err := prepare(p)
	if err == nil {
		prepared.NotSet, err = notSet(p, b.secrets)
	}
	return prepared, err
}

// prepare is a plan as the console reviews it.
func prepare(p *recovery.Plan) (*tui.Prepared, error) {
	bytes, err := plan.Encode(p)
	if err != nil {
		return nil, err
	}
	return &tui.Prepared{Plan: p, Bytes: bytes, Digest: sumOf(bytes)}, nil
}

// Start executes a plan, in a process of its own.
func (d *desk) Start(ctx context.Context, p *tui.Prepared, typed string) (recovery.Session, error) {
	if !p.NameLater || typed != "" {
		if err := checkConfirmed(p.Plan, typed); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	b := d.books[p.Plan.Run]
	d.mu.Unlock()
	if b == nil {
		var err error
		if b, _, err = d.app.open(ctx, p.Plan.Runbook.Path); err != nil {
			return nil, err
		}
	}
	if b.source.SHA256 != p.Plan.Runbook.SHA256 {
		return nil, recovery.Errorf("prepare the plan again", "the runbook was changed after the plan was made").WithExit(recovery.Refused)
	}
	run, err := d.app.start(ctx, b, p.Plan, inConsole.terminal(), runner.Launch{Confirm: typed})
	if err == nil {
		d.choices.begun.add(p.Plan.Run)
	}
	return run, err
}

// Amend makes the amendment of a run under way.
func (d *desk) Amend(ctx context.Context, s recovery.Session, state recovery.State, choice tui.Choice) (recovery.Amended, error) {
	return d.app.amendment(ctx, s, state, choice)
}

// Missing lists the secrets that a dead run needs and that nobody has given.
func (d *desk) Missing(_ context.Context, run tui.KnownRun) ([]tui.Need, error) {
	r, err := d.app.resumable(run.ID)
	if err != nil {
		return nil, err
	}
	return d.app.missing(r), nil
}

// Resume takes a run up again.
func (d *desk) Resume(ctx context.Context, run tui.KnownRun, values map[string]string) (recovery.Session, error) {
	home, err := d.app.home()
	if err != nil {
		return nil, err
	}
	for name, v := range values {
		d.app.secrets.Give(name, v)
	}
	return d.app.launch(ctx, runner.Launch{Home: home, Run: run.ID, Act: runner.ActResume}, "console", values)
}

// Keys lists what can sign now.
func (d *desk) Keys(ctx context.Context) ([]tui.Key, error) {
	if err := d.keysElsewhere(); err != nil {
		return nil, err
	}
	found, err := report.FindKeys(ctx, d.app.getenv)
	var keys []tui.Key
	for _, k := range found {
		keys = append(keys, shown(k))
	}
	if len(keys) > 0 {
		err = nil // what could not be looked at matters only where nothing was found
	}
	return keys, err
}

func shown(k report.Key) tui.Key {
	s := tui.Key{Name: k.Comment, Type: k.Type, Fingerprint: k.Fingerprint, From: "ssh-agent", Locked: k.Encrypted}
	if k.Path != "" {
		s.From = k.Path
	}
	if s.Name == "" {
		s.Name = filepath.Base(s.From)
	}
	return s
}

// keysElsewhere refuses to sign on a host to which the console was carried: keys stay
// where they are.
func (d *desk) keysElsewhere() error {
	from, ok := d.app.lookup(fromEnv)
	if !ok {
		return nil
	}
	return recovery.Errorf("leave the console with q: you are asked for the signature there; an approval is given with: comeback approve --on HOST RUN",
		"keys stay with %s, and never come to this host", clean(from)).WithExit(recovery.Refused)
}

// CreateKey makes a key for signing reports.
func (d *desk) CreateKey(context.Context) (tui.Key, error) {
	if err := d.keysElsewhere(); err != nil {
		return tui.Key{}, err
	}
	home := d.app.getenv("HOME")
	if home == "" {
		return tui.Key{}, recovery.Errorf("set HOME", "there is no place for a new key")
	}
	k, err := report.CreateKey(filepath.Join(home, ".ssh", "id_ed25519"), d.app.operator()+" comeback")
	return shown(k), err
}

// Sign signs the report in a run's directory.
func (d *desk) Sign(ctx context.Context, dir string, key tui.Key, passphrase []byte) (tui.Signed, error) {
	signer, _, err := d.signer(ctx, key, passphrase)
	if err != nil {
		return tui.Signed{}, err
	}
	sig, err := report.Sign(ctx, dir, signer)
	if err != nil {
		return tui.Signed{}, err
	}
	// Where it could not be filed, comeback check says so.
	_, _ = filing.File(ctx, dir, opener(d.app.secrets))
	return tui.Signed{By: key.Name, Fingerprint: sig.Fingerprint, At: d.app.now(), Reviewed: report.Verification{}.Reviewed()}, nil
}

// signer is the holder of a key that Keys listed.
func (d *desk) signer(ctx context.Context, key tui.Key, passphrase []byte) (report.Signer, report.Key, error) {
	name := key.From
	if name == "ssh-agent" {
		name = key.Fingerprint
	}
	k, err := report.FindKey(ctx, d.app.getenv, name)
	if err != nil {
		return nil, k, err
	}
	signer, err := k.Signer(ctx, func(context.Context, report.Key) ([]byte, error) { return passphrase, nil })
	return signer, k, err
}

// Signature says who signed a report.
func (d *desk) Signature(_ context.Context, dir string) (tui.Signed, bool, error) {
	v, err := report.Verify(dir, report.VerifyOptions{Now: d.app.now()})
	if errors.Is(err, report.ErrUnsigned) {
		return tui.Signed{}, false, nil
	}
	if err != nil {
		return tui.Signed{}, false, err
	}
	s := tui.Signed{By: v.Signature.Type, Fingerprint: v.Signature.Fingerprint, Reviewed: v.Reviewed()}
	if info, err := os.Stat(filepath.Join(dir, report.SignatureFile)); err == nil {
		s.At = info.ModTime()
	}
	return s, true, nil
}

// VerifyCommands are the commands that verify a report without comeback.
func (d *desk) VerifyCommands(dir string) string {
	return strings.Join(report.Commands(dir, "", ""), "\n")
}

// Approve signs a plan's digest.
func (d *desk) Approve(ctx context.Context, digest string, key tui.Key, passphrase []byte) (string, error) {
	signer, _, err := d.signer(ctx, key, passphrase)
	if err != nil {
		return "", err
	}
	return report.SignApproval(ctx, digest, signer)
}

var _ tui.Desk = (*desk)(nil)
