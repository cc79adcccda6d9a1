package live

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"comeback/pattern"
	"comeback/recovery"
	"comeback/recovery/postgres"
)

// ofScratch are the files that a scratch server or a recovery has left in a data
// directory, and that a live server must not find: configuration of scratch, and
// what would begin a recovery again.
var ofScratch = []string{"postgresql.conf", "postgresql.conf.source", "postgresql.auto.conf", "postgresql.auto.conf.source", "pg_hba.conf", "pg_hba.conf.source", "pg_ident.conf", "pg_ident.conf.source", "recovery.conf", "recovery.conf.source",
	"recovery.done", "standby.signal", "recovery.signal", "postmaster.opts", "postmaster.pid", "backup_label.old", "tablespace_map.old", "current_logfiles"}

// ofPostgres reports whether PostgreSQL itself keeps something of that name at the
// top of a data directory, so that it is not of anybody's configuration.
func ofPostgres(name string) bool {
	switch name {
	case "pg_hba.conf", "pg_ident.conf":
		return false
	case "base", "global", "PG_VERSION", "log", "backup_label", "backup_manifest", "tablespace_map", "postgresql.auto.conf", "postgresql.auto.conf.tmp", startLog:
		return true
	}
	return strings.HasPrefix(name, "pg_") || slices.Contains(ofScratch, name) && !strings.HasPrefix(name, "postgresql.conf")
}

const (
	// mostConfiguration bounds what is taken for configuration: a file or
	// directory that is larger is somebody's data.
	mostConfiguration = 16 << 20
	mostFiles         = 1000
)

// configure replaces scratch's configuration by live's. What Debian keeps in /etc
// stays there, and counts as soon as the directory is live.
func (p *preparation) configure(ctx context.Context) error {
	if p.Fresh && p.Conf == "" {
		return p.reinstate(ctx)
	}
	for _, name := range ofScratch {
		if err := p.root.RemoveAll(name); err != nil {
			return fmt.Errorf("take scratch's configuration away: %w", err)
		}
	}
	from, err := os.OpenRoot(cmp.Or(p.Conf, p.Pair.Live))
	var entries []fs.DirEntry
	if err == nil {
		defer from.Close() // it is only read
		entries, err = fs.ReadDir(from.FS(), ".")
	}
	if err != nil {
		return recovery.Errorf("name the directory with postgresql.conf and pg_hba.conf", "take over the configuration: %w", err)
	}
	p.Taken, p.Dropped = nil, nil
	for _, e := range entries {
		if ofPostgres(e.Name()) {
			continue
		}
		if err := p.take(from, e.Name()); err != nil {
			return fmt.Errorf("take over the configuration: %w", err)
		}
	}
	if err := p.override(ctx, from, autoConf); err != nil {
		return fmt.Errorf("take over the configuration: %w", err)
	}
	return p.inUse()
}

// take copies one file, link or small directory of the configuration, with its
// owner and permissions.
func (p *preparation) take(from *os.Root, name string) error {
	size, files := int64(0), 0
	err := below(from, name, func(path string) error {
		info, err := from.Lstat(path)
		if err != nil {
			return err
		}
		if size, files = size+info.Size(), files+1; size > mostConfiguration || files > mostFiles {
			return fs.SkipAll
		}
		return nil
	})
	if err != nil && !errors.Is(err, fs.SkipAll) {
		return err
	}
	if size > mostConfiguration || files > mostFiles {
		p.Remarks = append(p.Remarks, fmt.Sprintf("%s is too large to be configuration and stays in the old data directory", filepath.Join(from.Name(), name)))
		return nil
	}
	if err := p.root.RemoveAll(name); err != nil {
		return err
	}
	err = below(from, name, func(path string) error { return copyOne(from, p.root, path) })
	p.Taken = append(p.Taken, name)
	return err
}

