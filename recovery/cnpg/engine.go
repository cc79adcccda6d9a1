package cnpg

import (
	"math"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// Name is the engine's name, for `with:`.
const Name = "cnpg"

// Options are what the engine is made of.
type Options = provider.Options

// New makes the engine.
func New(o Options) recovery.Engine { return engine{o.Filled()} }

type engine struct{ Options }

// Schema is what a component may say.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Postgres, Outside: true, Keys: []recovery.Key{
		{Name: "context", Doc: "the context of the kubeconfig; the current one is never used", Example: "production", Required: true},
		{Name: "namespace", Doc: "the namespace of the source, in which the new cluster is made, too", Example: "shop", Required: true},
		{Name: "cluster", Doc: "the source's Cluster", Example: "shop-db", Required: true},
		{Name: "kubeconfig", Doc: "the kubeconfig; kubectl's own choice if it is missing", Example: "/etc/comeback/kubeconfig", Program: true},
		{Name: "kubectl", Doc: "the program; the one of PATH if it is missing", Example: "/usr/local/bin/kubectl", Program: true},
		{Name: "environment", Doc: "what kubectl and the programs that sign in for it need to know, as NAME=value; secrets as references", Example: "[AWS_PROFILE=recovery]", List: true, Program: true},
		{Name: "copy", Doc: "the one copy that the engine answers for; every copy if it is missing", Example: "records"},
		{Name: "manifest", Doc: "a file with the source's Cluster, as it was applied; used where the source is gone", Example: "/srv/gitops/shop-db.yaml"},
		{Name: "image", Doc: "the image for backups of its major version, from before a major upgrade of the source", Example: "ghcr.io/cloudnative-pg/postgresql:16.9"},
		{Name: "database", Doc: "the database that checks look at; the source's application database if it is missing", Example: "shop"},
		{Name: "secret", Doc: "the secret with username and password that checks sign on by; the application's if it is missing", Example: "shop-db-readonly"},
		{Name: "instances", Doc: "how many instances what is restored has; 1 if it is missing", Example: "3", Check: recovery.Number(1, math.MaxInt)},
		{Name: "cost_per_hour", Doc: "what an hour of it costs, for people", Example: "0.12 EUR"},
		{Name: "every", Doc: "how often the API is asked how far it is; 5s if it is missing", Example: "5s", Check: provider.CheckInterval},
		{Name: "url", Doc: "the live database", Example: "${DATABASE_URL}"},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind {
	return []recovery.Kind{restoreKind{e}, readyKind{e}, serveKind{e}}
}

// pause is how often the API is asked, where the runbook does not say.
const pause = 5 * time.Second

// facts are what a survey keeps of a backup: what a restore of it asks for, references
// unresolved.
type facts struct {
	Access access `json:"access"`
	// Source names the cluster that it is a backup of, UID tells it from every other, and
	// System is the identifier of its data.
	Source string `json:"source"`
	UID    string `json:"uid,omitempty"`
	System string `json:"system,omitempty"`
	// Gone says that the source is there no more, Earlier that the backup is of another
	// cluster, which had the source's name before it was made.
	Gone    bool `json:"gone,omitempty"`
	Earlier bool `json:"earlier,omitempty"`
	// Backup is the resource, ID the name that its tool has for it; of a backup by volume
	// snapshots Snapshots are these.
	Backup    string     `json:"backup"`
	ID        string     `json:"id,omitempty"`
	Snapshots []snapshot `json:"snapshots,omitempty"`
	// Window says that the log behind it can be replayed, Moves that its end moves on;
	// Behind is how old a commit is at most before it is archived.
	Window bool              `json:"window,omitempty"`
	Moves  bool              `json:"moves,omitempty"`
	Behind recovery.Duration `json:"behind,omitempty"`
	// Target is where the replay stops; the end of the archive where it is empty.
	Target target `json:"target,omitzero"`
	Shape  shape  `json:"shape"`
	Cost   string `json:"cost,omitempty"`
}

// target is a recoveryTarget, without the backup.
type target struct {
	Time      string `json:"targetTime,omitempty"`
	LSN       string `json:"targetLSN,omitempty"`
	XID       string `json:"targetXID,omitempty"`
	Immediate bool   `json:"targetImmediate,omitempty"`
	Exclusive bool   `json:"exclusive,omitempty"`
}

// toEnd reports whether the log is replayed to the end of the archive, wherever that is.
func (f facts) toEnd() bool { return f.Target == target{} && f.Shape.Origin != nil }

// price is what an hour costs, in words.
func (f facts) price() string {
	if f.Cost != "" {
		return f.Cost + " an hour"
	}
	return "what its pods and volumes cost (cost_per_hour of the component)"
}
