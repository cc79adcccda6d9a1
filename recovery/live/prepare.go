package live

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
)

// Restored is a data directory that was restored beside the live one, promoted and
// shut down.
type Restored struct {
	// Live and Data are the two data directories.
	Live, Data string
	Tools      postgres.Tools
	// System is the system identifier that both must have; Timeline the one that
	// live was on, which the restored must be beyond.
	System   string
	Timeline uint32
	// Conf is where the configuration is taken from; where it is empty, from
	// Live, and on a fresh host from the backup itself.
	Conf string
	// Synchronous is live's synchronous_standby_names. Down says that it is not known,
	// because live's server was down, or there was none.
	Synchronous string
	Down        bool
	// Own says that the runbook's own commands start the server: they may know of a
	// configuration that lies outside of the data directory.
	Own bool
	// Boot is the boot in which it was restored, where that was without fsync;
	// another one since is a refusal.
	Boot string
}

// Preparation is what Prepare has found and done.
type Preparation struct {
	Pair exchange.Pair `json:"pair"`
	// System and Timeline are the restored cluster's.
	System   string `json:"system"`
	Timeline uint32 `json:"timeline"`
	// Taken are the files of the configuration that are live's, or on a fresh host, where
	// there is nothing else, the backup's: Fresh says that.
	Taken []string `json:"taken,omitempty"`
	Fresh bool     `json:"fresh,omitempty"`
	// Dropped are settings that were left out, and why.
	Dropped []Dropped `json:"dropped,omitempty"`
	// Archivable are the files of the log that the live server will archive when
	// it starts: the new timeline's history first.
	Archivable []string `json:"archivable,omitempty"`
	Remarks    []string `json:"remarks,omitempty"`
}

// Dropped is a setting of live's that the restored server does not get.
type Dropped struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Prepare makes a live server's data directory of a restored one, where it lies:
// live's configuration instead of scratch's, without what belongs to a recovery or
// a standby; live's owner and permissions; the new timeline's log ready to be
// archived. It only reads live, and refuses what could not be exchanged. When it
// returns everything is on disk.
//
// It may be repeated until the exchange. Of what it returns the Pair must be kept:
// after the exchange it tells which is which.
func Prepare(ctx context.Context, env recovery.Env, r Restored) (Preparation, error) {
	if err := r.Tools.Need("initdb", "pg_controldata"); err != nil {
		return Preparation{}, err
	}
	if r.Boot != "" && r.Boot != ledger.Boot() {
		return Preparation{}, recovery.Errorf("restore it again", "refused: the machine was started again since %s was restored without fsync", r.Data).WithExit(recovery.Refused)
	}
	p := &preparation{env: env, Restored: r}
	if err := p.admissible(ctx); err != nil {
		return Preparation{}, err
	}
	if err := p.open(); err != nil {
		return Preparation{}, err
	}
	defer p.root.Close() // it was only gone through
	for _, step := range []func(context.Context) error{p.own, p.configure, p.loadable, p.setAside, p.archivable, p.sync} {
		if err := step(ctx); err != nil {
			return Preparation{}, err
		}
	}
	return p.Preparation, nil
}

// preparation is one Prepare.
type preparation struct {
	Preparation
	Restored
	env   recovery.Env
	owner recovery.User
	mode  fs.FileMode
	// root is the restored directory. It is another user's, and so may be the one that it lies
	// in: all that is changed is changed below it, whatever stands at its path meanwhile, and
	// no link leads out of it.
	root *os.Root
}

// open opens the restored directory that was looked at, and no other in its place.
func (p *preparation) open() (err error) {
	if p.root, err = os.OpenRoot(p.Pair.Beside); err != nil {
		return fmt.Errorf("open the restored directory: %w", err)
	}
	info, err := p.root.Stat(".")
	if err != nil {
		return errors.Join(fmt.Errorf("open the restored directory: %w", err), p.root.Close())
	}
	if st, ok := info.Sys().(*syscall.Stat_t); !ok || st.Dev != p.Pair.New.Device || st.Ino != p.Pair.New.Inode {
		return errors.Join(recovery.Errorf("find out who has put it there, then retry", "refused: another directory than the restored one stands at %s now", p.Pair.Beside).WithExit(recovery.Refused), p.root.Close())
	}
	return nil
}

