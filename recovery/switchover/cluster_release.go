package switchover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/isolation"
	"comeback/recovery/live"
	"comeback/recovery/mounts"
	"comeback/recovery/postgres"
	"comeback/said"
)

// recorded is a switch of a cluster as its claims tell of it.
type recorded struct {
	address string
	cluster live.Cluster
	service live.Service
	back    bool
}

func clusterOfRecord(r recovery.Resource, expand func(string) (string, error)) (c recorded, err error) {
	if c.address, err = expand(r.Details["address"]); err != nil {
		return c, err
	}
	major, err := strconv.Atoi(r.Details["major"])
	if err != nil || !filepath.IsAbs(r.Details["data"]) || !filepath.IsAbs(r.Details["aside"]) {
		return c, fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, errNotRecorded)
	}
	tools, err := postgres.FindTools(major)
	if err != nil {
		return c, err
	}
	pair := exchange.Pair{Live: r.Details["data"], Beside: r.Details["aside"]}
	if err := errors.Join(pair.Old.UnmarshalText([]byte(r.Details["old"])), pair.New.UnmarshalText([]byte(r.Details["new"]))); err != nil {
		return c, fmt.Errorf("give back %s %s: %w", r.Kind, r.ID, err)
	}
	c.cluster = live.Cluster{Pair: pair, Tools: tools}
	c.service = live.Service{Data: pair.Live, Tools: tools, StopCommand: words(r.Details["stop"]), StartCommand: words(r.Details["start"])}
	c.back = r.Details["back"] != ""
	return c, nil
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, "\x00")
}

// undoExchange makes live again what was before the run. The server of what had been
// made live may run already.
type undoExchange struct {
	expand func(string) (string, error)
}

func (undoExchange) Resource() recovery.ResourceKind { return exchangedCluster }

func (k undoExchange) Release(ctx context.Context, r recovery.Resource) error {
	c, err := clusterOfRecord(r, k.expand)
	if err != nil {
		return err
	}
	at, err := c.cluster.Pair.Side()
	if err != nil {
		return err
	}
	act, done := c.cluster.Undo, exchange.Before
	if c.back {
		act, done = c.cluster.Exchange, exchange.After
	}
	if at == done {
		return nil
	}
	if _, err := c.service.Stop(ctx, releaseEnv{}); err != nil {
		return err
	}
	return act(ctx)
}

// undoOpenedCluster makes live again what was before the run, and marks what users may
// have been let into: removeRestored does not remove it then. Of a switch back it is as
// undoOpened is.
type undoOpenedCluster struct {
	expand func(string) (string, error)
}

func (undoOpenedCluster) Resource() recovery.ResourceKind { return openedCluster }

func (k undoOpenedCluster) Release(ctx context.Context, r recovery.Resource) error {
	c, err := clusterOfRecord(r, k.expand)
	if err != nil {
		return err
	}
	if c.back {
		return nil
	}
	at, err := c.cluster.Pair.Side()
	if err != nil || at == exchange.Before {
		return err
	}
	if _, err := c.service.Stop(ctx, releaseEnv{}); err != nil {
		return err
	}
	if err := markOpened(c.cluster.Pair.Live); err != nil {
		return err
	}
	return c.cluster.Undo(ctx)
}

// openedFile stands in a data directory that was live and may hold what people wrote.
const openedFile = "comeback.was-open"

// markOpened marks a data directory, durably, with a file of the directory's owner.
func markOpened(data string) error {
	dir, err := os.Open(data)
	if err != nil {
		return fmt.Errorf("mark %s as opened: %w", data, err)
	}
	defer dir.Close()
	info, err := dir.Stat()
	if err != nil {
		return fmt.Errorf("mark %s as opened: %w", data, err)
	}
	f, err := os.OpenFile(filepath.Join(data, openedFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // follows no link
	switch {
	case errors.Is(err, fs.ErrExist): // by an earlier attempt
		err = nil
	case err == nil:
		if owner, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
			err = f.Chown(int(owner.Uid), int(owner.Gid))
		}
		err = errors.Join(err, f.Sync(), f.Close())
	}
	if err = errors.Join(err, dir.Sync()); err != nil {
		return fmt.Errorf("mark %s as opened: %w", data, err)
	}
	return nil
}

// startAgain starts whatever is live.
type startAgain struct {
	expand func(string) (string, error)
}

func (startAgain) Resource() recovery.ResourceKind { return stopped }

func (k startAgain) Release(ctx context.Context, r recovery.Resource) error {
	c, err := clusterOfRecord(r, k.expand)
	if err != nil {
		return err
	}
	return c.service.Start(ctx, releaseEnv{}, c.address)
}

// removeRestored removes a restored data directory that did not become live: that
// one, and no other that stands at its place. Old data are not touched, nor what is
// live, nor what was open to its users.
type removeRestored struct {
	expand func(string) (string, error)
}

func (removeRestored) Resource() recovery.ResourceKind { return restoredDirectory }

func (k removeRestored) Release(_ context.Context, r recovery.Resource) error {
	c, err := clusterOfRecord(r, k.expand)
	if err != nil {
		return err
	}
	if at, err := c.cluster.Pair.Side(); err == nil && at == exchange.After {
		return nil
	}
	place := c.cluster.Pair.Beside
	found, err := exchange.Identify(place)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !found.Is(c.cluster.Pair.New) || found == (exchange.Identity{}) {
		return recovery.Errorf("look at it; it is not what this run has restored", "%s is another directory now, and is left alone", place)
	}
	pids, err := postgres.Processes(place)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return recovery.Errorf("stop it, then remove the directory by hand", "a server uses %s (process %d)", place, pids[0])
	}
	if _, err := os.Lstat(filepath.Join(place, openedFile)); err == nil {
		return recovery.Errorf("start a server on it at another port to look for what they wrote, then remove it by hand",
			"%s was open to its users, may hold what they wrote, and is kept", place).WithExit(recovery.Refused)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", place, err)
	}
	if err := mounts.NothingIn(place); err != nil {
		return fmt.Errorf("remove the restored directory: %w", err)
	}
	if err := os.RemoveAll(place); err != nil {
		return fmt.Errorf("remove the restored directory: %w", err)
	}
	return nil
}

// releaseEnv is all that giving back a claim has of a run: programs.
type releaseEnv struct{ recovery.Env }

func (releaseEnv) Meter() recovery.Meter { return silent{} }

// commandWithin is how long a program that gives back a claim may take: longer than
// pg_ctl waits for a server's end. Nobody can stop a run that is cleaning up.
const commandWithin = 15 * time.Minute

// Command runs a program in a process group of its own, which ends with ctx.
func (releaseEnv) Command(ctx context.Context, c recovery.Cmd) error {
	ctx, cancel := context.WithTimeoutCause(ctx, commandWithin, fmt.Errorf("it did not end within %s", recovery.FormatSpan(commandWithin)))
	defer cancel()
	says := &said.Last{Most: mostWords}
	c.Stderr = says
	err := isolation.Run(isolation.Command(ctx, c))
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	}
	return fmt.Errorf("%s: %w: %s", filepath.Base(c.Path), err, says)
}

// mostWords bounds what an error repeats of a program's words.
const mostWords = 4 << 10

// silent is a meter that nobody looks at.
type silent struct{ recovery.Meter }

func (silent) Phase(string, int64, recovery.Unit) {}
