package rescue

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"comeback/recovery"
	"comeback/recovery/postgres"
)

// The kinds of steps of a rescue.
const (
	KindDiff    = "rescue.diff"
	KindPreview = "rescue.preview"
	KindApply   = "rescue.apply"
	KindCheck   = "rescue.check"
	KindUndo    = "rescue.undo"
)

// Kinds execute them.
func Kinds() []recovery.Kind {
	return []recovery.Kind{diffKind{}, previewKind{}, applyKind{}, checkKind{}, undoKind{}}
}

// Args are the arguments of every step of a rescue.
type Args struct {
	Component string `json:"component"`
	// Before and After are the components by whose bindings the copies are
	// reached; without After whole tables come back.
	Before string `json:"before"`
	After  string `json:"after,omitempty"`
	// Scratch is the target whose directory the rows lie in, Live the database
	// that they come back into, Address how it is reached: a reference.
	Scratch recovery.TargetID `json:"scratch"`
	Live    recovery.TargetID `json:"live"`
	Address string            `json:"address"`
	// XID is the transaction, Changes what the log says that it did to tables,
	// Tables those that were named; All takes every table.
	XID     recovery.XID           `json:"xid,omitempty"`
	Changes []recovery.TableChange `json:"changes,omitempty"`
	Tables  []string               `json:"tables,omitempty"`
	All     bool                   `json:"all,omitempty"`
	// Choices are what a person wants beyond what is done by itself. Their
	// tables are as people write them.
	Choices []Chosen `json:"choices,omitempty"`
	// SameCluster says that the copies are physical ones of live's cluster.
	SameCluster bool `json:"same_cluster,omitempty"`
}

// Chosen is a choice as people write it.
type Chosen struct {
	Table     string   `json:"table"`
	Into      string   `json:"into,omitempty"`
	Remove    bool     `json:"remove,omitempty"`
	Overwrite bool     `json:"overwrite,omitempty"`
	Disable   []string `json:"disable,omitempty"`
}

// The stages of a rescue, once both copies are there: the numbers in Step.Stage.
const (
	Comparing = iota
	Bringing
	Checking
)

// Steps are the steps of a rescue once both copies are there: compare, preview,
// look (where a person is there to), apply, check. Their ids are unique within
// the component; the first comes after nothing. Without apply they end with the
// preview.
func Steps(a Args, apply, look bool) []recovery.Step {
	scratch := []recovery.TargetID{a.Scratch}
	diff := recovery.NewStep("diff", KindDiff, "compare the copies", a)
	diff.Stage, diff.Writes = Comparing, scratch
	preview := recovery.NewStep("preview", KindPreview, "look what live has of each row", a)
	preview.Stage, preview.Writes, preview.After = Comparing, scratch, []string{diff.ID}
	steps := []recovery.Step{diff, preview}
	if !apply {
		return steps
	}
	if look {
		ticks := recovery.NewStep("look", recovery.KindTicks, "look at the preview",
			recovery.TicksArgs{Items: []string{"Looked at the preview (comeback rescue show RUN): these rows are to come back"}})
		ticks.Stage, ticks.After, ticks.MayPass = Bringing, []string{preview.ID}, true
		steps = append(steps, ticks)
	}
	do := recovery.NewStep("apply", KindApply, "bring the rows back", a)
	do.Stage, do.Phase, do.After, do.Writes = Bringing, recovery.Rescuing, []string{steps[len(steps)-1].ID}, []recovery.TargetID{a.Scratch, a.Live}
	check := recovery.NewStep("check", KindCheck, "check: the rows are back", a)
	check.Stage, check.After, check.Writes, check.MayPass = Checking, []string{do.ID}, scratch, true
	return append(steps, do, check)
}

// UndoArgs are the arguments of a rescue.undo step.
type UndoArgs struct {
	Component string `json:"component"`
	// Scratch is the target whose directory says what is about to be committed.
	Scratch recovery.TargetID `json:"scratch"`
	Live    recovery.TargetID `json:"live"`
	Address string            `json:"address"`
	// Script is the undo script's path, SHA256 what it must be.
	Script string `json:"script"`
	SHA256 string `json:"sha256"`
	Leave  bool   `json:"leave,omitempty"`
}

// UndoStep takes a rescue back.
func UndoStep(a UndoArgs) recovery.Step {
	s := recovery.NewStep("undo", KindUndo, "take the rescue back", a)
	s.Phase, s.Writes = recovery.Rescuing, []recovery.TargetID{a.Scratch, a.Live}
	return s
}

