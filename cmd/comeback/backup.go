package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/backup"
	"comeback/recovery/exclusive"
	"comeback/recovery/plan"

	"github.com/spf13/cobra"
)

// backupAsked is what `comeback backup` was asked for.
type backupAsked struct {
	runbook, component string
	copies             []string
	temp               string
	json               bool
}

func (a *app) backupCommand() *cobra.Command {
	var o backupAsked
	cmd := &cobra.Command{
		Use: "backup RUNBOOK [COMPONENT]", Short: "Take the backups that a runbook asks for, into its copies",
		Long: `Takes one backup of every component that the runbook brings back, or of one of
them, into every copy: a pg_dump archive with the roles beside it, a pg_basebackup
with its manifest and log, a snapshot of files (of a config component encrypted for
its recipients), a bundle of a git repository. A component's ` + "`backup:`" + ` says which of
them, where more than one fits.

Each source is read once, whatever the number of copies. A backup appears in a copy
only when all of it is stored; what an interruption leaves is cleared away by the
next backup. Beside each lies a small manifest (tables with their rows and digests
from the same snapshot, versions, sizes, digests), and the runbook itself: where its
host is gone, the URL of a copy is a RUNBOOK, too.

256 MB stay free of the disk of --temp, and of a copy's disk where live data lie on it,
too (of a disk of less than 2.5 GB a tenth): a backup for which --temp has no room is
not taken, and a copy that has none is left out.

Exit codes:
  0    every backup was taken, and is in every copy
  1    a backup was not taken at all
  2    the command, the runbook or its environment is wrong
  3    refused: another backup of the component is at work on this host, or has
       something been removed of it for more than an hour
  5    every backup was taken, and not every copy has it, or a file in it is not as it
       was: one that was written to whenever it was read
  130  interrupted; nothing half is listed`,
		Example: `  comeback backup shop.md
  comeback backup shop.md database --copy nearby`,
		Args: func(_ *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return usage("write: comeback backup RUNBOOK", "comeback backup needs RUNBOOK")
			case 1, 2:
				return nil
			}
			return usage("write: comeback backup RUNBOOK [COMPONENT]", "comeback backup takes a RUNBOOK and a COMPONENT, not %d words", len(args))
		},
		ValidArgsFunction: a.runbookComponent,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.runbook = args[0]; len(args) == 2 {
				o.component = args[1]
			}
			return a.backup(cmd.Context(), o)
		},
	}
	cmd.Flags().StringSliceVar(&o.copies, "copy", nil, "store into this `COPY` only; may be given several times")
	cmd.Flags().StringVar(&o.temp, "temp", "", "a `DIRECTORY` with room for one compressed backup (default COMEBACK_SCRATCH, or /var/tmp)")
	cmd.Flags().BoolVar(&o.json, "json", false, "print how each backup went as JSON, one a line")
	return cmd
}

// backupOptions are what every backup of a runbook is given.
func (a *app) backupOptions(ctx context.Context, b *book, o backupAsked) (backup.Options, error) {
	options := backup.Options{System: b.System, Engines: engines(), OpenStore: a.manifests.Opening(opener(b.secrets)), Runbook: b.bytes, RunbookSHA256: b.source.SHA256, RunbookSignature: a.signatureOf(b), Secret: b.secrets.Expand,
		Redact: a.redact, Now: a.now}
	if b.found {
		options.Runbook = nil // it is carried into no other copy
	}
	if home, err := a.home(); err == nil { // else each backup asks anew
		options.Locks = locksSeen{home, a.now}
	}
	for _, c := range plan.Components(b.Runbook) {
		if o.component == "" || c.Name == o.component {
			options.Components = append(options.Components, c)
		}
	}
	if len(options.Components) == 0 {
		return options, usage("name one of the runbook's components", "the runbook has no component %q", o.component)
	}
	for _, name := range o.copies {
		if _, ok := b.Copy(name); !ok {
			return options, usage("choose one of the runbook's copies", "the runbook has no copy %q", name)
		}
	}
	for _, c := range plan.Copies(b.Runbook) {
		if len(o.copies) == 0 || slices.Contains(o.copies, c.Name) {
			options.Copies = append(options.Copies, c)
		}
	}
	var err error
	if options.Temp, err = a.scratch(o.temp, "--temp"); err != nil {
		return options, err
	}
	if options.Host, err = os.Hostname(); err != nil {
		return options, fmt.Errorf("name this host: %w", err)
	}
	v, _ := build()
	options.By = "comeback " + v
	return options, watchDisks(ctx, b, &options)
}

