package switchover

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"comeback/recovery"
	"comeback/recovery/live"
	"comeback/recovery/postgres"
)

// The kinds of steps.
const (
	codeName    = "live.code"
	loadName    = "live.load"
	fenceName   = "live.fence"
	pushName    = "live.push"
	countName   = "live.loss"
	sinceName   = "live.since"
	swapName    = "live.swap"
	openName    = "live.open"
	protectName = "live.protect"
)

// The resources that a switch claims.
const (
	// loadedDatabase is a database beside the live one; ID says where.
	loadedDatabase recovery.ResourceKind = "database"
	fenced                               = recovery.Fenced
)

// resource is a claim of a switch, which can be given back from its record alone.
func (a args) resource(kind recovery.ResourceKind, t recovery.Target) recovery.Resource {
	id := t.Place
	if kind == loadedDatabase {
		id = live.BesideName(a.Database, a.Run) + " beside " + t.Place
	}
	r := recovery.Resource{Kind: kind, ID: id, Details: map[string]string{
		"address": a.Address, "run": a.Run, "was": strconv.FormatUint(uint64(a.Was), 10), "database": a.Database}}
	if a.New != 0 {
		r.Details["new"] = strconv.FormatUint(uint64(a.New), 10)
	}
	if a.Back {
		r.Details["back"] = "yes"
	}
	if a.staysClosed != 0 {
		r.Details["stays closed"] = strconv.FormatUint(uint64(a.staysClosed), 10)
	}
	return r
}

// database is the switch as package live knows it.
func (a args) database(address string) live.Database {
	return live.Database{Address: address, Run: a.Run, Was: a.Was, New: a.New, StaysClosed: a.staysClosed}
}

// prepared is what every step of a switch begins with.
type prepared struct {
	args
	target recovery.Target
	db     live.Database
	fenced bool // by this run
}

// prepare proves the step's target and finds out how far the switch has come.
func prepare(ctx context.Context, env recovery.Env, s recovery.Step, writes func(args) recovery.TargetID) (prepared, error) {
	var p prepared
	if err := s.Decode(&p.args); err != nil {
		return p, err
	}
	handle, err := env.Target(ctx, writes(p.args))
	if err != nil {
		return p, err
	}
	address, err := env.Secret(p.Address)
	if err != nil {
		return p, err
	}
	p.target = handle.Target
	for _, r := range env.Held() {
		if p.own(r) && r.Kind == fenced {
			p.fenced = true
			if p.staysClosed, err = closedOf(r); err != nil {
				return p, err
			}
		}
	}
	p.db, err = p.args.database(address).Complete(ctx)
	return p, err
}

// own reports whether a claim is of this switch.
func (a args) own(r recovery.Resource) bool {
	return r.Details["address"] == a.Address && r.Details["run"] == a.Run
}

func toLive(a args) recovery.TargetID   { return a.Live }
func toBeside(a args) recovery.TargetID { return a.Beside }

// load brings the restored database beside the live one. An interruption leaves a
// database that the next attempt finishes or makes anew.
type load struct{}

func (load) Name() string              { return loadName }
func (load) Restart() recovery.Restart { return recovery.Continue }

func (load) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	p, err := prepare(ctx, env, s, toBeside)
	if err != nil {
		return recovery.Outcome{}, err
	}
	scratch, err := env.Target(ctx, p.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	binding, restored, err := restoredAt(env, p.Component)
	if err != nil {
		return recovery.Outcome{}, fmt.Errorf("load %s: %w", p.Component, err)
	}
	tools, err := toolsOf(ctx, restored)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, p.resource(loadedDatabase, p.target)); err != nil {
		return recovery.Outcome{}, err
	}
	loaded, err := p.db.Load(ctx, env, live.Source{Address: restored, Tools: tools, Dir: filepath.Join(scratch.Dir, "load"), AnyLocale: binding.AnyLocale, Code: codeSeen(env, p.Component), Jobs: 2})
	if err != nil {
		return recovery.Outcome{}, err
	}
	p.db.New = loaded.Database.OID
	remarks, err := p.db.Check(ctx)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{
		Says:    fmt.Sprintf("%d tables, %d rows are in %s, the same on both sides", loaded.Tables, loaded.Rows, loaded.Database.Name),
		Facts:   map[string]string{"database beside": loaded.Database.Name, "its oid": strconv.FormatUint(uint64(loaded.Database.OID), 10)},
		Remarks: append(loaded.Remarks, remarks...), Exceptions: loaded.Exceptions,
	}
	if len(loaded.Roles) > 0 {
		o.ToDo = []string{"decide about the roles that the data name and live had not; they were made without login: " + strings.Join(loaded.Roles, ", ")}
	}
	return o, nil
}

// restoredAt is where a component is restored in scratch, and its address.
func restoredAt(env recovery.Env, component string) (b recovery.Binding, address string, err error) {
	b, ok := env.Binding(component)
	if !ok || !b.Scratch {
		return b, "", recovery.Errorf("retry the restore", "it is not restored")
	}
	address, err = env.Secret(b.URL)
	return b, address, err
}

