package cnpg

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
	"comeback/recovery/provider"
)

// serveKind signs on to what is healthy and binds the component to it. It may be repeated.
type serveKind struct{ engine }

func (serveKind) Name() string              { return "cnpg.serve" }
func (serveKind) Restart() recovery.Restart { return recovery.Repeat }

func (k serveKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer p.close()
	c, err := p.served(ctx, env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	dir := socketDir(p.scratch.Dir)
	if err := env.Claim(ctx, recovery.Resource{Kind: recovery.Directory, ID: dir, Details: map[string]string{"for": "the socket of " + p.name()}}); err != nil {
		return recovery.Outcome{}, err
	}
	who, version, err := k.relay(ctx, env, p, c, dir)
	if err != nil {
		return recovery.Outcome{}, err
	}
	q := url.Values{"host": {dir}, "port": {"5432"}, "user": {who}}
	o := recovery.Outcome{Says: fmt.Sprintf("the cluster %s answers through %s, PostgreSQL %s, database %s", p.name(), p.service(), version, p.Database),
		Facts:    map[string]string{"service": p.service() + "." + p.Namespace + ".svc", "PostgreSQL": version, "uid": c.Metadata.UID, "signs on as": who, "timeline": fmt.Sprint(c.Status.Timeline)},
		Bindings: []recovery.Binding{{Component: p.Component, URL: "postgres:///" + url.PathEscape(p.Database) + "?" + q.Encode(), Scratch: true}},
		Reached:  &recovery.Reached{Component: p.Component, Time: p.At, Timeline: uint32(c.Status.Timeline), Evidence: p.Facts.evidence()}}
	if s := p.Facts.System; s != "" {
		o.Reached.Evidence = append(o.Reached.Evidence, "its system identifier is the source's, "+s)
	}
	provider.TellNetwork(&o, step)
	return o, nil
}

// evidence is what is known of where it stopped.
func (f facts) evidence() []string {
	asked := f.Target.Time + f.Target.LSN + f.Target.XID
	switch {
	case f.Target.Immediate:
		return []string{"CloudNativePG was asked for the end of the backup " + f.Backup + " and calls the cluster healthy"}
	case f.toEnd():
		return []string{"CloudNativePG was asked for the end of the archive and calls the cluster healthy; where that was is not known"}
	case asked == "":
		return []string{"CloudNativePG was asked for the snapshots of the backup " + f.Backup + " and calls the cluster healthy"}
	}
	return []string{fmt.Sprintf("CloudNativePG was asked for %s and calls the cluster healthy: PostgreSQL fails where it does not come to its target", asked)}
}

// relay signs on once, then lets checks in by a socket. It gives who signs on and the
// server's version.
func (k serveKind) relay(ctx context.Context, env recovery.Env, p place, c *cluster, dir string) (who, version string, err error) {
	config, err := p.sign(ctx, p.name(), p.secretName())
	if err != nil {
		return "", "", err
	}
	t := &tunnel{kube: p.kube, service: p.service()}
	config.Database, config.DialFunc = p.Database, t.dial
	env.Meter().Phase("sign on through "+p.service(), 0, recovery.NoUnit)
	conn, err := k.Connect(ctx, config, min(time.Duration(p.Every), 5*time.Second))
	if err != nil {
		t.again()
		return "", "", refusedTunnel(p.service(), err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	env.Meter().Phase("ask which cluster answers", 0, recovery.NoUnit)
	var system string
	var replays bool
	err = conn.QueryRow(ctx, "select current_setting('server_version'), (select system_identifier::text from pg_control_system()), pg_is_in_recovery()").Scan(&version, &system, &replays)
	switch {
	case err != nil:
		err = fmt.Errorf("ask the cluster %s for its version: %w", p.name(), err)
	case replays:
		err = recovery.Errorf("look at it with `kubectl cnpg status`, then retry", "the cluster %s still replays its log", p.name())
	case p.Facts.System != "" && system != p.Facts.System:
		err = provider.Refused("find out what the store holds; its archive may be another cluster's", "the cluster %s is no copy of %s: its system identifier is %s, and not %s", p.name(), p.Facts.Source, system, p.Facts.System)
	default:
		err = startRelay(dir, t, &config.Config)
	}
	if err != nil {
		t.again()
	}
	return config.User, version, err
}

// secretName is that of the secret which checks sign on by.
func (p place) secretName() string {
	return cmp.Or(p.Secret, p.Facts.Shape.Secret, generated(p.name()))
}

// sign is how somebody signs on at a service, by a secret: its password stays in memory.
func (k kube) sign(ctx context.Context, cluster, name string) (*pgx.ConnConfig, error) {
	var s secret
	found, err := k.get(ctx, coreAPI, "secrets", name, &s)
	if err != nil {
		return nil, err
	}
	user, password := string(s.Data["username"]), string(s.Data["password"])
	if !found || user == "" || password == "" {
		return nil, recovery.Errorf("write `secret: NAME` into the component, a secret with username and password, then make a new plan", "there is no secret %s in %s with a username and a password", name, k.Namespace).WithExit(recovery.Usage)
	}
	config, err := postgres.ParseAddress("postgres://" + serviceOf(cluster) + ":5432/postgres?sslmode=prefer")
	if err != nil {
		return nil, err
	}
	config.User, config.Password = user, password
	config.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	return config, nil
}

// Revive looks whether it still answers, and lets checks in again.
func (k serveKind) Revive(ctx context.Context, env recovery.Env, step recovery.Step, o recovery.Outcome, _ bool) error {
	p, err := openPlace(ctx, env, step)
	if err != nil {
		return err
	}
	defer p.close()
	if p.left(env) {
		return nil
	}
	c, err := p.served(ctx, env)
	if err != nil {
		return err
	}
	if was := o.Facts["uid"]; c.Metadata.UID != was {
		return fmt.Errorf("another cluster than before answers, %s and not %s: %w", c.Metadata.UID, was, recovery.ErrGone)
	}
	_, _, err = k.relay(ctx, env, p, c, socketDir(p.scratch.Dir))
	return err
}

// served is what was made, which must be this run's.
func (p place) served(ctx context.Context, env recovery.Env) (*cluster, error) {
	c, err := p.find(ctx, p.name())
	switch {
	case err != nil:
		return nil, err
	case c == nil, c.Metadata.Deletion != nil:
		return nil, fmt.Errorf("the cluster %s is not there any more: %w", p.name(), recovery.ErrGone)
	case !c.ours(provider.Held(env, Cluster, p.name())) || c.Metadata.UID == p.Facts.UID:
		return nil, provider.Refused("find out whose it is", "the cluster %s is not one that this run has made", p.name())
	}
	return c, nil
}
