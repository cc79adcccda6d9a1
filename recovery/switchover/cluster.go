package switchover

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/exchange"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// The resources that a switch of a cluster claims.
const (
	// restoredDirectory is a restored data directory beside the live one.
	restoredDirectory recovery.ResourceKind = "restored data directory"
	stopped                                 = recovery.StoppedServer
	// exchangedCluster is a data directory that has taken the live one's place and
	// is not served yet.
	exchangedCluster = recovery.Exchanged + " of clusters"
	// openedCluster is a restored data directory whose server is started for its users.
	openedCluster = recovery.Opened + " of clusters"
)

// resource is a claim that can be given back from its record alone.
func (a clusterArgs) resource(kind recovery.ResourceKind, id string, next exchange.Identity) (recovery.Resource, error) {
	inode, err := next.MarshalText()
	if err != nil {
		return recovery.Resource{}, err
	}
	r := recovery.Resource{Kind: kind, ID: id, Details: map[string]string{"into": intoCluster, "address": a.Address, "run": a.Run, "data": a.Data, "aside": a.Aside,
		"old": a.Old, "new": string(inode), "major": strconv.Itoa(a.Major), "stop": strings.Join(a.Stop, "\x00"), "start": strings.Join(a.Start, "\x00")}}
	if a.Back {
		r.Details["back"] = "yes"
	}
	return r, nil
}

// clusterStepOf is what every step of a switch of a cluster begins with.
type clusterStepOf struct {
	clusterArgs
	address string
	tools   postgres.Tools
	service live.Service
}

func prepareCluster(ctx context.Context, env recovery.Env, s recovery.Step, target func(clusterArgs) recovery.TargetID) (c clusterStepOf, h recovery.Handle, err error) {
	if err := s.Decode(&c.clusterArgs); err != nil {
		return c, h, err
	}
	if h, err = env.Target(ctx, target(c.clusterArgs)); err != nil {
		return c, h, err
	}
	if c.address, err = env.Secret(c.Address); err != nil {
		return c, h, err
	}
	if c.Fresh && h.Scratch {
		return c, h, nil // prepareKind finds out
	}
	return c, h, c.useTools(c.Data, c.Aside)
}

// useTools finds the programs of the cluster's major; where there was no cluster,
// that of the restored one, in whichever of its places it is.
func (c *clusterStepOf) useTools(dirs ...string) (err error) {
	if c.Fresh {
		if c.Major, err = firstMajor(dirs); err != nil {
			return err
		}
	}
	if c.tools, err = postgres.FindTools(c.Major); err != nil {
		return err
	}
	c.service = live.Service{Data: c.Data, Tools: c.tools, StopCommand: c.Stop, StartCommand: c.Start}
	return nil
}

func firstMajor(dirs []string) (int, error) {
	for _, dir := range dirs {
		if major, err := postgres.MajorOf(dir); !errors.Is(err, fs.ErrNotExist) {
			return major, err
		}
	}
	return 0, recovery.Errorf("retry the restore", "the restored data directory is not to be found in any of %s", strings.Join(dirs, ", "))
}

// pair is the two directories; which is the new one the run's claim tells.
func (c clusterStepOf) pair(env recovery.Env) (exchange.Pair, error) {
	p := exchange.Pair{Live: c.Data, Beside: c.Aside}
	next := c.New
	for _, r := range env.Held() {
		if r.Kind == restoredDirectory && r.Details["data"] == c.Data && next == "" {
			next = r.Details["new"]
		}
	}
	return p, errors.Join(p.Old.UnmarshalText([]byte(c.Old)), p.New.UnmarshalText([]byte(next)))
}

// prepareKind makes a directory that can be live of the restored one: its server is
// shut down, it is moved beside the live one, and gets live's configuration. An
// interruption leaves it where the next attempt finds it.
type prepareKind struct{}

func (prepareKind) Name() string              { return prepareName }
func (prepareKind) Restart() recovery.Restart { return recovery.Continue }

