package trees

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"comeback/recovery"
	"comeback/recovery/exchange"
)

const handOverName = "trees.hand-over"

// Beside makes the switcher of components of a kind whose restored tree takes the place
// of nothing that is live: a configuration that was decrypted, a checkout. It is handed
// over, and people bring in of it what they need.
func Beside(kind recovery.ComponentKind) recovery.Switcher { return beside{kind: kind} }

type beside struct {
	switcher
	kind recovery.ComponentKind
}

// Kind is that of its components.
func (b beside) Kind() recovery.ComponentKind { return b.kind }

// Keys are none: nothing of it is live.
func (beside) Keys() []recovery.Key { return nil }

// Kinds are none: those of files components carry its steps out.
func (beside) Kinds() []recovery.Kind { return nil }

// Releasers are none: those of files components give back what its steps claim.
func (beside) Releasers(func(string) (string, error)) []recovery.Releaser { return nil }

// Instead is how it comes back.
func (beside) Instead() string {
	return "leave it out of the `switch:`: a recovery leaves its restored tree in a directory of its own, and people bring in what they need of it"
}

func (b beside) refuse(component string) error {
	return recovery.Errorf(b.Instead(), "the component %s cannot take the place of what is live: it is of kind %s", component, b.kind).WithExit(recovery.Usage)
}

// Look refuses: there is nothing to switch.
func (b beside) Look(_ context.Context, c recovery.Component, _ []recovery.Copy, _ func(string) (string, error)) (recovery.Live, error) {
	return recovery.Live{}, b.refuse(c.Name)
}

// Foresee refuses as Look does.
func (b beside) Foresee(c recovery.Component, _ func(string) (string, error)) (recovery.Live, error) {
	return recovery.Live{}, b.refuse(c.Name)
}

// Plan refuses: there is nothing to switch.
func (b beside) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	return recovery.Switch{}, b.refuse(c.Component.Name)
}

// Back refuses: nothing was switched.
func (b beside) Back(c recovery.SwitchContext, _ recovery.Old) (recovery.Switch, error) {
	return recovery.Switch{}, b.refuse(c.Component.Name)
}

// handOverArgs are those of the step that leaves a restored tree on its own.
type handOverArgs struct {
	Component string            `json:"component"`
	Run       string            `json:"run"`
	Scratch   recovery.TargetID `json:"scratch"`
	// Place is the directory that holds the tree from then on. Only whoever runs
	// comeback may enter it.
	Place string `json:"place"`
	// Secret says that the tree was encrypted in its copy, and lies there in clear.
	Secret bool `json:"secret,omitempty"`
	// Code says that the tree is what a commit has: a live checkout has more than that.
	Code bool `json:"code,omitempty"`
	// Live are the paths that it is a copy of, as the runbook writes them.
	Live []string `json:"live,omitempty"`
}

// HandOver lists the step that leaves what was restored on its own. Its directory lies
// beside the run's scratch, which goes.
func (switcher) HandOver(c recovery.SwitchContext) ([]recovery.Step, error) {
	a := handOverArgs{Component: c.Component.Name, Run: c.Run, Scratch: c.Scratch.ID, Secret: c.Component.Kind == recovery.Config, Code: c.Component.Kind == recovery.Code,
		Place: filepath.Dir(c.Scratch.Place) + "." + c.Component.Name, Live: c.Component.Settings["path"]}
	if paths := c.Component.Settings["paths"]; len(paths) > 0 {
		a.Live = paths
	}
	s := recovery.NewStep("hand-over", handOverName, "leave the restored "+c.Component.Name+" in "+a.tree(), a)
	s.Writes = []recovery.TargetID{c.Scratch.ID}
	return []recovery.Step{s}, nil
}

// tree is where it lies from then on.
func (a handOverArgs) tree() string { return filepath.Join(a.Place, a.Component) }

// handOver takes a restored tree out of scratch. Until it lies in its place it is a
// claim; then it is nobody's but the people's.
type handOver struct{}

func (handOver) Name() string              { return handOverName }
func (handOver) Restart() recovery.Restart { return recovery.Repeat }

func (handOver) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a handOverArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, a.Scratch); err != nil {
		return recovery.Outcome{}, err
	}
	m, err := a.moving(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("put everything on disk", 0, recovery.NoUnit)
	if err := m.move(); err != nil {
		return recovery.Outcome{}, err
	}
	id, err := identify(a.Place)
	if err != nil {
		return recovery.Outcome{}, err
	}
	restored, _ := env.Binding(a.Component)
	facts, how := a.toLive(env, restored, undescribed(m.from))
	h := recovery.HandedOver{Component: a.Component, Tree: a.tree(), Place: a.Place, Identity: id,
		Says: "NOTHING LIVE IS CHANGED: " + how + "; only " + whoever() + " may enter " + a.Place}
	facts["directory"] = a.tree()
	says := fmt.Sprintf("the restored %s lies in %s", a.Component, a.tree())
	if a.Secret {
		h.Says = "decrypted: OPEN SECRETS ON DISK until it is removed; " + h.Says
		says += ", decrypted: open secrets on disk"
	}
	return recovery.Outcome{Says: says, Adopted: []recovery.Resource{m.resource()}, HandedOver: []recovery.HandedOver{h},
		Bindings: []recovery.Binding{{Component: a.Component, URL: (&url.URL{Scheme: "file", Path: a.tree()}).String(), Scratch: true, Of: restored.Of, Commit: restored.Commit}},
		Facts:    facts}, nil
}

