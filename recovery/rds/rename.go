package rds

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/rds"
	"github.com/aws/aws-sdk-go-v2/service/rds/types"

	"comeback/recovery"
	"comeback/recovery/provider"
	"comeback/storage"
)

// exchangedNames is a claim: what is live and what was restored have, or may have, taken
// each other's place by being renamed. Its record is enough to undo that.
const exchangedNames = recovery.Exchanged + " of RDS"

// tagLive marks what was made by a run and was live for a while: people may have written
// to it, so that it is not deleted with the run.
const tagLive = tagPrefix + "live"

// The kinds of steps of a switch.
const (
	renameName = "rds.rename"
	openName   = "rds.open"
)

// names are what an exchange of names is about. Which is which is told by the ids that the
// service never gives again, Old's and New's.
type names struct {
	Account account               `json:"account"`
	Kind    recovery.ResourceKind `json:"kind"`
	// Live is the name that people use, Aside the one of what was live, Beside the one
	// that what becomes live has until then.
	Live   string            `json:"live"`
	Aside  string            `json:"aside"`
	Beside string            `json:"beside"`
	Old    string            `json:"old"`
	New    string            `json:"new"`
	Every  recovery.Duration `json:"every"`
	// Restored says that what becomes live was made by the run.
	Restored bool `json:"restored,omitempty"`
	// Where is the address that its server has by its own account: the live name may lead
	// to the other server for a while yet.
	Where string `json:"where,omitempty"`
	// Readers are the other instances of the cluster that is live when it is looked at.
	Readers []string `json:"readers,omitempty"`
}

func (n names) resource() (recovery.Resource, error) {
	b, err := json.Marshal(n)
	if err != nil {
		return recovery.Resource{}, fmt.Errorf("keep which is which: %w", err)
	}
	return recovery.Resource{Kind: exchangedNames, ID: n.Live, Details: map[string]string{"names": string(b)}}, nil
}

func namesOf(r recovery.Resource) (names, error) {
	var n names
	if err := json.Unmarshal([]byte(r.Details["names"]), &n); err != nil || n.Old == "" || n.New == "" {
		return n, recovery.Errorf("rename them back by hand, in the console of RDS", "give back %s: its record does not say which is which", r.ID)
	}
	return n, nil
}

// exchange gives the live name to what was restored, and calls what was live aside; undo
// does the reverse. Both ask the service how far it has come, so that they may be repeated
// after any interruption.
func (n names) exchange(ctx context.Context, e engine, s service, meter recovery.Meter) error {
	meter.Phase("call what was live "+n.Aside, 0, recovery.NoUnit)
	if err := n.move(ctx, e, s, meter.Note, n.Old, n.Live, n.Aside); err != nil {
		return err
	}
	if n.Restored {
		if err := n.mark(ctx, s); err != nil {
			return err
		}
	}
	meter.Phase("call what came back "+n.Live, 0, recovery.NoUnit)
	err := n.move(ctx, e, s, meter.Note, n.New, n.Beside, n.Live)
	if err != nil && n.Restored {
		err = errors.Join(err, n.unmark(ctx, s, err))
	}
	return err
}

// mark says of what the run has made that it becomes live: from then on people may write
// to it.
func (n names) mark(ctx context.Context, s service) error {
	m, err := s.find(ctx, n.Kind, n.Beside)
	if m == nil || m.resource != n.New || err != nil {
		return err // it is live already
	}
	_, err = s.AddTagsToResource(ctx, &rds.AddTagsToResourceInput{ResourceName: &m.arn, Tags: []types.Tag{{Key: aws.String(tagLive), Value: aws.String(n.Live)}}})
	return s.refusal(ctx, "AddTagsToResource", n.Beside, err)
}

// unmark takes the mark from what never became live, because the service has refused to
// give it the name: it is the run's alone, and goes with it. Where it may have the name, or
// may get it yet, the mark stays.
func (n names) unmark(ctx context.Context, s service, refused error) error {
	if !errors.Is(refused, storage.ErrDenied) {
		return nil
	}
	m, err := s.find(ctx, n.Kind, n.Beside)
	if m == nil || err != nil || m.resource != n.New || m.status != available {
		return err
	}
	_, err = s.RemoveTagsFromResource(ctx, &rds.RemoveTagsFromResourceInput{ResourceName: &m.arn, TagKeys: []string{tagLive}})
	return s.refusal(ctx, "RemoveTagsFromResource", n.Beside, err)
}

