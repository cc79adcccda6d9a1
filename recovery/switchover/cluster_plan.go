package switchover

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"comeback/recovery"
	"comeback/recovery/live"
)

// The kinds of steps of a switch of a cluster.
const (
	prepareName  = "live.prepare"
	stopName     = "live.stop"
	tailName     = "live.tail"
	exchangeName = "live.exchange"
	startName    = "live.start"
)

// clusterArgs are what every step of a switch of a cluster is told.
type clusterArgs struct {
	countArgs
	Data string `json:"data"`
	// Aside is where the restored directory waits and the old one stays.
	Aside    string `json:"aside"`
	Major    int    `json:"major"`
	System   string `json:"system"`
	Timeline uint32 `json:"timeline"`
	// Old is the live directory's inode; New, known only of a switch back, that
	// of the one that takes its place.
	Old string `json:"old"`
	New string `json:"new,omitempty"`
	// Synchronous is live's synchronous_standby_names; where the server was Down it
	// told nothing.
	Synchronous string   `json:"synchronous,omitempty"`
	Down        bool     `json:"down,omitempty"`
	Stop        []string `json:"stop,omitempty"`
	Start       []string `json:"start,omitempty"`
	Logged      bool     `json:"logged,omitempty"`
	// Fresh says that there is nothing in its place yet.
	Fresh bool `json:"fresh,omitempty"`
	// Copies, told to the step that starts the server, may get its timeline from then on.
	Copies []recovery.Copy `json:"copies,omitempty"`
}

func isCluster(t recovery.Target) (clusterTarget, bool) {
	var c clusterTarget
	err := json.Unmarshal(t.Facts, &c)
	return c, err == nil && c.Into == intoCluster
}

func (s switcher) clusterArgs(c recovery.SwitchContext, t clusterTarget) (clusterArgs, error) {
	a, err := newArgs(c)
	if err != nil {
		return clusterArgs{}, err
	}
	l, err := server(c.Live)
	if err != nil {
		return clusterArgs{}, err
	}
	of := c.Component
	of.Settings = withoutSecrets(of.Settings)
	all := clusterArgs{countArgs: countArgs{args: a, Of: of, Point: c.Point}, Data: t.Data, Aside: besideData(t.Data, c.Run), Major: t.Major,
		System: l.SystemIdentifier, Timeline: l.Timeline, Old: c.Live.Target.Identity["inode"], Synchronous: l.Synchronous, Down: t.Down,
		Stop: c.Component.Settings["stop"], Start: c.Component.Settings["start"], Logged: s.logged(c.Point)}
	for _, cp := range c.Copies {
		if cp.Name == c.Point.Copy {
			all.Copy = cp
		}
	}
	if t.Fresh {
		// The backup tells whose cluster it is; an empty directory has an inode.
		all.Fresh, all.System = true, c.Point.Backup.Details[recovery.SystemIdentifier]
		if all.Old == nothingThere {
			all.Old = ""
		}
		return all, nil
	}
	if all.Old == "" {
		return all, recovery.Errorf("run comeback as root or as the server's user, then make a new plan", "plan the switch of %s: it is not known which directory is live", c.Component.Name).WithExit(recovery.Refused)
	}
	return all, nil
}

// nothingThere is the inode of a place at which there is nothing.
const nothingThere = "nothing there"

func clusterStep(id, kind, says string, args any, writes ...recovery.TargetID) recovery.Step {
	step := recovery.NewStep(id, kind, says, args)
	step.Writes = writes
	return step
}

// planCluster lists the steps of a switch of a whole data directory. The scratch
// server serves the checks until the switch begins; then it is shut down, and its
// directory is made one of live's, before live is stopped.
func (s switcher) planCluster(c recovery.SwitchContext, t clusterTarget) (recovery.Switch, error) {
	if c.Point.Timeline == 0 {
		return recovery.Switch{}, recovery.Errorf("choose a base backup, or write `into: "+intoDatabase+"`",
			"plan the switch of %s: a dump holds a database, not the cluster that comes back into %s", c.Component.Name, t.Data).WithExit(recovery.Refused)
	}
	a, err := s.clusterArgs(c, t)
	if err != nil {
		return recovery.Switch{}, err
	}
	if err := sameCluster(c, t, a.System); err != nil {
		return recovery.Switch{}, err
	}
	warnings, err := startable(c, t, a)
	if err != nil {
		return recovery.Switch{}, err
	}
	name := c.Live.Target.Name
	prepare := clusterStep("prepare", prepareName, "make the restored directory one that can be live", a, a.Scratch)
	stop := clusterStep("stop", stopName, "stop the live server "+name, a, a.Live, a.Scratch)
	stop.After = []string{prepare.ID}
	started := a
	started.Copies = c.Copies
	p := recovery.Switch{
		Fence:    []recovery.Step{prepare, stop},
		Exchange: []recovery.Step{clusterStep("exchange", exchangeName, "make the restored directory live", a, a.Live)},
		Open:     []recovery.Step{clusterStep("start", startName, "start the restored server", started, a.Live)},
		Protect:  s.protectSteps(c, protectArgs{countArgs: a.countArgs, Logged: a.Logged, Copies: c.Copies, Data: t.Data}),
		Warnings: warnings,
	}
	if t.Fresh {
		p.Fence = []recovery.Step{prepare}
	}
	if a.Logged {
		tail, err := s.tailStep(c, t, a)
		if err != nil {
			return p, err
		}
		counted := a.countArgs
		counted.Whole = true
		if tail != nil {
			tail.MayPass, counted.Tail = true, tail.Kind
			p.Settle = []recovery.Step{*tail}
		} else if !t.Fresh {
			p.Effects.Gone = append(p.Effects.Gone, fmt.Sprintf("what the dead server had not archived: %s saves nothing into %s; it stays in %s, which is put aside",
				c.Point.Engine, c.Point.Copy, filepath.Join(t.Data, "pg_wal")))
		}
		lost := clusterStep("loss", countName, "count what is lost", counted, a.Scratch)
		lost.MayPass = true
		if tail != nil {
			lost.After = []string{tail.ID}
		}
		p.Settle = append(p.Settle, lost)
	}
	return p, nil
}