func (prepareKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	c, handle, err := prepareCluster(ctx, env, s, func(a clusterArgs) recovery.TargetID { return a.Scratch })
	if err != nil {
		return recovery.Outcome{}, err
	}
	if pair, err := c.pair(env); err != nil {
		return recovery.Outcome{}, err
	} else if side, err := pair.Side(); err == nil && side == exchange.After {
		return recovery.Outcome{Says: "what was restored is live already"}, nil
	}
	h, err := c.handOver(ctx, env, handle)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.useTools(h.Data, c.Aside); err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.move(ctx, env, *h); err != nil {
		return recovery.Outcome{}, err
	}
	p, err := live.Prepare(ctx, env, live.Restored{Live: c.Data, Data: c.Aside, Tools: c.tools, System: c.System, Timeline: c.Timeline, Synchronous: c.Synchronous, Down: c.Down,
		Own: len(c.Start) > 0, Boot: h.Boot})
	if err != nil {
		return recovery.Outcome{}, err
	}
	h.Durable = true
	if err := h.Write(handle.Dir); err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s is on disk %s, on timeline %d", c.Aside, configured(p), p.Timeline),
		Facts: map[string]string{"timeline": strconv.FormatUint(uint64(p.Timeline), 10), "to be archived": strings.Join(p.Archivable, ", ")}, Remarks: p.Remarks}
	for _, d := range p.Dropped {
		o.Remarks = append(o.Remarks, fmt.Sprintf("live's setting %s is left out: %s", d.Name, d.Why))
		if strings.HasPrefix(d.Name, "synchron") {
			o.ToDo = append(o.ToDo, fmt.Sprintf("set %s of %s again when its standbys are made anew", d.Name, c.Component))
		}
	}
	return o, nil
}

// configured says with which configuration a directory is prepared.
func configured(p live.Preparation) string {
	switch taken := strings.Join(p.Taken, ", "); {
	case taken == "" && p.Fresh:
		return "without a configuration, which the backup has none of: it is started with this host's own"
	case taken == "":
		return "without a configuration, as live's lies outside of it"
	case p.Fresh:
		return "with the configuration of the backup (" + taken + ")"
	default:
		return "with live's configuration (" + taken + ")"
	}
}

// handOver marks the scratch target, so that nobody revives what leaves it.
func (c clusterStepOf) handOver(ctx context.Context, env recovery.Env, handle recovery.Handle) (*postgres.HandOver, error) {
	h, err := postgres.ReadHandOver(handle.Dir)
	if err != nil {
		return nil, err
	}
	binding, ok := env.Binding(c.Component)
	if h == nil && (!ok || !binding.Scratch) {
		return nil, recovery.Errorf("retry the restore", "prepare %s: it is not restored", c.Component)
	}
	return leaveScratch(ctx, handle, binding.URL)
}

// move shuts the scratch server down and moves its directory beside the live one. What
// this run had restored before, and moved there, goes.
func (c clusterStepOf) move(ctx context.Context, env recovery.Env, h postgres.HandOver) error {
	inode, err := exchange.Identify(h.Data)
	if errors.Is(err, fs.ErrNotExist) {
		inode, err = exchange.Identify(c.Aside) // moved by an earlier attempt
		if err == nil && !c.claimed(env, inode) {
			err = recovery.Errorf("find out who made it, and move it away", "refused: %s is there, and this run has not made it", c.Aside).WithExit(recovery.Refused)
		}
		return err
	}
	if err != nil {
		return err
	}
	if err := c.discard(env); err != nil {
		return err
	}
	if _, err := os.Lstat(c.Aside); err == nil {
		return recovery.Errorf("find out who made it, and move it away", "refused: %s is there already", c.Aside).WithExit(recovery.Refused)
	} else if !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look at %s: %w", c.Aside, err)
	}
	r, err := c.resource(restoredDirectory, c.Aside, inode)
	if err != nil {
		return err
	}
	if err := env.Claim(ctx, r); err != nil {
		return err
	}
	if err := (postgres.Cluster{Data: h.Data}).Halt(ctx); err != nil {
		return err
	}
	// Moved as a fresh directory is: a pair whose old one is nothing.
	pair, err := exchange.Look(c.Aside, h.Data)
	if err != nil {
		return err
	}
	return pair.Exchange()
}

