package commands

import (
	"context"
	"maps"
	"time"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

// Live is the kind of target that a server is which a command has made elsewhere.
const Live recovery.ComponentKind = "made by a command"

// NewSwitcher makes what leaves a server that a command has made elsewhere running, and
// has it removed by the runbook's command when people say so. Nothing takes the place of
// what is live.
func NewSwitcher(o Options) Switcher {
	return switcher{provider.HandsOver{Makes: "a command makes a new server"}, engine{o.filled(), recovery.Postgres}}
}

// Switcher is one that hands over, and removes what it has handed over.
type Switcher interface {
	recovery.Switcher
	recovery.HandOverer
	recovery.Expirer
	// Here reports whether something that was left, or what a component restores, is on
	// this host, and so not this switcher's.
	Here(recovery.Old) bool
}

type switcher struct {
	provider.HandsOver
	engine engine
}

// Kind is Live.
func (switcher) Kind() recovery.ComponentKind { return Live }

// Keys are none: what is restored comes back as any server does.
func (switcher) Keys() []recovery.Key { return nil }

// Kinds are the steps of a hand-over and of its end.
func (w switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{handOverKind{w.engine}, expireKind{w.engine}}
}

// Releasers are none: Releaser gives back what commands have made.
func (switcher) Releasers(func(string) (string, error)) []recovery.Releaser { return nil }

// Here is told by what a hand-over of a server elsewhere records.
func (switcher) Here(old recovery.Old) bool { return old.Identity[string(Instance)] == "" }

// Identify asks the server that an expiry removes which cluster it is. That it does not
// answer is an error, because nothing else tells whether it is there.
func (w switcher) Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	h, err := provider.Decode[handedOver](t.Facts, string(t.ID))
	if err != nil || h.Name == "" {
		return nil, recovery.Errorf("make a new plan", "read which one %s is: it is not recorded", t.ID)
	}
	address, err := expand(h.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answersWithin)
	defer cancel()
	conn, err := postgres.ConnectLive(ctx, address)
	if err != nil {
		return nil, recovery.Errorf("if it was removed by hand, nothing is left to do; else let it answer", "ask %s which one it is: %w", h.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	is, err := postgres.ReadIdentity(ctx, conn)
	if err != nil {
		return nil, err
	}
	now := maps.Clone(t.Identity)
	now[recovery.SystemIdentifier] = is.SystemIdentifier
	return now, nil
}

// identityCopy is which copy a server came from, beside what tells it from every other.
const identityCopy = "copy"

// removedWithin is how long a server that is to be removed may take to answer who uses it.
const removedWithin = 10 * time.Second
