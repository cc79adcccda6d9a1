package recovery

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Holds is how much is in a backup, as it tells without being opened; what is not known is zero.
type Holds struct {
	Files int64 `json:"files,string,omitempty"`
	Bytes int64 `json:"bytes,string,omitempty"`
	// Series is what those backups have in common that are compared with each other: what they
	// are of, and how they are made. "" compares with none.
	Series string `json:"series,omitempty"`
}

// Says is how much it is, in words: "12 files, 3.10 MB".
func (h Holds) Says() string {
	if h.Files == 0 && h.Bytes > 0 {
		return FormatBytes(h.Bytes)
	}
	return FormatCount(h.Files, "file") + ", " + FormatBytes(h.Bytes)
}

// How much less is in a backup that shrank. It has less than three fifths of what was in the
// least of those before it, and much is gone; or less than a tenth, and some is.
const (
	muchFiles, someFiles = 100, 10
	muchBytes, someBytes = 16 << 20, 1 << 20
	// usualOf is how many backups before it tell what is usual, fewestUsual how many are
	// the fewest that do.
	usualOf, fewestUsual = 5, 3
)

// Shrinkage is that much less is in the newest backups of a series than was in all of those
// right before them.
type Shrinkage struct {
	// First is the first that has less, Usual those before it, the newest last.
	First Backup
	Usual []Backup
	// Now is how much is in a backup from First on, Before the least that was in Usual.
	Now, Before Holds
}

// Last is the last backup before it shrank.
func (s Shrinkage) Last() Backup { return s.Usual[len(s.Usual)-1] }

// Evidence are those of the backups before it without which it would not be seen that it
// shrank; the last is among them.
func (s Shrinkage) Evidence() []Backup { return s.Usual[max(0, len(s.Usual)-fewestUsual):] }

// Says tells of it: "12 files, 3.10 MB; the 5 before held at least 31204 files, 2.00 GB".
func (s Shrinkage) Says() string {
	before := fmt.Sprintf("the %d before held at least ", len(s.Usual))
	if len(s.Usual) == 1 {
		before = "the one before held "
	}
	return s.now() + "; " + before + s.Before.Says()
}

// now is how much there is, also where that is nothing.
func (s Shrinkage) now() string {
	if s.Before.Files == 0 {
		return FormatBytes(s.Now.Bytes)
	}
	return s.Now.Says()
}

// Shrunk is how it begins what is said of a point whose backup shrank.
const Shrunk = "SHRANK: "

// Alarms reports whether a warning is of a harm that what comes back would have.
func Alarms(warning string) bool {
	return strings.HasPrefix(warning, KeepsHarm) || strings.HasPrefix(warning, Shrunk)
}

// Shrank tells of which backups much less is in them than was in those before, by their IDs,
// for as long as the newest of their series is one of them. What swings by habit is none: it is
// held against the least of several. Where somebody has said of one, which may be gone by now, that
// it is meant to be so, what comes after is held against those that are as it is.
func (s Survey) Shrank(meant []Backup) map[string]Shrinkage {
	series := map[string][]Backup{}
	var newest time.Time
	for _, b := range Freshest(s.Backups) {
		if b.Holds.Series != "" && b.Problem == "" && b.Contradicts.IsZero() && !b.Elsewhere {
			series[b.Holds.Series] = append(series[b.Holds.Series], b)
			newest = b.Fresh()
		}
	}
	all := map[string]Shrinkage{}
	for _, of := range series {
		if givenUp(of, newest) {
			continue
		}
		usual, low := shrank(of, meant)
		for _, b := range low {
			all[b.ID] = Shrinkage{First: low[0], Usual: usual, Now: b.Holds, Before: least(usual)}
		}
	}
	return all
}

// givenUp reports whether a series has ended while others went on, as that of a directory which
// has another name by now: for twice as long as it took to its next backup, none came.
func givenUp(series []Backup, newest time.Time) bool {
	var usual time.Duration
	for i := max(1, len(series)-usualOf); i < len(series); i++ {
		usual = max(usual, series[i].Fresh().Sub(series[i-1].Fresh()))
	}
	return len(series) > 1 && newest.Sub(series[len(series)-1].Fresh()) > 2*usual
}

// shrank are the newest backups of a series that have much less in them, and the usual ones
// before them.
func shrank(series, meant []Backup) (usual, low []Backup) {
	for _, b := range series {
		last := usual[max(0, len(usual)-usualOf):]
		if !muchLess(b.Holds, last) {
			usual, low = append(usual, b), nil
			continue
		}
		low = append(low, b)
		if slices.ContainsFunc(meant, func(m Backup) bool { return m.accepts(b, low[0], last) }) {
			usual, low = append(usual, low...), nil
		}
	}
	return usual[max(0, len(usual)-usualOf):], low
}

// accepts reports whether a backup that is meant to have less in it says the same of another
// one: it is that, or came between the first that has less than usual and that one.
func (b Backup) accepts(low, first Backup, usual []Backup) bool {
	at := b.Fresh()
	return b.Component == low.Component && (b.ID == low.ID ||
		b.Holds.Series == low.Holds.Series && !at.Before(first.Fresh()) && !at.After(low.Fresh()) && muchLess(b.Holds, usual))
}

// least is the least that is in any of some backups.
func least(of []Backup) Holds {
	var l Holds
	for i, b := range of {
		if i == 0 {
			l = b.Holds
		}
		l.Files, l.Bytes = min(l.Files, b.Holds.Files), min(l.Bytes, b.Holds.Bytes)
	}
	return l
}

// muchLess reports whether much less is in a backup than in the least of the usual ones. That
// nothing is in it where something was needs no more than one of those.
func muchLess(now Holds, usual []Backup) bool {
	then := least(usual)
	if then.Files > 0 && now.Files == 0 {
		return true
	}
	return len(usual) >= fewestUsual &&
		(fell(now.Files, then.Files, muchFiles, someFiles) || fell(now.Bytes, then.Bytes, muchBytes, someBytes))
}

func fell(now, then, much, some int64) bool {
	gone := then - now
	return now < then/5*3 && gone >= much || now < then/10 && gone >= some
}
