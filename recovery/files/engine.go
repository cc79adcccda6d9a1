package files

import (
	"time"

	"comeback/recovery"
)

// Name is the engine's name in a runbook.
const Name = "files"

// Options are what the engine takes from its surroundings; the zero value is
// this machine.
type Options struct {
	// Now is the time of surveys.
	Now func() time.Time
	// SyncEvery is about how many bytes are restored before they are made
	// durable and the journal is told; zero means a gigabyte.
	SyncEvery int64
	// Jobs is how many packs are restored side by side; zero means four.
	Jobs int
}

const defaultSyncEvery = 1 << 30

// New makes the engine.
func New(o Options) recovery.Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	if o.Jobs == 0 {
		o.Jobs = 4
	}
	return engine{o}
}

type engine struct{ Options }

// Schema is what a files component may say.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Files, Keys: []recovery.Key{
		{Name: "path", Doc: "the live directory", Example: "/srv/shop/uploads"},
		{Name: "prefix", Doc: "how the keys of this component's backups begin in a copy; everywhere if it is missing", Example: "uploads/"},
		{Name: "root", Doc: "the directory in an archive that is the tree; found by path if it is missing", Example: "srv/shop/uploads"},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind { return []recovery.Kind{restoreKind{e}} }
