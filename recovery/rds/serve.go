package rds

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

// serveKind signs on to what is available and binds the component to it. It may be
// repeated.
type serveKind struct{ engine }

func (serveKind) Name() string              { return "rds.serve" }
func (serveKind) Restart() recovery.Restart { return recovery.Repeat }

func (k serveKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, m, err := k.served(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	address := p.address(m)
	secret, err := env.Secret(address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("sign on to "+m.host, 0, recovery.NoUnit)
	conn, err := k.connect(ctx, secret, min(time.Duration(p.Every), 5*time.Second))
	if err != nil {
		return recovery.Outcome{}, recovery.Errorf("check the security groups, and `user:`, `password:`, `database:` and `ca:` of the component, then retry", "sign on to the %s at %s: %w", m, m.host, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	env.Meter().Phase("ask what answers", 0, recovery.NoUnit)
	var version, begun string
	if err := conn.QueryRow(ctx, "select current_setting('server_version'), pg_postmaster_start_time()::text").Scan(&version, &begun); err != nil {
		return recovery.Outcome{}, fmt.Errorf("ask the %s for its version: %w", m, err)
	}
	o := recovery.Outcome{Says: fmt.Sprintf("the %s answers, PostgreSQL %s, database %s", m, version, p.Login.Database),
		Facts:    map[string]string{"address": net.JoinHostPort(m.host, strconv.Itoa(int(m.port))), "PostgreSQL": version, "started": begun, "resource id": m.resource, "signs on as": p.Login.User},
		Bindings: []recovery.Binding{{Component: p.Component, URL: address, Scratch: true}},
		Reached:  &recovery.Reached{Component: p.Component, Time: p.Taken.To}}
	if p.Facts.Snapshot != "" {
		o.Reached.Evidence = []string{"RDS says that it has restored the snapshot " + p.Facts.Snapshot + "; nothing was held against it"}
	} else {
		o.Reached.Evidence = []string{fmt.Sprintf("RDS was asked for %s, to the second, and says that it has restored; its log cannot be read", provider.When(p.Facts.To))}
	}
	if p.Login.CA == "" {
		o.Remarks = append(o.Remarks, "the connection is encrypted, but nothing proves who answers: no `ca:` is set")
	}
	provider.TellNetwork(&o, step)
	return o, nil
}

// Revive looks whether it still answers.
func (k serveKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, _ bool) error {
	p, err := openPlace(ctx, env, step)
	if err != nil || p.left(env) {
		return err
	}
	_, m, err := k.served(ctx, env, step)
	if err != nil {
		return err
	}
	if was := o.Facts["resource id"]; m.resource != was {
		return fmt.Errorf("another one than before answers, %s and not %s: %w", m.resource, was, recovery.ErrGone)
	}
	return nil
}

// served is what was made, which must be this run's.
func (k serveKind) served(ctx context.Context, env recovery.Env, step recovery.Step) (place, *made, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return p, nil, err
	}
	kind := Instance
	if p.Facts.Cluster {
		kind = Cluster
	}
	m, err := p.find(ctx, kind, p.name())
	switch {
	case err != nil:
		return p, nil, err
	case m == nil, m.status == deleting:
		return p, nil, fmt.Errorf("the %s %s is not there any more: %w", kind, p.name(), recovery.ErrGone)
	case !m.ours(provider.Held(env, kind, p.name())) || m.resource == p.Facts.Resource:
		return p, nil, provider.Refused("find out whose it is", "the %s is not one that this run has made", m)
	case m.host == "":
		return p, nil, recovery.Errorf("look at it in the console of RDS, then retry", "the %s has no address", m)
	}
	return p, m, nil
}

// address is how checks reach it; a reference stands for the password.
func (p place) address(m *made) string {
	who := url.PathEscape(p.Login.User)
	if p.Login.Password != "" {
		who += ":" + p.Login.Password
	}
	q := url.Values{"sslmode": {"require"}}
	if p.Login.CA != "" {
		q = url.Values{"sslmode": {"verify-full"}, "sslrootcert": {p.Login.CA}}
	}
	return "postgres://" + who + "@" + net.JoinHostPort(m.host, strconv.Itoa(int(m.port))) + "/" + url.PathEscape(p.Login.Database) + "?" + q.Encode()
}

// connect signs on to an address.
func (k serveKind) connect(ctx context.Context, address string, pause time.Duration) (*pgx.Conn, error) {
	config, err := postgres.ParseAddress(address)
	if err != nil {
		return nil, err
	}
	return k.Connect(ctx, config, pause)
}
