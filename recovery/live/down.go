package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/ledger"
	"comeback/recovery/postgres"
)

// Down is a live data directory whose server does not run; or the place of one, on
// a fresh host.
type Down struct {
	Server
	// State is what the directory says of its server's end: "shut down", or in
	// what it was when it died.
	State string
	// Fresh says that there is nothing at the place yet, or an empty directory:
	// then only host, directory and inode are known.
	Fresh bool
}

// LookDown reads a live data directory of this machine whose server is down. A
// server that runs there and does not answer is refused: it is not dead.
func LookDown(ctx context.Context, data string, now time.Time) (Down, error) {
	if !filepath.IsAbs(data) {
		return Down{}, recovery.Errorf("write it like data: /var/lib/postgresql/15/main", "the data directory %q is not an absolute path", data).WithExit(recovery.Usage)
	}
	pids, err := postgres.Processes(data)
	if err != nil {
		return Down{}, err
	}
	if len(pids) > 0 {
		return Down{}, recovery.Errorf("correct the url of the component, or find out why it does not answer, and stop it if it cannot; "+
			"where it is a new one that nobody needs, such as Debian makes when PostgreSQL is installed, stop it and move its directory away",
			"refused: a server runs in %s (process %d) and does not answer at the component's url", data, pids[0]).WithExit(recovery.Refused)
	}
	d := Down{Server: Server{At: now.UTC(), Boot: ledger.Boot()}}
	if d.Fresh, err = fresh(data); err != nil {
		return Down{}, err
	}
	if d.Fresh {
		d.Identity, err = identifyPlace(data)
		return d, err
	}
	major, err := postgres.MajorOf(data)
	if errors.Is(err, fs.ErrNotExist) {
		return Down{}, recovery.Errorf("name the server's data directory, or a place at which there is nothing", "refused: %s is not a data directory", data).WithExit(recovery.Refused)
	}
	if err != nil {
		return Down{}, err
	}
	tools, err := postgres.FindTools(major)
	if err != nil {
		return Down{}, err
	}
	if d.Identity, err = IdentifyDirectory(ctx, tools, data); err != nil {
		return Down{}, err
	}
	control, err := postgres.ReadControl(ctx, tools, data)
	if err != nil {
		return Down{}, err
	}
	d.State, d.LSN = control.State, control.CheckpointLSN
	for _, what := range []string{"other databases", "sessions", "standbys, slots and subscriptions"} {
		d.Unknown = append(d.Unknown, Unknown{What: what, Why: "the server is down"})
	}
	return d, nil
}

// IdentifyPlace reads which directory is at the place of a data directory on this
// machine, while there is no cluster in it.
func IdentifyPlace(data string) (map[string]string, error) {
	i, err := identifyPlace(data)
	if err != nil {
		return nil, err
	}
	parts := map[string]string{"host": i.Host, "data directory": i.Data, "inode": "nothing there"}
	if i.Inode != (exchange.Identity{}) {
		text, err := i.Inode.MarshalText()
		if err != nil {
			return nil, err
		}
		parts["inode"] = string(text)
	}
	return parts, nil
}

func identifyPlace(data string) (i Identity, err error) {
	if i.Host, err = os.Hostname(); err != nil {
		return i, fmt.Errorf("read this machine's name: %w", err)
	}
	dir, err := filepath.EvalSymlinks(filepath.Dir(data))
	if err != nil {
		return i, recovery.Errorf("make the directory that it is to lie in", "look at the place of the data directory: %w", err).WithExit(recovery.Refused)
	}
	i.Data = filepath.Join(dir, filepath.Base(data))
	if i.Inode, err = exchange.Identify(i.Data); errors.Is(err, fs.ErrNotExist) {
		i.Inode, err = exchange.Identity{}, nil
	}
	return i, err
}

// fresh reports whether there is nothing at a path, or an empty directory.
func fresh(path string) (bool, error) {
	d, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("look at the data directory: %w", err)
	}
	defer d.Close()
	_, err = d.ReadDir(1)
	switch {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return false, fmt.Errorf("look at the data directory: %w", err)
	}
	return false, nil
}

// Placeable refuses the place of a data directory to which none could be moved. It
// returns the directory in which the restored one must lie.
func Placeable(data string) (beside string, err error) {
	beside = filepath.Dir(data)
	if info, err := os.Lstat(data); err == nil && !info.IsDir() {
		return "", otherwise("%s is not a directory", data)
	}
	return beside, exchange.Try(beside)
}
