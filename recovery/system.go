package recovery

import "time"

// ComponentKind is what a component is made of.
type ComponentKind string

// The kinds of components.
const (
	Postgres ComponentKind = "postgres"
	Files    ComponentKind = "files"
	Config   ComponentKind = "config"
	Code     ComponentKind = "code"
)

// Component is a part of a system that comes back as one thing.
type Component struct {
	Name string        `json:"name"`
	Kind ComponentKind `json:"kind"`
	// With names the engine, or is empty: then every engine of the kind
	// looks for backups.
	With string `json:"with,omitempty"`
	// Settings are the engine's own keys as the runbook gives them, with
	// references such as ${DATABASE_URL} unresolved.
	Settings Settings `json:"settings,omitempty"`
	// Claims tell its backups from those of the runbook's other components.
	Claims Claims `json:"claims,omitzero"`
}

// Settings are a component's engine-specific keys: each value is a string or a
// list of strings. Their names are checked against the engine's Schema before
// anything uses them.
type Settings map[string][]string

// Text is the single value of a key, or "".
func (s Settings) Text(key string) string {
	if v := s[key]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// Lives is what the runbook says of where the live component is, its references unresolved:
// under the first of the keys that it gives. That it gives none is a refusal.
func (c Component) Lives(keys ...string) (string, error) {
	for _, key := range keys {
		if text := c.Settings.Text(key); text != "" {
			return text, nil
		}
	}
	return "", c.Unplaced(keys[len(keys)-1])
}

// Unplaced is the refusal of whoever needs the live component where the runbook does not tell
// where that is; key is what would.
func (c Component) Unplaced(key string) error {
	return Errorf("give the component its `"+key+"` in the runbook", "the runbook does not tell where the live %s is", c.Name).WithExit(Usage)
}

// Copy is a place that holds backups.
type Copy struct {
	Name string `json:"name"`
	// URL is file:///dir or s3://bucket/prefix.
	URL       string `json:"url"`
	Region    string `json:"region,omitempty"`
	Profile   string `json:"profile,omitempty"`
	Endpoint  string `json:"endpoint,omitempty"`
	PathStyle bool   `json:"path_style,omitempty"`
	// Role is the ARN of a role to assume.
	Role string `json:"role,omitempty"`
	// Account is the account that must own the bucket.
	Account string `json:"account,omitempty"`
	// AsOf is the moment as of which a copy that keeps versions is read; zero for what is
	// there now. Directories are always read as they are.
	AsOf time.Time `json:"as_of,omitzero"`
}

// Schema is what an engine understands in a runbook, for the linter.
type Schema struct {
	// Engine is the engine's name, for `with:`.
	Engine string
	// Kind is the kind of component that it restores.
	Kind ComponentKind
	Keys []Key
	// Versions says that each of its backups is all that was there since the backup's begin,
	// and is brought back as it was at any second.
	Versions bool
	// Outside says that it reads backups by a program or a service of its own, and not
	// through the store of a copy, which it cannot read as it was then.
	Outside bool
}

// Key is one setting of a component.
type Key struct {
	Name, Doc, Example string
	Required           bool
	// List allows several values.
	List bool
	// Check says what is wrong with a value, in words that go on after it ("is not a
	// duration"), and as the hint what to write instead; nil takes every one.
	Check func(value string) error
	// Command says that the value is a command of the runbook's which this host runs to see
	// which backups there are; Program that it says by which program that is done, or leads one
	// to others, as a kubeconfig or an AWS profile does. Where nobody has named the runbook,
	// neither is done before somebody does.
	Command, Program bool
}
