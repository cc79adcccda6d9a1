package verify_test

import (
	"strings"
	"testing"
	"time"

	"comeback/recovery"
	"comeback/recovery/verify"
)

var moment = time.Date(2026, 11, 23, 1, 41, 5, 0, time.UTC)

func text(s string) *string { return &s }

// one is a result of one value, col one of one column.
func one(s string) verify.Result { return verify.Result{Columns: 1, Rows: [][]*string{{text(s)}}} }

func col(values ...string) verify.Result {
	r := verify.Result{Columns: 1}
	for _, v := range values {
		r.Rows = append(r.Rows, []*string{text(v)})
	}
	return r
}

func TestExpectation_Judge(t *testing.T) {
	null := verify.Result{Columns: 1, Rows: [][]*string{{nil}}}
	none := verify.Result{Columns: 1}
	pair := verify.Result{Columns: 2, Rows: [][]*string{{text("1"), nil}}}
	for _, c := range []struct {
		expect string
		result verify.Result
		held   bool
		found  string
	}{
		{">= 1", one("1"), true, "1"},
		{">= 1", one("0"), false, "0"},
		{"= 42", one("42.000"), true, "42.000"},
		{"= 9007199254740993", one("9007199254740992"), false, "9007199254740992"},
		{"= 0.1", one("0.1000000000000000055"), false, "0.1000000000000000055"},
		{"!= 0", one("0"), false, "0"},
		{"<> 0", one("7"), true, "7"},
		{"< 5", one("5"), false, "5"},
		{"<= 5", one("5"), true, "5"},
		{"> -3", one("-2.5"), true, "-2.5"},
		{">= 1000000000000000", one("1.5e+15"), true, "1.5e+15"},
		{"= 0", one("1e-300"), false, "1e-300"},
		{">= 1", one("1e999999999"), false, "1e999999999, which is not a number"},
		{"between 1 and 9", one("9"), true, "9"},
		{"between 1 and 9", one("9.01"), false, "9.01"},
		{">= 1", one("many"), false, "many, which is not a number"},
		{">= 1", one("NaN"), false, "NaN, which is not a number"},
		{">= 1", null, false, "NULL"},
		{">= 1", none, false, "no row, where one value is asked for"},
		{">= 1", col("1", "2"), false, "2 rows, where one value is asked for"},
		{">= 1", pair, false, "2 columns, where one value is asked for"},
		{"= 'open'", one("open"), true, "open"},
		{"= 'it''s'", one("it's"), true, "it's"},
		{"!= 'open'", one("open"), false, "open"},
		{"= '42'", one("42.0"), false, "42.0"},
		{"= true", one("t"), true, "t"},
		{"= true", one("f"), false, "f"},
		{"= false", one("false"), true, "false"},
		{"no rows", none, true, "no rows"},
		{"no rows", pair, false, "1 row: 1, NULL"},
		{"rows", none, false, "no rows"},
		{"rows", col("a", "b"), true, "2 rows, the first: a"},
		{"in {open, 'on hold', 3}", one("on hold"), true, "on hold"},
		{"in {open}", one("closed"), false, "closed"},
		{"set {a, b}", col("b", "a"), true, "a, b"},
		{"set {a, b}", col("b"), false, "1 values; missing: a"},
		{"set {a}", col("a", "c"), false, "2 values; not in the set: c"},
		{"set {a, b}", col("a", "b", "a"), false, "a value that comes twice: a, a, b"},
		{"set {}", none, true, ""},
		{"set {a}", null, false, "a row that is NULL"},
		{"within 10m", one("2026-11-23 01:31:05+00"), true, "2026-11-23 01:31:05Z, 10m00 before the moment"},
		{"within 10m", one("2026-11-23 01:31:04+00"), false, "2026-11-23 01:31:04Z, 10m01 before the moment"},
		{"within 10m", one("2026-11-23 01:41:06.5+00"), false, "2026-11-23 01:41:06Z, 0m02 after the moment"},
		{"within 1h", one("2026-11-23 06:41:05+05:30"), true, "2026-11-23 01:11:05Z, 30m00 before the moment"},
		{"within 1h", one("2026-11-23 01:11:05"), true, "2026-11-23 01:11:05Z (no offset in the database: read as UTC), 30m00 before the moment"},
		{"within 2d", one("2026-11-22"), true, "2026-11-22 00:00:00Z (no offset in the database: read as UTC), 25h41m before the moment"},
		{"within 10m", one("9999-12-31 00:00:00+00"), false, "9999-12-31 00:00:00Z, 106751d 23h after the moment"},
		{"within 10m", one("soon"), false, "soon, which is not a time"},
		{"within 10m", null, false, "NULL"},
	} {
		e, err := verify.ParseExpectation(c.expect)
		if err != nil {
			t.Errorf("%q: %v", c.expect, err)
			continue
		}
		if held, found := e.Judge(c.result, verify.Moment{Time: moment}); held != c.held || found != c.found {
			t.Errorf("%s: %v, %q; want %v, %q", c.expect, held, found, c.held, c.found)
		}
	}
	e, err := verify.ParseExpectation("within 10m")
	if err != nil {
		t.Fatal(err)
	}
	if held, found := e.Judge(one("2026-11-23 01:31:05+00"), verify.Moment{}); held || !strings.Contains(found, "not known") {
		t.Errorf("without a moment: %v, %q", held, found)
	}
	atLeast := verify.Moment{Time: moment, AtLeast: true}
	for value, c := range map[string]struct {
		held  bool
		found string
	}{
		"2026-11-23 01:41:06.5+00": {true, "2026-11-23 01:41:06Z, 0m02 after what is known of the moment, which is later"},
		"2026-11-23 01:31:05+00":   {true, "2026-11-23 01:31:05Z, 10m00 before the moment"},
		"2026-11-23 01:31:04+00":   {false, "2026-11-23 01:31:04Z, 10m01 before the moment"},
	} {
		if held, found := e.Judge(one(value), atLeast); held != c.held || found != c.found {
			t.Errorf("%s where the moment may be later: %v, %q; want %v, %q", value, held, found, c.held, c.found)
		}
	}
}

func TestParseExpectation_refuses(t *testing.T) {
	for text, says := range map[string]string{
		"": "missing", "many": "not an expectation", "= open": "single quotes", ">= 'a'": "no order", "between 9 and 1": "nothing is",
		"within soon": "not an expectation", "within 99999999999d": "too long", "in {a b": "not an expectation", "in {'a}": "no end",
		"in {'a' 'b'}": "without a comma", "in {a,,b}": "is empty", "=": "not an expectation", "= 1e5": "single quotes", "= NULL": "single quotes",
	} {
		if _, err := verify.ParseExpectation(text); err == nil || !strings.Contains(err.Error(), says) || recovery.HintOf(err) == "" {
			t.Errorf("%q: %v (hint %q), want %q", text, err, recovery.HintOf(err), says)
		}
	}
}

func FuzzParseExpectation(f *testing.F) {
	for _, s := range []string{">= 1", "between 1 and 9", "within 10m", "in {a, 'b, c'}", "set {}", "= 'it''s'", "in {'", "= 1."} {
		f.Add(s, "1")
	}
	f.Fuzz(func(t *testing.T, s, value string) {
		e, err := verify.ParseExpectation(s)
		if err != nil {
			return
		}
		for _, r := range []verify.Result{{}, {Columns: 1}, one(value), col(value, value), {Columns: 1, Rows: [][]*string{{nil}}}} {
			e.Judge(r, verify.Moment{Time: moment})
		}
	})
}
