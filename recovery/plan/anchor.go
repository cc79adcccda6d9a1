package plan

import (
	"slices"
	"strings"

	"comeback/recovery"
	"comeback/recovery/catalogue"
)

// Anchor is the component whose moment decides: the one that was named, else the first
// postgres that comes back, else the first component.
func Anchor(restored []recovery.Component, named string) (recovery.Component, error) {
	if len(restored) == 0 {
		return recovery.Component{}, recovery.Errorf("give a stage a block with `restore: COMPONENT`", "the runbook restores nothing").WithExit(recovery.Usage)
	}
	is := func(c recovery.Component) bool { return c.Kind == recovery.Postgres }
	if named != "" {
		is = func(c recovery.Component) bool { return c.Name == named }
	}
	if i := slices.IndexFunc(restored, is); i >= 0 {
		return restored[i], nil
	}
	if named != "" {
		return recovery.Component{}, recovery.Errorf("choose one of: "+strings.Join(names(restored), ", "), "the runbook restores no component %q", named).WithExit(recovery.Usage)
	}
	return restored[0], nil
}

// anchor is the component whose moment decides a want: the one that was named, else the one
// in whose log it lies, or whose backup it names.
func (r resolver) anchor(restored []recovery.Component, w Wanted) (recovery.Component, error) {
	anchor, err := Anchor(restored, w.Component)
	if err == nil && w.Component == "" && w.Want.OfLog() {
		var of string
		if of, err = LogOf(r.cat, restored, w.Want.Text); of != "" {
			anchor, err = Anchor(restored, of)
		}
	}
	if err != nil {
		return recovery.Component{}, err
	}
	return r.holder(restored, anchor, w)
}

// LogOf is the database in whose log a transaction or a position is of which it is not said
// whose it is; "" where no copy holds a log. It is refused where it may be in several.
func LogOf(cat catalogue.Catalogue, restored []recovery.Component, want string) (string, error) {
	var of []string // a database of each log
	logs := map[start]bool{}
	for _, name := range Databases(restored) {
		starts := logsOf(cat, name)
		if len(starts) > 0 && !slices.ContainsFunc(starts, func(s start) bool { return logs[s] }) {
			of = append(of, name)
		}
		for _, s := range starts {
			logs[s] = true
		}
	}
	switch len(of) {
	case 0:
		return "", nil
	case 1:
		return of[0], nil
	}
	return "", recovery.Errorf("say of which database it is: --component "+strings.Join(of, " or --component "),
		"%s may be in the log of each of several databases", want).WithExit(recovery.Usage)
}

// start is where a log starts: what starts at the same backup is the same log.
type start struct{ copy, engine, backup, system string }

// logsOf are the starts of the logs with positions that copies hold of a component. A service's
// window has none, nor has a dump.
func logsOf(cat catalogue.Catalogue, component string) (starts []start) {
	for _, s := range cat.Surveys {
		if s.Component != component {
			continue
		}
		for _, w := range s.Windows {
			if w.Exactness() != recovery.ToCommit {
				continue
			}
			at := start{copy: s.Copy, engine: s.Engine, backup: w.Backup}
			if i := slices.IndexFunc(s.Backups, func(b recovery.Backup) bool { return b.ID == w.Backup }); i >= 0 {
				at.system = s.Backups[i].Details[recovery.SystemIdentifier]
			}
			starts = append(starts, at)
		}
	}
	return starts
}

// holder is the component that a wanted backup is of: the anchor, where it has one of that
// name, else the only other one that has.
func (r resolver) holder(restored []recovery.Component, anchor recovery.Component, w Wanted) (recovery.Component, error) {
	if w.Want.Kind != recovery.WantBackup || w.Want.Table != "" || w.Component != "" {
		return anchor, nil
	}
	for _, exact := range []bool{true, false} {
		var of []recovery.Component
		var names []string
		for _, c := range restored {
			if slices.ContainsFunc(r.asked(c, w.in(c.Name)), func(s recovery.Survey) bool {
				return slices.ContainsFunc(s.Backups, func(b recovery.Backup) bool { return goesBy(b, w.Want.Backup, exact) })
			}) {
				of, names = append(of, c), append(names, c.Name)
			}
		}
		switch {
		case slices.Contains(names, anchor.Name):
			return anchor, nil
		case len(of) == 1:
			return of[0], nil
		case len(of) > 1:
			return anchor, recovery.Errorf("choose one of them with --component, or give its time",
				"%q names backups of several components: %s", w.Want.Backup, strings.Join(names, ", ")).WithExit(recovery.Usage)
		}
	}
	return anchor, nil // which refuses it
}

// goesBy reports whether a backup has an id, or one that ends on it.
func goesBy(b recovery.Backup, id string, exact bool) bool {
	return b.ID == id || !exact && strings.HasSuffix(b.ID, "/"+id)
}