// admissible refuses what must not become live.
func (p *preparation) admissible(ctx context.Context) (err error) {
	if p.Pair, err = exchange.Look(p.Live, p.Data); err != nil {
		return err
	}
	if p.Fresh, err = fresh(p.Pair.Live); err != nil {
		return err
	}
	if p.owner, p.mode, err = p.whose(); err != nil {
		return err
	}
	if err := mayServe(p.owner, p.Live); err != nil {
		return err
	}
	if err := unusedBy(p.Pair.Beside); err != nil {
		return err
	}
	if err := self(p.Pair.Beside); err != nil {
		return err
	}
	if !p.Fresh {
		if err := self(p.Pair.Live); err != nil {
			return err
		}
		if err := p.sameMajor(); err != nil {
			return err
		}
	}
	control, err := postgres.ReadControl(ctx, p.Tools, p.Pair.Beside)
	if err != nil {
		return err
	}
	return p.judge(ctx, control)
}

// whose are the owner and the permissions that it gets: those of what is live, or
// on a fresh host those that it has.
func (p *preparation) whose() (recovery.User, fs.FileMode, error) {
	if p.Fresh {
		return ownerOf(p.Pair.Beside)
	}
	return ownerOf(p.Pair.Live)
}

func (p *preparation) sameMajor() error {
	live, err := os.ReadFile(filepath.Join(p.Pair.Live, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return recovery.Errorf("name the live server's data directory", "refused: %s is not a data directory", p.Pair.Live).WithExit(recovery.Refused)
	}
	if err != nil {
		return fmt.Errorf("look at the live data directory: %w", err)
	}
	restored, err := os.ReadFile(filepath.Join(p.Pair.Beside, "PG_VERSION"))
	if err != nil {
		return fmt.Errorf("look at the restored data directory: %w", err)
	}
	if string(live) != string(restored) {
		return recovery.Errorf("restore single databases into the running server instead", "refused: the live server is of PostgreSQL %s and the restored one of %s",
			firstLine(live), firstLine(restored)).WithExit(recovery.Refused)
	}
	return nil
}

// judge refuses a restored cluster by its control data.
func (p *preparation) judge(ctx context.Context, c postgres.Control) error {
	p.Preparation.System, p.Preparation.Timeline = c.SystemIdentifier, c.Timeline
	refuse := func(hint, format string, args ...any) error {
		return recovery.Errorf(hint, "refused: "+format, args...).WithExit(recovery.Refused)
	}
	switch {
	case c.State != "shut down":
		return refuse("stop its server cleanly, then retry", "the restored cluster is not promoted and shut down: it is %q", c.State)
	case c.SystemIdentifier != p.Restored.System:
		return refuse("find out whose backup that is; where live is a new cluster that nobody needs, move its directory away and make a new plan", "the restored cluster has the system identifier %s, and live has %s", c.SystemIdentifier, p.Restored.System)
	case c.Timeline <= p.Restored.Timeline:
		return refuse("restore it again with all .history files of the archive at hand", "the restored cluster is on timeline %d, and live on %d: its log would be taken for live's", c.Timeline, p.Restored.Timeline)
	case c.WALLevel == "minimal":
		return refuse("restore it again with wal_level = replica", "the restored cluster has written its log with wal_level = minimal, which no standby and no archive can follow")
	}
	if p.Fresh {
		return nil
	}
	live, err := postgres.ReadControl(ctx, p.Tools, p.Pair.Live)
	if err != nil {
		p.Remarks = append(p.Remarks, fmt.Sprintf("the live data directory does not say which cluster it is: %v", err))
		return nil
	}
	if live.SystemIdentifier != c.SystemIdentifier {
		return refuse("find out what lies there", "%s is another cluster: its system identifier is %s and not %s", p.Pair.Live, live.SystemIdentifier, c.SystemIdentifier)
	}
	return nil
}

// loadable lets the server read its configuration, without starting it: what it
// would refuse is refused while live still runs. Where the configuration lies
// outside of the data directory it is live's own, and nothing changes; on a fresh host
// there is none then but what the runbook's own commands know of.
func (p *preparation) loadable(ctx context.Context) error {
	if _, err := p.root.Lstat(mainConf); errors.Is(err, fs.ErrNotExist) {
		if p.Fresh && !p.Own {
			return recovery.Errorf(fmt.Sprintf("write a postgresql.conf and a pg_hba.conf into %s, as the old server had them, then retry", p.Pair.Beside),
				"refused: %s, so that it could not be started", unconfigured).WithExit(recovery.Refused)
		}
		return nil
	}
	if _, err := p.setting(ctx, "archive_mode"); err != nil {
		return recovery.Errorf("correct the configuration in "+p.Live+": it would not let the live server start again either", "refused: the restored server would not start with live's configuration: %w", err).WithExit(recovery.Refused)
	}
	return nil
}

// unconfigured is what keeps a fresh host from starting what came back.
const unconfigured = "the backup brings no postgresql.conf along (Debian keeps it in /etc)"

// ofDebian is where Debian keeps the data of a cluster.
var ofDebian = pattern.New(`^/var/lib/postgresql/([0-9]+)/([^/]+)$`)

// Configure is what a fresh host needs where the backup brings no configuration along: one
// of its own, and commands that start the server with it.
func Configure(data string) string {
	m := ofDebian.FindStringSubmatch(data)
	if m == nil {
		return "write a postgresql.conf and a pg_hba.conf for it on this host, as the old server had them, and give the component the commands that stop and start a server with them (stop:, start:)"
	}
	return fmt.Sprintf("give the component stop: [systemctl, stop, postgresql@%[1]s-%[2]s] and start: [systemctl, start, postgresql@%[1]s-%[2]s]; where /etc/postgresql/%[1]s/%[2]s is not there yet, "+
		"pg_createcluster %[1]s %[2]s writes it: move the empty directory that it makes away (mv %[3]s %[3]s.empty), and put what the old server had there into it", m[1], m[2], data)
}

// Unconfigured refuses a fresh place that would have no configuration to be started with.
func Unconfigured(data string) error {
	return recovery.Errorf(Configure(data), "refused: %s, and nothing says with which the server of %s is to be started on this host", unconfigured, data).WithExit(recovery.Refused)
}

// setting asks the server, without starting it, for a setting of the restored data
// directory's configuration, as it stands.
func (p *preparation) setting(ctx context.Context, name string) (string, error) {
	var value bytes.Buffer
	cmd := recovery.Cmd{Path: p.Tools.Program("postgres"), Args: []string{"-D", p.Pair.Beside, "-C", name}, Dir: "/", Env: serviceEnv, User: asUser(p.owner), Stdout: &value}
	err := p.env.Command(ctx, cmd)
	return strings.TrimSpace(value.String()), err
}

// sync makes everything durable, as the owner: what was restored without fsync is
// then on disk too.
func (p *preparation) sync(ctx context.Context) error {
	p.env.Meter().Phase("put everything on disk", 0, recovery.NoUnit)
	cmd := recovery.Cmd{Path: p.Tools.Program("initdb"), Args: []string{"--sync-only", "--pgdata", p.Pair.Beside}, Dir: "/",
		Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "HOME=/"}, User: asUser(p.owner)}
	if err := p.env.Command(ctx, cmd); err != nil {
		return recovery.Errorf("look at the disk, then retry", "put %s on disk: %w", p.Pair.Beside, err)
	}
	return nil
}

