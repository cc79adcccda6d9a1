package live

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/postgres"
)

// Cluster is the switch of a whole data directory on this machine by one run. The
// same values may be used again, by another process too: how far the switch has
// come is read from the two directories' inodes.
type Cluster struct {
	// Pair is the live data directory and the restored one beside it, as Prepare
	// has found them.
	Pair  exchange.Pair  `json:"pair"`
	Tools postgres.Tools `json:"-"`
	// Before, where it is not nil, is called before each act that changes
	// something live, with what it does. Its error ends the function, which
	// leaves live as it was.
	Before func(ctx context.Context, what string) error `json:"-"`
}

// Exchange makes the restored data directory live, in one step. Both servers must
// be shut down: a process that uses one of the directories is a refusal before, and
// one that was started meanwhile takes the exchange back. Where it has happened
// already, nothing is done.
func (c Cluster) Exchange(ctx context.Context) error {
	return c.to(ctx, exchange.After, "exchange the live data directory and the restored one", c.Pair.Exchange, c.Pair.Undo)
}

// Undo makes the old data directory live again, in the same way: the server of the
// new one must be shut down. It may be repeated.
func (c Cluster) Undo(ctx context.Context) error {
	return c.to(ctx, exchange.Before, "exchange the data directories back", c.Pair.Undo, c.Pair.Exchange)
}

func (c Cluster) to(ctx context.Context, want exchange.Side, what string, act, back func() error) error {
	at, err := c.Pair.Side()
	if err != nil {
		return err
	}
	if at == want {
		return act() // which makes it durable
	}
	if err := c.idle(ctx, want); err != nil {
		return err
	}
	if c.Before != nil {
		if err := c.Before(ctx, what); err != nil {
			return err
		}
	}
	// Whatever has been started while the announcement was made durable.
	if err := c.unused(); err != nil {
		return err
	}
	if err := act(); err != nil {
		return err
	}
	if err := c.unused(); err != nil {
		return errors.Join(err, back())
	}
	return nil
}

// idle refuses to exchange directories of which one is in use. The one that
// becomes live must have been shut down cleanly; the one that was live may have
// crashed, that is how outages are.
func (c Cluster) idle(ctx context.Context, want exchange.Side) error {
	if err := c.unused(); err != nil {
		return err
	}
	if want == exchange.Before {
		return nil
	}
	control, err := postgres.ReadControl(ctx, c.Tools, c.Pair.Beside)
	if err != nil {
		return err
	}
	if control.State != "shut down" {
		return recovery.Errorf("prepare it again", "refused: the data directory %s was not shut down, it is %q", c.Pair.Beside, control.State).WithExit(recovery.Refused)
	}
	return nil
}

// unused refuses directories that a server uses.
func (c Cluster) unused() error {
	for _, dir := range []string{c.Pair.Live, c.Pair.Beside} {
		if err := unusedBy(dir); err != nil {
			return err
		}
	}
	return nil
}

func unusedBy(dir string) error {
	pids, err := postgres.Processes(dir)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return recovery.Errorf("stop it, and what starts it (systemd, patroni, a watchdog), then retry",
			"refused: a server uses %s (process %d)", dir, pids[0]).WithExit(recovery.Refused)
	}
	return nil
}

// ownerOf is who a data directory belongs to, and how it may be entered.
func ownerOf(dir string) (u recovery.User, mode fs.FileMode, err error) {
	info, err := os.Stat(dir)
	if err != nil {
		return u, 0, fmt.Errorf("look at the data directory: %w", err)
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return u, 0, fmt.Errorf("look at the data directory: its owner is not told")
	}
	return recovery.User{Name: fmt.Sprintf("user %d", st.Uid), UID: int(st.Uid), GID: int(st.Gid)}, info.Mode().Perm(), nil
}

// mayServe refuses to act on a data directory for anybody but root and its owner:
// others do not even see its processes.
func mayServe(u recovery.User, dir string) error {
	if euid := os.Geteuid(); euid == 0 || euid == u.UID {
		return nil
	}
	return recovery.Errorf("run comeback as root or as the server's user", "refused: %s belongs to %s, and only its owner or root can see whether its server runs", dir, u.Name).WithExit(recovery.Refused)
}

// asUser is who programs of a data directory are run as; nil is ourselves.
func asUser(u recovery.User) *recovery.User {
	if os.Geteuid() != 0 || u.UID == 0 {
		return nil
	}
	return &u
}

// Serves proves that the server that answers is the restored one: it serves the
// directory that was prepared, and is the cluster and on the timeline that were
// prepared.
func (c Cluster) Serves(ctx context.Context, address string, p Preparation) (Identity, error) {
	id, err := Identify(ctx, address)
	if err != nil {
		return id, err
	}
	var wrong []string
	if id.SystemIdentifier != p.System {
		wrong = append(wrong, fmt.Sprintf("its system identifier is %s and not %s", id.SystemIdentifier, p.System))
	}
	if id.Timeline != p.Timeline {
		wrong = append(wrong, fmt.Sprintf("it is on timeline %d and not %d", id.Timeline, p.Timeline))
	}
	if id.Standby {
		wrong = append(wrong, "it is a standby")
	}
	if !id.Inode.Is(c.Pair.New) {
		wrong = append(wrong, fmt.Sprintf("it serves %s (%s) and not the restored directory (%s)", orUnknown(id.Data), orUnknown(id.Inode.String()), c.Pair.New))
	}
	if len(wrong) > 0 {
		return id, recovery.Errorf("find out which server answers at that address; switch back if it is not the restored one",
			"the server that answers is not the restored one: %s", strings.Join(wrong, "; "))
	}
	return id, nil
}

func orUnknown(s string) string {
	if s == "" {
		return "not known"
	}
	return s
}