// discard removes what stands beside live if it is what this run has restored there
// before; anything else is left alone.
func (c clusterStepOf) discard(env recovery.Env) error {
	at, err := exchange.Standing(c.Aside)
	if err != nil || at == (exchange.Identity{}) || !c.claimed(env, at) {
		return err
	}
	pids, err := postgres.Processes(c.Aside)
	if err != nil {
		return err
	}
	if len(pids) > 0 {
		return recovery.Errorf("stop it, then retry", "a server uses %s (process %d), which is to be restored anew", c.Aside, pids[0])
	}
	return exchange.Discard(c.Aside, at)
}

func (c clusterStepOf) claimed(env recovery.Env, inode exchange.Identity) bool {
	for _, r := range env.Held() {
		var made exchange.Identity
		if r.Kind == restoredDirectory && made.UnmarshalText([]byte(r.Details["new"])) == nil && made.Is(inode) {
			return true
		}
	}
	return false
}

// stopKind stops the live server: what is lost does not grow from then on.
type stopKind struct{ Options }

func (stopKind) Name() string              { return stopName }
func (stopKind) Restart() recovery.Restart { return recovery.Repeat }

func (k stopKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	c, _, err := prepareCluster(ctx, env, s, func(a clusterArgs) recovery.TargetID { return a.Live })
	if err != nil {
		return recovery.Outcome{}, err
	}
	var o recovery.Outcome
	down, _, err := c.service.Stopped(ctx)
	if err != nil {
		return o, err
	}
	if !down {
		// One that was down stays down if the run ends before the switch.
		if err := k.watch(ctx, env, c, &o); err != nil {
			return o, err
		}
		r, err := c.resource(stopped, c.Data, exchange.Identity{})
		if err != nil {
			return o, err
		}
		if err := env.Claim(ctx, r); err != nil {
			return o, err
		}
	}
	state, err := c.service.Stop(ctx, env)
	if err != nil {
		return o, err
	}
	control, err := postgres.ReadControl(ctx, c.tools, c.Data)
	if err != nil {
		return o, err
	}
	o.Says = fmt.Sprintf("the live server is stopped (%s)", state)
	o.Facts = map[string]string{"writes stopped at": env.Now().UTC().Format(time.RFC3339Nano), "log then at": control.CheckpointLSN.String(), "state": state}
	if state != shutDown {
		o.Remarks = append(o.Remarks, "the live server had crashed: "+state+"; the end of its log may not be in the copy")
	}
	return o, nil
}

// Revive proves that the server was not started since: else people may have written, and
// it is to stop again, and what is lost to count again. Where the switch was cut off
// between its exchange and the record of it, another directory stands there: the exchange
// finds out by itself how far it had come.
func (stopKind) Revive(ctx context.Context, _ recovery.Env, s recovery.Step, o recovery.Outcome, _ bool) error {
	var a clusterArgs
	if err := s.Decode(&a); err != nil {
		return err
	}
	which := a.Old
	if a.Back {
		which = a.New
	}
	var was exchange.Identity
	if err := was.UnmarshalText([]byte(which)); err != nil {
		return err
	}
	at, err := exchange.Standing(a.Data)
	if err != nil || !at.Is(was) {
		return err
	}
	tools, err := postgres.FindTools(a.Major)
	if err != nil {
		return err
	}
	down, _, err := live.Service{Data: a.Data, Tools: tools}.Stopped(ctx)
	if err != nil {
		return err
	}
	if !down {
		return fmt.Errorf("the live server was started again: %w", recovery.ErrGone)
	}
	control, err := postgres.ReadControl(ctx, tools, a.Data)
	if err != nil {
		return err
	}
	if now := control.CheckpointLSN.String(); now != o.Facts["log then at"] {
		return fmt.Errorf("the live server was started since it was stopped, its log went on from %s to %s: %w", o.Facts["log then at"], now, recovery.ErrGone)
	}
	return nil
}

