package rds

import (
	"context"

	"comeback/recovery"
)

// Live is the kind of target that an instance or a cluster of RDS is.
const Live recovery.ComponentKind = "RDS"

// NewSwitcher makes what brings a restored instance or cluster to the people: it is left
// running, and they are given its address.
func NewSwitcher(o Options) Switcher { return switcher{engine{o.filled()}} }

// Switcher is one that hands over, and removes what it has handed over.
type Switcher interface {
	recovery.Switcher
	recovery.HandOverer
	recovery.Expirer
}

type switcher struct{ engine }

// Kind is Live.
func (switcher) Kind() recovery.ComponentKind { return Live }

// Keys are what a component says about its live target.
func (switcher) Keys() []recovery.Key {
	return []recovery.Key{{Name: "into", Doc: "hand-over: what is restored is left running, at an address of its own", Example: recovery.IntoHandOver}}
}

// Look refuses: nothing live is switched.
func (switcher) Look(_ context.Context, c recovery.Component, _ []recovery.Copy, _ func(string) (string, error)) (recovery.Live, error) {
	return recovery.Live{}, recovery.Errorf("write `into: hand-over` into the component: what is restored is left running, at an address of its own",
		"what RDS restores has an address of its own, so that nothing takes the place of the live %s", c.Name).WithExit(recovery.Usage)
}

// Plan is never asked for, because Look refuses.
func (w switcher) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	_, err := w.Look(context.Background(), c.Component, nil, nil)
	return recovery.Switch{}, err
}

// Back has nothing to bring back: nothing was put aside.
func (w switcher) Back(c recovery.SwitchContext, _ recovery.Old) (recovery.Switch, error) {
	return w.Plan(c)
}

// Kinds are the steps of a hand-over and of its end.
func (w switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{handOverKind(w), expireKind(w)}
}

// Releasers give back what a restore has made.
func (w switcher) Releasers(expand func(string) (string, error)) []recovery.Releaser {
	o := w.Options
	o.Expand = expand
	return []recovery.Releaser{Releaser{o, Instance}, Releaser{o, Cluster}}
}
