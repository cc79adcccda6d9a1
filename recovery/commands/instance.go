package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"

	"comeback/recovery"
)

// Instance is what a command has made outside of this host; its ID is the name that
// the command was given for it.
const Instance recovery.ResourceKind = "instance"

// resource is the claim on what fetch may make elsewhere: how it is removed, with
// the references of its environment unresolved.
func resource(p place) (recovery.Resource, error) {
	c := *p.Remove
	c.Asked = append(c.Asked, "COMEBACK_COPY="+p.Copy.Name, "COMEBACK_NAME="+p.name())
	b, err := json.Marshal(c)
	if err != nil {
		return recovery.Resource{}, fmt.Errorf("note how %s is removed: %w", p.name(), err)
	}
	return recovery.Resource{Kind: Instance, ID: p.name(), Details: map[string]string{"remove": string(b)}}, nil
}

// Releaser removes what a command has made elsewhere, with the runbook's command
// for it: only that knows whether it is gone.
type Releaser struct {
	// Expand resolves references.
	Expand func(string) (string, error)
	// Getenv reads this process's environment; os.Getenv where it is nil.
	Getenv func(string) string
}

func (Releaser) Resource() recovery.ResourceKind { return Instance }

// Release runs remove. It may be repeated.
func (r Releaser) Release(ctx context.Context, of recovery.Resource) error {
	var c command
	if err := json.Unmarshal([]byte(of.Details["remove"]), &c); err != nil || of.Kind != Instance || len(c.Argv) == 0 {
		return recovery.Errorf("remove it by hand", "release instance %q: nothing says how it is removed", of.ID)
	}
	getenv, expand := r.Getenv, r.Expand
	if getenv == nil {
		getenv = os.Getenv
	}
	if expand == nil {
		expand = func(text string) (string, error) { return text, nil }
	}
	env, err := c.environ(getenv, expand)
	if err != nil {
		return fmt.Errorf("release instance %s: %w", of.ID, err)
	}
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Env, cmd.Dir, cmd.WaitDelay = env, "/", endsWithin
	var says tail
	cmd.Stdout, cmd.Stderr = &says, &says
	if err := cmd.Run(); err != nil {
		return recovery.Errorf("remove it by hand, then release again", "release instance %s: %s: %w%s", of.ID, c.Argv[0], err, says.words())
	}
	return nil
}
