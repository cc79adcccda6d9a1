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
	if err := c.setAside(); err != nil {
		return fmt.Errorf("configure %s: %w", c.Data, err)
	}
	for _, f := range []struct{ name, text string }{
		{"pg_hba.conf", hba},
		{"pg_ident.conf", "# written by comeback\n"},
		{"postgresql.conf", conf},
	} {
		if err := c.writeFile(f.name, f.text); err != nil {
			return fmt.Errorf("configure %s: %w", c.Data, err)
		}
	}
	return nil
}

func (c Cluster) setAside() error {
	auto := filepath.Join(c.Data, "postgresql.auto.conf")
	source := auto + ".source"
	_, err := os.Lstat(source)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = os.Rename(auto, source)
	case err == nil: // the source's is kept already; this one came later
		err = os.Remove(auto)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, name := range Configuration {
		if err := c.setOneAside(name); err != nil {
			return err
		}
	}
	for _, name := range []string{"standby.signal", "recovery.signal"} {
		if err := os.Remove(filepath.Join(c.Data, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
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
func (c Cluster) setOneAside(name string) error {
	path := filepath.Join(c.Data, name)
	if _, err := os.Lstat(path + Aside); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	written, err := Written(path)
	if errors.Is(err, fs.ErrNotExist) || written {
		return nil
	}
	if err != nil {
		return err
	}
	return os.Rename(path, path+Aside)
}

// Aside ends the names of what came with a data directory and is not in force.
const Aside = ".source"

// Written reports whether Configure has written a file.
func Written(path string) (bool, error) {
	f, err := os.Open(path)
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

// writeFile replaces a file of the data directory.
func (c Cluster) writeFile(name, text string) error {
	temp := filepath.Join(c.Data, name+".new")
	f, err := os.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|unix.O_NOFOLLOW, 0o600) // the directory is the server's user's
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := own(temp, c.Owner); err != nil {
		return err
	}
	return os.Rename(temp, filepath.Join(c.Data, name))
}