// whoever is the user of this process, as a sentence can hold them.
func whoever() string {
	if uid := os.Geteuid(); uid != 0 {
		return fmt.Sprintf("the user %d", uid)
	}
	return "root"
}

// moving is the claim of a tree that goes from scratch to its place.
type moving struct {
	handOverArgs
	from string
	// which is the tree, whatever it is called by now.
	which exchange.Identity
}

func (m moving) resource() recovery.Resource {
	which, err := m.which.MarshalText()
	if err != nil { // it never is
		panic("trees: " + err.Error())
	}
	return recovery.Resource{Kind: recovery.HandedTree, ID: m.Place,
		Details: map[string]string{"run": m.Run, "component": m.Component, "from": m.from, "tree": m.tree(), "which": string(which)}}
}

// moving is what an earlier attempt has claimed, or what is restored, claimed before it
// is moved.
func (a handOverArgs) moving(ctx context.Context, env recovery.Env) (moving, error) {
	m := moving{handOverArgs: a}
	for _, r := range env.Held() {
		if r.Kind == recovery.HandedTree && r.ID == a.Place {
			m.from = r.Details["from"]
			err := m.which.UnmarshalText([]byte(r.Details["which"]))
			return m.orRestored(ctx, env, err)
		}
	}
	at, err := exchange.Standing(a.Place)
	if err != nil {
		return m, err
	}
	if at != (exchange.Identity{}) {
		return m, recovery.Errorf("find out who made it and move it away, or choose another place with --scratch",
			"refused: %s is there, and this run has not made it", a.Place).WithExit(recovery.Refused)
	}
	return m.restored(ctx, env)
}

// orRestored is what was claimed, unless nothing of it is anywhere any more and the tree
// was restored again.
func (m moving) orRestored(ctx context.Context, env recovery.Env, err error) (moving, error) {
	if err != nil {
		return m, fmt.Errorf("hand %s over: %w", m.Component, err)
	}
	for _, path := range []string{m.tree(), m.from} {
		switch at, err := exchange.Identify(path); {
		case err == nil && at.Is(m.which):
			return m, nil
		case err != nil && !errors.Is(err, fs.ErrNotExist):
			return m, err
		}
	}
	return m.restored(ctx, env)
}

// restored claims the tree that the component is bound to.
func (m moving) restored(ctx context.Context, env recovery.Env) (moving, error) {
	if m.from = scratchTree(env, m.Component); m.from == "" {
		return m, recovery.Errorf("retry the restore", "hand %s over: no restored directory of it is there", m.Component)
	}
	var err error
	if m.which, err = exchange.Identify(m.from); err != nil {
		return m, recovery.Errorf("retry the restore", "hand %s over: %w", m.Component, err)
	}
	return m, env.Claim(ctx, m.resource())
}

// move makes the place and calls the tree by its name there, when all of it is on disk.
// It may be repeated.
func (m moving) move() error {
	err := os.Mkdir(m.Place, 0o700)
	if err == nil {
		err = os.Chmod(m.Place, 0o700) // whatever the umask
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return recovery.Errorf("choose another place with --scratch", "make a place for the restored %s: %w", m.Component, err)
	}
	switch at, err := exchange.Identify(m.tree()); {
	case err == nil && at.Is(m.which):
		return syncNames(m.Place, filepath.Dir(m.Place))
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := onDisk(m.Place, m.Component); err != nil {
		return err
	}
	if err := move(m.from, m.tree()); err != nil {
		return err
	}
	return syncNames(filepath.Dir(m.Place))
}

// removeHanded gives back a tree that was not handed over to the end.
type removeHanded struct{}

func (removeHanded) Resource() recovery.ResourceKind { return recovery.HandedTree }

func (removeHanded) Release(_ context.Context, r recovery.Resource) error {
	if !filepath.IsAbs(r.ID) || r.Details["run"] == "" {
		return fmt.Errorf("give back %s %s: it is not recorded what was made", r.Kind, r.ID)
	}
	at, err := exchange.Standing(r.ID)
	if err != nil || at == (exchange.Identity{}) {
		return err
	}
	return exchange.Discard(r.ID, at)
}

// unused refuses a tree that was handed over while a program uses it.
func (a expireArgs) unused() error {
	using, err := users(a.Place)
	if err != nil {
		return fmt.Errorf("look who uses %s: %w", a.Place, err)
	}
	if len(using) > 0 {
		return recovery.Errorf("let them go on elsewhere if nobody needs it any more, then retry",
			"refused: %s is in use: %s", a.Place, strings.Join(using, ", ")).WithExit(recovery.Refused)
	}
	return nil
}

var (
	_ recovery.HandOverer = switcher{}
	_ recovery.Bystander  = beside{}
	_ recovery.Foreseer   = switcher{}
)