// watch observes the writes once more before they are ended.
func (k stopKind) watch(ctx context.Context, env recovery.Env, c clusterStepOf, o *recovery.Outcome) error {
	env.Meter().Phase("observe the writes", 0, recovery.NoUnit)
	quiet, err := observe(ctx, c.address)
	if err != nil {
		return err
	}
	if !quiet.Quiet {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the writes had not stopped: %d transactions began in the last moments before", quiet.Transactions))
	}
	for _, session := range append(quiet.Writers, quiet.Connected...) {
		o.Remarks = append(o.Remarks, "ended: "+session.String())
	}
	if !c.Back {
		if err := k.saveNames(ctx, env, prepared{args: c.args, db: live.Database{Address: c.address}}); err != nil {
			o.Remarks = append(o.Remarks, "what is lost is counted by numbers of tables: "+err.Error())
		}
	}
	return nil
}

const (
	// shutDown is what the control data say of a server that was shut down.
	shutDown = "shut down"
	// unproven is the fact of a tail step that has not proven where the log ends.
	unproven = "the end is not proven"
)

// tailKind proves that the log up to the stop is in the copy: a server that archives
// closes its last segment when it is shut down, and hands it over. Of one that does not,
// whose log a receiver takes, the last segment stays open: it is saved, as that of a dead
// server is. Of one that has crashed nobody knows where the log ends: it says so, and what is lost is then not
// final.
type tailKind struct{ Options }

func (tailKind) Name() string              { return tailName }
func (tailKind) Restart() recovery.Restart { return recovery.Repeat }

func (k tailKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a clusterArgs
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	tools, err := postgres.FindTools(a.Major)
	if err != nil {
		return recovery.Outcome{}, err
	}
	control, err := postgres.ReadControl(ctx, tools, a.Data)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if control.State != shutDown {
		return recovery.Outcome{Says: fmt.Sprintf("the live server had crashed (%s): the end of its log may not be in %s, and stays in %s",
			control.State, a.Point.Copy, filepath.Join(a.Data, "pg_wal")), Facts: map[string]string{unproven: control.State}}, nil
	}
	if o, ok := a.unseen(); ok {
		return o, nil
	}
	segment, open, err := live.LastSegment(control)
	if err != nil {
		return recovery.Outcome{}, err
	}
	engine, store, survey, err := k.surveyed(ctx, env, a.countArgs)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if open != "" {
		return k.saveOpen(ctx, env, a, engine, open)
	}
	h, ok := engine.(recovery.Holder)
	if !ok {
		return recovery.Outcome{}, fmt.Errorf("look for the end of the log: the engine %s reads no archive", a.Point.Engine)
	}
	there, err := h.Holds(ctx, survey, store, segment)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if !there {
		return recovery.Outcome{}, recovery.Errorf(fmt.Sprintf("copy it there from %s, then retry; or go on, and what it holds is not counted", filepath.Join(a.Data, "pg_wal")),
			"the last segment of the live log, %s, is not in %s", segment, a.Point.Copy)
	}
	return recovery.Outcome{Says: fmt.Sprintf("the log up to segment %s is in %s", segment, a.Point.Copy), Facts: map[string]string{"last segment": segment}}, nil
}

// saveOpen saves the end of the log of a server that has not closed its last segment. Where
// the engine saves nothing, the end is not proven.
func (tailKind) saveOpen(ctx context.Context, env recovery.Env, a clusterArgs, engine recovery.Engine, segment string) (recovery.Outcome, error) {
	wal := filepath.Join(a.Data, "pg_wal")
	saver, ok := engine.(recovery.TailSaver)
	if !ok {
		return recovery.Outcome{Says: fmt.Sprintf("the live server has not closed its last segment, %s: the end of its log is not in %s, and stays in %s", segment, a.Point.Copy, wal),
			Facts: map[string]string{unproven: "segment " + segment + " is open"}}, nil
	}
	step, err := saver.PlanTail(a.Of, a.Point.Copy, wal)
	if err != nil {
		return recovery.Outcome{}, err
	}
	for _, kind := range engine.Kinds() {
		if kind.Name() == step.Kind {
			return kind.Do(ctx, env, step)
		}
	}
	return recovery.Outcome{}, fmt.Errorf("save the end of the log: the engine %s has no step %s", a.Point.Engine, step.Kind)
}

// exchangeKind exchanges the two directories.
type exchangeKind struct{}

