package runbooks

import (
	"maps"
	"slices"
	"time"
)

// Format is the version of the runbook's format that this package reads.
const Format = 1

// Runbook is one system's runbook. What Parse found wrong is left at its zero
// value.
type Runbook struct {
	// Name is the file's name, for messages.
	Name string
	// Format is the value of `comeback:`.
	Format int
	System string
	// Formerly are other names of systems whose backups are this one's own.
	Formerly []string
	// Title is the text of the first # heading.
	Title string
	// RPO and RTO are what the business was promised; zero where the runbook
	// does not say.
	RPO, RTO time.Duration
	// Rehearse is the longest time between two rehearsals; zero where the
	// runbook does not say.
	Rehearse time.Duration
	People   []Person
	// Production names hosts, addresses and directories that a rehearsal
	// must never touch.
	Production []string
	// Notify is the command, by its words, that calls a person when a run
	// waits for one; words may hold references. NotifyAt is where it stands.
	Notify   []string
	NotifyAt Pos
	// Needs maps environment variables to where a person finds their values.
	Needs map[string]string
	// Copies and Components are in the order of the document.
	Copies     []Copy
	Components []Component
	// Without are the kinds of component of which the system has nothing, so that
	// nobody misses them.
	Without []Without
	Stages  []Stage

	references []Reference
	loose      []Block // documentation before the first stage
}

// Without is a kind of component that a system does without.
type Without struct {
	Pos
	Kind string
}

// Person is somebody whom the runbook names.
type Person struct {
	Pos
	Role  string
	Reach string
	// Key is an SSH public key, for approvals and reviews.
	Key string
}

// Copy is a place that holds backups.
type Copy struct {
	Pos
	Name string
	// URL is file:///dir or s3://bucket/prefix; like every value of a copy it
	// may hold references.
	URL       string
	Region    string
	Profile   string
	Endpoint  string
	PathStyle bool
	// Role is the ARN of a role to assume.
	Role string
	// Account is the account that must own the bucket, twelve digits.
	Account string
	// AsOf is the moment as of which the copy is read. No runbook says it: whoever
	// goes by one may.
	AsOf time.Time
}

// Component is a part of the system.
type Component struct {
	Pos
	Name string
	// Kind is "postgres", "files", "config" or "code".
	Kind string
	// With names the engine; empty means every engine of the kind.
	With string
	// Settings are all other keys, which belong to the engine. A value is one
	// string or a list, with its references as they were written.
	Settings map[string][]string
	// Keys says where each setting stands, and "kind" and "with".
	Keys map[string]Pos

	order []string // the settings' keys in the order of the document
}

// Stage is a ## section.
type Stage struct {
	Pos
	Name string
	// Owner and Budget come from the line "Owner: …. Budget: …."; they are
	// empty where there is none.
	Owner  string
	Budget time.Duration
	// Prose is the section's Markdown without that line, the items to tick
	// and the fenced blocks.
	Prose string
	// Blocks are in the order of the document.
	Blocks []Block
}

// Reference is a place where a value refers to the environment.
type Reference struct {
	Pos
	// Name is the variable's name, without ${}.
	Name string
}

// References lists every ${VAR} of the front matter, in the order of the
// document.
func (r *Runbook) References() []Reference { return slices.Clone(r.references) }

// Variables lists, sorted, every variable of the environment that the runbook
// names: in the front matter, in `needs`, in addresses that are checked, and those
// that its scripts may see.
func (r *Runbook) Variables() []string {
	names := slices.Collect(maps.Keys(r.Needs))
	for _, ref := range r.references {
		names = append(names, ref.Name)
	}
	for _, s := range r.Stages {
		for _, b := range s.Blocks {
			switch b := b.(type) {
			case HTTPCheck:
				names = append(names, b.References()...)
			case Shell:
				names = append(names, b.Env...)
			case ShellWait:
				names = append(names, b.Env...)
			case Start:
				names = append(names, b.Env...)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Component finds a component by its name.
func (r *Runbook) Component(name string) (Component, bool) {
	for _, c := range r.Components {
		if c.Name == name {
			return c, true
		}
	}
	return Component{}, false
}

// Copy finds a copy by its name.
func (r *Runbook) Copy(name string) (Copy, bool) {
	for _, c := range r.Copies {
		if c.Name == name {
			return c, true
		}
	}
	return Copy{}, false
}
