package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/report"
	"comeback/recovery/runner"
	"comeback/runbooks"

	"golang.org/x/sys/unix"
)

// redact takes known secrets out of what is about to be said.
func (a *app) redact(text string) string { return a.secrets.Redact(text) }

// clean makes text from outside harmless for a terminal.
func clean(text string) string { return recovery.Harmless(text) }

func (a *app) home() (runner.Home, error) { return runner.FindHome(a.lookup) }

// overlooked says that the runs of this host are in a place that this user cannot use; nil
// where they are not.
func (a *app) overlooked() error { return runner.Overlooked(a.lookup, a.shared, a.operator()) }

// newID chooses the ID of a new run.
func (a *app) newID(home runner.Home) (string, error) {
	if a.nextID != "" {
		return a.nextID, nil
	}
	return home.NewID()
}

// book is an opened runbook.
type book struct {
	*runbooks.Runbook
	path string
	// found says that it was found in a copy, where nobody has named this very one.
	found   bool
	bytes   []byte
	source  recovery.Source
	secrets *execute.Secrets
}

// maxRunbook is more than a person can read in an incident.
const maxRunbook = 8 << 20

// open reads, parses and lints a runbook, for what begins by it. All its errors come in one
// error, one a line.
func (a *app) open(ctx context.Context, path string) (*book, runbooks.Problems, error) {
	return a.opened(ctx, path, parse)
}

// openFollowed is open for what goes by a runbook already: a server's log, which fills the
// disk while nobody takes it, and runs that there are. A setting that another version took, or
// that nothing here reads, holds none of them up: its value is a warning. Whatever does read
// it refuses it by itself.
func (a *app) openFollowed(ctx context.Context, path string) (*book, runbooks.Problems, error) {
	return a.opened(ctx, path, func(path string, b []byte) (*runbooks.Runbook, runbooks.Problems) {
		rb, problems := parse(path, b)
		for i := range problems {
			if problems[i].Value {
				problems[i].Severity = runbooks.Warning
			}
		}
		return rb, problems
	})
}

func (a *app) opened(ctx context.Context, path string, parse func(path string, b []byte) (*runbooks.Runbook, runbooks.Problems)) (*book, runbooks.Problems, error) {
	asked := path
	path, b, err := a.readRunbook(ctx, path)
	if err != nil {
		return nil, nil, err
	}
	rb, problems := parse(path, b)
	if problems.Failed() {
		var lines strings.Builder
		for _, p := range problems {
			if p.Severity == runbooks.Error {
				fmt.Fprintf(&lines, "\n  line %d, column %d: %s; %s", p.Line, p.Column, p.Says, p.Do)
			}
		}
		n := problems.Count(runbooks.Error)
		what := fmt.Sprintf("%s has %d problems:%s", path, n, lines.String())
		if n == 1 {
			what = fmt.Sprintf("%s has a problem:%s", path, lines.String())
		}
		return nil, problems, &problemsError{what: a.redact(what), path: path}
	}
	abs, err := absolute(path)
	if err != nil {
		return nil, problems, err
	}
	if err := a.judgeFound(asked, path, rb); err != nil {
		return nil, problems, err
	}
	if a.books.then(abs) {
		for i := range rb.Copies {
			rb.Copies[i].AsOf = a.asOf
		}
	}
	return &book{Runbook: rb, path: abs, found: onlyFound(asked, path), bytes: b, secrets: a.secrets.For(rb.Needs),
		source: recovery.Source{Path: abs, SHA256: sumOf(b)}}, problems, nil
}

// sumOf is the SHA-256 of bytes, in hex.
func sumOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// absolute is where a runbook is, wherever somebody asks: the path of a file from the
// root, or the URL of one in a copy.
func absolute(path string) (string, error) {
	if inCopy(path) {
		return path, nil
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return "", fmt.Errorf("find the runbook: %w", err)
	}
	return abs, nil
}

