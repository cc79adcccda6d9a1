package rescue

import (
	"strings"

	"comeback/recovery"
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
	// Identity is that of live, which every session with it proves.
	Identity recovery.Identity `json:"identity"`
	// XIDs are the transactions, Changes what the log says that they did to
	// tables, Tables those that were named; All takes every table.
	XIDs    []recovery.XID         `json:"xids,omitempty"`
	Changes []recovery.TableChange `json:"changes,omitempty"`
	Tables  []string               `json:"tables,omitempty"`
	All     bool                   `json:"all,omitempty"`
	// Further are the copies around later ones of the transactions, between
	// which somebody else did something to the same tables.
	Further []Around `json:"further,omitempty"`
	// Choices are what a person wants beyond what is done by itself. Their
	// tables are as people write them.
	Choices []Chosen `json:"choices,omitempty"`
	// SameCluster says that the copies are physical ones of live's cluster.
	SameCluster bool `json:"same_cluster,omitempty"`
}

// Around are the copies around some of the transactions, and what these did.
type Around struct {
	Before  string                 `json:"before"`
	After   string                 `json:"after"`
	Changes []recovery.TableChange `json:"changes,omitempty"`
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
	// Identity is that of live, which every session with it proves.
	Identity recovery.Identity `json:"identity"`
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