func (n names) undo(ctx context.Context, e engine, s service) error {
	unheard := func(string) {}
	live, err := s.find(ctx, n.Kind, n.Live)
	if err != nil {
		return err
	}
	if live != nil && live.resource == n.New {
		if err := n.move(ctx, e, s, unheard, n.New, n.Live, n.Beside); err != nil {
			return err
		}
	}
	return n.move(ctx, e, s, unheard, n.Old, n.Aside, n.Live)
}

// unnamed are what to do about states in which nothing can be renamed and that do not end
// by themselves, where that is another thing than for what is being restored.
var unnamed = map[string]string{
	"storage-full":              "give it more storage, in the console of RDS, then retry",
	"incompatible-parameters":   "give it a parameter group with which it starts, in the console of RDS, then retry",
	"incompatible-network":      "give it a network with room, in the console of RDS, then retry",
	"incompatible-option-group": "give it an option group that fits, in the console of RDS, then retry",
}

// renamable refuses what is in a state that does not end by itself.
func (m *made) renamable(to string) error {
	hint, is := stuck[m.status]
	if !is {
		return nil
	}
	return recovery.Errorf(cmp.Or(unnamed[m.status], hint), "the %s is %s: it does not become available as %s by itself", m, m.status, to)
}

// move renames what has an id, and returns when it is available under its new name.
func (n names) move(ctx context.Context, e engine, s service, note func(string), resource, from, to string) error {
	for asked := false; ; {
		there, err := s.find(ctx, n.Kind, to)
		if err != nil {
			return err
		}
		switch {
		case there != nil && there.resource == resource && there.status == available:
			return nil
		case there != nil && there.resource != resource && there.status == available:
			return provider.Refused("find out whose it is, and rename it", "the name %s is taken: the %s has it", to, there)
		case there != nil && there.resource == resource:
			if err := there.renamable(to); err != nil {
				return err
			}
			note(fmt.Sprintf("the %s is %s", there, there.status))
		}
		if there == nil || there.resource != resource {
			here, err := s.find(ctx, n.Kind, from)
			if err != nil {
				return err
			}
			switch {
			case here == nil && !asked:
				return recovery.Errorf("find out what happened to it, in the console of RDS; its id is "+resource, "neither %s nor %s is the %s that is to be renamed", from, to, n.Kind)
			case here != nil && here.resource == resource && here.status == available:
				err, asked = n.rename(ctx, s, from, to), true
				if c := code(err); err != nil && c != wrongInstanceNow && c != wrongClusterNow {
					return err
				}
			case here != nil && here.resource == resource:
				if err := here.renamable(to); err != nil {
					return err
				}
				note(fmt.Sprintf("the %s is %s", here, here.status))
			case here != nil:
				return provider.Refused("find out what happened to it, then make a new plan", "the %s is another one than was planned for", here)
			}
		}
		if err := e.Sleep(ctx, time.Duration(n.Every)); err != nil {
			return err
		}
	}
}

func (n names) rename(ctx context.Context, s service, from, to string) error {
	if n.Kind == Cluster {
		_, err := s.ModifyDBCluster(ctx, &rds.ModifyDBClusterInput{DBClusterIdentifier: &from, NewDBClusterIdentifier: &to, ApplyImmediately: aws.Bool(true)})
		return s.refusal(ctx, "ModifyDBCluster", from, err)
	}
	_, err := s.ModifyDBInstance(ctx, &rds.ModifyDBInstanceInput{DBInstanceIdentifier: &from, NewDBInstanceIdentifier: &to, ApplyImmediately: aws.Bool(true)})
	return s.refusal(ctx, "ModifyDBInstance", from, err)
}

// renameArgs are what both steps of a switch are told.
type renameArgs struct {
	Component string            `json:"component"`
	Target    recovery.TargetID `json:"target"`
	Names     names             `json:"names"`
	Login     login             `json:"login"`
	Keep      time.Time         `json:"keep"`
	// Member is the instance of a cluster that the run has made.
	Member string `json:"member,omitempty"`
}

