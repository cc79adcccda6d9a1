package dump

import (
	"runtime"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Name is the engine's name in a runbook.
const Name = "dump"

// Options are what the engine takes from its surroundings; the zero value is
// this machine.
type Options struct {
	// Installed lists the PostgreSQL majors, the newest first.
	Installed func() []postgres.Tools
	// Now is the time of surveys.
	Now func() time.Time
	// Jobs is how many sessions restore beside each other, pg_restore's or
	// our own; zero means one for each processor, but two to eight.
	Jobs int
	// SyncEvery is about how many bytes of an archive are fetched before they
	// are made durable and the journal is told; zero means a gigabyte.
	SyncEvery int64
}

const defaultSyncEvery = 1 << 30

// New makes the engine.
func New(o Options) recovery.Engine {
	if o.Installed == nil {
		o.Installed = postgres.Installed
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Jobs == 0 {
		o.Jobs = min(max(runtime.NumCPU(), 2), 8)
	}
	if o.SyncEvery == 0 {
		o.SyncEvery = defaultSyncEvery
	}
	return engine{o}
}

type engine struct{ Options }

// Schema is what a postgres component may say about its dumps.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Postgres, Keys: []recovery.Key{
		{Name: "url", Doc: "how the live database is reached; a reference, never the secret itself", Example: "${DATABASE_URL}"},
		{Name: "prefix", Doc: "how the keys of this component's dumps begin in a copy; if it is missing, NAME/ for those that comeback takes, and all that is no other component's is looked at", Example: "db/"},
		{Name: "database", Doc: "the database's name, where a dump holds several or does not tell it", Example: "shop"},
		{Name: "backup", Doc: "what comeback backup takes: dump, base; all that fits if it is missing, none for nothing", Example: "dump", List: true},
		{Name: "dump_format", Doc: "how dumps are taken: custom (if it is missing), or directory, with several jobs", Example: "directory", Check: recovery.OneOf("custom", "directory")},
		{Name: "dump_jobs", Doc: "how many jobs take a dump in the directory format; 2 if it is missing", Example: "4", Check: recovery.Number(1, maxDumpJobs)},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind {
	return []recovery.Kind{clusterKind{e}, restoreKind{e}, settleKind{e}}
}
