package cnpg

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

const expireName = "cnpg.expire"

// Expire lists the step that deletes what an earlier run has left running. Its identity is
// the UID that Kubernetes never gives again.
func (switcher) Expire(c recovery.SwitchContext, old recovery.Old) (recovery.Target, []recovery.Step, error) {
	t := recovery.Target{ID: recovery.TargetID("old/" + old.Place), Component: old.Component, Switches: Live, Place: old.Place, Name: old.Place, Identity: old.Identity}
	a, err := accessOf(c.Component)
	if err != nil {
		return t, nil, err
	}
	h := handedOver{Access: a, Name: old.Place, UID: old.Identity[identityUID], Target: t.ID, Secret: old.Identity["secret"]}
	if h.UID == "" || old.Identity[string(Cluster)] != h.Name {
		return t, nil, recovery.Errorf("delete it by hand, with kubectl", "delete %s: it is not recorded which one it is", old.Place)
	}
	every, err := provider.Interval(c.Component, pause)
	if err != nil {
		return t, nil, err
	}
	h.Every = recovery.Duration(every)
	t.Facts = provider.Encode(h)
	s := recovery.NewStep("expire", expireName, fmt.Sprintf("delete the cluster %s in %s of %s where nobody is connected to it, with its volumes", h.Name, a.Namespace, a.Context), h)
	s.Writes = []recovery.TargetID{t.ID}
	return t, []recovery.Step{s}, nil
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
	api, err := h.Access.open(ctx, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer api.close()
	c, err := api.find(ctx, h.Name)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if c != nil && c.Metadata.Deletion == nil {
		env.Meter().Phase("ask who is connected to "+h.Name, 0, recovery.NoUnit)
		if err := k.unused(ctx, api, c, h); err != nil {
			return recovery.Outcome{}, err
		}
	}
	env.Meter().Phase("delete "+h.Name, 0, recovery.NoUnit)
	left, err := k.delete(ctx, api, deletion{name: h.Name, every: time.Duration(h.Every), may: func(c *cluster) error {
		if c.Metadata.UID != h.UID {
			return provider.Refused("delete it by hand, with kubectl", "the cluster %s is another one than was left running", h.Name)
		}
		return nil
	}})
	o := recovery.Outcome{Says: h.Name + " is gone, and its volumes with it", Exceptions: left.says()}
	if len(o.Exceptions) > 0 {
		o.Says = h.Name + " is gone, and not every volume of it"
	}
	return o, err
}

// own are the roles of the operator, which are always there: as postgres it comes by a socket.
var own = []string{"postgres", "streaming_replica", "cnpg_metrics_exporter"}

// unused refuses a cluster that somebody is connected to, and one that cannot be asked: it
// may be what people use by now.
func (k expireKind) unused(ctx context.Context, api kube, c *cluster, h handedOver) error {
	n, err := k.sessions(ctx, api, c, h)
	switch {
	case err == nil && n == 0:
		return nil
	case err == nil:
		return provider.Refused("let them disconnect if nobody needs it any more, then retry", "the cluster %s is in use: it has %s", h.Name, recovery.FormatCount(n, "session"))
	case ctx.Err() != nil:
		return context.Cause(ctx)
	}
	return provider.Refused("mend what it says, then retry; or make sure that nobody uses it and delete it by hand, with kubectl", "it cannot be asked who uses the cluster %s: %w", h.Name, err)
}

// sessions are those of people and applications. Where they may come as postgres, it is asked
// as postgres: other roles may not see where sessions of it come from.
func (k expireKind) sessions(ctx context.Context, api kube, c *cluster, h handedOver) (int64, error) {
	super, err := c.superuser()
	if err != nil {
		return 0, err
	}
	config, err := api.sign(ctx, h.Name, cmp.Or(super, h.Secret))
	if err != nil {
		return 0, err
	}
	t := &tunnel{kube: api, service: serviceOf(h.Name)}
	defer t.again()
	config.DialFunc = t.dial
	conn, err := k.Connect(ctx, config, min(time.Duration(h.Every), 5*time.Second))
	if err != nil {
		return 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	n, err := provider.Users(ctx, conn, own...)
	if err != nil || super == "" {
		return n, err
	}
	var sees bool
	var supers int64
	err = conn.QueryRow(ctx, remote).Scan(&sees, &supers)
	if err == nil && !sees {
		err = fmt.Errorf("the role %s does not see where sessions of postgres come from", config.User)
	}
	return n + supers, err
}

// remote are the sessions of postgres that come over the network, and whether who asks sees
// that of them.
const remote = `select pg_catalog.pg_has_role(current_user, 'pg_read_all_stats', 'usage'), count(*) from pg_catalog.pg_stat_activity
where usename = 'postgres' and client_addr is not null and pid <> pg_catalog.pg_backend_pid()`

// superuser is the secret of the role postgres, where people and applications may come as it;
// "" where they may not.
func (c cluster) superuser() (string, error) {
	var spec struct {
		On     bool `json:"enableSuperuserAccess"`
		Secret struct {
			Name string `json:"name"`
		} `json:"superuserSecret"`
	}
	if err := json.Unmarshal(c.Spec, &spec); err != nil {
		return "", fmt.Errorf("understand the cluster %s: %w", c.Metadata.Name, err)
	}
	if !spec.On {
		return "", nil
	}
	return cmp.Or(spec.Secret.Name, c.Metadata.Name+"-superuser"), nil
}
