package files

import (
	"strings"
	"time"

	"comeback/recovery"
)

// Name is the engine's name in a runbook, Config that of the engine for
// encrypted trees.
const (
	Name   = "files"
	Config = "config"
)

// Options are what the engine takes from its surroundings; the zero value is
// this machine.
type Options struct {
	// Now is the time of surveys.
	Now func() time.Time
	// SyncEvery is about how many bytes are restored before they are made
	// durable and the journal is told; zero means a gigabyte.
	SyncEvery int64
	// Jobs is how many packs are restored side by side; zero means eight.
	Jobs int
	// Expand resolves a reference when a copy is surveyed that cannot be looked into
	// without a secret, and to compare the live paths with those of a snapshot; without it
	// such a copy is a finding, and such a path is compared with nothing.
	Expand func(string) (string, error)
}

const defaultSyncEvery = 1 << 30

// New makes the engine for trees in clear.
func New(o Options) recovery.Engine { return engine{o.filled(), Name, recovery.Files} }

// NewConfig makes the engine for trees that are encrypted with age:
// configuration and its secrets.
func NewConfig(o Options) recovery.Engine { return engine{o.filled(), Config, recovery.Config} }

func (o Options) filled() Options {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	if o.Jobs == 0 {
		o.Jobs = 8
	}
	return o
}

// expand resolves a reference at a survey.
func (o Options) expand(text string) (string, error) {
	if o.Expand == nil && strings.Contains(text, "${") {
		return "", recovery.Errorf("set it in the environment", "%s is not resolved at a survey", text)
	}
	if o.Expand == nil {
		return text, nil
	}
	return o.Expand(text)
}

type engine struct {
	Options
	name string
	kind recovery.ComponentKind
}

// sealed reports whether the engine's trees are encrypted.
func (e engine) sealed() bool { return e.kind == recovery.Config }

// Schema is what a component may say.
func (e engine) Schema() recovery.Schema {
	prefix := recovery.Key{Name: "prefix", Doc: "how the keys of this component's backups begin in a copy; if it is missing, NAME/ for those that comeback takes, and all that is no other component's is looked at", Example: e.name + "/"}
	root := recovery.Key{Name: "root", Doc: "the directory in an archive that is the tree; found by path if it is missing", Example: "srv/shop/uploads"}
	backup := recovery.Key{Name: "backup", Doc: "what comeback backup takes: snapshot; all that fits if it is missing, none for nothing", Example: "snapshot", List: true}
	if !e.sealed() {
		return recovery.Schema{Engine: e.name, Kind: e.kind, Keys: []recovery.Key{
			{Name: "path", Doc: "the live directory", Example: "/srv/shop/uploads"}, prefix, root, backup}}
	}
	return recovery.Schema{Engine: e.name, Kind: e.kind, Keys: []recovery.Key{
		{Name: "paths", Doc: "the live files and directories", Example: "/etc/shop", List: true}, prefix, root, backup,
		{Name: "identity", Doc: "what decrypts: a file with an age identity or an SSH key, or a reference to one or to its text", Example: "${CONFIG_IDENTITY}"},
		{Name: "passphrase", Doc: "a reference to the passphrase that decrypts, or that of the SSH key", Example: "${CONFIG_PASSPHRASE}"},
		{Name: "recipients", Doc: "who can decrypt the backups that are made: age or SSH public keys", Example: "age1…", List: true},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind { return []recovery.Kind{restoreKind{e}} }
