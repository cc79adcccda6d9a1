package cnpg

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"time"

	"comeback/recovery"
	"comeback/recovery/provider"
)

// The marks of what a run has created: the run as a label, for people; the claim, which
// alone says whose it is; and what it is a restore of.
const (
	labelRun  = "comeback-run"
	markClaim = "comeback-claim"
	markOf    = "comeback-restore-of"
)

// Cluster is what a run makes in Kubernetes; the ID is its name, the details say where and
// whose it is.
const Cluster recovery.ResourceKind = "Kubernetes cluster of PostgreSQL"

// detailVolumes are the names of its volumes in its claim, once they are known.
const detailVolumes = "volumes"

// place is what a step works on: a new Cluster, by its name.
type place struct {
	args
	kube
	run     string
	scratch recovery.Handle
}

// openPlace opens what a step works on; it is to be closed where there is no error.
func openPlace(ctx context.Context, env recovery.Env, step recovery.Step) (place, error) {
	var p place
	if err := step.Decode(&p.args); err != nil {
		return p, err
	}
	handle, err := env.Target(ctx, p.Target)
	if err != nil {
		return p, err
	}
	if !handle.Scratch {
		return p, provider.NotScratch("CloudNativePG", p.Target)
	}
	p.scratch, p.run = handle, provider.Run(handle.Dir)
	p.kube, err = p.Facts.Access.open(ctx, env.Secret)
	return p, err
}

// name is new for each run and component; the operator allows fifty letters.
func (p place) name() string { return provider.Name(p.run+"-"+p.Component, 50) }

// service is the one for writes.
func (p place) service() string { return serviceOf(p.name()) }

// serviceOf is the service for writes of a cluster.
func serviceOf(cluster string) string { return cluster + "-rw" }

// of names what the restore is of, so that what another moment's has left is not taken for
// it.
func (p place) of() string {
	b, err := json.Marshal(p.Facts.Target)
	if err != nil {
		panic("cnpg: target: " + err.Error()) // plain data always encodes
	}
	return provider.Digest(p.Facts.Source, p.Facts.UID, p.Facts.Backup, p.Facts.ID, string(b))
}

// claim is what is recorded before it is created: the mark that nothing else carries.
func (p place) claim() recovery.Resource {
	r := recovery.Resource{Kind: Cluster, ID: p.name(), Details: p.Facts.Access.details()}
	r.Details["claim"], r.Details["run"], r.Details["every"] = rand.Text(), p.run, time.Duration(p.Every).String()
	return r
}

// find asks for a cluster; nil where there is none.
func (k kube) find(ctx context.Context, name string) (*cluster, error) {
	var c cluster
	found, err := k.get(ctx, cnpgAPI, "clusters", name, &c)
	if !found || err != nil {
		return nil, err
	}
	return &c, nil
}

// ours reports whether something was made under a claim.
func (c cluster) ours(claim *recovery.Resource) bool {
	return claim != nil && claim.Details["claim"] != "" && c.Metadata.Annotations[markClaim] == claim.Details["claim"]
}

// left reports whether what was restored is not the run's any more.
func (p place) left(env recovery.Env) bool { return provider.Held(env, Cluster, p.name()) == nil }
