package cnpg

import (
	"context"
	"maps"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// Live is the kind of target that a cluster of CloudNativePG is.
const Live recovery.ComponentKind = "CloudNativePG"

// NewSwitcher makes what brings a restored cluster to the people: it is left running, and
// they are given its address. Nothing takes the place of what is live.
func NewSwitcher(o Options) Switcher {
	return switcher{provider.HandsOver{Makes: "CloudNativePG restores into a new cluster"}, engine{o.Filled()}}
}

// Switcher is one that hands over, and removes what it has handed over.
type Switcher interface {
	recovery.Switcher
	recovery.HandOverer
	recovery.Expirer
}

type switcher struct {
	provider.HandsOver
	engine engine
}

// Kind is Live.
func (switcher) Kind() recovery.ComponentKind { return Live }

// Keys are what a component says about its live target.
func (switcher) Keys() []recovery.Key {
	return []recovery.Key{{Name: "into", Doc: "how it comes back: hand-over (the new cluster is left running, and people give the application its address)", Example: recovery.IntoHandOver,
		Check: recovery.OneOf(recovery.IntoHandOver)}}
}

// Kinds are the steps of a hand-over and of its end.
func (w switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{handOverKind{w.engine}, expireKind{w.engine}}
}

// Releasers give back what a restore has made.
func (w switcher) Releasers(expand func(string) (string, error)) []recovery.Releaser {
	o := w.engine.Options
	o.Expand = expand
	return []recovery.Releaser{Releaser{o}}
}

// Identify reads which cluster it is now that an expiry deletes.
func (w switcher) Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	h, err := provider.Decode[handedOver](t.Facts, string(t.ID))
	if err != nil || h.Name == "" {
		return nil, recovery.Errorf("make a new plan", "read which one %s is: it is not recorded", t.ID)
	}
	k, err := h.Access.open(ctx, expand)
	if err != nil {
		return nil, err
	}
	defer k.close()
	c, err := k.find(ctx, h.Name)
	if err != nil {
		return nil, err
	}
	now := maps.Clone(t.Identity)
	delete(now, identityUID)
	if c != nil {
		now[identityUID] = c.Metadata.UID
	}
	return now, nil
}

// What tells a cluster from every other.
const identityUID = "uid"

// handedOver is what an expiry deletes.
type handedOver struct {
	Access access            `json:"access"`
	Name   string            `json:"name"`
	UID    string            `json:"uid"`
	Target recovery.TargetID `json:"target"`
	Every  recovery.Duration `json:"every"`
	// Secret is what it is asked by who is connected.
	Secret string `json:"secret"`
}
