package rds

import (
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// Name is the engine's name, for `with:`.
const Name = "rds"

// Options are what the engine is made of.
type Options = provider.Options

// New makes the engine.
func New(o Options) recovery.Engine { return engine{o.Filled()} }

type engine struct{ Options }

// Schema is what a component may say.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Postgres, Outside: true, Keys: []recovery.Key{
		{Name: "instance", Doc: "the source's DB instance identifier", Example: "shop-prod"},
		{Name: "cluster", Doc: "the source's DB cluster identifier, of Aurora; either this or instance", Example: "shop-prod"},
		{Name: "region", Doc: "the region of the source", Example: "eu-central-1"},
		{Name: "profile", Doc: "a profile of the shared configuration of AWS", Example: "recovery"},
		{Name: "role", Doc: "the ARN of a role to assume", Example: "arn:aws:iam::210987654321:role/recovery"},
		{Name: "endpoint", Doc: "the address of the service, where it is an endpoint of one's own network", Example: "https://vpce-0123.rds.eu-central-1.vpce.amazonaws.com"},
		{Name: "copy", Doc: "the one copy that the engine answers for; every copy if it is missing", Example: "records"},
		{Name: "database", Doc: "the database that checks look at; the source's first if it is missing", Example: "shop"},
		{Name: "user", Doc: "the role that checks sign on as; the source's master user if it is missing", Example: "shop"},
		{Name: "password", Doc: "a reference to that role's password, as it stands in an address: percent-encoded", Example: "${DATABASE_PASSWORD}"},
		{Name: "ca", Doc: "a file with the service's certificate authorities, to know the server by; if it is missing the connection is encrypted and the server not known", Example: "/etc/ssl/rds-ca.pem"},
		{Name: "class", Doc: "the instance class of what is restored; the source's if it is missing", Example: "db.r6g.large"},
		{Name: "subnet_group", Doc: "its DB subnet group; the source's if it is missing", Example: "recovery"},
		{Name: "security_groups", Doc: "its VPC security groups; the source's if they are missing", Example: "[sg-0123]", List: true},
		{Name: "parameter_group", Doc: "its DB parameter group; the source's if it is missing", Example: "shop-pg15"},
		{Name: "cost_per_hour", Doc: "what an hour of it costs, for people", Example: "0.29 USD"},
		{Name: "every", Doc: "how often the service is asked how far it is; 15s if it is missing", Example: "15s", Check: provider.CheckInterval},
		{Name: "url", Doc: "the live database, which is asked what it does to others by itself: so will what is restored", Example: "${DATABASE_URL}"},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind {
	return []recovery.Kind{restoreKind{e}, memberKind{e}, availableKind{e}, serveKind{e}}
}

// pause is how often the service is asked, where the runbook does not say.
const pause = 15 * time.Second

// facts are what a survey keeps of a window or a snapshot: what a restore of it asks
// for, references unresolved.
type facts struct {
	Account account `json:"account"`
	// Source names what it is a backup of, Resource is the id that the service never
	// gives again. Cluster says that it is a cluster's.
	Source   string `json:"source"`
	Resource string `json:"resource,omitempty"`
	Cluster  bool   `json:"cluster,omitempty"`
	// Gone says that the source is there no more.
	Gone bool `json:"gone,omitempty"`
	// Namesake says that the source is another one of the same name, whose shape is in part
	// that of today's.
	Namesake bool `json:"namesake,omitempty"`
	// Snapshot is the one to restore; else it is a window, and To the moment in it.
	Snapshot string    `json:"snapshot,omitempty"`
	To       time.Time `json:"to,omitzero"`
	// Moves says that the window's end moves on.
	Moves bool   `json:"moves,omitempty"`
	Shape shape  `json:"shape"`
	Cost  string `json:"cost,omitempty"`
	// Outwards is what the source does to others, as does what is restored of it.
	Outwards []string `json:"outwards,omitempty"`
}

// what it is, in words.
func (f facts) what() string {
	if f.Cluster {
		return "cluster"
	}
	return "instance"
}

// price is what an hour costs, in words.
func (f facts) price() string {
	if f.Cost != "" {
		return f.Cost + " an hour"
	}
	return "an amount by the hour that is not known here (cost_per_hour of the component)"
}