// readRunbook reads a runbook: a file, or what the URL of a copy leads to, whose own URL
// is the path that it gives then.
func (a *app) readRunbook(ctx context.Context, path string) (string, []byte, error) {
	if inCopy(path) {
		return a.readCopied(ctx, path)
	}
	b, err := readRunbookFile(path)
	return path, b, err
}

func readRunbookFile(path string) ([]byte, error) {
	usage := func(hint, format string, args ...any) error {
		return recovery.Errorf(hint, format, args...).WithExit(recovery.Usage)
	}
	f, err := os.Open(path)
	if scheme, _, ok := strings.Cut(path, "://"); ok && errors.Is(err, fs.ErrNotExist) {
		return nil, usage("give the path of a file, or the URL of a copy: file:///directory or s3://bucket/prefix", "no runbook is read from %s://", scheme)
	}
	if errors.Is(err, fs.ErrPermission) {
		return nil, usage("read it as a user who may, or change its permissions", "open the runbook: %w", err)
	}
	if err != nil {
		return nil, usage("give the path of a runbook, or the URL of a copy that holds it beside its backups, like s3://bucket/prefix; write a new one with: comeback runbook new", "open the runbook: %w", err)
	}
	defer f.Close()
	if info, err := f.Stat(); err == nil && info.IsDir() {
		return nil, usage("give the path of the Markdown file in it", "%s is a directory, not a runbook", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxRunbook+1))
	if err != nil {
		return nil, fmt.Errorf("read the runbook: %w", err)
	}
	return b, nil
}

// problemsError is a runbook's errors, several lines.
type problemsError struct{ what, path string }

func (e *problemsError) Error() string { return e.what }

// survey asks all engines about all copies.
func (a *app) survey(ctx context.Context, b *book, progress func(catalogue.Progress)) (catalogue.Catalogue, error) {
	return a.surveyAll(ctx, catalogue.Options{Components: plan.Restored(b.Runbook), Copies: plan.Copies(b.Runbook),
		Engines: engines(), OpenStore: opener(b.secrets), Progress: progress})
}

func (a *app) surveyAll(ctx context.Context, o catalogue.Options) (catalogue.Catalogue, error) {
	o.OpenStore = a.manifests.Opening(o.OpenStore)
	cat, err := catalogue.Survey(ctx, o)
	if err == nil && a.surveyed != nil {
		a.surveyed(&cat)
	}
	return cat, err
}

// choices are what a person asks a plan for.
type choices struct {
	mode recovery.Mode
	to   string
	// asked is when that was said, before anything was surveyed: what is relative in it is
	// so to that, however long a survey takes. Zero is now.
	asked time.Time
	// component is the anchor; empty for the one that decides by default.
	component    string
	copy, engine string
	scratch      string
	keep         bool
	look         bool
	// scenario is the file of a rehearsal's cards; empty for none.
	scenario string
	// table is the only one that comes back; empty for all.
	table string
	// waits is told what is waited for; it may be nil.
	waits *waits
	// begun is told which runs a console has started; it may be nil.
	begun *begun
}

// parse reads a runbook's bytes with every problem that it has.
func parse(path string, b []byte) (*runbooks.Runbook, runbooks.Problems) {
	rb, problems := runbooks.Parse(filepath.Base(path), b)
	return rb, append(problems, runbooks.Lint(rb, vocabulary())...)
}