// toolsOf finds the programs of a restored server's major.
func toolsOf(ctx context.Context, url string) (postgres.Tools, error) {
	config, err := postgres.ParseAddress(url)
	if err != nil {
		return postgres.Tools{}, err
	}
	conn, err := postgres.DialLive(ctx, config)
	if err != nil {
		return postgres.Tools{}, fmt.Errorf("ask the restored server for its version: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	id, err := postgres.ReadIdentity(ctx, conn)
	if err != nil {
		return postgres.Tools{}, err
	}
	return postgres.FindTools(id.Major)
}

// fence closes the live database and ends its sessions: what is lost does not grow
// from then on.
type fence struct{ Options }

func (fence) Name() string              { return fenceName }
func (fence) Restart() recovery.Restart { return recovery.Repeat }

func (k fence) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	p, err := prepare(ctx, env, s, toLive)
	if err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("observe the writes", 0, recovery.NoUnit)
	quiet, err := observe(ctx, p.db.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	unnamed := k.saveNames(ctx, env, p)
	if err := p.closedBefore(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, p.resource(fenced, p.target)); err != nil {
		return recovery.Outcome{}, err
	}
	env.Meter().Phase("close the database", 0, recovery.NoUnit)
	f, err := p.db.Fence(ctx)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: fmt.Sprintf("nobody is in %s since %s", p.target.Name, f.At.UTC().Format("15:04:05Z")),
		Facts: map[string]string{"writes stopped at": f.At.UTC().Format(time.RFC3339Nano), "log then at": f.LSN.String()}}
	if unnamed != nil {
		o.Remarks = append(o.Remarks, "what is lost is counted by numbers of tables: "+unnamed.Error())
	}
	for _, session := range f.Ended {
		o.Remarks = append(o.Remarks, "ended: "+session.String())
	}
	if !quiet.Quiet {
		o.Remarks = append(o.Remarks, fmt.Sprintf("the writes had not stopped: %d transactions began in the last moments before", quiet.Transactions))
	}
	return o, nil
}

// closedBefore finds out whether people had closed what is live before this run did: what
// a run that is stopped gives back is as it was.
func (p *prepared) closedBefore(ctx context.Context) error {
	closed, err := p.db.Closed(ctx)
	switch {
	case err != nil:
		return err
	case !closed:
		p.staysClosed = 0 // whoever has opened it since wants it open
	case p.fenced: // as the claim says
	case p.Back:
		p.staysClosed = p.db.New
	default:
		p.staysClosed = p.db.Was
	}
	p.db.StaysClosed = p.staysClosed
	return nil
}

// Revive proves that nobody was let in since: else the fence is to do again, and
// with it the count of what is lost. It does not go by the target's identity: a
// switch that was cut off may have made another one of it.
func (fence) Revive(ctx context.Context, env recovery.Env, s recovery.Step, _ recovery.Outcome, _ bool) error {
	var a args
	if err := s.Decode(&a); err != nil {
		return err
	}
	address, err := env.Secret(a.Address)
	if err != nil {
		return err
	}
	d, err := a.database(address).Complete(ctx)
	if err != nil {
		return err
	}
	closed, err := d.Closed(ctx)
	if err == nil && !closed {
		err = fmt.Errorf("database %s was opened again: %w", a.Database, recovery.ErrGone)
	}
	return err
}

// observeFor bounds how long writes are observed before they are ended anyway.
const observeFor = 5 * time.Second

func observe(ctx context.Context, address string) (live.Quietness, error) {
	ctx, cancel := context.WithTimeout(ctx, observeFor)
	defer cancel()
	return live.Quiet(ctx, address, 0)
}

// swap exchanges the names, in one transaction.
type swap struct{}

func (swap) Name() string              { return swapName }
func (swap) Restart() recovery.Restart { return recovery.Repeat }

func (swap) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	p, err := prepare(ctx, env, s, toLive)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, p.resource(recovery.Exchanged, p.target)); err != nil {
		return recovery.Outcome{}, err
	}
	do := p.db.Swap
	if p.Back {
		do = p.db.SwapBack
	}
	done, err := do(ctx)
	if err != nil {
		return recovery.Outcome{}, err
	}
	now, err := identify(ctx, p.db.Address)
	if err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{
		Says:       fmt.Sprintf("%s is the database %d now; the one before is %s", p.target.Name, done.Live.OID, done.Aside.Name),
		Identities: map[recovery.TargetID]recovery.Identity{p.Live: now},
		Remarks:    done.Remarks, ToDo: done.Stays,
		Old: []recovery.Old{{Component: p.Component, Target: p.Live, Place: done.Aside.Name, Until: p.Keep,
			Identity: recovery.Identity{"database": done.Aside.Name, "database oid": strconv.FormatUint(uint64(done.Aside.OID), 10), "run": p.Run},
			Says:     "a database of the same server that lets nobody in"}},
	}
	return o, nil
}

// open lets users in. From then on the switch is not given back when the run ends:
// it adopts what the steps before have claimed. Where it is cut off before that is
// recorded, its claim keeps what users may have written; where another component has
// opened the system already, it claims nothing, and goes forward like that one.
type open struct{}

func (open) Name() string              { return openName }
func (open) Restart() recovery.Restart { return recovery.Repeat }

func (open) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	p, err := prepare(ctx, env, s, toLive)
	if err != nil {
		return recovery.Outcome{}, err
	}
	if err := env.Claim(ctx, p.resource(recovery.Opened, p.target)); err != nil {
		return recovery.Outcome{}, err
	}
	if err := p.db.Unfence(ctx); err != nil {
		return recovery.Outcome{}, err
	}
	o := recovery.Outcome{Says: p.target.Name + " is open", ToDo: p.Rebuild,
		Bindings: []recovery.Binding{{Component: p.Component, URL: cmp.Or(p.URL, p.Address)}}}
	for _, r := range env.Held() {
		if p.own(r) && (r.Kind == loadedDatabase || r.Kind == fenced) {
			o.Adopted = append(o.Adopted, r)
		}
	}
	return o, nil
}

// errNotRecorded says that a claim's record lacks what giving it back needs.
var errNotRecorded = errors.New("its record does not say which database it is")