// identityOf tells the live one from every other.
func identityOf(kind recovery.ResourceKind, id, resource, region string) recovery.Identity {
	return recovery.Identity{string(kind): id, "resource id": resource, "region": region}
}

// Look reads the live instance or cluster.
func (w switcher) Look(ctx context.Context, c recovery.Component, _ []recovery.Copy, expand func(string) (string, error)) (recovery.Live, error) {
	if c.Settings.Text("into") != intoRename {
		return recovery.Live{}, recovery.Errorf("write `into: hand-over` or `into: rename` into the component",
			"the component %s does not say how it comes back: handed over at an address of its own, or renamed into the live one's place", c.Name).WithExit(recovery.Usage)
	}
	every, err := provider.Interval(c, pause)
	if err != nil {
		return recovery.Live{}, err
	}
	n := names{Account: accountOf(c), Kind: Instance, Live: c.Settings.Text("instance"), Every: recovery.Duration(every)}
	if id := c.Settings.Text("cluster"); id != "" {
		n.Kind, n.Live = Cluster, id
	}
	s, err := n.Account.open(ctx, expand)
	if err != nil {
		return recovery.Live{}, err
	}
	m, err := s.find(ctx, n.Kind, n.Live)
	switch {
	case err != nil:
		return recovery.Live{}, err
	case m == nil:
		return recovery.Live{}, provider.Refused("write `into: hand-over`: what comes back has an address of its own", "there is no live %s %s that could be renamed", n.Kind, n.Live)
	case m.status != available:
		return recovery.Live{}, provider.Refused("wait until it is available, or write `into: hand-over`", "the live %s is %s, and cannot be renamed", m, m.status)
	}
	n.Old = m.resource
	if n.Kind == Cluster {
		c, err := s.findCluster(ctx, n.Live)
		if err != nil {
			return recovery.Live{}, err
		}
		if c != nil {
			n.Readers = readersOf(*c)
		}
	}
	facts, err := json.Marshal(n)
	if err != nil {
		return recovery.Live{}, fmt.Errorf("keep what the service says: %w", err)
	}
	l := recovery.Live{Component: c.Name, At: w.Now().UTC(), Facts: facts, Target: recovery.Target{ID: recovery.TargetID("live/" + c.Name), Component: c.Name, Switches: Live,
		Place: fmt.Sprintf("%s in %s, %s", m, s.region, m.resource), Name: n.Live, Within: "RDS " + m.resource, Identity: identityOf(n.Kind, n.Live, m.resource, s.region), Facts: facts}}
	l.Effects = recovery.Effects{Target: []string{fmt.Sprintf("%s in %s, %s, %s", m, s.region, m.resource, m.status)},
		NotUndone: []string{fmt.Sprintf("%s: who is connected stays with what was live, and may write there, until the connection ends: stop the application first, and start it again afterwards", c.Name)}}
	if len(m.replicas) > 0 {
		l.Effects.Rebuild = []string{fmt.Sprintf("%s: the read replicas %s, which go on following what was live", c.Name, strings.Join(m.replicas, ", "))}
	}
	if m.global != "" {
		l.Effects.Rebuild = append(l.Effects.Rebuild, fmt.Sprintf("%s: the global database %s, whose other clusters go on following what was live: what comes back is no part of it", c.Name, m.global))
	}
	if len(n.Readers) > 0 {
		l.Effects.Rebuild = append(l.Effects.Rebuild, fmt.Sprintf("%s: the readers %s, which stay with what was live: what comes back has one instance, and its reader endpoint leads to that", c.Name, strings.Join(n.Readers, ", ")))
	}
	return l, nil
}

// Plan renames what is live aside, and what was restored into its place.
func (switcher) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	a, err := renaming(c)
	if err != nil {
		return recovery.Switch{}, err
	}
	p := place{args: args{Component: c.Component.Name}, run: provider.Run(c.Scratch.Place)}
	a.Names.Aside, a.Names.Beside, a.Names.Restored, a.Member = identifier(a.Names.Live+"-old-"+c.Run), p.name(), true, p.member()
	restore, err := engine{}.Plan(c.Component, c.Point, c.Scratch)
	if err != nil {
		return recovery.Switch{}, err
	}
	var told args
	if err := restore[0].Decode(&told); err != nil {
		return recovery.Switch{}, err
	}
	a.Login = told.Login
	return a.steps(), nil
}

