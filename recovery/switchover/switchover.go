package switchover

import (
	"context"
	"fmt"
	"io"

	"comeback/recovery"
	"comeback/storage"
)

// The ways in which a component comes back into a live server.
const (
	intoDatabase = "database"
	intoCluster  = "cluster"
)

// Options are what the switches need from outside.
type Options struct {
	// Engines are those that have restored; one that is a recovery.Loser counts
	// what is lost.
	Engines func() []recovery.Engine
	// SaveNames writes the names of a live server's relations, LoadNames reads
	// what it wrote: a database that lets nobody in tells none. They may be nil;
	// then what is lost is counted by numbers.
	SaveNames func(ctx context.Context, address string, w io.Writer) error
	LoadNames func(r io.Reader) (recovery.Names, error)
	// OpenCopy opens a copy, in which a timeline is marked when a switch is given back;
	// expand resolves its references. Where it is nil none is.
	OpenCopy func(ctx context.Context, c recovery.Copy, expand func(string) (string, error)) (storage.Store, error)
	// Elsewhere are, by the name of an engine, what hands over and removes the
	// servers that it has restored, where they are not on this host.
	Elsewhere map[string]Elsewhere
}

// Elsewhere hands over restored servers of another place, and removes them.
type Elsewhere interface {
	recovery.HandOverer
	recovery.Expirer
}

// Either is an Elsewhere whose engine may also have restored onto this host: only its own
// step finds that out, and hands nothing over then.
type Either interface {
	Elsewhere
	// Here reports whether what an earlier run has left is on this host.
	Here(recovery.Old) bool
}

type switcher struct{ Options }

// New makes the switcher of postgres components.
func New(o Options) recovery.Switcher { return switcher{o} }

// Kind is recovery.Postgres.
func (switcher) Kind() recovery.ComponentKind { return recovery.Postgres }

// Keys are what a component says about its live target.
func (switcher) Keys() []recovery.Key {
	return []recovery.Key{
		{Name: "into", Doc: "how it comes back live: database (it takes the place of the database that url names), cluster (the whole data directory is exchanged), or hand-over (it is restored and left running beside)", Example: intoDatabase,
			Check: recovery.OneOf(intoDatabase, intoCluster, recovery.IntoHandOver)},
		{Name: "admin", Doc: "how a recovery reaches the live server, where url's role may not create and rename databases", Example: "${ADMIN_URL}"},
		{Name: "data", Doc: "the live server's data directory, for into: cluster where the server is down, or the host is fresh and there is nothing yet", Example: "/var/lib/postgresql/15/main"},
		{Name: "stop", Doc: "the command that stops the live server, for into: cluster; pg_ctl if not set", Example: "[systemctl, stop, postgresql@15-main]", List: true},
		{Name: "start", Doc: "the command that starts it", Example: "[systemctl, start, postgresql@15-main]", List: true},
		{Name: "listen", Doc: "where a server that is handed over listens; 127.0.0.1 and a free port if not set", Example: "10.0.0.7:5433"},
		{Name: "trusts", Doc: "code with the rights of a superuser that may be loaded although live does not have it: untrusted languages by their names, event-triggers, definers (functions that run as a superuser who owns them)",
			Example: "[plpython3u, event-triggers, definers]", List: true, Check: checkTrusted},
		{Name: "keep", Doc: "how long what was live stays beside after a switch; 7d if not set", Example: "7d"},
	}
}

// into reads the setting into.
func into(c recovery.Component) (string, error) {
	switch text := c.Settings.Text("into"); text {
	case "", intoDatabase:
		return intoDatabase, nil
	case intoCluster:
		return intoCluster, nil
	default:
		return "", recovery.Errorf("write `into: "+intoDatabase+"` or `into: "+intoCluster+"`", "component %s comes back into %q, which is no live target", c.Name, text).WithExit(recovery.Usage)
	}
}

// Kinds are the steps of a switch.
func (s switcher) Kinds() []recovery.Kind {
	return []recovery.Kind{lookAtCode{}, load{}, fence(s), push(s), count(s), since{}, swap{}, open{}, protect(s),
		prepareKind{}, stopKind(s), tailKind(s), exchangeKind{}, startKind{}, handOver{}, expire{}, markTimeline(s)}
}

// Releasers give back what a switch has not finished.
func (s switcher) Releasers(expand func(string) (string, error)) []recovery.Releaser {
	return []recovery.Releaser{dropLoaded{expand}, liftFence{expand}, undoSwap{expand}, undoOpened{expand}, undoExchange{expand}, undoOpenedCluster{expand}, startAgain{expand}, removeRestored{expand}, removeHanded{}, leaveTimeline{s.Options, expand}}
}

// engine finds the engine that has restored a point.
func (o Options) engine(name string) (recovery.Engine, error) {
	if o.Engines != nil {
		if e, ok := recovery.EngineNamed(o.Engines(), name); ok {
			return e, nil
		}
	}
	return nil, fmt.Errorf("no engine %q here", name)
}
