package rds

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"comeback/recovery"
	"comeback/recovery/provider"
)

const expireName = "rds.expire"

// handedOver is what an expiry deletes.
type handedOver struct {
	Account  account               `json:"account"`
	Kind     recovery.ResourceKind `json:"kind"`
	ID       string                `json:"id"`
	Resource string                `json:"resource"`
	Target   recovery.TargetID     `json:"target"`
	Every    recovery.Duration     `json:"every"`
	// Last is the name of its last snapshot.
	Last string `json:"last,omitempty"`
	// Login is how it is asked who is connected.
	Login login `json:"login"`
}

// Expire lists the step that deletes what an earlier run has left running, or renamed aside. Its identity
// is the id that the service never gives again.
func (switcher) Expire(c recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: Live, Place: old.Place, Name: old.Place, Identity: old.Identity}
	h := handedOver{Account: accountOf(c.Component), Kind: Instance, ID: old.Place, Resource: old.Identity["resource id"], Target: t.ID}
	if old.Identity[string(Cluster)] != "" {
		h.Kind = Cluster
	}
	if h.Resource == "" || old.Identity[string(h.Kind)] != h.ID {
		return t, nil, recovery.Errorf("delete it by hand, in the console of RDS", "delete %s: it is not recorded which one it is", old.Place)
	}
	every, err := provider.Interval(c.Component, pause)
	if err != nil {
		return t, nil, err
	}
	h.Every = recovery.Duration(every)
	if h.Login, err = loginOf(c.Component, "", "postgres"); err != nil {
		return t, nil, err
	}
	h.Last = lastOf(h.ID)
	if t.Facts, err = json.Marshal(h); err != nil {
		return t, nil, fmt.Errorf("keep what is deleted: %w", err)
	}
	s := recovery.NewStep("expire", expireName, fmt.Sprintf("delete the %s %s where nobody is connected to it, with the last snapshot %s", h.Kind, h.ID, h.Last), h)
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
}

// lastOf names the last snapshot of something.
func lastOf(id string) string { return identifier(id + "-last") }

// Identify reads which one it is now that is live, or that an expiry deletes.
func (w switcher) Identify(ctx context.Context, t recovery.Target, expand func(string) (string, error)) (recovery.Identity, error) {
	var h handedOver
	if err := json.Unmarshal(t.Facts, &h); err != nil {
		return nil, recovery.Errorf("make a new plan", "read which one %s is: it is not recorded", t.ID)
	}
	if h.ID == "" { // it is live
		var n names
		if err := json.Unmarshal(t.Facts, &n); err != nil || n.Live == "" {
			return nil, recovery.Errorf("make a new plan", "read which one %s is: it is not recorded", t.ID)
		}
		h = handedOver{Account: n.Account, Kind: n.Kind, ID: n.Live}
	}
	s, err := h.Account.open(ctx, expand)
	if err != nil {
		return nil, err
	}
	m, err := s.find(ctx, h.Kind, h.ID)
	if err != nil {
		return nil, err
	}
	now := maps.Clone(t.Identity)
	delete(now, "resource id")
	if m != nil {
		now["resource id"] = m.resource
	}
	return now, nil
}

// expireKind deletes it. What is cut off is ended by the next attempt.
type expireKind struct{ engine }

func (expireKind) Name() string              { return expireName }
func (expireKind) Restart() recovery.Restart { return recovery.Repeat }

func (k expireKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var h handedOver
	if err := step.Decode(&h); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, h.Target); err != nil {
		return recovery.Outcome{}, err
	}
	s, err := h.Account.open(ctx, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := h.deletable(ctx, s); err != nil {
		return recovery.Outcome{}, err
	}
	every, last := time.Duration(h.Every), cmp.Or(h.Last, lastOf(h.ID))
	servers, err := h.servers(ctx, s)
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, m := range servers {
		env.Meter().Phase("ask who is connected to "+m.id, 0, recovery.NoUnit)
		if err := k.unused(ctx, env, h, m); err != nil {
			return recovery.Outcome{}, err
		}
	}
	for _, m := range servers {
		if h.Kind != Cluster {
			break
		}
		env.Meter().Phase("delete the instance "+m.id, 0, recovery.NoUnit)
		if err := k.delete(ctx, s, deletion{kind: Instance, id: m.id, every: every, may: func(found *made) error {
			if found.cluster != h.ID || found.resource != m.resource {
				return provider.Refused("delete it by hand, in the console of RDS", "the %s is none of the cluster %s any more", found, h.ID)
			}
			return nil
		}}); err != nil {
			return recovery.Outcome{}, err
		}
	}
	env.Meter().Phase("delete "+h.ID, 0, recovery.NoUnit)
	err = k.delete(ctx, s, deletion{kind: h.Kind, id: h.ID, every: every, last: last, may: func(m *made) error {
		if m.resource != h.Resource {
			return provider.Refused("delete it by hand, in the console of RDS", "the %s is another one than was left running", m)
		}
		return nil
	}})
	return recovery.Outcome{Says: h.ID + " is gone; RDS keeps its last snapshot " + last}, err
}

// deletable refuses what is protected from deletion before anything of it is deleted: a
// cluster that the service keeps would be left without its instances.
func (h handedOver) deletable(ctx context.Context, s service) error {
	m, err := s.find(ctx, h.Kind, h.ID)
	if m == nil || err != nil || m.resource != h.Resource || !m.protected {
		return err
	}
	return provider.Refused("find out who needs it; if nobody does, take its protection away in the console of RDS, then retry", "the %s is protected from deletion", m)
}

// servers are the instances that answer for it: itself, or those of the cluster. Of what is
// another one by now there are none.
func (h handedOver) servers(ctx context.Context, s service) ([]*made, error) {
	if h.Kind != Cluster {
		m, err := s.find(ctx, Instance, h.ID)
		if m == nil || m.resource != h.Resource {
			return nil, err
		}
		return []*made{m}, err
	}
	c, err := s.findCluster(ctx, h.ID)
	if c == nil || err != nil || aws.ToString(c.DbClusterResourceId) != h.Resource {
		return nil, err
	}
	var all []*made
	for _, member := range c.DBClusterMembers {
		m, err := s.find(ctx, Instance, aws.ToString(member.DBInstanceIdentifier))
		if err != nil {
			return nil, err
		}
		if m != nil {
			all = append(all, m)
		}
	}
	return all, nil
}

// unused refuses an instance that somebody is connected to, and one that cannot be asked:
// it may be what people use by now. One that is being deleted was asked before.
func (k expireKind) unused(ctx context.Context, env recovery.Env, h handedOver, m *made) error {
	const byHand = "make sure that nobody uses it, then delete it by hand, in the console of RDS"
	switch {
	case m.status == deleting:
		return nil
	case m.host == "" || m.status == "stopped":
		return provider.Refused(byHand, "the %s is %s: it cannot be asked who uses it", m, m.status)
	}
	l := h.Login
	l.User = cmp.Or(l.User, m.user)
	address, err := env.Secret(place{args: args{Login: l}}.address(m))
	if err != nil {
		return err
	}
	conn, err := serveKind(k).connect(ctx, address, min(time.Duration(h.Every), 5*time.Second))
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		var n int64
		if n, err = provider.Users(ctx, conn, "rdsadmin", "rdsrepladmin"); err == nil && n > 0 {
			return provider.Refused("let them disconnect if nobody needs it any more, then retry", "the %s is in use: it has %s", m, recovery.FormatCount(n, "session"))
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return provider.Refused("check the security groups, and `user:`, `password:` and `ca:` of the component, then retry; or "+byHand, "it cannot be asked who uses the %s: %w", m, err)
}