// own gives everything the owner and the permissions of the live directory.
func (p *preparation) own(ctx context.Context) error {
	p.env.Meter().Phase("give the restored directory its owner", 0, recovery.NoUnit)
	dirs, files := fs.FileMode(0o700), fs.FileMode(0o600)
	if p.mode&0o050 == 0o050 {
		dirs, files = 0o750, 0o640
	}
	return fs.WalkDir(p.root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err != nil {
			return fmt.Errorf("give %s its owner: %w", filepath.Join(p.Pair.Beside, name), err)
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		if err := p.ownOne(name, dirs, files); err != nil {
			return fmt.Errorf("give %s its owner and its permissions: %w", filepath.Join(p.Pair.Beside, name), err)
		}
		return nil
	})
}

// ownOne gives one file or directory the owner and permissions where it has others.
func (p *preparation) ownOne(name string, dirs, files fs.FileMode) error {
	info, err := p.root.Lstat(name)
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && (int(st.Uid) != p.owner.UID || int(st.Gid) != p.owner.GID) {
		if err := p.root.Lchown(name, p.owner.UID, p.owner.GID); err != nil {
			return err
		}
	}
	want := files
	switch info.Mode().Type() {
	case fs.ModeDir:
		want = dirs
	case 0:
	default:
		return nil
	}
	if info.Mode().Perm() == want {
		return nil
	}
	return p.root.Chmod(name, want)
}

func firstLine(b []byte) string {
	for i, c := range b {
		if c == '\n' {
			return string(b[:i])
		}
	}
	return string(b)
}