// plan resolves the moment and makes the plan of a new run. It leaves nothing
// behind.
func (a *app) plan(ctx context.Context, b *book, cat catalogue.Catalogue, c choices) (*recovery.Plan, error) {
	home, err := a.home()
	if err != nil {
		return nil, err
	}
	want, err := recovery.ParseWant(c.to, cmp.Or(c.asked, a.now()))
	if err != nil {
		return nil, err
	}
	want.Look, want.Table = c.look, c.table
	if err := requirePostgres(b.Runbook); err != nil {
		return nil, err
	}
	c.waits.on("looking for the moment %s", c.to)
	m, err := a.resolve(ctx, b, cat, plan.Wanted{Want: want, Component: c.component, Copy: c.copy, Engine: c.engine})
	if err != nil {
		return nil, err
	}
	runs, err := home.List()
	if err != nil {
		return nil, err
	}
	history := runner.HistoryOf(runs, b.System)
	scratch, err := a.scratchToWrite(c.scratch, "--scratch")
	if err != nil {
		return nil, err
	}
	id, err := a.newID(home)
	if err != nil {
		return nil, err
	}
	c.waits.on("looking at what is live")
	live, err := a.lookLive(ctx, b, c.mode)
	if err != nil {
		return nil, b.asFile(err)
	}
	c.waits.on("counting what is lost with the moment %s", c.to)
	losses, err := a.logs(b, cat).Losses(ctx, m, live)
	if err != nil {
		return nil, err
	}
	a.warnOfShrinking(b, cat, &m)
	c.waits.on("looking for harm before the moment %s", c.to)
	a.logs(b, cat).WarnOfHarm(ctx, &m, live)
	p, err := plan.Make(plan.Options{Losses: losses, Warnings: append(a.weakened(b), readThen(b)...), Runbook: b.Runbook, Source: b.source, Engines: engines(), Mode: c.mode, Moment: m, Switchers: switchers(), Live: live,
		Run: id, Number: history.Number, Previous: history.Previous, Scratch: scratch, Created: a.now(), Expected: history.Expected, Earlier: a.earlier(home, runs, history, c.mode), Keep: c.keep})
	if err != nil {
		return nil, b.asFile(err)
	}
	return fitting(p)
}

// fitting is a plan with what a look at this host warns of; a plan that could not be executed
// here comes with its refusal.
func fitting(p *recovery.Plan) (*recovery.Plan, error) {
	warnings, err := execute.CheckPlan(p)
	p.Warnings = append(p.Warnings, warnings...)
	return p, err
}

// weakened tells which checks of the system's newest proof a runbook does not make any more,
// or makes otherwise.
func (a *app) weakened(b *book) []string {
	proofs, _, err := a.proofs(b.System)
	if err != nil {
		return []string{fmt.Sprintf("whether the runbook checks as much as when it was last proven is not known: %s", a.redact(err.Error()))}
	}
	return check.Weakened(proofs, b.Checks())
}

// compared is how many earlier rehearsals the report of another one shows.
const compared = 5

// earlier are the rehearsals that a new one is compared with, the newest of those whose
// reports verify and whose signer is known: the new report will be signed with what they say.
func (a *app) earlier(home runner.Home, runs []runner.Past, history runner.History, mode recovery.Mode) []recovery.Earlier {
	if mode != recovery.Rehearsal {
		return nil
	}
	t := a.trustOr(home, runs)
	var reports []*report.Report
	for _, p := range slices.Backward(history.Rehearsals(math.MaxInt)) {
		if len(reports) == compared {
			break
		}
		if !p.Signed {
			continue
		}
		if v, err := t.Verify(p); err == nil && v.Known() {
			reports = append(reports, v.Report)
		}
	}
	slices.Reverse(reports)
	return report.Rehearsals(reports)
}

// knownEngine refuses an engine that this version does not have.
func knownEngine(name string) error {
	names := engineNames()
	if name == "" || slices.Contains(names, name) {
		return nil
	}
	return recovery.Errorf("use one of: "+strings.Join(names, ", "), "there is no engine %q", name).WithExit(recovery.Usage)
}

// resolve turns what was asked for into a moment that can be reached.
func (a *app) resolve(ctx context.Context, b *book, cat catalogue.Catalogue, w plan.Wanted) (recovery.Moment, error) {
	if err := knownEngine(w.Engine); err != nil {
		return recovery.Moment{}, err
	}
	if w.Copy != "" {
		if _, ok := b.Copy(w.Copy); !ok {
			return recovery.Moment{}, recovery.Errorf("choose one of the runbook's copies", "the runbook has no copy %q", w.Copy).WithExit(recovery.Usage)
		}
	}
	return plan.Resolve(ctx, cat, opener(b.secrets), b.Runbook, engines(), w)
}

