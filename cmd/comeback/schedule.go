package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/catalogue"
	"comeback/recovery/check"
	"comeback/recovery/execute"
	"comeback/recovery/limits"
	"comeback/recovery/plan"
	"comeback/recovery/postgres"
	"comeback/recovery/schedule"
)

// scheduleAsked is what `comeback schedule` was asked for.
type scheduleAsked struct {
	runbook, dir, user, environment, metrics, key string
	limits                                        limits.Limits
	success, failure                              []string
	cron, install, remove                         bool
}

// Where units and crontabs belong.
const (
	unitDir = "/etc/systemd/system"
	cronDir = "/etc/cron.d"
)

// wanted are the directories below that of the units in which systemd keeps a link to
// what it starts by itself.
var wanted = []string{"timers.target.wants", "multi-user.target.wants"}

func (a *app) scheduleCommand() *cobra.Command {
	var o scheduleAsked
	cmd := &cobra.Command{
		Use: "schedule RUNBOOK", Short: "Timers for the backups, checks and rehearsals of a runbook",
		Long: `Writes what this host has to do by itself: backups of every component (each night;
files twice in the time of the RPO, each two minutes at most), the log for copies that lack it, checks each
hour, rehearsals as often as the runbook asks for, and the removal of backups that
` + "`retain:`" + ` does not keep. They are systemd services
with timers, or, with --cron, lines for /etc/cron.d. All run as one user (--user);
as services each may write where its job must and nowhere else.

Without --install nothing is written but to the screen. --install refuses jobs that
could not work, because their user cannot get to the program, the runbook, the state,
scratch, the key, a copy on this host or the place of the metrics, or the values that
the runbook needs are not there (--environment). --remove takes away what --install
has written, units and lines for cron.

Where components say ` + "`retain:`" + `, a job each day (08:35) runs ` + "`comeback retain --remove`" + `, which
removes the backups that need not be kept. A component with ` + "`receiver:`" + ` gets a service
that stays, comeback wal receive, instead of a timer (under cron it is started every
five minutes where it does not run).

Without --key rehearsals are unsigned, and prove nothing. --max-disk and --min-memory
are limits for them. --on-success and --on-failure are commands, told {job}: let
--on-success ping a dead man's switch, so that a job which did not run is noticed by
somebody else. They are split into words as a shell does it, and no shell runs them.

Exit codes:
  0    shown, installed or removed
  1    a file could not be written or removed, or systemd refuses
  2    the command, the runbook or its environment is wrong
  3    refused: the jobs could not work as that user
  130  interrupted`,
		Example: `  comeback schedule /etc/comeback/shop.md
  sudo comeback schedule /etc/comeback/shop.md --install --key /etc/comeback/key \
      --max-disk 50GB --on-success "curl -fsS https://hc.example.com/shop-{job}"
  comeback schedule /etc/comeback/shop.md --cron
  sudo comeback schedule /etc/comeback/shop.md --remove`,
		Args: oneArgument("RUNBOOK"), ValidArgsFunction: runbookArgument,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runbook = args[0]
			return a.schedule(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.cron, "cron", false, "lines for cron instead of systemd's units")
	f.BoolVar(&o.install, "install", false, "write them where they belong, and start the timers")
	f.BoolVar(&o.remove, "remove", false, "stop the timers and remove what --install has written, units and lines for cron")
	f.StringVar(&o.dir, "dir", "", "another `DIRECTORY` than "+unitDir+" or "+cronDir+"; nothing is started then")
	f.StringVar(&o.user, "user", "postgres", "the `USER` that runs the jobs: the one who archives the log")
	f.StringVar(&o.environment, "environment", "", "a `FILE` with the variables that the runbook needs (default /etc/comeback/SYSTEM.env)")
	f.StringVar(&o.metrics, "prometheus", "", "let checks write metrics into this `FILE`")
	f.StringVar(&o.key, "key", "", "sign the reports of rehearsals with this SSH private key `FILE`; unsigned they prove nothing")
	sizeVar(f, &o.limits.Disk, "max-disk", "rehearsals never take more disk than this, like 50GB; no limit if it is not given, or 0")
	sizeVar(f, &o.limits.Memory, "min-memory", "rehearsals do not begin while less memory is free than this, like 2GB; no limit if it is not given, or 0")
	f.StringArrayVar(&o.success, "on-success", nil, "a `COMMAND` for when a job has ended well; given several times, each is a word of it")
	f.StringArrayVar(&o.failure, "on-failure", nil, "a `COMMAND` for when a job has failed; given several times, each is a word of it")
	return cmd
}

func (a *app) schedule(ctx context.Context, o scheduleAsked) error {
	b, _, err := a.open(ctx, o.runbook)
	if err != nil {
		return err
	}
	if inCopy(b.path) {
		return usage("copy it to a file of this host (cp, or aws s3 cp "+b.path+" "+b.System+".md), and give that",
			"jobs go by a runbook that people change on this host, and %s is what a backup has stored", b.path)
	}
	if o.install && o.remove {
		return usage("give one of them", "--install and --remove exclude each other")
	}
	s, err := a.scheduleOptions(b, o)
	if err != nil {
		return err
	}
	files := schedule.Systemd(s)
	dir := unitDir
	if o.cron {
		files, dir = []schedule.File{{Name: cronName(b.System), Text: schedule.Cron(s)}}, cronDir
	}
	start := o.dir == "" && !o.cron
	if o.dir != "" {
		dir = o.dir
	}
	switch {
	case o.install:
		if err := o.refuseUnreachable(s, b.Needs); err != nil {
			return err
		}
		return a.installUnits(ctx, dir, b.System, files, start)
	case o.remove:
		dirs := []string{dir}
		if start { // either may have been installed
			dirs = []string{a.unitDir, a.cronDir}
		}
		return a.removeUnits(ctx, dirs, b.System, start)
	}
	for i, f := range files {
		if i > 0 {
			fmt.Fprintln(a.out)
		}
		fmt.Fprintf(a.out, "# %s\n%s", filepath.Join(dir, f.Name), f.Text)
	}
	return nil
}

// scheduleOptions are what the runbook and the command line say.
func (a *app) scheduleOptions(b *book, o scheduleAsked) (schedule.Options, error) {
	home, err := a.home()
	if err != nil {
		return schedule.Options{}, err
	}
	s := schedule.Options{System: b.System, Runbook: b.path, Program: executable(), Components: backedUpHere(b), RPO: b.RPO, Rehearse: b.Rehearse,
		User: o.user, State: home.Dir, Environment: o.environment, Metrics: o.metrics, Key: o.key, MaxDisk: sizeFlag(o.limits.Disk), MinMemory: sizeFlag(o.limits.Memory)}
	if s.Success, err = commandWords(o.success); err == nil {
		s.Failure, err = commandWords(o.failure)
	}
	if err != nil {
		return s, err
	}
	if s.Environment == "" {
		s.Environment = "/etc/comeback/" + b.System + ".env"
	}
	if s.Environment, err = filepath.Abs(s.Environment); err != nil {
		return s, err
	}
	// What the jobs are told there counts for them, and not what this shell has.
	told := map[string]string{}
	if text, err := os.ReadFile(s.Environment); err == nil {
		for _, v := range schedule.Environment(string(text)) {
			name, value, _ := strings.Cut(v, "=")
			told[name] = value
		}
	}
	s.SharesTmp = socketInTmp(b, told)
	if s.Scratch, err = a.scratch(told["COMEBACK_SCRATCH"], "COMEBACK_SCRATCH in "+s.Environment); err != nil {
		return s, err
	}
	for _, c := range plan.Copies(b.Runbook) {
		if u, err := url.Parse(c.URL); err == nil && u.Scheme == "file" && filepath.IsAbs(u.Path) {
			s.Writes = append(s.Writes, u.Path)
		}
	}
	return s, nil
}

// socketInTmp reports whether a live server is reached by a socket below /tmp or /var/tmp, as
// far as the runbook and what jobs are told say so: by its address, or because that names no
// host and this one's servers have their sockets there.
func socketInTmp(b *book, told map[string]string) bool {
	in := func(dir string) bool {
		dir = filepath.Clean(dir) + "/"
		return strings.HasPrefix(dir, "/tmp/") || strings.HasPrefix(dir, "/var/tmp/")
	}
	secrets := execute.NewSecrets(func(name string) (string, bool) { v, ok := told[name]; return v, ok }, nil)
	for _, c := range plan.Components(b.Runbook) {
		for _, key := range []string{"url", "admin"} {
			address, err := secrets.Expand(c.Settings.Text(key))
			if c.Kind != recovery.Postgres || err != nil || address == "" {
				continue
			}
			config, err := postgres.LiveConfig(address)
			if err != nil {
				continue // whoever asks that server says so
			}
			if in(config.Host) || in(told["PGHOST"]) || slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool { return in(f.Host) }) {
				return true
			}
		}
	}
	return false
}

