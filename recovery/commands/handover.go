package commands

import (
	"context"
	"fmt"
	"net/url"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

const handOverName = "commands.hand-over"

// HandOver lists the step that leaves a server that a command has made elsewhere running.
// There is none where the component has no command to remove one: then what it restores is
// on this host.
func (switcher) HandOver(c recovery.SwitchContext) ([]recovery.Step, error) {
	if len(c.Component.Settings["remove"]) == 0 {
		return nil, nil
	}
	all, err := engine{}.Plan(c.Component, c.Point, c.Scratch)
	if err != nil {
		return nil, err
	}
	s := all[len(all)-1] // it is told what the one that tries the address is told
	s.ID, s.Kind, s.Says, s.After = "leave", handOverName, "leave the restored "+c.Component.Name+" running where its command has made it", nil
	return []recovery.Step{s}, nil
}

// handOverKind takes a server that a command has made elsewhere out of the run's claims: it
// is nobody's but the people's from then on. What stands on this host it leaves to the step
// after it. It may be repeated.
type handOverKind struct{ engine }

func (handOverKind) Name() string              { return handOverName }
func (handOverKind) Restart() recovery.Restart { return recovery.Repeat }

func (k handOverKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	f, err := p.fetched(false)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if f.Address == "" {
		return recovery.Outcome{Says: "it was made on this host"}, nil
	}
	served, err := p.elsewhere(ctx, env, f)
	if err != nil {
		return recovery.Outcome{}, err
	}
	resolved, err := env.Secret(f.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	address, err := forPeople(resolved)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s is left running where its command has made it, and answers at %s", p.name(), address), Facts: served.Facts,
		ToDo: []string{fmt.Sprintf("give the application the new address of %s, %s", p.Component, address)}}
	if claim := provider.Held(env, Instance, p.name()); claim != nil {
		o.Adopted = []recovery.Resource{*claim}
	}
	o.HandedOver = []recovery.HandedOver{{Component: p.Component, Address: address, Local: f.Address, Place: p.name(),
		Identity: recovery.Identity{string(Instance): p.name(), recovery.SystemIdentifier: served.Facts[recovery.SystemIdentifier], identityCopy: p.Copy.Name},
		Says:     "a server that " + p.Fetch.Argv[0] + " has made elsewhere, with the roles of the backup; it costs what its provider takes for it until it is removed"}}
	return o, nil
}

// forPeople is an address without its password.
func forPeople(address string) (string, error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", recovery.Errorf("let the command print postgres://USER@HOST:PORT/DATABASE", "the command does not answer with the address of a server")
	}
	if u.User != nil {
		u.User = url.User(u.User.Username())
	}
	return u.String(), nil
}

const expireName = "commands.expire"

// handedOver is what an expiry removes.
type handedOver struct {
	Name string `json:"name"`
	// Address is the server's, its references unresolved.
	Address string            `json:"address"`
	Target  recovery.TargetID `json:"target"`
	Remove  command           `json:"remove"`
}

// Expire lists the step that has removed what an earlier run has left running elsewhere.
func (switcher) Expire(c recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: Live, Place: old.Place, Name: old.Place, Identity: old.Identity}
	h := handedOver{Name: old.Place, Address: old.Address, Target: t.ID}
	if h.Address == "" || old.Identity[string(Instance)] != h.Name || old.Identity[recovery.SystemIdentifier] == "" {
		return t, nil, recovery.Errorf("remove it by hand", "remove %s: it is not recorded which one it is", old.Place)
	}
	of := recovery.Copy{Name: old.Identity[identityCopy]}
	for _, copy := range c.Copies {
		if copy.Name == of.Name {
			of = copy
		}
	}
	var err error
	if h.Remove, err = removal(c.Component, of, h.Name); err != nil {
		return t, nil, err
	}
	t.Facts = provider.Encode(h)
	s := recovery.NewStep("expire", expireName, fmt.Sprintf("remove %s with %s, where nobody is connected to it", h.Name, h.Remove.Argv[0]), h)
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
}

// expireKind removes it. Before the command runs, its name is claimed: what is cut off is
// ended by the next attempt, which finds nobody to ask any more, or by giving the claim back.
type expireKind struct{ engine }

func (expireKind) Name() string              { return expireName }
func (expireKind) Restart() recovery.Restart { return recovery.Repeat }

func (k expireKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var h handedOver
	if err := step.Decode(&h); err != nil {
		return recovery.Outcome{}, err
	}
	r := h.Remove.claim(h.Name)
	if provider.Held(env, Instance, h.Name) == nil {
		if _, err := env.Target(ctx, h.Target); err != nil {
			return recovery.Outcome{}, err
		}
		if err := h.unused(ctx, env); err != nil {
			return recovery.Outcome{}, err
		}
		if err := env.Claim(ctx, r); err != nil {
			return recovery.Outcome{}, err
		}
	}
	env.Meter().Phase("remove "+h.Name, 0, recovery.NoUnit)
	if err := (Releaser{Expand: env.Secret, Getenv: k.Getenv}).Release(ctx, r); err != nil {
		return recovery.Outcome{}, err
	}
	return recovery.Outcome{Says: h.Name + " is gone"}, nil
}

// unused refuses a server that somebody is connected to, and one that cannot be asked.
func (h handedOver) unused(ctx context.Context, env recovery.Env) error {
	address, err := env.Secret(h.Address)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, removedWithin)
	defer cancel()
	conn, err := postgres.ConnectLive(ctx, address)
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		var n int64
		if n, err = provider.Users(ctx, conn); err == nil && n > 0 {
			return provider.Refused("let them disconnect if nobody needs it any more, then retry", "%s is in use: it has %s", h.Name, recovery.FormatCount(n, "session"))
		}
	}
	if err != nil {
		return provider.Refused("let it answer, then retry; or make sure that nobody uses it and run the command that removes it by hand", "it cannot be asked who uses %s: %w", h.Name, err)
	}
	return nil
}
