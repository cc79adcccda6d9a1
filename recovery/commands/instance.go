package commands

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/said"
)

// Instance is what a command has made outside of this host; its ID is the name that
// the command was given for it.
const Instance recovery.ResourceKind = "instance"

// removal is a component's command to remove what was made elsewhere from a copy, under a
// name.
func removal(c recovery.Component, of recovery.Copy, name string) (command, error) {
	r, err := commandOf(c, "remove")
	if err != nil {
		return r, err
	}
	return r.of(of, name), nil
}

// of is a command to remove that knows what it is to remove.
func (c command) of(of recovery.Copy, name string) command {
	c.Asked = append(slices.Clip(c.Asked), "COMEBACK_COPY="+of.Name, "COMEBACK_NAME="+name)
	c.Environ = append(slices.Clip(c.Environ), "COMEBACK_COPY_URL="+of.URL)
	return c
}

// claim is that on what fetch may make elsewhere: how it is removed, with the references
// of its environment unresolved.
func (c command) claim(name string) recovery.Resource {
	return recovery.Resource{Kind: Instance, ID: name, Details: map[string]string{"remove": string(provider.Encode(c))}}
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

var _ recovery.Expander = Releaser{}

// Expands lists the texts of a claim whose references Release resolves: what its command
// says to a shell of its own is none of them.
func (Releaser) Expands(of recovery.Resource) []string {
	var c command
	if json.Unmarshal([]byte(of.Details["remove"]), &c) != nil {
		return nil // Release refuses it
	}
	return c.Environ
}

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
	says := &said.Last{Most: mostWords}
	if err := c.run(ctx, env, says, says); err != nil {
		return recovery.Errorf("remove it by hand, then release again", "release instance %s: %s: %w%s", of.ID, c.Argv[0], err, ending(says))
	}
	return nil
}