// sameCluster refuses a backup of another cluster than the one that lies in the place, where
// both tell: on a host that was made anew that is often one which was made with it.
func sameCluster(c recovery.SwitchContext, t clusterTarget, system string) error {
	of := c.Point.Backup.Details[recovery.SystemIdentifier]
	if of == "" || system == "" || of == system {
		return nil
	}
	first := "stop its server and "
	if t.Down {
		first = ""
	}
	return recovery.Errorf(fmt.Sprintf("where it is a new one that nobody needs, such as Debian makes when PostgreSQL is installed, %smove it away (mv %[2]s %[2]s.new), let data: of the component say %[2]s, and make the plan again; "+
		"else choose a backup of that cluster, or give another place", first, t.Data),
		"refused: another cluster than that of the backup lies in %s: its system identifier is %s, and that of the backup %s", t.Data, system, of).WithExit(recovery.Refused)
}

// startable refuses a fresh place whose server would have no configuration to be started
// with, and warns where only the restore can tell, or this host has to have it.
func startable(c recovery.SwitchContext, t clusterTarget, a clusterArgs) (warnings []string, err error) {
	own := len(a.Start) > 0
	switch {
	case !t.Fresh, c.Point.Configuration == recovery.ConfigurationWithin:
		return nil, nil
	case own && c.Point.Configuration == recovery.ConfigurationOutside:
		return []string{fmt.Sprintf("the backup brings no postgresql.conf along: %s starts the server with what this host has for it, and that must be there", strings.Join(a.Start, " "))}, nil
	case own:
		return nil, nil
	case c.Point.Configuration == recovery.ConfigurationOutside:
		return nil, live.Unconfigured(t.Data)
	}
	return []string{"whether the backup brings a postgresql.conf along is known only when it is restored, and without one it is not switched; where the old server had its configuration elsewhere, as Debian has it in /etc, " + live.Configure(t.Data)}, nil
}

// tailStep is the step that proves the end of the log in the copy, or of a dead server
// saves it there. It is nil where there is no log, or where the engine may not write
// into its copies.
func (s switcher) tailStep(c recovery.SwitchContext, t clusterTarget, a clusterArgs) (*recovery.Step, error) {
	switch {
	case t.Fresh:
		return nil, nil
	case !t.Down:
		tail := clusterStep("tail", tailName, "prove that the rest of the log is in "+c.Point.Copy, a)
		return &tail, nil
	}
	engine, err := s.engine(c.Point.Engine)
	if err != nil {
		return nil, err
	}
	saver, ok := engine.(recovery.TailSaver)
	if !ok {
		return nil, nil
	}
	step, err := saver.PlanTail(c.Component, c.Point.Copy, filepath.Join(t.Data, "pg_wal"))
	return &step, err
}

// backCluster lists the steps that give the old data directory its place again.
func (s switcher) backCluster(c recovery.SwitchContext, t clusterTarget, old recovery.Old) (recovery.Switch, error) {
	a, err := s.clusterArgs(c, t)
	if err != nil {
		return recovery.Switch{}, err
	}
	// What is live now is what the earlier run has restored.
	a.Rebuild = nil // it has its own
	a.Back, a.Logged, a.New, a.Old, a.Aside = true, false, a.Old, old.Identity["inode"], old.Place
	if a.Old == "" || old.Place == "" {
		return recovery.Switch{}, recovery.Errorf("switch back by hand: stop the server, and rename the two directories", "it is not recorded which directory %s was", old.Place)
	}
	name := c.Live.Target.Name
	back := recovery.Switch{
		Fence:    []recovery.Step{clusterStep("stop", stopName, "stop the live server "+name, a, a.Live)},
		Exchange: []recovery.Step{clusterStep("exchange", exchangeName, fmt.Sprintf("make %s live again", old.Place), a, a.Live)},
		Open:     []recovery.Step{clusterStep("start", startName, "start the old server", a, a.Live)},
	}
	alive, err := strconv.ParseUint(old.Identity["timeline"], 10, 32)
	if err != nil || s.Engines == nil {
		return back, nil // put aside by an earlier version, which did not note its timeline
	}
	mark := clusterStep("mark", markName, fmt.Sprintf("mark timeline %d dead in the copies", a.Timeline), markArgs{Of: a.Of, Copies: c.Copies, System: a.System,
		Dead: a.Timeline, Alive: uint32(alive), Run: c.By, At: c.At})
	back.Protect = []recovery.Step{mark}
	return back, nil
}
