package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
)

// measured is a number as PostgreSQL writes it; double precision has exponents.
var measured = pattern.New(`^[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?$`)

// Result is what a query gave: its columns' number and the text of its values;
// a nil value is NULL.
type Result struct {
	Columns int
	// Names are the columns'.
	Names []string
	Rows  [][]*string
	// More says that there were more rows than Rows holds.
	More bool
}

// Moment is what `within` is relative to.
type Moment struct {
	Time time.Time
	// AtLeast says that the moment may be later: what is newer is of before it, too.
	AtLeast bool
}

// Judge holds a result against the expectation. found says what there was, in
// words for a report.
func (e Expectation) Judge(r Result, moment Moment) (held bool, found string) {
	held, found = e.judge(r, moment)
	return held, shorten(found, maxFound)
}

// maxFound is how much of a result a report shows, maxWord how much of one
// value in a sentence, in characters.
const (
	maxFound = 300
	maxWord  = 60
)

func shorten(s string, limit int) string {
	if words := []rune(s); len(words) > limit {
		return string(words[:limit-1]) + "…"
	}
	return s
}

func (e Expectation) judge(r Result, moment Moment) (held bool, found string) {
	switch e.kind {
	case noRows:
		if len(r.Rows) == 0 {
			return true, "no rows"
		}
		return false, r.sample()
	case someRows:
		return len(r.Rows) > 0, r.sample()
	case wholeSet:
		return e.judgeSet(r)
	}
	value, problem := r.single()
	if problem != "" {
		return false, problem
	}
	switch e.kind {
	case textEqual, textNotEqual:
		same := value == e.value || e.isBool() && boolText[value] == e.value
		return same == (e.kind == textEqual), value
	case inSet:
		return slices.Contains(e.set, value), value
	case withinMoment:
		return e.judgeTime(value, moment)
	}
	if !measured.MatchString(value) {
		return false, fmt.Sprintf("%s, which is not a number", shorten(value, maxWord))
	}
	n := rat(value)
	c := n.Cmp(e.number[0])
	switch e.kind {
	case equal:
		held = c == 0
	case notEqual:
		held = c != 0
	case less:
		held = c < 0
	case atMost:
		held = c <= 0
	case greater:
		held = c > 0
	case atLeast:
		held = c >= 0
	case between:
		held = c >= 0 && n.Cmp(e.number[1]) <= 0
	}
	return held, value
}

var boolText = map[string]string{"t": "true", "f": "false"}

func (e Expectation) isBool() bool { return e.value == "true" || e.value == "false" }

// single is the one value of a result, or why there is none.
func (r Result) single() (value, problem string) {
	switch {
	case r.Columns != 1:
		return "", fmt.Sprintf("%d columns, where one value is asked for", r.Columns)
	case len(r.Rows) == 0:
		return "", "no row, where one value is asked for"
	case len(r.Rows) > 1:
		return "", fmt.Sprintf("%s rows, where one value is asked for", r.count())
	case r.Rows[0][0] == nil:
		return "", "NULL"
	}
	return *r.Rows[0][0], ""
}

func (r Result) count() string {
	if r.More {
		return fmt.Sprintf("more than %d", len(r.Rows))
	}
	return fmt.Sprint(len(r.Rows))
}

// sample shows how many rows there are, and the first.
func (r Result) sample() string {
	if len(r.Rows) == 0 {
		return "no rows"
	}
	var first []string
	for _, v := range r.Rows[0] {
		if v == nil {
			first = append(first, "NULL")
		} else {
			first = append(first, shorten(*v, maxWord))
		}
	}
	if len(r.Rows) == 1 && !r.More {
		return fmt.Sprintf("1 row: %s", strings.Join(first, ", "))
	}
	return fmt.Sprintf("%s rows, the first: %s", r.count(), strings.Join(first, ", "))
}

// judgeSet compares the rows of one column with the set, in any order.
func (e Expectation) judgeSet(r Result) (bool, string) {
	if r.Columns != 1 {
		return false, fmt.Sprintf("%d columns, where a set of single values is asked for", r.Columns)
	}
	if r.More {
		return false, fmt.Sprintf("%s rows, the set has %d", r.count(), len(e.set))
	}
	var got []string
	for _, row := range r.Rows {
		if row[0] == nil {
			return false, "a row that is NULL"
		}
		got = append(got, *row[0])
	}
	var missing, extra []string
	for _, want := range e.set {
		if !slices.Contains(got, want) {
			missing = append(missing, want)
		}
	}
	for _, g := range got {
		if !slices.Contains(e.set, g) {
			extra = append(extra, g)
		}
	}
	slices.Sort(got)
	switch {
	case len(missing) > 0 || len(extra) > 0:
		found := fmt.Sprintf("%d values", len(got))
		if len(missing) > 0 {
			found += "; missing: " + strings.Join(missing, ", ")
		}
		if len(extra) > 0 {
			found += "; not in the set: " + strings.Join(extra, ", ")
		}
		return false, found
	case len(slices.Compact(slices.Clone(got))) != len(got):
		return false, "a value that comes twice: " + strings.Join(got, ", ")
	}
	return true, strings.Join(got, ", ")
}

// timeLayouts are how PostgreSQL writes times with DateStyle ISO and TimeZone
// UTC; those without an offset are read as UTC, and the result says so.
var timeLayouts = []string{"2006-01-02 15:04:05.999999-07", "2006-01-02 15:04:05.999999-07:00", "2006-01-02 15:04:05.999999", "2006-01-02"}

func (e Expectation) judgeTime(value string, moment Moment) (bool, string) {
	if moment.Time.IsZero() {
		return false, shorten(value, maxWord) + ", and the moment that was reached is not known as a time"
	}
	for i, layout := range timeLayouts {
		t, err := time.Parse(layout, value)
		if err != nil {
			continue
		}
		found := t.UTC().Format("2006-01-02 15:04:05Z")
		if i >= 2 {
			found += " (no offset in the database: read as UTC)"
		}
		age := max(moment.Time.Sub(t), -math.MaxInt64) // the shortest has no counterpart
		switch {
		case age < 0 && moment.AtLeast:
			return true, fmt.Sprintf("%s, %s after what is known of the moment, which is later", found, recovery.FormatSpan(-age))
		case age < 0:
			return false, fmt.Sprintf("%s, %s after the moment", found, recovery.FormatSpan(-age))
		}
		return age <= e.within, fmt.Sprintf("%s, %s before the moment", found, recovery.FormatSpan(age))
	}
	return false, shorten(value, maxWord) + ", which is not a time"
}
