package plan

import (
	"fmt"
	"slices"

	"comeback/recovery"
	"comeback/runbooks"
)

// A canary is a run that brings back one table only, to tell whether the lost
// rows are there. It proves nothing of the backup: what it leaves out is listed
// as not checked, so that it never passes.

// beside lists a block that a canary does not execute, and reports whether it is
// one.
func (b *builder) beside(stage, line int, block runbooks.Block) bool {
	why := fmt.Sprintf("only %s comes back", b.Moment.Want.Table)
	switch block := block.(type) {
	case runbooks.Doc:
		return true
	case runbooks.Restore:
		if slices.Contains(block.Components, b.Moment.Anchor) {
			return false
		}
		b.skip(stage, line, fmt.Sprintf("restore %v", block.Components), why)
	case runbooks.SQLCheck:
		b.unchecked(stage, line, "check: "+block.Name, why)
	case runbooks.SoundCheck:
		b.unchecked(stage, line, "check: "+block.Name, why)
	case runbooks.HTTPCheck:
		b.unchecked(stage, line, "check: "+block.Name, why)
	case runbooks.Start:
		b.skip(stage, line, "start: "+block.Name, why)
	case runbooks.FilesCheck:
		b.unchecked(stage, line, "check: "+block.Name, why)
	case runbooks.SQLWait:
		b.unchecked(stage, line, "wait: "+block.Name, why)
	case runbooks.ShellWait:
		b.unchecked(stage, line, "wait: "+block.Name, why)
	case runbooks.Shell:
		b.skip(stage, line, "run: "+block.Name, why)
	case runbooks.Ticks:
		b.skip(stage, line, toTick(len(block.Items)), why)
	case runbooks.Approval:
		b.skip(stage, line, "approval by "+block.Role, why)
	case runbooks.Switch:
		b.skip(stage, line, fmt.Sprintf("switch %v", block.Components), why)
	default:
		b.unchecked(stage, line, fmt.Sprintf("%T", block), why)
	}
	return true
}

// canary waits for a person who looks at the table.
func (b *builder) canary(component string, stage, line int) {
	table := b.Moment.Want.Table
	b.unchecked(stage, line, "all of "+component+" but "+table, fmt.Sprintf("only %s comes back", table))
	s := recovery.NewStep(component+".look", recovery.KindTicks, short("look at "+table),
		recovery.TicksArgs{Items: []string{"Looked: the lost rows of " + table + " are there, or are not (say so in a note)"}})
	s.Stage, s.Component, s.Line, s.MayPass, s.After = stage, component, line, true, []string{b.restored[component]}
	b.add(s)
}
