package switchover

import (
	"cmp"
	"encoding/json"
	"fmt"
	"time"

	"comeback/recovery"
	"comeback/recovery/live"
)

// args are what every step of a switch is told.
type args struct {
	Component string `json:"component"`
	// Live, Beside and Scratch are the targets; Address is the live database's, a
	// reference.
	Live    recovery.TargetID `json:"live"`
	Beside  recovery.TargetID `json:"beside,omitempty"`
	Scratch recovery.TargetID `json:"scratch,omitempty"`
	Address string            `json:"address"`
	// URL is how the system itself reaches it, a reference too.
	URL string `json:"url,omitempty"`
	// Run is the run that switches, Was the OID of the database that is live
	// when it is planned, Database its name.
	Run      string    `json:"run"`
	Was      uint32    `json:"was"`
	New      uint32    `json:"new,omitempty"`
	Database string    `json:"database"`
	Keep     time.Time `json:"keep_until,omitzero"`
	// Back says that the old database takes its place again.
	Back bool `json:"back,omitempty"`
	// Rebuild is what must be made anew when users are in again.
	Rebuild []string `json:"rebuild,omitempty"`
	// staysClosed is of what is live and let nobody in already when this run fenced it; the
	// fence's claim has it, and those after it.
	staysClosed uint32
}

// countArgs are those of the step that counts what is lost, and of the one that
// pushes the log out.
type countArgs struct {
	args
	Of    recovery.Component `json:"of"`
	Copy  recovery.Copy      `json:"copy"`
	Point recovery.Point     `json:"point"`
	// Whole says that all databases of the server go back.
	Whole bool `json:"whole,omitempty"`
	// Tail is the kind of the step before it that brings the end of the log into the
	// copy, or proves it there; empty where none does.
	Tail string `json:"tail,omitempty"`
}

// server reads what Look has kept.
func server(l recovery.Live) (live.Server, error) {
	var s live.Server
	if err := json.Unmarshal(l.Facts, &s); err != nil {
		return s, recovery.Errorf("make a new plan with this version of comeback", "read what was seen of the live %s: %w", l.Component, err)
	}
	return s, nil
}

func newArgs(c recovery.SwitchContext) (args, error) {
	s, err := server(c.Live)
	return args{Component: c.Component.Name, Live: c.Live.Target.ID, Beside: c.Beside.ID, Scratch: c.Scratch.ID,
		Address: c.Live.Target.Address, URL: c.Component.Settings.Text("url"), Run: c.Run, Was: s.OID, Database: s.Database, Keep: c.KeepUntil, Rebuild: c.Live.Effects.Rebuild}, err
}

// Plan lists the steps of a switch of one database.
func (s switcher) Plan(c recovery.SwitchContext) (recovery.Switch, error) {
	if t, ok := isCluster(c.Live.Target); ok {
		return s.planCluster(c, t)
	}
	a, err := newArgs(c)
	if err != nil {
		return recovery.Switch{}, err
	}
	step := func(id, kind, says string, args any, writes ...recovery.TargetID) recovery.Step {
		step := recovery.NewStep(id, kind, says, args)
		step.Writes = writes
		return step
	}
	seen, err := server(c.Live)
	if err != nil {
		return recovery.Switch{}, err
	}
	p := recovery.Switch{
		Prepare:  prepareSteps(c, a),
		Fence:    []recovery.Step{step("fence", fenceName, "let nobody into "+c.Live.Target.Name, a, a.Live, a.Scratch)},
		Exchange: []recovery.Step{step("swap", swapName, "make the restored "+a.Database+" live", a, a.Live)},
		Open:     []recovery.Step{step("open-live", openName, "let users into "+c.Live.Target.Name, a, a.Live)},
	}
	if seen.Host != "" && seen.Data != "" {
		// What comes back is about as large as what is live, and both are there. Where what
		// is missing is most of it, a dump is larger; a base backup or a script of all
		// databases tells nothing. The load itself measures what was restored.
		size := seen.Target.Size
		if c.Point.Timeline == 0 && c.Point.Backup.Details["database"] != "" {
			size = max(size, c.Point.Bytes)
		}
		p.Prepare[len(p.Prepare)-1].Guards = []recovery.Guard{{Kind: recovery.GuardRoom, Target: a.Beside, Dir: seen.Data, Bytes: size}}
	}
	logged := s.logged(c.Point)
	of := c.Component
	of.Settings = withoutSecrets(of.Settings)
	with := countArgs{args: a, Of: of, Point: c.Point}
	for _, cp := range c.Copies {
		if cp.Name == c.Point.Copy {
			with.Copy = cp
		}
	}
	if logged {
		counted := with
		var after []string
		// Of a server that is another cluster than the backup's no log tells of what was
		// written after the backup.
		if of := c.Point.Backup.Details[recovery.SystemIdentifier]; of == "" || seen.SystemIdentifier == "" || of == seen.SystemIdentifier {
			out := step("push", pushName, "push the rest of the log into "+c.Point.Copy, with)
			out.MayPass = true
			p.Settle, after, counted.Tail = append(p.Settle, out), []string{out.ID}, pushName
		}
		lost := step("loss", countName, "count what is lost", counted)
		lost.MayPass, lost.After, lost.Writes = true, after, []recovery.TargetID{a.Scratch}
		p.Settle = append(p.Settle, lost)
	} else {
		p.Settle = []recovery.Step{step("loss", sinceName, "say what is lost", with)}
	}
	p.Protect = s.protectSteps(c, protectArgs{countArgs: with, Logged: logged, Copies: c.Copies})
	return p, nil
}

