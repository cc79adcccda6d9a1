package postgres

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"comeback/recovery"
)

// hba lets in whoever can reach the socket, which lies in a directory that
// only the server's user may enter.
const hba = `# written by comeback
local all         all trust
local replication all trust
`

// Configure writes the cluster's configuration, whole: postgresql.conf with
// ScratchSettings under the given settings, pg_hba.conf, pg_ident.conf. What a
// restored data directory brought along is set aside, once: postgresql.conf
// becomes postgresql.conf.source and so on; standby.signal and recovery.signal
// are removed; whoever wants one of them writes it afterwards. An interruption
// leaves a file whole, old or new.
func (c Cluster) Configure(settings map[string]string) error {
	all := map[string]string{}
	maps.Copy(all, c.Tools.withoutEventTriggers())
	maps.Copy(all, settings)
	return c.ConfigureFor(all, hba)
}

// ConfigureFor is Configure with another pg_hba.conf: for a server that is not
// scratch any more.
func (c Cluster) ConfigureFor(settings map[string]string, hba string) error {
	c = c.withDefaults()
	all := ScratchSettings()
	maps.Copy(all, c.Tools.room())
	all["unix_socket_directories"] = c.Socket
	all["hba_file"] = filepath.Join(c.Data, "pg_hba.conf")
	all["ident_file"] = filepath.Join(c.Data, "pg_ident.conf")
	maps.Copy(all, settings)
	conf, err := formatSettings(all)
	if err != nil {
		return fmt.Errorf("configure %s: %w", c.Data, err)
	}
	data, err := OpenDir(c.Data)
	if err != nil {
		return fmt.Errorf("configure %s: %w", c.Data, err)
	}
	defer data.Close() // it was only gone through
	if err := setAside(data); err != nil {
		return fmt.Errorf("configure %s: %w", c.Data, err)
	}
	for _, f := range []struct{ name, text string }{
		{"pg_hba.conf", hba},
		{"pg_ident.conf", "# written by comeback\n"},
		{"postgresql.conf", conf},
	} {
		if err := writeFile(data, f.name, f.text, c.Owner); err != nil {
			return fmt.Errorf("configure %s: %w", c.Data, err)
		}
	}
	return nil
}

func setAside(data *os.Root) error {
	const auto = "postgresql.auto.conf"
	_, err := data.Lstat(auto + Aside)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = data.Rename(auto, auto+Aside)
	case err == nil: // the source's is kept already; this one came later
		err = data.Remove(auto)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range Configuration {
		if err := setOneAside(data, name); err != nil {
			return err
		}
	}
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if err := data.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// Configuration are the files that Configure replaces.
var Configuration = []string{"postgresql.conf", "pg_hba.conf", "pg_ident.conf"}

// ours begins every file of a configuration that this package has written.
const ours = "# written by comeback"

// setOneAside keeps a file of the configuration that came with the data directory.
func setOneAside(data *os.Root, name string) error {
	if _, err := data.Lstat(name + Aside); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	written, err := Written(data, name)
	if errors.Is(err, fs.ErrNotExist) || written {
		return nil
	}
	if err != nil {
		return err
	}
	return data.Rename(name, name+Aside)
}

// Aside ends the names of what came with a data directory and is not in force.
const Aside = ".source"

// Written reports whether Configure has written a file of a data directory.
func Written(data *os.Root, name string) (bool, error) {
	info, err := data.Lstat(name)
	if err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	f, err := data.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0) // whatever is in its place by now
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, len(ours))
	n, err := io.ReadFull(f, begin)
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	}
	return string(begin[:n]) == ours, err
}

// formatSettings writes settings as postgresql.conf does, in the order of
// their names.
func formatSettings(settings map[string]string) (string, error) {
	var b strings.Builder
	b.WriteString("# written by comeback; nothing else is read\n")
	quote := strings.NewReplacer(`'`, `''`, `\`, `\\`)
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		value := settings[name]
		if strings.ContainsAny(value, "\n\r\x00") {
			return "", fmt.Errorf("the value of %s has more than one line", name)
		}
		fmt.Fprintf(&b, "%s = '%s'\n", name, quote.Replace(value))
	}
	return b.String(), nil
}

// writeFile replaces a file of the data directory. The directory is the server's user's: what
// he has put there is removed, never opened.
func writeFile(data *os.Root, name, text string, owner recovery.User) error {
	temp := name + ".new"
	if err := data.RemoveAll(temp); err != nil {
		return err
	}
	f, err := data.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err == nil && owner.UID >= 0 {
		err = f.Chown(owner.UID, owner.GID)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return data.Rename(temp, name)
}

// OpenDir opens a directory to be changed below it, whatever stands at its path meanwhile; no
// link leads out of it, and none may stand in its place.
func OpenDir(dir string) (*os.Root, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	opened, err := root.Stat(".")
	var there fs.FileInfo
	if err == nil {
		there, err = os.Lstat(dir)
	}
	if err == nil && !os.SameFile(opened, there) {
		err = recovery.Errorf("find out who has put it there, then retry", "%s is a link, or was exchanged meanwhile", dir).WithExit(recovery.Refused)
	}
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	return root, nil
}