// below visits what has a name in a directory, and all that lies below it; of a link, which
// may lead anywhere, the link alone.
func below(dir *os.Root, name string, visit func(path string) error) error {
	info, err := dir.Lstat(name)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return visit(name)
	}
	return fs.WalkDir(dir.FS(), name, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return visit(path)
	})
}

// copyOne copies a file, a link or a directory without what is in it, from a directory to
// another one.
func copyOne(from, to *os.Root, name string) error {
	info, err := from.Lstat(name)
	if err != nil {
		return err
	}
	switch info.Mode().Type() {
	case fs.ModeDir:
		err = to.Mkdir(name, 0o700)
	case fs.ModeSymlink:
		var target string
		if target, err = from.Readlink(name); err == nil {
			err = to.Symlink(target, name)
		}
	case 0:
		err = copyFile(from, to, name)
	default:
		return nil // a socket or a pipe is made anew by whoever needs it
	}
	if err != nil {
		return err
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && os.Geteuid() == 0 {
		if err := to.Lchown(name, int(st.Uid), int(st.Gid)); err != nil {
			return err
		}
	}
	if info.Mode().Type() == fs.ModeSymlink {
		return nil
	}
	return to.Chmod(name, info.Mode().Perm())
}

func copyFile(from, to *os.Root, name string) error {
	in, err := from.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // whatever is in its place by now
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := to.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// notLive are the settings that a recovered server must not be given, and why.
var notLive = map[string]string{
	"restore_command":               "it feeds a recovery; the recovery has ended",
	"recovery_end_command":          "it belongs to a recovery; the recovery has ended",
	"archive_cleanup_command":       "it belongs to a standby",
	"recovery_min_apply_delay":      "it belongs to a standby",
	"promote_trigger_file":          "it belongs to a standby",
	"primary_conninfo":              "it belongs to a standby",
	"primary_slot_name":             "it belongs to a standby",
	synchronousNames:                "commits would wait for standbys that must be rebuilt first; set it again afterwards",
	"synchronized_standby_slots":    "it names slots that must be made anew; set it again afterwards",
	"data_directory":                "the server is told where its data are",
	"log_startup_progress_interval": "it belongs to a recovery; the recovery has ended",
}

// synchronousNames is the setting that makes commits wait for standbys.
const synchronousNames = "synchronous_standby_names"

// unwanted says why a setting is not taken over; "" where it is.
func unwanted(name string) string {
	name = strings.ToLower(name)
	if strings.HasPrefix(name, "recovery_target") {
		return "it names the target of a recovery, and two of them keep a server from starting"
	}
	return notLive[name]
}

var assignment = pattern.New(`^\s*([A-Za-z_][A-Za-z0-9_.$]*)\s*(?:=|\s)`)

// override writes postgresql.auto.conf, which wins over everything else, from
// live's own: what ALTER SYSTEM has set there, but for what is unwanted.
func (p *preparation) override(ctx context.Context, from *os.Root, name string) error {
	text, err := from.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	var out bytes.Buffer
	out.WriteString("# Do not edit this file manually!\n# It will be overwritten by the ALTER SYSTEM command.\n")
	synchronous := false
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(strings.TrimSpace(line), "#") || strings.TrimSpace(line) == "" {
			continue
		}
		if m := assignment.FindStringSubmatch(line); m != nil {
			if why := unwanted(m[1]); why != "" {
				p.Dropped = append(p.Dropped, Dropped{Name: m[1], Why: why})
				synchronous = synchronous || strings.EqualFold(m[1], synchronousNames)
				continue
			}
		}
		out.WriteString(strings.TrimRight(line, "\n") + "\n")
	}
	if !synchronous {
		why, err := p.waits(ctx)
		if err != nil {
			return err
		}
		if synchronous = why != ""; synchronous {
			p.Dropped = append(p.Dropped, Dropped{Name: synchronousNames, Why: why})
		}
	}
	if synchronous {
		out.WriteString(synchronousNames + " = ''\n") // wherever else it is set
	}
	return p.write(autoConf, out.Bytes())
}

// waits says why commits would wait for standbys, by what is set elsewhere than in
// postgresql.auto.conf; "" where they would not. A configuration that lies outside of
// the data directory is known only to a live server that was asked.
func (p *preparation) waits(ctx context.Context) (why string, err error) {
	if p.Synchronous != "" {
		return notLive[synchronousNames], nil
	}
	_, err = os.Lstat(filepath.Join(p.Pair.Beside, mainConf))
	if err == nil {
		var names string
		names, err = p.setting(ctx, synchronousNames)
		if err == nil && names != "" {
			return notLive[synchronousNames], nil
		}
	}
	switch {
	case ctx.Err() != nil:
		return "", context.Cause(ctx)
	case err != nil && p.Down:
		return "whether it is set could not be read while the server was down, and " + notLive[synchronousNames], nil
	}
	return "", nil
}

const (
	autoConf = "postgresql.auto.conf"
	mainConf = "postgresql.conf"
)

// reinstate puts back the configuration that came with the backup, on a host where
// there is no other. It may be repeated: what is back already stays.
func (p *preparation) reinstate(ctx context.Context) error {
	p.Taken, p.Dropped = nil, nil
	for _, name := range postgres.Configuration {
		written, err := postgres.Written(p.root, name)
		if err == nil && written {
			err = p.root.Remove(name)
		}
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			err = p.root.Rename(name+postgres.Aside, name)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("put the configuration of the backup back: %w", err)
		}
		if _, err := p.root.Lstat(name); err == nil {
			p.Taken = append(p.Taken, name)
		}
	}
	auto := autoConf
	if _, err := p.root.Lstat(auto + postgres.Aside); err == nil {
		auto += postgres.Aside
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for the configuration of the backup: %w", err)
	}
	if err := p.override(ctx, p.root, auto); err != nil {
		return fmt.Errorf("put the configuration of the backup back: %w", err)
	}
	for _, name := range ofScratch {
		if name == autoConf || slices.Contains(postgres.Configuration, name) {
			continue
		}
		if err := p.root.RemoveAll(name); err != nil {
			return fmt.Errorf("take scratch's configuration away: %w", err)
		}
	}
	return p.inUse()
}

