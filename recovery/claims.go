package recovery

import (
	"fmt"
	"slices"
	"strings"
)

// OwnIn is what comeback keeps in a copy beside the backups: manifests, runbooks, runs.
const OwnIn = "comeback/"

// Where base backups and the log of a component lie that says nothing of their place.
const (
	BasesIn = "base/"
	LogIn   = "wal/"
)

// The settings that say how the keys of a component's backups begin in a copy.
const (
	prefixKey = "prefix"
	basesKey  = "backups"
	logKey    = "wal"
)

// Prefix is how the keys of what comeback stores of a component begin: as its setting
// says, or with its name.
func (c Component) Prefix() string {
	if p := c.Settings.Text(prefixKey); p != "" {
		return p
	}
	return c.Name + "/"
}

// places are what the keys of a component's backups begin with, that of Prefix first: by its
// settings or, where they do not say, by what comeback itself does.
func (c Component) places() []string {
	all := []string{c.Prefix()}
	if c.Kind != Postgres {
		return all
	}
	for _, s := range []struct{ key, by string }{{basesKey, BasesIn}, {logKey, LogIn}} {
		switch p := c.Settings.Text(s.key); {
		case p != "":
			all = append(all, p)
		case c.Settings.Text(prefixKey) == "" && (c.archives() || c.Settings.Text("database") != ""): // a database of a server may come from its base backups
			all = append(all, s.by)
		}
	}
	return all
}

// Claims tell the backups of a component from those of the others of its kind in the same
// runbook, which look alike, and from those of other systems in the same copy.
type Claims struct {
	// System is the component's; what the manifests in a copy say to be another's is none
	// of its backups. Plans of older versions do not say it.
	System string `json:"system,omitempty"`
	// Formerly are other names of systems whose backups are its own: it had them once, or
	// restores what they have taken.
	Formerly []string `json:"formerly,omitempty"`
	// Own are what the keys of its own begin with, Others those of the others.
	Own    []string `json:"own,omitempty"`
	Others []string `json:"others,omitempty"`
}

// Apart gives each of the components of a system, which had other names formerly, its
// claims. Those that are the only one of their kind claim nothing from the others.
func Apart(system string, all []Component, formerly ...string) []Component {
	all = slices.Clone(all)
	for i, c := range all {
		k := Claims{System: system, Formerly: formerly}
		for j, other := range all {
			if j != i && other.Kind == c.Kind {
				k.Others = append(k.Others, other.places()...)
			}
		}
		if len(k.Others) > 0 {
			k.Own = c.places()
		}
		slices.Sort(k.Others)
		k.Others = slices.Compact(k.Others)
		all[i].Claims = k
	}
	return all
}

// Foreign reports whether a key is another component's: one of them claims more of its
// beginning than this one does. What nobody claims is everybody's.
func (k Claims) Foreign(key string) bool { return longest(k.Others, key) > longest(k.Own, key) }

// longest is how much of a key the places claim that it lies in.
func longest(places []string, key string) (n int) {
	for _, p := range places {
		if p = strings.TrimLeft(p, "/"); strings.HasPrefix(key, p) {
			n = max(n, len(strings.TrimRight(p, "/")))
		}
	}
	return n
}

// Alike says why the backups of two components of a runbook cannot be told apart, and
// what to do; empty where they can.
func Alike(a, b Component) (what, do string) {
	p, q := a.Settings.Text(prefixKey), b.Settings.Text(prefixKey)
	switch {
	case a.Kind != b.Kind, a.With != "" && b.With != "" && a.With != b.With, a.differs(b, "database"), a.differs(b, "stanza"):
		return "", ""
	case a.With == "restic" || b.With == "restic": // it tells them by their paths
		return "", ""
	case p != "" && strings.Trim(p, "/") == strings.Trim(q, "/"):
		return fmt.Sprintf("the backups of `%s` and of `%s` both begin with `%s`, so that each is taken for the other's", a.Name, b.Name, p), "give each a `prefix` of its own"
	case a.archives() && b.archives() && a.differs(b, "url") && p == q && slices.Equal(a.places()[1:], b.places()[1:]):
		return fmt.Sprintf("the base backups and the log of `%s` and of `%s` lie in the same place, and two servers cannot share one", a.Name, b.Name),
			"give each a `prefix` of its own, or, where they are databases of one server, name each with `database`"
	}
	return "", ""
}

// archives reports whether comeback takes base backups of a component.
func (c Component) archives() bool {
	taken := c.Settings["backup"]
	return c.Kind == Postgres && (c.With == "" || c.With == "pitr") && (len(taken) == 0 || slices.Contains(taken, "base"))
}

// differs reports whether both say something else of a setting.
func (c Component) differs(other Component, key string) bool {
	p, q := c.Settings.Text(key), other.Settings.Text(key)
	return p != "" && q != "" && p != q
}