func (a *app) backup(ctx context.Context, o backupAsked) error {
	b, _, err := a.open(ctx, o.runbook)
	if err != nil {
		return err
	}
	options, err := a.backupOptions(ctx, b, o)
	if err != nil {
		return err
	}
	release, err := a.holdBackups(ctx, &options)
	if err != nil {
		return err
	}
	meters := newBackupMeters(a)
	options.Watch = meters.next
	taken, err := backup.Take(ctx, options)
	meters.end()
	err = errors.Join(err, release())
	if o.json {
		if errJSON := a.printTaken(taken); err == nil && !gone(errJSON) {
			err = errJSON
		}
	} else {
		for _, t := range taken {
			a.tellTaken(t)
		}
	}
	if err != nil {
		return err
	}
	if len(taken) == 0 {
		return usage("let a component of the runbook be one that can be backed up: see comeback runbook lint", "no engine takes a backup of what the runbook names")
	}
	return backupEnding(taken)
}

// What holds the backups of a component besides runs.
const (
	backupWork = "comeback backup"
	retainWork = "comeback retain"
)

// backupPatience is how long a backup waits for what is at work on those of its component.
const backupPatience = time.Hour

// holdBackups keeps two backups of one component from each other on this host, and says
// in the options in which place.
func (a *app) holdBackups(ctx context.Context, o *backup.Options) (release func() error, err error) {
	var names []string
	for _, c := range o.Components {
		names = append(names, c.Name)
	}
	o.Place, release, err = a.holdBackupsOf(ctx, o.System, exclusive.Holder{Work: backupWork}, a.afterRemoval(a.sayWaiting), names...)
	return release, err
}

// holdBackup is holdBackups for a step of a run, which waits for another backup, too: that
// may be one of what was live before.
func (a *app) holdBackup(ctx context.Context, system, component, run string, waiting func(string)) (place string, release func() error, err error) {
	return a.holdBackupsOf(ctx, system, exclusive.Holder{Run: run}, a.afterAnybody(waiting), component)
}

// patient says how long who holds what is waited for.
type patient func(target string, by exclusive.Holder, since time.Time) time.Duration

// afterRemoval lets a backup wait for what is removed of its component, and for nothing
// else: where another backup is at work, a second one is not wanted.
func (a *app) afterRemoval(say func(string)) patient {
	anybody := a.afterAnybody(say)
	return func(target string, by exclusive.Holder, since time.Time) time.Duration {
		if by.Work != retainWork {
			return 0
		}
		return anybody(target, by, since)
	}
}

// afterAnybody lets a backup wait for whoever is at work on the backups of its component.
func (a *app) afterAnybody(say func(string)) patient {
	return func(target string, by exclusive.Holder, since time.Time) time.Duration {
		say(a.waitingFor(target, by, since))
		return a.atMost(backupPatience)
	}
}

// waitingFor tells of a wait: "waiting: comeback backup of ops has been at work on backup
// of shop/uploads since 01:05 (process 77)".
func (a *app) waitingFor(target string, by exclusive.Holder, since time.Time) string {
	who := by.Work
	switch {
	case by.Run != "":
		who = "run " + by.Run
	case who == "":
		who = "somebody"
	}
	return fmt.Sprintf("waiting: %s of %s has been at work on %s since %s (process %d)", who, by.Operator, target, since.In(a.now().Location()).Format("15:04"), by.PID)
}

// sayWaiting tells of a wait beside what a command prints.
func (a *app) sayWaiting(text string) { fmt.Fprintln(a.err, clean(a.redact(text))) }

// atMost is how long is waited at most, which tests make short.
func (a *app) atMost(usual time.Duration) time.Duration {
	if a.longest != nil {
		return min(usual, *a.longest)
	}
	return usual
}

