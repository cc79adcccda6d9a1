package cnpg

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/provider"
)

const handOverName = "cnpg.hand-over"

// HandOver lists the step that leaves what was restored running.
func (switcher) HandOver(c recovery.SwitchContext) ([]recovery.Step, error) {
	all, err := engine{}.Plan(c.Component, c.Point, c.Scratch)
	if err != nil {
		return nil, err
	}
	s := all[len(all)-1] // it is told what the one that signs on is told
	s.ID, s.Kind, s.Says, s.After = "hand-over", handOverName, "leave the restored "+c.Component.Name+" running in Kubernetes", nil
	return []recovery.Step{s}, nil
}

// handOverKind takes what was restored out of the run's claims: it is nobody's but the
// people's from then on. It may be repeated.
type handOverKind struct{ engine }

func (handOverKind) Name() string              { return handOverName }
func (handOverKind) Restart() recovery.Restart { return recovery.Repeat }

func (k handOverKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer p.close()
	c, err := p.served(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	host := fmt.Sprintf("%s.%s.svc", p.service(), p.Namespace)
	address := (&url.URL{Scheme: "postgres", Host: host + ":5432", Path: "/" + p.Database}).String()
	o := recovery.Outcome{Says: fmt.Sprintf("the cluster %s is left running, and answers in Kubernetes at %s", p.name(), address),
		Facts: map[string]string{"address": address, "uid": c.Metadata.UID, "cost": p.Facts.price()},
		ToDo: []string{fmt.Sprintf("give the application the new address of %s, %s, in place of %s-rw; it signs on by the secret %s", p.Component, host, p.Facts.Source, p.secretName()),
			fmt.Sprintf("give the cluster %s a store of its own for backups and log, with a serverName of its own: until then nothing of it is archived", p.name())}}
	if left := p.Facts.Shape.Left; len(left) > 0 {
		o.ToDo = append(o.ToDo, fmt.Sprintf("give the cluster %s what it needs of what the source has besides: %s", p.name(), strings.Join(left, ", ")))
	}
	if n := p.Facts.Shape; n.Source > n.Instances {
		o.ToDo = append(o.ToDo, fmt.Sprintf("give the cluster %s %d instances, as the source has; it has %d", p.name(), n.Source, n.Instances))
	}
	parameters := at(at(p.Facts.Shape.Spec, "postgresql"), "parameters")
	for _, name := range slices.Sorted(maps.Keys(still)) {
		if parameters[name] != nil {
			o.ToDo = append(o.ToDo, fmt.Sprintf("set %s of the cluster %s as the source has it, %s: it is 0", name, p.name(), still[name]))
		}
	}
	if own := p.Facts.Shape.Secret; own == generated(p.Facts.Source) {
		o.ToDo = append(o.ToDo, fmt.Sprintf("copy the secret %s before you delete the cluster %s, and make it again under its name: it goes with that cluster, and the application and %s sign on by it", own, p.Facts.Source, p.name()))
	}
	if claim := provider.Held(env, Cluster, p.name()); claim != nil {
		o.Adopted = append(o.Adopted, *claim)
	}
	o.HandedOver = []recovery.HandedOver{{Component: p.Component, Address: address, Place: p.name(),
		Identity: recovery.Identity{string(Cluster): p.name(), identityUID: c.Metadata.UID, "namespace": p.Namespace, "context": p.Context, "secret": p.secretName()},
		Says:     fmt.Sprintf("a cluster of CloudNativePG in %s of %s, with the roles of the source; it costs %s until it is deleted", p.Namespace, p.Context, p.Facts.price())}}
	return o, nil
}
