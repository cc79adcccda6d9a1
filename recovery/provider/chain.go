package provider

import "comeback/recovery"

// Chain is the steps of a restore of one component into one scratch target, each after
// the one before it.
type Chain struct {
	component, network string
	target             recovery.TargetID
	steps              []recovery.Step
}

// NewChain begins the steps of a restore of what a point says, and refuses a target that is
// not scratch: a provider, named in the refusal, restores into what is new. Network is what
// network what it makes has, which is shut into no box of this host.
func NewChain(provider, network string, c recovery.Component, t recovery.Target) (*Chain, error) {
	if !t.Scratch {
		return nil, NotScratch(provider, t.ID)
	}
	return &Chain{component: c.Name, network: network, target: t.ID}, nil
}

// Add appends a step of a kind that is told args; what it reads is in reads.
func (c *Chain) Add(id string, kind recovery.Kind, args any, says string, reads ...recovery.Ref) {
	s := recovery.NewStep(id, kind.Name(), says, args)
	s.Component, s.Network, s.Writes, s.Reads = c.component, c.network, []recovery.TargetID{c.target}, reads
	if n := len(c.steps); n > 0 {
		s.After = []string{c.steps[n-1].ID}
	}
	c.steps = append(c.steps, s)
}

// Steps are what was added.
func (c *Chain) Steps() []recovery.Step { return c.steps }

// TellNetwork says in the outcome of a step of a chain that nothing shuts off what it runs, or
// has made.
func TellNetwork(o *recovery.Outcome, s recovery.Step) {
	if s.Network == "" { // of a plan that an earlier version made
		return
	}
	o.Facts[recovery.FactNetwork] = s.Network
	o.Facts[recovery.FactIsolation] = "NOT shut into a box: its network is " + s.Network
}

// NotScratch refuses a live target of a restore.
func NotScratch(provider string, id recovery.TargetID) error {
	return Refused("restore into scratch", "%s restores into what is new only, and %s is live", provider, id)
}
