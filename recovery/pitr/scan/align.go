package scan

import (
	"cmp"
	"slices"
)

// align tells which file each relation gave up. files are those that the
// commit removes, the last first; dropped the OIDs of dropped relations in
// order, from servers that tell them.
func (t *traced) align(files []located, dropped []uint32) {
	t.number(dropped)
	order := slices.Clone(files)
	slices.Reverse(order)
	surplus := -len(order)
	for _, m := range t.removals {
		if !m.relation.gone || m.relation.swap != nil || m.known.node != 0 {
			surplus++
		}
	}
	var without map[int]bool
	if surplus > 0 && dropped == nil {
		without = t.without(surplus)
	}
	next := 0
	for i := range t.removals {
		m := &t.removals[i]
		if next == len(order) {
			return
		}
		f := order[next]
		if m.known.node != 0 {
			if m.known == f {
				next++
			}
			continue
		}
		if r := m.relation; r.gone && r.swap == nil {
			continue // a view, made and dropped again
		}
		if without != nil && without[i] {
			continue
		}
		if without == nil && surplus > 0 && m.drop && !t.gaveUp(i, f, order[next:]) {
			surplus--
			continue
		}
		next++
		if m.relation.old.node == 0 {
			m.relation.old = f
		}
	}
}

// number gives removals the OIDs of the rows that they deleted.
func (t *traced) number(dropped []uint32) {
	drops := 0
	for _, m := range t.removals {
		if m.drop {
			drops++
		}
	}
	if drops != len(dropped) {
		return
	}
	for i := range t.removals {
		if m := &t.removals[i]; m.drop {
			m.oid, dropped = dropped[0], dropped[1:]
			if m.relation.dropped {
				m.relation.oid = m.oid
			}
		}
	}
}

// without chooses the removals that have no file, where the log does not tell
// OIDs: a relation goes together with its indexes and its TOAST table, and all of
// them have files or none has. It is nil where no choice makes up the number.
func (t *traced) without(n int) map[int]bool {
	var groups [][]int
	var group []int
	for i, m := range t.removals {
		if !m.relation.dropped || m.known.node != 0 {
			continue
		}
		group = append(group, i)
		if m.relation.kind == "table" {
			groups, group = append(groups, group), nil
		}
	}
	if len(groups)*n > 1<<16 {
		return nil
	}
	// by holds, for every number up to n, the last group of a choice that
	// makes it up, plus one.
	by := make([]int, n+1)
	for g, members := range groups {
		for sum := n; sum >= len(members); sum-- {
			if rest := sum - len(members); by[sum] == 0 && (rest == 0 || by[rest] != 0 && by[rest] <= g) {
				by[sum] = g + 1
			}
		}
	}
	if by[n] == 0 {
		return nil
	}
	chosen := map[int]bool{}
	for n > 0 {
		members := groups[by[n]-1]
		for _, i := range members {
			chosen[i] = true
		}
		n -= len(members)
	}
	return chosen
}

// gaveUp guesses whether a file is that of removal i, where some have none. A
// file has mostly the number of its relation.
func (t *traced) gaveUp(i int, f located, rest []located) bool {
	m := t.removals[i]
	if m.oid != 0 {
		if slices.ContainsFunc(rest, func(f located) bool { return f.node == m.oid }) {
			return f.node == m.oid
		}
	}
	for _, later := range t.removals[i+1:] {
		if later.known == f || cmp.Or(later.oid, later.relation.oid) == f.node {
			return false
		}
	}
	return true
}
