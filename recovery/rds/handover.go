package rds

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"

	"comeback/recovery"
)

const handOverName = "rds.hand-over"

// HandOver lists the step that leaves what was restored running in RDS.
func (switcher) HandOver(c recovery.SwitchContext) ([]recovery.Step, error) {
	all, err := engine{}.Plan(c.Component, c.Point, c.Scratch)
	if err != nil {
		return nil, err
	}
	s := all[len(all)-1] // it is told what the one that signs on is told
	s.ID, s.Kind, s.Says, s.After = "hand-over", handOverName, "leave the restored "+c.Component.Name+" running in RDS", nil
	return []recovery.Step{s}, nil
}

// handOverKind takes what was restored out of the run's claims: it is nobody's but the
// people's from then on. It may be repeated.
type handOverKind struct{ engine }

func (handOverKind) Name() string              { return handOverName }
func (handOverKind) Restart() recovery.Restart { return recovery.Repeat }

func (k handOverKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, m, err := serveKind(k).served(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	address := (&url.URL{Scheme: "postgres", Host: net.JoinHostPort(m.host, strconv.Itoa(int(m.port))), Path: "/" + p.Login.Database}).String()
	o := recovery.Outcome{Says: fmt.Sprintf("the %s is left running, and answers at %s", m, address),
		Facts: map[string]string{"address": address, "resource id": m.resource, "cost": p.Facts.price()},
		ToDo:  []string{fmt.Sprintf("give the application the new address of %s, %s", p.Component, address)}}
	identity := recovery.Identity{string(m.kind): m.id, "resource id": m.resource, "region": p.region}
	for _, r := range env.Held() {
		if r.Kind == Cluster && r.ID == p.name() || r.Kind == Instance && (r.ID == p.name() || r.ID == p.member()) {
			o.Adopted = append(o.Adopted, r)
		}
	}
	if p.Facts.Shape.Protected {
		o.ToDo = append(o.ToDo, fmt.Sprintf("protect the %s from deletion, as the source is", m))
	}
	if readers := p.Facts.Shape.Readers; len(readers) > 0 {
		o.ToDo = append(o.ToDo, anewReaders(m.id, readers))
	}
	o.HandedOver = []recovery.HandedOver{{Component: p.Component, Address: address, Place: m.id, Identity: identity,
		Says: fmt.Sprintf("an %s in %s, with the roles and passwords of the source; it costs %s until it is deleted", m.kind, p.region, p.Facts.price())}}
	return o, nil
}