// prepareSteps are those that bring what was restored beside what is live, once it is known
// what of its code live does not have.
func prepareSteps(c recovery.SwitchContext, a args) []recovery.Step {
	code := recovery.NewStep("code", codeName, "look at the code that would run on "+c.Live.Target.Name, codeArgs{a, c.Component.Settings["trusts"]})
	code.MayPass = true
	load := recovery.NewStep("load", loadName, "load "+a.Database+" beside the live one", a)
	load.Writes, load.After = []recovery.TargetID{a.Scratch, a.Beside}, []string{code.ID}
	return []recovery.Step{code, load}
}

// logged reports whether what came after the point can be read from a log.
func (s switcher) logged(p recovery.Point) bool {
	e, err := s.engine(p.Engine)
	if err != nil {
		return false
	}
	_, ok := e.(recovery.Loser)
	return ok && p.Timeline != 0
}

// withoutSecrets keeps what an engine needs to read a copy.
func withoutSecrets(all recovery.Settings) recovery.Settings {
	kept := recovery.Settings{}
	for name, v := range all {
		if name != "url" && name != "admin" {
			kept[name] = v
		}
	}
	return kept
}

// Back lists the steps that give the old database its name again. After a switch back
// that is the one that was restored, which takes its place once more as it did at first.
func (s switcher) Back(c recovery.SwitchContext, old recovery.Old) (recovery.Switch, error) {
	if t, ok := isCluster(c.Live.Target); ok {
		return s.backCluster(c, t, old)
	}
	a, err := newArgs(c)
	if err != nil {
		return recovery.Switch{}, err
	}
	var was, now uint32
	if _, err := fmt.Sscan(old.Identity["database oid"], &was); err != nil {
		return recovery.Switch{}, recovery.Errorf("switch back by hand: rename the databases", "it is not recorded which database %s was", old.Place)
	}
	now = a.Was
	// The databases are called after the run that has restored one of them.
	a.Run, a.Rebuild = cmp.Or(old.Identity["run"], a.Run), nil
	switch old.Place {
	case live.AsideName(a.Database, a.Run):
		a.Was, a.New, a.Back = was, now, true
	case live.BesideName(a.Database, a.Run):
		a.Was, a.New = now, was
	default:
		return recovery.Switch{}, recovery.Errorf("switch back by hand: rename the databases", "plan the switch back of %s: database %s is not called as a switch of run %s calls it", a.Component, old.Place, a.Run).WithExit(recovery.Refused)
	}
	writes := []recovery.TargetID{a.Live}
	fence := recovery.NewStep("fence", fenceName, "let nobody into "+c.Live.Target.Name, a)
	swap := recovery.NewStep("swap-back", swapName, "make "+old.Place+" live again", a)
	open := recovery.NewStep("open-live", openName, "let users into "+c.Live.Target.Name, a)
	fence.Writes, swap.Writes, open.Writes = writes, writes, writes
	return recovery.Switch{Fence: []recovery.Step{fence}, Exchange: []recovery.Step{swap}, Open: []recovery.Step{open}}, nil
}