// Back renames what is live aside, and what an earlier run has put aside into its place.
func (switcher) Back(c recovery.SwitchContext, old recovery.Old) (recovery.Switch, error) {
	a, err := renaming(c)
	if err != nil {
		return recovery.Switch{}, err
	}
	a.Names.Aside, a.Names.Beside, a.Names.New = identifier(a.Names.Live+"-old-"+c.By), old.Place, old.Identity["resource id"]
	if a.Names.New == "" {
		return recovery.Switch{}, recovery.Errorf("rename it by hand, in the console of RDS", "bring %s back: it is not recorded which one it is", old.Place)
	}
	return a.steps(), nil
}

func renaming(c recovery.SwitchContext) (renameArgs, error) {
	a := renameArgs{Component: c.Component.Name, Target: c.Live.Target.ID, Keep: c.KeepUntil}
	if err := json.Unmarshal(c.Live.Facts, &a.Names); err != nil || a.Names.Old == "" {
		return a, recovery.Errorf("make a new plan", "read what is live of %s: it is not recorded which one it is", c.Component.Name)
	}
	return a, nil
}

func (a renameArgs) steps() recovery.Switch {
	rename := recovery.NewStep("rename", renameName, fmt.Sprintf("rename %s to %s, and %s to %s", a.Names.Live, a.Names.Aside, a.Names.Beside, a.Names.Live), a)
	open := recovery.NewStep("open", openName, fmt.Sprintf("keep what is called %s now", a.Names.Live), a)
	rename.Writes, open.Writes = []recovery.TargetID{a.Target}, []recovery.TargetID{a.Target}
	return recovery.Switch{Exchange: []recovery.Step{rename}, Open: []recovery.Step{open}}
}

// renameKind exchanges the names. It may be repeated.
type renameKind struct{ engine }

func (renameKind) Name() string              { return renameName }
func (renameKind) Restart() recovery.Restart { return recovery.Repeat }

func (k renameKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var a renameArgs
	if err := step.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, a.Target); err != nil {
		return recovery.Outcome{}, err
	}
	n := a.Names
	s, err := n.Account.open(ctx, env.Secret)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if claim := provider.Held(env, exchangedNames, n.Live); claim != nil {
		if n, err = namesOf(*claim); err != nil {
			return recovery.Outcome{}, err
		}
	} else if n, err = a.claim(ctx, env, s, k); err != nil {
		return recovery.Outcome{}, err
	}
	if err := n.exchange(ctx, k.engine, s, env.Meter()); err != nil {
		return recovery.Outcome{}, err
	}
	m, err := s.find(ctx, n.Kind, n.Live)
	if err == nil && (m == nil || m.resource != n.New) {
		err = recovery.Errorf("look at it in the console of RDS, then retry", "%s is not what was renamed to it", n.Live)
	}
	if err != nil {
		return recovery.Outcome{}, err
	}
	if n.Where != "" {
		if m, err = k.leads(ctx, env, s, a, n); err != nil {
			return recovery.Outcome{}, err
		}
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s is what came back, %s; what was live is called %s", n.Live, n.New, n.Aside),
		Identities: map[recovery.TargetID]recovery.Identity{a.Target: identityOf(n.Kind, n.Live, n.New, s.region)},
		Facts:      map[string]string{"live": n.Live + ", " + n.New, "aside": n.Aside + ", " + n.Old},
		Old: []recovery.Old{{Component: a.Component, Target: a.Target, Place: n.Aside, Until: a.Keep, Identity: identityOf(n.Kind, n.Aside, n.Old, s.region),
			Says: "the " + string(n.Kind) + " that was live, which costs as before"}}}
	if n.Restored {
		p := place{args: args{Login: a.Login}}
		o.Bindings = []recovery.Binding{{Component: a.Component, URL: p.address(m)}}
	}
	return o, nil
}

