package rds

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"comeback/recovery"
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
	// Last is the name of the last snapshot of what was live once; what a run has made
	// has none.
	Last string `json:"last,omitempty"`
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
	every, err := interval(c.Component)
	if err != nil {
		return t, nil, err
	}
	h.Every = recovery.Duration(every)
	if t.Facts, err = json.Marshal(h); err != nil {
		return t, nil, fmt.Errorf("keep what is deleted: %w", err)
	}
	how := "without a last snapshot"
	if !old.Served {
		h.Last = identifier(h.ID + "-last")
		how = "with the last snapshot " + h.Last
	}
	s := recovery.NewStep("expire", expireName, fmt.Sprintf("delete the %s %s, %s", h.Kind, h.ID, how), h)
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
}

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
	every := time.Duration(h.Every)
	if h.Kind == Cluster {
		c, err := s.findCluster(ctx, h.ID)
		if err != nil {
			return recovery.Outcome{}, err
		}
		if c != nil && aws.ToString(c.DbClusterResourceId) == h.Resource {
			for _, m := range c.DBClusterMembers {
				id := aws.ToString(m.DBInstanceIdentifier)
				env.Meter().Phase("delete the instance "+id, 0, recovery.NoUnit)
				if err := k.delete(ctx, s, Instance, id, every, "", func(found *made) error {
					if found.cluster != h.ID {
						return refused("delete it by hand, in the console of RDS", "the %s is none of the cluster %s any more", found, h.ID)
					}
					return nil
				}); err != nil {
					return recovery.Outcome{}, err
				}
			}
		}
	}
	env.Meter().Phase("delete "+h.ID, 0, recovery.NoUnit)
	err = k.delete(ctx, s, h.Kind, h.ID, every, h.Last, func(m *made) error {
		if m.resource != h.Resource {
			return refused("delete it by hand, in the console of RDS", "the %s is another one than was left running", m)
		}
		return nil
	})
	return recovery.Outcome{Says: h.ID + " is gone"}, err
}