// choices turns what people wrote into names of tables.
func (a Args) choices(tables []TableDifference) ([]Choice, error) {
	var all []Choice
	for _, c := range a.Choices {
		choice := Choice{Remove: c.Remove, Overwrite: c.Overwrite, Disable: c.Disable}
		for _, t := range tables {
			if t.Name.String() == c.Table || t.Schema+"."+t.Name.Table == c.Table {
				choice.Table = t.Name
			}
		}
		if choice.Table.Table == "" {
			return nil, refusedf("choose among the tables that are brought back", "nothing of %s is to be brought back", c.Table)
		}
		if c.Into != "" {
			choice.Into = Name{choice.Table.Schema, c.Into}
			if schema, table, ok := strings.Cut(c.Into, "."); ok {
				choice.Into = Name{schema, table}
			}
		}
		all = append(all, choice)
	}
	return all, nil
}

// copyOf opens a session with a restored copy.
func copyOf(ctx context.Context, env recovery.Env, component string) (*pgx.Conn, string, error) {
	b, ok := env.Binding(component)
	if !ok {
		return nil, "", fmt.Errorf("find the copy %s: it is not there: %w", component, recovery.ErrGone)
	}
	config, err := postgres.ParseAddress(b.URL)
	if err != nil {
		return nil, "", err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, "", recovery.Errorf("try again: it is looked for anew", "connect to the copy %s: %w", component, err)
	}
	return conn, b.URL, nil
}

// diffKind compares the copies. An interruption leaves files that the next
// attempt replaces.
type diffKind struct{}

func (diffKind) Name() string              { return KindDiff }
func (diffKind) Restart() recovery.Restart { return recovery.Repeat }

func (diffKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	target, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	before, url, err := copyOf(ctx, env, a.Before)
	if err != nil {
		return recovery.Outcome{}, err
	}
	defer before.Close(context.WithoutCancel(ctx)) // it only read
	o := DiffOptions{Before: before, Dir: target.Dir}
	if a.After != "" {
		if o.After, _, err = copyOf(ctx, env, a.After); err != nil {
			return recovery.Outcome{}, err
		}
		defer o.After.Close(context.WithoutCancel(ctx)) // it only read
	}
	if o.Tables, err = a.tables(ctx, before); err != nil {
		return recovery.Outcome{}, err
	}
	meter := env.Meter()
	var now Name
	o.Progress = func(table Name, rows int64) {
		if table != now {
			now = table
			meter.Phase("compare "+table.String(), 0, recovery.InItems)
		}
		meter.Set(rows)
	}
	d, err := Diff(ctx, o)
	if err != nil {
		return recovery.Outcome{}, err
	}
	definitions := map[string]Definition{}
	for i := range d.Tables {
		t := &d.Tables[i]
		meter.Log(fmt.Sprintf("%s: %d removed, %d changed, %d added, of %d rows", t.Name, t.Removed, t.Changed, t.Added, t.Rows))
		if t.Gone || d.Whole {
			if definitions[t.Name.String()], err = define(ctx, env, before, t.Name, url); err != nil {
				return recovery.Outcome{}, err
			}
		}
	}
	if err := keep(target.Dir, definitionsFile, definitions); err != nil {
		return recovery.Outcome{}, err
	}
	if err := keep(target.Dir, differenceFile, d); err != nil {
		return recovery.Outcome{}, err
	}
	return d.outcome(), nil
}

// tables finds what to compare.
func (a Args) tables(ctx context.Context, before *pgx.Conn) ([]Selected, error) {
	if a.All {
		return All(ctx, before)
	}
	changes := a.Changes
	if len(a.Tables) > 0 {
		changes = nil
	}
	found, err := Find(ctx, before, a.Tables, changes)
	if err == nil && len(found) == 0 {
		err = refusedf("look at what it did: comeback moments --around", "transaction %d changed no table that the copy from before it has", a.XID)
	}
	return found, err
}

// outcome is the difference in counts.
func (d *Difference) outcome() recovery.Outcome {
	o := recovery.Outcome{Facts: map[string]string{}}
	var says []string
	for i := range d.Tables {
		t := &d.Tables[i]
		counts := fmt.Sprintf("%d removed, %d changed, %d added", t.Removed, t.Changed, t.Added)
		if t.Gone {
			counts += ", the table itself dropped"
		}
		o.Facts["difference of "+t.Name.String()] = counts
		o.Facts["rows of "+t.Name.String()+", sha256"] = t.File.SHA256
		if t.Differs() && len(says) < 5 {
			says = append(says, t.Name.String()+": "+counts)
		}
		for _, note := range t.Notes {
			o.Remarks = append(o.Remarks, t.Name.String()+": "+note)
		}
	}
	o.Says = strings.Join(says, "; ")
	if len(says) == 0 {
		o.Says = "the copies do not differ"
	}
	return o
}

