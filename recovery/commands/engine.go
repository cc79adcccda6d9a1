package commands

import (
	"os"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// Name is the engine's name, for `with:`.
const Name = "commands"

// Options are what the engine is made of. The zero value is fit for use but for
// Expand.
type Options struct {
	// Expand resolves the references of a runbook, for list.
	Expand func(string) (string, error)
	// Getenv reads this process's environment, of which PATH and HOME are passed on.
	Getenv func(string) string
	// Now is the clock.
	Now func() time.Time
	// Tools finds the programs of a major version.
	Tools func(major int) (postgres.Tools, error)
}

func (o Options) filled() Options {
	if o.Expand == nil {
		o.Expand = func(text string) (string, error) { return text, nil }
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tools == nil {
		o.Tools = postgres.FindTools
	}
	return o
}

// New makes the engine for one kind of component: postgres or files. What it does
// with a component depends on that component's kind alone.
func New(kind recovery.ComponentKind, o Options) recovery.Engine { return engine{o.filled(), kind} }

type engine struct {
	Options
	kind recovery.ComponentKind
}

// Schema is what a component may say.
func (e engine) Schema() recovery.Schema {
	s := recovery.Schema{Engine: Name, Kind: e.kind, Outside: true, Keys: []recovery.Key{
		{Name: "list", Doc: "the program that lists backups and windows, with its arguments", Example: "[/usr/local/bin/shop-backups, list]", List: true, Command: true},
		{Name: "fetch", Doc: "the program that restores one", Example: "[/usr/local/bin/shop-backups, fetch]", List: true, Command: true},
		{Name: "remove", Doc: "the program that removes what fetch has made elsewhere", Example: "[/usr/local/bin/shop-backups, remove]", List: true, Command: true},
		{Name: "environment", Doc: "what the programs need to know, as NAME=value; secrets as references", Example: `["PROVIDER_TOKEN=${PROVIDER_TOKEN}"]`, List: true, Program: true},
		{Name: "copy", Doc: "the one copy that the programs are about; every copy if it is missing", Example: "provider"},
	}}
	if e.kind == recovery.Postgres {
		s.Keys = append(s.Keys,
			recovery.Key{Name: "url", Doc: "the live database; no command may answer with its server", Example: "${DATABASE_URL}"},
			recovery.Key{Name: "database", Doc: "the database in what is fetched, if there are several", Example: "shop"},
			recovery.Key{Name: "superuser", Doc: "the superuser of what is fetched, if it is not postgres", Example: "admin"})
	} else {
		s.Keys = append(s.Keys, recovery.Key{Name: "path", Doc: "the live directory", Example: "/srv/shop/uploads"})
	}
	return s
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind { return []recovery.Kind{fetchKind{e}, serveKind{e}} }

// facts are what a survey keeps of a backup or a window.
type facts struct {
	// Kind is that of the component, Copy the copy, its references unresolved.
	Kind recovery.ComponentKind `json:"kind"`
	Copy recovery.Copy          `json:"copy"`
	// ID is what fetch is asked for; Window says that it is a window's.
	ID     string    `json:"id"`
	Window bool      `json:"window,omitempty"`
	To     time.Time `json:"to,omitzero"`
}
