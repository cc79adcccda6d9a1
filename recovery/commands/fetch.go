package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"comeback/durable"
	"comeback/recovery"
	"comeback/recovery/ledger"
	"comeback/recovery/mounts"
	"comeback/recovery/provider"
)

// fetchKind runs fetch. An interruption leaves a part in the directory of the
// backup, which the command finds there again, and perhaps something elsewhere,
// which remove takes away first.
type fetchKind struct{ engine }

func (fetchKind) Name() string              { return "commands.fetch" }
func (fetchKind) Restart() recovery.Restart { return recovery.Continue }

// fetched is what stands in the scratch target when fetch has ended well.
type fetched struct {
	saying
	Boot string `json:"boot"`
}

const fetchedFile = "fetched.json"

// place is a scratch target of this engine.
type place struct {
	args
	handle recovery.Handle
}

func openPlace(ctx context.Context, env recovery.Env, step recovery.Step) (place, error) {
	var p place
	if err := step.Decode(&p.args); err != nil {
		return p, err
	}
	var err error
	if p.handle, err = env.Target(ctx, p.Target); err == nil && !p.handle.Scratch {
		err = provider.NotScratch("a command", p.Target)
	}
	return p, err
}

// dir is the directory that the command is given: one for each backup and moment,
// so that a part of another one is never taken for this one's.
func (p place) dir() string {
	return filepath.Join(p.handle.Dir, "fetched-"+provider.Digest(p.Copy.Name, p.Backup, p.To.Format(time.RFC3339))[:8])
}

// name is new for each run and component: that of the run's scratch directory.
func (p place) name() string {
	return provider.Name(provider.Run(p.handle.Dir)+"-"+p.Component, 63)
}

func (k fetchKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := p.prepare(); err != nil {
		return recovery.Outcome{}, err
	}
	if err := k.claim(ctx, env, p); err != nil {
		return recovery.Outcome{}, err
	}
	asked, err := ofCopy(p.Copy, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	to := ""
	if !p.To.IsZero() {
		to = p.To.UTC().Format(time.RFC3339)
	}
	c := p.Fetch
	c.Asked = append(append(c.Asked, asked...), "COMEBACK_BACKUP="+p.Backup, "COMEBACK_TO="+to, "COMEBACK_DIR="+p.dir(), "COMEBACK_NAME="+p.name())
	environ, err := c.environ(k.Getenv, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	out := &answer{meter: env.Meter()}
	out.meter.Phase("fetch "+p.Backup, 0, recovery.InBytes)
	seen := out.watch(p.dir())
	err = env.Command(ctx, recovery.Cmd{Path: c.Argv[0], Args: c.Argv[1:], Dir: p.dir(), Env: environ, Stdout: out})
	seen()
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("read the step's log; the command can be run by hand with the same environment", "fetch %s: %w", p.Backup, err)
	}
	out.meter.Phase("look at what was made", 0, recovery.NoUnit)
	said, err := out.result(recovery.ComponentKind(p.Kind), p.dir(), p.Remove != nil)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("fetch %s: %w", p.Backup, err)
	}
	if err := p.keep(fetched{saying: said, Boot: ledger.Boot()}); err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s was fetched by %s", p.Backup, c.Argv[0]),
		Facts:   map[string]string{"backup": p.Backup, "program": strings.Join(c.Argv, " "), "taken": p.Taken.Says()},
		Remarks: []string{"the command that fetched was not shut off from anything: what it reaches is the runbook's"}}
	if said.Address != "" {
		o.Facts["made elsewhere"] = p.name()
	}
	provider.TellNetwork(&o, step)
	return o, nil
}

// prepare makes the command's directory and removes those of other backups, and the
// note of an earlier attempt.
func (p place) prepare() error {
	all, err := filepath.Glob(filepath.Join(p.handle.Dir, "fetched-*"))
	if err != nil {
		return err
	}
	for _, dir := range all {
		if dir != p.dir() {
			err = errors.Join(err, removeFetched(dir))
		}
	}
	if errNote := os.Remove(filepath.Join(p.handle.Dir, fetchedFile)); !errors.Is(errNote, fs.ErrNotExist) {
		err = errors.Join(err, errNote)
	}
	if errMake := os.Mkdir(p.dir(), 0o700); !errors.Is(errMake, fs.ErrExist) {
		err = errors.Join(err, errMake)
	}
	if err != nil {
		return fmt.Errorf("make room for what is fetched: %w", err)
	}
	return nil
}

// removeFetched removes the directory of another backup. What its command has mounted there
// keeps what it holds.
func removeFetched(dir string) error {
	if err := mounts.NothingIn(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// claim records what the command may make elsewhere, and removes what an earlier
// attempt has made.
func (k fetchKind) claim(ctx context.Context, env recovery.Env, p place) error {
	if p.Remove == nil {
		return nil
	}
	r := p.Remove.of(p.Copy, p.name()).claim(p.name())
	for _, held := range env.Held() {
		if held.Kind == r.Kind && held.ID == r.ID {
			env.Meter().Phase("remove what an earlier attempt has made", 0, recovery.NoUnit)
			return Releaser{Expand: env.Secret, Getenv: k.Getenv}.Release(ctx, r)
		}
	}
	return env.Claim(ctx, r)
}

// keep notes what was fetched, durably.
func (p place) keep(f fetched) error {
	b, err := json.Marshal(f)
	path := filepath.Join(p.handle.Dir, fetchedFile)
	if err == nil {
		err = durable.Replace(path, b)
	}
	if err != nil {
		return fmt.Errorf("note what was fetched: %w", err)
	}
	return nil
}

// fetched is the note; recovery.ErrGone where there is none, or where what it tells
// of lies here and the machine was started again, because nobody has synced it.
func (p place) fetched(rebooted bool) (fetched, error) {
	var f fetched
	b, err := os.ReadFile(filepath.Join(p.handle.Dir, fetchedFile))
	if errors.Is(err, fs.ErrNotExist) {
		return f, fmt.Errorf("nothing fetched stands in %s: %w", p.handle.Dir, recovery.ErrGone)
	}
	if err == nil {
		err = json.Unmarshal(b, &f)
	}
	if err != nil {
		return f, fmt.Errorf("read what was fetched: %w", err)
	}
	if f.Address == "" && (rebooted || f.Boot != ledger.Boot()) {
		return f, fmt.Errorf("the machine was started again, and nothing says that what was fetched was on disk: %w", recovery.ErrGone)
	}
	return f, nil
}

// Revive looks whether what was fetched stands.
func (k fetchKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, rebooted bool) error {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return err
	}
	f, err := p.fetched(rebooted)
	if err != nil || f.Address != "" {
		return err
	}
	if _, err := os.Lstat(filepath.Join(p.dir(), f.Tree+f.Cluster)); err != nil {
		return fmt.Errorf("what was fetched is not there any more: %w", recovery.ErrGone)
	}
	return nil
}