func (a *app) holdBackupsOf(ctx context.Context, system string, by exclusive.Holder, waits patient, components ...string) (place string, release func() error, err error) {
	home, err := a.home()
	if err != nil {
		return "", nil, err
	}
	if by.Host, err = os.Hostname(); err != nil {
		return "", nil, fmt.Errorf("name this host: %w", err)
	}
	by.Operator, by.PID = a.operator(), os.Getpid()
	var targets []string
	for _, name := range components {
		targets = append(targets, "backup of "+system+"/"+name)
	}
	hold, err := exclusive.Take(ctx, targets, exclusive.Options{Dir: filepath.Join(home.Dir, "locks"), Now: a.now, Holder: by, Waits: waits})
	if err != nil {
		return "", nil, err
	}
	return hold.Place(), func() error { return hold.Release(context.WithoutCancel(ctx)) }, nil
}

// backupEnding is the exit code of a command that has told how it went.
func backupEnding(taken []backup.Taken) error {
	code := recovery.CameBack
	for _, t := range taken {
		switch {
		case t.Err != nil:
			return &exitError{recovery.Failed}
		case len(t.Failed) > 0, len(t.Manifest.Exceptions) > 0:
			code = recovery.WithExceptions
		}
	}
	if code == recovery.CameBack {
		return nil
	}
	return &exitError{code}
}

// tellTaken prints how a backup went.
func (a *app) tellTaken(t backup.Taken) {
	say := func(format string, args ...any) {
		fmt.Fprintln(a.out, clean(a.redact(fmt.Sprintf(format, args...))))
	}
	if t.Err != nil {
		say("%-10s %-8s FAILED   %v", t.Component, t.Sort, t.Err)
		if hint := recovery.HintOf(t.Err); hint != "" {
			say("%20s next: %s", "", hint)
		}
	} else {
		m := t.Manifest
		say("%-10s %-8s %s   %s in %s   in %s", t.Component, t.Sort, m.ID, recovery.FormatBytes(m.Size()), tookText(m.Took()), strings.Join(t.Copies, ", "))
		if n := len(m.Tables); n > 0 {
			var rows int64
			for _, table := range m.Tables {
				rows += table.Rows
			}
			say("%20s %s, %s, each with its digest", "", count(int64(n), "table"), count(rows, "row"))
		}
		for _, r := range m.Remarks {
			say("%20s remark: %s", "", r)
		}
		for _, e := range m.Exceptions {
			say("%20s EXCEPTION: %s", "", e)
		}
	}
	for _, why := range t.Missing() {
		say("%20s NOT in %s", "", why)
	}
	for _, name := range slices.Sorted(maps.Keys(t.Failed)) {
		if hint := recovery.HintOf(t.Failed[name]); hint != "" && t.Err == nil {
			say("%20s next: %s: %s", "", name, hint)
		}
	}
}

func tookText(d time.Duration) string {
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return recovery.FormatSpan(d)
}

// printTaken prints how all backups went as one JSON object each.
func (a *app) printTaken(taken []backup.Taken) error {
	enc := json.NewEncoder(a.out)
	enc.SetEscapeHTML(false)
	for _, t := range taken {
		line := struct {
			Component string             `json:"component"`
			Sort      string             `json:"sort"`
			Error     string             `json:"error,omitempty"`
			Next      string             `json:"next,omitempty"`
			Copies    []string           `json:"copies,omitempty"`
			Failed    map[string]string  `json:"failed,omitempty"`
			Manifest  *recovery.Manifest `json:"manifest,omitempty"`
		}{Component: t.Component, Sort: t.Sort, Copies: t.Copies, Failed: map[string]string{}}
		if t.Err != nil {
			line.Error, line.Next = a.redact(t.Err.Error()), a.redact(recovery.HintOf(t.Err))
		} else {
			t.Manifest.Format = recovery.ManifestFormat // as it stands in the copies
			line.Manifest = &t.Manifest
		}
		for name, err := range t.Failed {
			line.Failed[name] = a.redact(err.Error())
		}
		if err := enc.Encode(line); err != nil {
			return fmt.Errorf("print how the backups went: %w", err)
		}
	}
	return nil
}