func (exchangeKind) Name() string              { return exchangeName }
func (exchangeKind) Restart() recovery.Restart { return recovery.Repeat }

func (exchangeKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	c, _, err := prepareCluster(ctx, env, s, func(a clusterArgs) recovery.TargetID { return a.Live })
	if err != nil {
		return recovery.Outcome{}, err
	}
	pair, err := c.pair(env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	r, err := c.resource(exchangedCluster, c.Data, pair.New)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, r); err != nil {
		return recovery.Outcome{}, err
	}
	cluster := live.Cluster{Pair: pair, Tools: c.tools}
	act, aside := cluster.Exchange, pair.Old
	if c.Back {
		act, aside = cluster.Undo, pair.New
	}
	if err := act(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	now, err := identifyCluster(ctx, clusterTarget{Data: c.Data, Major: c.Major}, c.address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if aside == (exchange.Identity{}) {
		return recovery.Outcome{Says: fmt.Sprintf("%s is the directory %s now; there was none before", c.Data, now["inode"]),
			Identities: map[recovery.TargetID]recovery.Identity{c.Live: now}}, nil
	}
	inode, err := aside.MarshalText()
	if err != nil {
		return recovery.Outcome{}, err
	}
	old := recovery.Identity{"inode": string(inode), "data directory": c.Aside, "run": c.Run}
	if !c.Fresh { // an empty directory was on no timeline
		control, err := postgres.ReadControl(ctx, c.tools, c.Aside)
		if err != nil {
			return recovery.Outcome{}, err
		}
		old["timeline"] = strconv.FormatUint(uint64(control.Timeline), 10)
	}
	return recovery.Outcome{
		Says:       fmt.Sprintf("%s is the directory %s now; the one before is %s", c.Data, now["inode"], c.Aside),
		Identities: map[recovery.TargetID]recovery.Identity{c.Live: now},
		Old: []recovery.Old{{Component: c.Component, Target: c.Live, Place: c.Aside, Until: c.Keep,
			Identity: old, Says: "a data directory that no server uses"}},
	}, nil
}

// startKind starts the server of what is live now, and proves that it is the right
// one. From then on the switch is not given back when the run ends. Where it is cut
// off before that is recorded, its claim keeps what users may have written, as that of
// open does.
type startKind struct{}

func (startKind) Name() string              { return startName }
func (startKind) Restart() recovery.Restart { return recovery.Repeat }

func (startKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	c, _, err := prepareCluster(ctx, env, s, func(a clusterArgs) recovery.TargetID { return a.Live })
	if err != nil {
		return recovery.Outcome{}, err
	}
	pair, err := c.pair(env)
	if err != nil {
		return recovery.Outcome{}, err
	}
	control, err := postgres.ReadControl(ctx, c.tools, c.Data)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.claimTimeline(ctx, env, control.Timeline); err != nil {
		return recovery.Outcome{}, err
	}
	r, err := c.resource(openedCluster, c.Data, pair.New)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, r); err != nil {
		return recovery.Outcome{}, err
	}
	if err := c.service.Start(ctx, env, c.address); err != nil {
		return recovery.Outcome{}, misled(ctx, c.Address, c.address, c.Data, err)
	}
	if c.Back {
		pair.Old, pair.New = pair.New, pair.Old
	}
	id, err := live.Cluster{Pair: pair, Tools: c.tools}.Serves(ctx, c.address, live.Preparation{System: c.System, Timeline: control.Timeline})
	if err != nil {
		return recovery.Outcome{}, misled(ctx, c.Address, c.address, c.Data, err)
	}
	o := recovery.Outcome{Says: fmt.Sprintf("%s is served, on timeline %d", c.Data, id.Timeline), ToDo: c.Rebuild, Bindings: []recovery.Binding{{Component: c.Component, URL: c.Address}},
		Facts: map[string]string{"timeline": strconv.FormatUint(uint64(id.Timeline), 10)}}
	for _, r := range env.Held() {
		if r.Details["data"] == c.Data && (r.Kind == restoredDirectory || r.Kind == stopped || r.Kind == startedTimeline) {
			o.Adopted = append(o.Adopted, r)
		}
	}
	return o, nil
}
