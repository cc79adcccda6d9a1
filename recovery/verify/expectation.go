// Package verify judges what was restored: a query's result against what the
// runbook expects, at once ([SQLCheck]) or in time ([SQLWait]). It reads, in
// read-only transactions with limits on time and memory, and never repairs.
//
// Every way in which a result can be no answer is defined and has its sentence:
// no row, several rows or columns where one value is asked for, NULL, several
// statements, a value that cannot be compared.
package verify

import (
	"math/big"
	"strings"
	"time"

	"comeback/pattern"
	"comeback/recovery"
)

// Expectation is what a query's result must be:
//
//	= 42  != 0  < 5  <= 5  > 0  >= 1    one value, compared as a number, exactly
//	= 'open'  != 'x'                    one value, compared as text
//	= true  = false                     one value
//	between 1 and 9                     one number, both ends included
//	within 10m                          one time, at most so long before the moment and not after it
//	no rows  rows                       no row at all, or at least one
//	in {a, 'b, c', 3}                   one value that is in the set
//	set {a, b, c}                       the rows' single column is exactly this set, in any order
type Expectation struct {
	kind   kind
	text   string
	number [2]*big.Rat
	value  string
	set    []string
	within time.Duration
}

type kind int

const (
	equal kind = iota
	notEqual
	less
	atMost
	greater
	atLeast
	textEqual
	textNotEqual
	between
	withinMoment
	noRows
	someRows
	inSet
	wholeSet
)

func (e Expectation) String() string { return e.text }

var (
	comparison = pattern.New(`^(=|!=|<>|<=|>=|<|>)\s*(.+)$`)
	number     = pattern.New(`^[+-]?(\d+(\.\d*)?|\.\d+)$`)
	range2     = pattern.New(`^between\s+(\S+)\s+and\s+(\S+)$`)
	span       = pattern.New(`^within\s+(\d+)\s*(s|m|h|d)$`)
	quoted     = pattern.New(`^'((?:[^']|'')*)'$`)
	braces     = pattern.New(`^(in|set)\s*\{(.*)\}$`)
)

const understood = "write one of: = 42, >= 1, between 1 and 9, = 'text', within 10m, no rows, rows, in {a, b}, set {a, b}"

// ParseExpectation reads an expectation; its error says what can be written.
func ParseExpectation(text string) (Expectation, error) {
	s := strings.TrimSpace(text)
	e := Expectation{text: s}
	lower := strings.ToLower(s)
	switch {
	case s == "":
		return e, recovery.Errorf(understood, "an expectation is missing")
	case lower == "no rows":
		e.kind = noRows
		return e, nil
	case lower == "rows":
		e.kind = someRows
		return e, nil
	}
	if m := range2.FindStringSubmatch(lower); m != nil && number.MatchString(m[1]) && number.MatchString(m[2]) {
		e.kind, e.number = between, [2]*big.Rat{rat(m[1]), rat(m[2])}
		if e.number[0].Cmp(e.number[1]) > 0 {
			return e, recovery.Errorf("write the smaller one first", "nothing is %s", s)
		}
		return e, nil
	}
	if m := span.FindStringSubmatch(lower); m != nil {
		n, ok := new(big.Int).SetString(m[1], 10)
		if !ok || !n.IsInt64() || n.Int64() > 1e6 {
			return e, recovery.Errorf("write a shorter one, like within 10m", "%q is too long a time", s)
		}
		unit := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour, "d": 24 * time.Hour}[m[2]]
		e.kind, e.within = withinMoment, time.Duration(n.Int64())*unit
		return e, nil
	}
	if m := braces.FindStringSubmatch(s); m != nil {
		set, err := parseSet(m[2])
		if err != nil {
			return e, err
		}
		e.kind, e.set = wholeSet, set
		if m[1] == "in" {
			e.kind = inSet
		}
		return e, nil
	}
	if m := comparison.FindStringSubmatch(s); m != nil {
		return e.compare(m[1], strings.TrimSpace(m[2]))
	}
	return e, recovery.Errorf(understood, "%q is not an expectation", s)
}

// compare reads the right side of a comparison.
func (e Expectation) compare(op, value string) (Expectation, error) {
	if number.MatchString(value) {
		e.kind = map[string]kind{"=": equal, "!=": notEqual, "<>": notEqual, "<": less, "<=": atMost, ">": greater, ">=": atLeast}[op]
		e.number[0] = rat(value)
		return e, nil
	}
	if q := quoted.FindStringSubmatch(value); q != nil {
		value = strings.ReplaceAll(q[1], "''", "'")
	} else if v := strings.ToLower(value); v == "true" || v == "false" {
		value = v
	} else {
		return e, recovery.Errorf("put text into single quotes: "+op+" '"+value+"'", "%q is neither a number nor text in single quotes", value)
	}
	e.value = value
	switch op {
	case "=":
		e.kind = textEqual
	case "!=", "<>":
		e.kind = textNotEqual
	default:
		return e, recovery.Errorf("compare text with = or !=", "text has no order that %s could ask for", op)
	}
	return e, nil
}

// parseSet reads "a, 'b, c', 3".
func parseSet(text string) ([]string, error) {
	var set []string
	rest := strings.TrimSpace(text)
	for rest != "" {
		var item string
		if strings.HasPrefix(rest, "'") {
			end := 1
			for end < len(rest) && (rest[end] != '\'' || strings.HasPrefix(rest[end:], "''")) {
				if rest[end] == '\'' {
					end++
				}
				end++
			}
			if end >= len(rest) {
				return nil, recovery.Errorf("end it with a quote", "a quoted text in the set has no end")
			}
			item, rest = strings.ReplaceAll(rest[1:end], "''", "'"), strings.TrimSpace(rest[end+1:])
			if rest != "" && !strings.HasPrefix(rest, ",") {
				return nil, recovery.Errorf("put a comma between them", "two items of the set follow each other without a comma")
			}
			rest = strings.TrimSpace(strings.TrimPrefix(rest, ","))
		} else {
			before, after, _ := strings.Cut(rest, ",")
			item, rest = strings.TrimSpace(before), strings.TrimSpace(after)
			if item == "" {
				return nil, recovery.Errorf("write '' for an empty text", "an item of the set is empty")
			}
		}
		set = append(set, item)
	}
	return set, nil
}

func rat(s string) *big.Rat {
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		panic("verify: " + s + " matched as a number")
	}
	return r
}
