package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/isolation"
)

// Cluster is a data directory and how its server is reached: a Unix socket in
// a short private directory, and no port.
type Cluster struct {
	// Data is the data directory, an absolute path.
	Data string
	// Socket is the directory of the Unix socket; where it is empty,
	// SocketDir(Data) is used.
	Socket string
	// Owner is the user that the server runs as.
	Owner recovery.User
	Tools Tools
	// Superuser is the role to connect as; where it is empty, "postgres".
	Superuser string
}

// InitOptions says what initdb makes: a cluster in UTF8 whose text sorts by its code
// points. That is the order of C.UTF-8, too, but PostgreSQL compares text of the collation
// C itself and need not ask the C library, so that an index over text takes about half the
// time. Its kinds of characters are those of C.UTF-8.
type InitOptions struct {
	// Superuser, where it is not empty, overrides the cluster's.
	Superuser string
	Checksums bool
}

// socketPort is the number in the socket's name; nothing listens on it.
const socketPort = 5432

// MaxSocketPath is the longest path that a Unix socket may have.
const MaxSocketPath = 107

// SocketDir is the directory of the socket of a data directory's server. It is
// short enough for the kernel and the same in every process, so that a run
// that resumes finds it.
func SocketDir(data string) string {
	sum := sha256.Sum256([]byte(filepath.Clean(data)))
	name := "cb-" + hex.EncodeToString(sum[:6])
	dir := filepath.Join(os.TempDir(), name)
	if len(dir)+len("/.s.PGSQL.5432.lock") > MaxSocketPath {
		dir = filepath.Join("/tmp", name)
	}
	return dir
}

func (c Cluster) withDefaults() Cluster {
	if c.Socket == "" {
		c.Socket = SocketDir(c.Data)
	}
	if c.Superuser == "" {
		c.Superuser = "postgres"
	}
	return c
}

// URL is how a database of the cluster is reached while its server runs. It
// holds no secret.
func (c Cluster) URL(database string) string {
	c = c.withDefaults()
	u := url.URL{Scheme: "postgres", Path: "/" + database}
	q := url.Values{"host": {c.Socket}, "port": {strconv.Itoa(socketPort)}, "user": {c.Superuser}}
	// An empty authority is written as "postgres:///shop".
	return u.Scheme + "://" + u.EscapedPath() + "?" + q.Encode()
}

// Resource is the cluster as a claim: all that ReleaseCluster needs.
func (c Cluster) Resource() recovery.Resource {
	c = c.withDefaults()
	return recovery.Resource{Kind: recovery.Cluster, ID: c.Data, Details: map[string]string{
		"socket": c.Socket,
		"major":  strconv.Itoa(c.Tools.Major),
	}}
}

// Claim records the cluster and its socket directory as the run's own, before
// either exists. Nothing but the run's own may be at Data.
func (c Cluster) Claim(ctx context.Context, env recovery.Env) error {
	c = c.withDefaults()
	if !filepath.IsAbs(c.Data) {
		return fmt.Errorf("claim cluster %s: the path is not absolute", c.Data)
	}
	if err := env.Claim(ctx, c.Resource()); err != nil {
		return fmt.Errorf("claim cluster %s: %w", c.Data, err)
	}
	return c.claimSocket(ctx, env)
}

func (c Cluster) claimSocket(ctx context.Context, env recovery.Env) error {
	r := recovery.Resource{Kind: recovery.Directory, ID: c.Socket, Details: map[string]string{"for": "the socket of " + c.Data}}
	if err := env.Claim(ctx, r); err != nil {
		return fmt.Errorf("claim directory %s: %w", c.Socket, err)
	}
	return nil
}

// Init claims the cluster and makes it with initdb. A Data that holds anything
// is refused before it is claimed. An interruption leaves a directory that
// ReleaseCluster removes.
func (c Cluster) Init(ctx context.Context, env recovery.Env, o InitOptions) error {
	if o.Superuser != "" {
		c.Superuser = o.Superuser
	}
	c = c.withDefaults()
	if err := c.Tools.Need("initdb", "postgres"); err != nil {
		return err
	}
	if entries, err := os.ReadDir(c.Data); err == nil && len(entries) > 0 {
		return recovery.Errorf("choose an empty place for scratch, or remove what is there if you know that nobody needs it",
			"a new cluster cannot be made in %s: the directory is not empty", c.Data).WithExit(recovery.Refused)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", c.Data, err)
	}
	if err := c.Claim(ctx, env); err != nil {
		return err
	}
	if err := c.prepareData(); err != nil {
		return err
	}
	args := []string{"--pgdata", c.Data, "--username", c.Superuser, "--auth", "trust",
		"--encoding", "UTF8", "--locale", "C.UTF-8", "--lc-collate", "C", "--no-sync"}
	args = append(args, c.Tools.initArguments(o.Checksums)...)
	cmd := recovery.Cmd{Path: c.Tools.Program("initdb"), Args: args, Dir: "/", Env: serverEnv, User: c.user()}
	if err := env.Command(ctx, cmd); err != nil {
		return recovery.Errorf(orElse(c.Tools.HintFor(err.Error()), "read the step's log, then retry"), "make a cluster in %s: %w", c.Data, err)
	}
	return nil
}

// serverEnv is the environment of servers and initdb, whole.
var serverEnv = []string{"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "TZ=UTC", "HOME=/", isolation.Own}

// prepareData makes the data directory, private to the server's user.
func (c Cluster) prepareData() error {
	if err := os.Mkdir(c.Data, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := os.Chmod(c.Data, 0o700); err != nil {
		return fmt.Errorf("make the data directory: %w", err)
	}
	if err := own(c.Data, c.Owner); err != nil {
		return err
	}
	return Reachable(c.Data, c.Owner)
}

// prepareSocket makes the socket directory, or proves that the one that is
// there is the server user's and private: its name can be guessed.
func (c Cluster) prepareSocket() error {
	if n := len(c.Socket) + len("/.s.PGSQL.5432"); n > MaxSocketPath {
		return recovery.Errorf("set TMPDIR to a shorter path, for example /tmp",
			"the path of the socket in %s would have %d bytes, and %d is the limit", c.Socket, n, MaxSocketPath).WithExit(recovery.Usage)
	}
	err := os.Mkdir(c.Socket, 0o700)
	if err == nil {
		if err := own(c.Socket, c.Owner); err != nil {
			return err
		}
		return Reachable(c.Socket, c.Owner)
	}
	if !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make the socket directory: %w", err)
	}
	info, err := os.Lstat(c.Socket)
	if err != nil {
		return fmt.Errorf("look at the socket directory: %w", err)
	}
	uid := c.Owner.UID
	if uid < 0 {
		uid = os.Geteuid()
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || ownerOf(info) != uid {
		return recovery.Errorf("find out who made it and remove it",
			"%s is there already and is not a private directory of %s", c.Socket, c.Owner.Name).WithExit(recovery.Refused)
	}
	return Reachable(c.Socket, c.Owner)
}

// user is who runs the cluster's programs; nil is the run's own user.
func (c Cluster) user() *recovery.User {
	if c.Owner.UID < 0 {
		return nil
	}
	return &c.Owner
}

func orElse(s, otherwise string) string {
	if strings.TrimSpace(s) == "" {
		return otherwise
	}
	return s
}
