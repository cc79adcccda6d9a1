package rds

import "comeback/recovery"

// Live is the kind of target that an instance or a cluster of RDS is.
const Live recovery.ComponentKind = "RDS"

// NewSwitcher makes what brings a restored instance or cluster to the people: it is left
// running, and they are given its address; or it takes the name of what is live, which is
// renamed aside.
func NewSwitcher(o Options) Switcher { return switcher{engine{o.Filled()}} }

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
	return []recovery.Key{
		{Name: "into", Doc: "how it comes back live: hand-over (it is left running, at an address of its own) or rename (it takes the live one's name, which is renamed aside)", Example: recovery.IntoHandOver,
			Check: recovery.OneOf(recovery.IntoHandOver, intoRename)},
		{Name: "keep", Doc: "how long what was live stays aside after a switch; 7d if not set", Example: "7d"},
	}
}

// intoRename is the way in which what was restored takes the live one's name.
const intoRename = "rename"

// Kinds are the steps of a hand-over, of a switch, and of their end.
func (w switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{handOverKind(w), renameKind(w), openKind(w), expireKind(w)}
}

// Releasers give back what a restore has made, and names.
func (w switcher) Releasers(expand func(string) (string, error)) []recovery.Releaser {
	o := w.Options
	o.Expand = expand
	return []recovery.Releaser{Releaser{o, Instance}, Releaser{o, Cluster}, renameBack{o}}
}