// define reads the definition of a table that may have to be made.
func define(ctx context.Context, env recovery.Env, copy *pgx.Conn, name Name, url string) (Definition, error) {
	var d Definition
	var major int
	if err := copy.QueryRow(ctx, "select current_setting('server_version_num')::int4 / 10000").Scan(&major); err != nil {
		return d, fmt.Errorf("ask the copy for its version: %w", err)
	}
	tools, err := postgres.FindTools(major)
	if err == nil {
		err = tools.Need("pg_dump")
	}
	if err != nil {
		return d, err
	}
	var sections [2]strings.Builder
	for i, section := range []string{"pre-data", "post-data"} {
		cmd := recovery.Cmd{Path: tools.Program("pg_dump"), Args: dumpTable(name, section, url), Dir: "/",
			Env: []string{"PATH=/usr/bin:/bin", "LC_ALL=C", "TZ=UTC", "PGCONNECT_TIMEOUT=60"}, Stdout: &sections[i]}
		if err := env.Command(ctx, cmd); err != nil {
			return d, fmt.Errorf("read the definition of %s: %w", name, err)
		}
	}
	if d, err = ParseDefinition(strings.NewReader(sections[0].String()), strings.NewReader(sections[1].String())); err != nil {
		return d, fmt.Errorf("read the definition of %s: %w", name, err)
	}
	sequences, err := Sequences(ctx, copy, name)
	d.Before = append(d.Before, sequences...)
	return d, err
}

// previewKind looks at live. An interruption leaves files that the next attempt
// replaces.
type previewKind struct{}

func (previewKind) Name() string              { return KindPreview }
func (previewKind) Restart() recovery.Restart { return recovery.Repeat }

func (previewKind) Do(ctx context.Context, env recovery.Env, s recovery.Step) (recovery.Outcome, error) {
	var a Args
	if err := s.Decode(&a); err != nil {
		return recovery.Outcome{}, err
	}
	target, err := env.Target(ctx, a.Scratch)
	if err != nil {
		return recovery.Outcome{}, err
	}
	p, err := a.look(ctx, env, target.Dir, "rescue", samplesShown)
	if err != nil {
		return recovery.Outcome{}, err
	}
	samples := map[string][]Sample{}
	for _, t := range p.Tables {
		samples[t.Table.String()] = t.Samples
	}
	if err := keep(target.Dir, samplesFile, samples); err != nil {
		return recovery.Outcome{}, err
	}
	if err := keep(target.Dir, previewFile, p); err != nil {
		return recovery.Outcome{}, err
	}
	for _, line := range p.Lines() {
		env.Meter().Log(line)
	}
	return p.outcome(), nil
}

// samplesShown is how many rows of each kind people are shown of each table.
const samplesShown = 5

// look makes a preview of what the difference in a directory would do to live.
func (a Args) look(ctx context.Context, env recovery.Env, dir, files string, samples int) (Preview, error) {
	var d Difference
	ok, err := kept(dir, differenceFile, &d)
	if err == nil && !ok {
		err = fmt.Errorf("read what differs: it is not there: %w", recovery.ErrGone)
	}
	if err != nil {
		return Preview{}, err
	}
	choices, err := a.choices(d.Tables)
	if err != nil {
		return Preview{}, err
	}
	live, err := connect(ctx, a.Address, env.Secret)
	if err != nil {
		return Preview{}, err
	}
	defer live.Close(context.WithoutCancel(ctx)) // it only read
	meter := env.Meter()
	var now Name
	return Make(ctx, PreviewOptions{Live: live, Difference: d, Dir: dir, Choices: choices, SameCluster: a.SameCluster, Samples: samples, files: files,
		Progress: func(table Name, rows int64) {
			if table != now {
				now = table
				meter.Phase("look at "+table.String()+" in live", 0, recovery.InItems)
			}
			meter.Set(rows)
		}})
}

// LoadPreview reads the preview that a run has made, with its samples, from the
// directory of its scratch target. ok is false where there is none.
func LoadPreview(dir string) (p Preview, ok bool, err error) {
	if ok, err = kept(dir, previewFile, &p); !ok || err != nil {
		return p, ok, err
	}
	samples := map[string][]Sample{}
	if _, err := kept(dir, samplesFile, &samples); err != nil {
		return p, false, err
	}
	for i := range p.Tables {
		p.Tables[i].Samples = samples[p.Tables[i].Table.String()]
	}
	return p, true, nil
}