// requirePostgres refuses early where no server can be started at all.
func requirePostgres(rb *runbooks.Runbook) error {
	for _, c := range plan.Restored(rb) {
		if c.Kind == recovery.Postgres {
			_, err := postgres.FindTools(0)
			return err
		}
	}
	return nil
}

// scratch is where a run's scratch directory is made: what was asked for, else
// COMEBACK_SCRATCH, else /var/tmp, which survives a reboot and is on a disk. It was asked for
// with a flag, which the error names.
func (a *app) scratch(asked, flag string) (string, error) {
	if asked == "" {
		asked, _ = a.lookup("COMEBACK_SCRATCH")
	}
	if asked == "" {
		asked = "/var/tmp"
	}
	dir, err := filepath.Abs(asked)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", usage("create it, or choose another with "+flag, "find the scratch directory: %w", err)
	}
	if info, err := os.Stat(dir); err == nil && !info.IsDir() {
		return "", usage("choose another with "+flag, "find the scratch directory: %s is a file", dir)
	}
	return dir, nil
}

// scratchToWrite is scratch for what writes there.
func (a *app) scratchToWrite(asked, flag string) (string, error) {
	dir, err := a.scratch(asked, flag)
	if err == nil && unix.Access(dir, unix.W_OK|unix.X_OK) != nil {
		err = usage("choose another with "+flag+", or let "+a.operator()+" write there", "find the scratch directory: %s may not write to %s", a.operator(), dir)
	}
	return dir, err
}

// runnerOptions are what every run of a plan is given.
func (a *app) runnerOptions(p *recovery.Plan, secrets *execute.Secrets) (runner.Options, error) {
	home, err := a.home()
	if err != nil {
		return runner.Options{}, err
	}
	owner, err := postgres.ServerUser()
	if err != nil {
		return runner.Options{}, err
	}
	host, err := os.Hostname()
	if err != nil {
		return runner.Options{}, fmt.Errorf("name this host: %w", err)
	}
	v, c := build()
	taking := backup.Taking(backup.StepOptions{Engines: engines, Hold: a.holdBackup, By: "comeback " + v})
	return runner.Options{
		Kinds: append(kinds(), taking),
		Home:  home, Plan: p, Releasers: releasers(a.now, secrets.Expand), OpenStore: opener(secrets), Secrets: secrets,
		Owner: owner, Now: a.now, Uptime: uptime(), Operator: a.operator(), Host: host, Asserted: a.asserted(), Version: v + " " + c,
		Identify: identifier(secrets.Expand), VerifyApproval: report.VerifyApproval, Intent: a.intent, Event: a.event,
		Finish: func(dir string) error {
			_, err := report.Write(dir)
			return err
		},
	}, nil
}

// uptime is how long this host has run, by a clock that nobody sets and that goes on while
// it sleeps; nil where the kernel has none.
func uptime() func() time.Duration {
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &now) != nil {
		return nil
	}
	return func() time.Duration {
		var now unix.Timespec
		if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &now); err != nil {
			panic("comeback: the clock since boot was there: " + err.Error())
		}
		return time.Duration(now.Nano())
	}
}

// operator is who is here: the user, or for root, whom several people may be,
// who the environment says. Only a signature proves it.
func (a *app) operator() string { return recovery.Named(a.user()) }

func (a *app) user() string {
	if u, err := user.Current(); err == nil && os.Getuid() != 0 {
		return u.Username
	}
	for _, name := range []string{"SUDO_USER", "USER", "LOGNAME"} {
		if v, ok := a.lookup(name); ok && v != "" {
			return clean(v)
		}
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return fmt.Sprintf("uid %d", os.Getuid())
}

func (a *app) asserted() map[string]string {
	m := map[string]string{"uid": fmt.Sprint(os.Getuid())}
	for _, name := range []string{"USER", "SUDO_USER", "SSH_CONNECTION", fromEnv} {
		if v, ok := a.lookup(name); ok && v != "" {
			m[name] = clean(v)
		}
	}
	return m
}