// backedUpHere are the components that comeback itself takes backups of; others are
// another program's to back up, on a schedule of its own.
func backedUpHere(b *book) []recovery.Component {
	return slices.DeleteFunc(slices.Clone(plan.Components(b.Runbook)), func(c recovery.Component) bool {
		return !slices.ContainsFunc(catalogue.For(c, engines()), func(e recovery.Engine) bool {
			_, takes := e.(recovery.Capturer)
			return takes
		})
	})
}

// cronName is that of the file with a system's lines for cron.
func cronName(system string) string { return strings.TrimSuffix(schedule.Prefix(system), "-") }

// scheduled are the jobs that a runbook asks for, and whether this host has been told to
// do them.
func (a *app) scheduled(b *book) []check.Job {
	crontab, err := os.ReadFile(filepath.Join(a.cronDir, cronName(b.System)))
	inCron := err == nil
	var jobs []check.Job
	for _, j := range schedule.Jobs(schedule.Options{System: b.System, Runbook: b.path, Components: backedUpHere(b), RPO: b.RPO, Rehearse: b.Rehearse}) {
		job := check.Job{Name: j.Name, Component: j.Component, Unit: j.Unit(b.System)}
		unit, err := os.ReadFile(filepath.Join(a.unitDir, job.Unit))
		isUnit := err == nil && strings.Contains(string(unit), schedule.Mark(b.System)+"\n")
		started := slices.ContainsFunc(wanted, func(target string) bool {
			_, err := os.Lstat(filepath.Join(a.unitDir, target, job.Unit))
			return err == nil
		})
		job.Told = isUnit && started || inCron && schedule.InCron(string(crontab), b.System, j)
		job.Idle = isUnit && !job.Told
		jobs = append(jobs, job)
	}
	return jobs
}