// claim announces the exchange, when it is known which is which.
func (a renameArgs) claim(ctx context.Context, env recovery.Env, s service, k renameKind) (names, error) {
	n := a.Names
	beside, err := s.find(ctx, n.Kind, n.Beside)
	switch {
	case err != nil:
		return n, err
	case beside == nil:
		return n, recovery.Errorf("retry the restore", "make %s live: %s is not there", a.Component, n.Beside)
	case n.New == "" && !beside.ours(provider.Held(env, n.Kind, n.Beside)):
		return n, provider.Refused("find out whose it is", "the %s is not one that this run has made", beside)
	case n.New == "":
		n.New = beside.resource
	}
	if n.Restored {
		if n.Where, err = k.where(ctx, env, a, n, beside); err != nil {
			return n, err
		}
	}
	r, err := n.resource()
	if err == nil {
		err = env.Claim(ctx, r)
	}
	return n, err
}

// where asks the server that an instance's or a cluster's address leads to for its own address.
func (k renameKind) where(ctx context.Context, env recovery.Env, a renameArgs, n names, m *made) (where string, err error) {
	address, err := env.Secret(place{args: args{Login: a.Login}}.address(m))
	if err != nil {
		return "", err
	}
	conn, err := serveKind(k).connect(ctx, address, min(time.Duration(n.Every), 5*time.Second))
	if err == nil {
		defer conn.Close(context.WithoutCancel(ctx))
		err = conn.QueryRow(ctx, "select concat_ws(' ', pg_catalog.inet_server_addr(), pg_catalog.inet_server_port())").Scan(&where)
	}
	if err != nil {
		return "", recovery.Errorf("check the security groups, and `user:`, `password:`, `database:` and `ca:` of the component, then retry", "ask the %s at %s where it is: %w", m, m.host, err)
	}
	return where, nil
}

// leads gives what has the live name when the name leads to it: names of hosts are
// remembered for a while, and until then checks would look at what was live.
func (k renameKind) leads(ctx context.Context, env recovery.Env, s service, a renameArgs, n names) (*made, error) {
	env.Meter().Phase("wait until "+n.Live+" leads to what came back", 0, recovery.NoUnit)
	for looked := 1; ; looked++ {
		m, err := s.find(ctx, n.Kind, n.Live)
		if err == nil && (m == nil || m.resource != n.New) {
			err = recovery.Errorf("look at it in the console of RDS, then retry", "%s is not what was renamed to it", n.Live)
		}
		if err != nil {
			return nil, err
		}
		where, err := k.where(ctx, env, a, n, m)
		switch {
		case err != nil:
			return nil, err
		case where == n.Where:
			return m, nil
		case looked == leadsWithin:
			return nil, recovery.Errorf("let the name be looked up anew on this host, then retry",
				"%s leads to another server than the one that came back: to %s, which was at %s", m.host, where, n.Where)
		}
		env.Meter().Note(m.host + " still leads to " + where)
		if err := k.Sleep(ctx, time.Duration(n.Every)); err != nil {
			return nil, err
		}
	}
}

// leadsWithin is how many looks it may take until a name leads to its new server: at the
// usual pause ten minutes.
const leadsWithin = 40

// openKind keeps what was exchanged: it adopts the claims of what has become live.
type openKind struct{ engine }

func (openKind) Name() string              { return openName }
func (openKind) Restart() recovery.Restart { return recovery.Repeat }

func (openKind) Do(ctx context.Context, env recovery.Env, step recovery.Step) (recovery.Outcome, error) {
	var a renameArgs
	if err := step.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	if _, err := env.Target(ctx, a.Target); err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: a.Names.Live + " stays what it is now"}
	if a.Names.Restored && len(a.Names.Readers) > 0 {
		o.ToDo = append(o.ToDo, anewReaders(a.Names.Live, a.Names.Readers))
	}
	for _, r := range env.Held() {
		if r.Kind == Instance && (r.ID == a.Names.Beside || r.ID == a.Member) || r.Kind == Cluster && r.ID == a.Names.Beside {
			o.Adopted = append(o.Adopted, r)
		}
	}
	return o, nil
}

// renameBack gives the names back, from the record of the claim alone.
type renameBack struct {
	Options
}

func (renameBack) Resource() recovery.ResourceKind { return exchangedNames }

func (b renameBack) Release(ctx context.Context, r recovery.Resource) error {
	n, err := namesOf(r)
	if err != nil {
		return err
	}
	e := engine{b.Filled()}
	s, err := n.Account.open(ctx, e.Expand)
	if err == nil {
		err = n.undo(ctx, e, s)
	}
	if err != nil {
		return fmt.Errorf("give back the name %s: %w", n.Live, err)
	}
	return nil
}