// inUse tells of unwanted settings in files that are people's own: without
// recovery.signal they begin nothing, and stay as they are. That commits wait for
// standbys is overridden, and told as dropped.
func (p *preparation) inUse() error {
	for _, name := range p.Taken {
		if !strings.HasSuffix(name, ".conf") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(p.Pair.Beside, name))
		if err != nil {
			return fmt.Errorf("look into %s: %w", name, err)
		}
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			m := assignment.FindStringSubmatch(line)
			if m == nil || unwanted(m[1]) == "" || strings.EqualFold(m[1], "data_directory") || strings.EqualFold(m[1], synchronousNames) {
				continue
			}
			says := ", which has no effect on a primary"
			if strings.HasPrefix(strings.ToLower(m[1]), "synchron") {
				says = ": " + unwanted(m[1])
			}
			p.Remarks = append(p.Remarks, fmt.Sprintf("%s, line %d, sets %s%s", name, n, m[1], says))
		}
	}
	return nil
}

// write replaces a file of the restored directory.
func (p *preparation) write(name string, text []byte) error {
	temp := name + ".new"
	if err := p.root.RemoveAll(temp); err != nil { // of an earlier attempt, or whatever else it is
		return err
	}
	if err := p.create(temp, text); err != nil {
		return err
	}
	return p.root.Rename(temp, name)
}

// create makes a new file of the owner's.
func (p *preparation) create(name string, text []byte) error {
	f, err := p.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil && os.Geteuid() == 0 {
		err = f.Chown(p.owner.UID, p.owner.GID)
	}
	return errors.Join(err, f.Close())
}