// commandWords is a command by its words: as they were given one by one, or a line
// that is split at its spaces, except within quotes.
func commandWords(given []string) ([]string, error) {
	if len(given) != 1 {
		return given, nil
	}
	var words []string
	var word strings.Builder
	begun, quote := false, rune(0)
	for _, r := range given[0] {
		switch {
		case r == quote:
			quote = 0
		case quote == 0 && (r == '\'' || r == '"'):
			begun, quote = true, r
		case quote == 0 && unicode.IsSpace(r):
			if begun {
				words = append(words, word.String())
			}
			begun = false
			word.Reset()
		default:
			begun = true
			word.WriteRune(r)
		}
	}
	if quote != 0 {
		return nil, usage("close it, or give the words one by one, each with the flag", "a quote %c is not closed: %s", quote, given[0])
	}
	if begun {
		words = append(words, word.String())
	}
	return words, nil
}

// installUnits writes the files, and starts the timers where they belong.
func (a *app) installUnits(ctx context.Context, dir, system string, files []schedule.File, start bool) error {
	var timers []string
	for _, f := range files {
		path := filepath.Join(dir, f.Name)
		if err := writeUnit(path, f.Text, system); err != nil {
			return recovery.Errorf("run it as root, or give a --dir that you may write to", "write %s: %w", path, err)
		}
		fmt.Fprintf(a.out, "wrote  %s\n", path)
		if starts(f.Name, f.Text) {
			timers = append(timers, f.Name)
		}
	}
	if !start {
		return nil
	}
	const hint = "the files are written; start the timers by hand, or use --cron where no systemd runs"
	if err := systemctl(ctx, hint, "daemon-reload"); err != nil {
		return err
	}
	return systemctl(ctx, hint, append([]string{"enable", "--now"}, timers...)...)
}

// starts reports whether a unit is one that is started by itself: a timer, or a
// service that stays.
func starts(name, text string) bool {
	return strings.HasSuffix(name, ".timer") || strings.HasSuffix(name, ".service") && strings.Contains(text, "\n[Install]\n")
}

// writeUnit replaces a file that this program has written, and no other one.
func writeUnit(path, text, system string) error {
	old, err := os.ReadFile(path)
	if err == nil && !strings.Contains(string(old), schedule.Mark(system)) {
		return errors.New("there is a file of that name that comeback has not written for this system")
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.Publish(path, []byte(text))
}

// removeUnits removes the files of a system that this program has written: units, and
// lines for cron.
func (a *app) removeUnits(ctx context.Context, dirs []string, system string, stop bool) error {
	var paths, timers []string
	for _, dir := range dirs {
		units, err := filepath.Glob(filepath.Join(dir, schedule.Prefix(system)+"*"))
		if err != nil {
			return fmt.Errorf("list the units: %w", err)
		}
		paths = append(append(paths, units...), filepath.Join(dir, cronName(system)))
	}
	paths = slices.DeleteFunc(paths, func(path string) bool {
		text, err := os.ReadFile(path)
		ours := err == nil && strings.Contains(string(text), schedule.Mark(system))
		if ours && starts(path, string(text)) {
			timers = append(timers, filepath.Base(path))
		}
		return !ours
	})
	if len(paths) == 0 {
		fmt.Fprintf(a.out, "nothing is installed for %s in %s\n", clean(system), strings.Join(dirs, " or "))
		return nil
	}
	if stop && len(timers) > 0 {
		const hint = "nothing is removed; run it as root, or stop the timers by hand and remove it again"
		if err := systemctl(ctx, hint, append([]string{"disable", "--now"}, timers...)...); err != nil {
			return err
		}
	}
	for _, path := range paths {
		if err := os.Remove(path); err != nil {
			return recovery.Errorf("run it as root", "remove %s: %w", path, err)
		}
		fmt.Fprintf(a.out, "removed  %s\n", path)
	}
	if stop && slices.ContainsFunc(paths, func(path string) bool { return filepath.Base(path) != cronName(system) }) {
		return systemctl(ctx, "the files are removed; let systemd know it: systemctl daemon-reload", "daemon-reload")
	}
	return nil
}

// systemctl asks systemd; an error has its words, and what is to be done then.
func systemctl(ctx context.Context, hint string, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if err != nil {
		return recovery.Errorf(hint, "systemctl %s: %s (%w)",
			args[0], strings.TrimSpace(string(out)), err)
	}
	return nil
}
