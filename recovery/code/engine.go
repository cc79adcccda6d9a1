package code

import (
	"time"

	"comeback/recovery"
)

// Name is the engine's name in a runbook.
const Name = "code"

// Options are what the engine takes from its surroundings; the zero value is
// this machine.
type Options struct {
	// Now is the time of surveys.
	Now func() time.Time
}

// New makes the engine.
func New(o Options) recovery.Engine {
	if o.Now == nil {
		o.Now = time.Now
	}
	return engine{o}
}

type engine struct{ Options }

// Schema is what a code component may say.
func (engine) Schema() recovery.Schema {
	return recovery.Schema{Engine: Name, Kind: recovery.Code, Keys: []recovery.Key{
		{Name: "path", Doc: "the live checkout, which is never touched", Example: "/srv/shop/app"},
		{Name: "prefix", Doc: "how the keys of this component's bundles and deploy record begin in a copy; if it is missing, NAME/ for those that comeback takes, and all that is no other component's is looked at", Example: "code/"},
		{Name: "backup", Doc: "what comeback backup takes: bundle; all that fits if it is missing, none for nothing", Example: "bundle", List: true},
		{Name: "remote", Doc: "a git remote that is asked for commits that no bundle holds; a deploy record in a copy says which", Example: "ssh://git@git.example.com/shop.git"},
		{Name: "without", Doc: "paths in the repository of submodules, or of files of git LFS, that no bundle has the content of and that come back otherwise, or need not: a restore names them, and is not with exceptions because of them", Example: "vendor/engine", List: true},
		{Name: "signers", Doc: "a file of allowed signers on this host, for the signatures of commits: the run does not pass where the deployed one has not the good signature of one of them", Example: "/etc/shop/allowed_signers"},
	}}
}

// Kinds are the steps of a restore.
func (e engine) Kinds() []recovery.Kind { return []recovery.Kind{checkoutKind{}} }
