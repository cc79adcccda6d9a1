package cnpg

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// restoreKind creates the new cluster. An interruption leaves it created or not, which the
// API is asked before it is created again.
type restoreKind struct{ engine }

func (restoreKind) Name() string              { return "cnpg.restore" }
func (restoreKind) Restart() recovery.Restart { return recovery.Continue }

func (k restoreKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer p.close()
	again, err := k.once(ctx, env, p)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("CloudNativePG restores the cluster %s, %s", p.name(), p.Facts.Shape.says()),
		Facts: map[string]string{"made in Kubernetes": p.name(), "namespace": p.Namespace, "context": p.Context, "of": p.Facts.Source, "backup": p.Facts.Backup, "cost": p.Facts.price()}}
	for name, v := range map[string]string{"targetTime": p.Facts.Target.Time, "targetLSN": p.Facts.Target.LSN, "targetXID": p.Facts.Target.XID} {
		if v != "" {
			o.Facts[name] = v
		}
	}
	if len(p.Facts.Shape.Left) > 0 {
		o.Remarks = append(o.Remarks, "what it does not have of the source: "+strings.Join(p.Facts.Shape.Left, ", "))
	}
	if again {
		o.Remarks = append(o.Remarks, "an earlier attempt had created it; it was not created twice")
	}
	return o, nil
}

// once creates the cluster, unless it is there already: what an earlier attempt has created
// is found by its name and the mark of the claim. It reports whether it was.
func (k restoreKind) once(ctx context.Context, env recovery.Env, p place) (again bool, err error) {
	claim := provider.Held(env, Cluster, p.name())
	env.Meter().Phase("look whether it was created already", 0, recovery.NoUnit)
	c, err := p.find(ctx, p.name())
	switch {
	case err != nil:
		return false, err
	case c != nil && !c.ours(claim):
		return false, provider.Refused("find out whose it is; if nobody needs it, delete it, then retry", "the cluster %s is there, and this run has not made it", p.name())
	case c != nil:
		over, err := p.over(ctx, c)
		if err != nil {
			return false, err
		}
		if over == "" && c.Metadata.Annotations[markOf] == p.of() {
			return true, nil
		}
		env.Meter().Phase("delete what an earlier attempt has made", 0, recovery.NoUnit)
		if err := k.release(ctx, p.kube, *claim); err != nil {
			return false, err
		}
	}
	if claim == nil {
		r := p.claim()
		if err := env.Claim(ctx, r); err != nil {
			return false, err
		}
		claim = &r
	}
	body, err := p.manifest(*claim)
	if err != nil {
		return false, err
	}
	env.Meter().Phase("create it", 0, recovery.NoUnit)
	// A request that is cut off may be carried out all the same: its answer is waited for,
	// also where the run is stopped.
	within, cancel := context.WithTimeout(context.WithoutCancel(ctx), provider.AnswersWithin)
	defer cancel()
	_, err = p.ask(within, call{verb: "create", resource: "clusters.postgresql.cnpg.io", path: p.in(cnpgAPI, "clusters"), body: body})
	if errors.Is(err, errExists) {
		// The first try came through, and its answer did not.
		if c, errFind := p.find(ctx, p.name()); errFind == nil && c != nil && c.ours(claim) {
			return false, nil
		}
	}
	return false, err
}

// Revive looks whether it is still there, and may still become something. What has left the
// run's hands is not asked about.
func (k restoreKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, _ recovery.Outcome, _ bool) error {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return err
	}
	defer p.close()
	if p.left(env) {
		return nil
	}
	c, err := p.find(ctx, p.name())
	if err != nil {
		return err
	}
	gone := "it is not there any more"
	if c != nil && c.ours(provider.Held(env, Cluster, p.name())) && c.Metadata.Annotations[markOf] == p.of() && c.Metadata.Deletion == nil {
		if gone, err = p.over(ctx, c); err != nil || gone == "" {
			return err
		}
	}
	return fmt.Errorf("the cluster %s: %s: %w", p.name(), gone, recovery.ErrGone)
}

// over says why a cluster never becomes anything; "" where it may. Whatever else is wrong
// with it the operator mends by itself as soon as it can.
func (p place) over(ctx context.Context, c *cluster) (string, error) {
	if c.Status.Phase == healthy {
		return "", nil
	}
	if c.Metadata.Deletion != nil {
		return "it is being deleted", nil
	}
	jobs, err := list[job](ctx, p.kube, batchAPI, "jobs", p.labelled())
	if err != nil {
		return "", err
	}
	for _, j := range jobs {
		if failed := is(j.Status.Conditions, "Failed"); failed != nil && failed.Status == "True" {
			return "its recovery has failed: " + failed.Message, nil
		}
	}
	return "", nil
}
